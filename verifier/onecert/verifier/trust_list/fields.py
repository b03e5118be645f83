"""What several parts of a list are made of: texts in two languages, addresses, extensions."""

from __future__ import annotations

import re

from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list.model import LocalText

__all__ = ["CriticalExtensionError", "read_extensions", "read_local_text", "read_oids", "read_url"]

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,39})){1,30}", re.ASCII)
_URL = re.compile(r"https?://[!-~]{1,2000}", re.ASCII)
# Values of extensions that nobody here knows. The deepest lies 11 levels down, and 32 is the end of all JSON.
_UNREAD_MAX_DEPTH = 16


class CriticalExtensionError(Exception):
    """An extension that must be understood and is not; stays inside the reading of lists."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def read_extensions(node: Node, key: str, *, known: tuple[str, ...]) -> dict[str, Node]:
    """The known extensions by type. An unknown one refuses the list when it is critical."""
    found: dict[str, Node] = {}
    for item in node.nodes(key, high=32, default=[]):
        with item:
            name = item.text("Type", max_length=256)
            critical = item.boolean("Critical")
            value = item.take("Value")
        if name not in known:
            if critical:
                raise CriticalExtensionError(name)
            _check_unread(value, item.place("Value"))
            continue
        if name in found:
            raise StrictJsonError(item.where, "the extension occurs twice")
        found[name] = Node(value, item.place("Value"))
    return found


def _check_unread(value: object, where: str, deepest: int = _UNREAD_MAX_DEPTH) -> None:
    """What nobody reads must still be JSON of a bounded depth, however the text was cut."""
    if isinstance(value, (dict, list)):
        if deepest == 0:
            raise StrictJsonError(where, "nested too deeply")
        for inner in value.values() if isinstance(value, dict) else value:
            _check_unread(inner, where, deepest - 1)
    elif value is not None and not isinstance(value, (str, int)):
        raise StrictJsonError(where, "not JSON")


def read_local_text(node: Node, key: str) -> LocalText:
    texts: dict[str, str] = {}
    for item in node.nodes(key, low=2, high=2):
        with item:
            texts[item.choice("lang", {"zh", "en"})] = item.text("value", max_length=200)
    if len(texts) != 2:
        raise StrictJsonError(node.place(key), "needs zh and en")
    return LocalText(zh=texts["zh"], en=texts["en"])


def read_url(node: Node, key: str) -> str:
    value = node.text(key)
    if _URL.fullmatch(value) is None:
        raise StrictJsonError(node.place(key), "not an http or https address")
    return value


def read_oids(node: Node, key: str) -> tuple[str, ...]:
    """Different dotted object identifiers, at least one."""
    values = node.texts(key, low=1)
    if not all(_OID.fullmatch(value) for value in values):
        raise StrictJsonError(node.place(key), "not an object identifier")
    return values

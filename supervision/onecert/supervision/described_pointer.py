"""A pointer to another list in readable lines, field by field, in the reader's language."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from onecert.server.languages import Message, _, current_language, format_datetime, gettext
from onecert.supervision.described import entry_line
from onecert.supervision.draft_pointers import DraftPointer
from onecert.verifier.errors import VerifyError
from onecert.verifier.messages import message
from onecert.verifier.trust_list.root import load_trust_root

__all__ = ["POINTER_FIELDS", "class_name", "describe_pointer", "id_type_name"]

POINTER_FIELDS: Mapping[str, Message] = {
    "location": _("Address of the list"),
    "root": _("Trust root of the list"),
    "id_types": _("Kinds of id granted"),
    "classes": _("Classes of holders granted"),
    "services": _("Services granted"),
}

ID_TYPES: Mapping[str, Message] = {
    "uscc": _("unified social credit code"),
    "org": _("organisation code"),
    "regno": _("registration number"),
    "tax": _("taxpayer number"),
    "idcard": _("identity card"),
    "passport": _("passport"),
    "officer": _("officer's card"),
}


def id_type_name(value: str) -> str:
    """A kind of id for people; as it is spelt when there are no words for it."""
    return f"{gettext(ID_TYPES[value])} ({value})" if value in ID_TYPES else value


def class_name(value: str) -> str:
    """A class of holders for people."""
    return f"{message(f'CLASS_{value.upper()}', current_language())} ({value})"


def describe_pointer(pointer: DraftPointer) -> dict[str, tuple[str, ...]]:
    """Every field of a pointer: key of the draft -> lines. An empty scope says what that means."""
    history = sorted(pointer.history, key=lambda entry: entry.start)
    return {
        "operator": (pointer.operator.zh, pointer.operator.en),
        "location": (pointer.location,),
        "root": (_root(pointer.root),),
        "history": tuple(entry_line(entry) for entry in history),
        "id_types": tuple(id_type_name(each) for each in sorted(pointer.id_types)),
        "classes": tuple(class_name(each) for each in sorted(pointer.classes)),
        "services": pointer.services or (gettext(_("every certification authority on it")),),
        "policies": pointer.policies or (gettext(_("any")),),
    }


def _root(text: str) -> str:
    try:
        root = load_trust_root(base64.b64decode(text, validate=True))
    except (ValueError, VerifyError):
        return "–"
    return gettext(
        _("version %(version)s, until %(until)s, SHA-256 %(fingerprint)s"),
        version=root.version,
        until=format_datetime(root.expires_at),
        fingerprint=root.fingerprint,
    )

"""What comes without a network: the bundle, its manifest, the register's snapshot and its rows.

The first octet says what the rest is. Manifests and heads are signed anew, so that what is behind the
signatures is reached; an archive is also read whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterable
from functools import partial

from fuzz.material import T
from fuzz.officers import officers_keys, signed, trust_root
from fuzz.rules import answer, check_json, check_texts, require
from fuzz.targets.documents import list_payload
from onecert.verifier.bundle.archive import Archive
from onecert.verifier.bundle.load import load_bundle
from onecert.verifier.bundle.manifest import BUNDLE_TYP, MANIFEST_NAME, read_manifest
from onecert.verifier.identity.registry_head import TYP as REGISTRY_TYP
from onecert.verifier.identity.registry_head import read_head
from onecert.verifier.identity.registry_rows import known_row, read_row

IS_DER = False

_KINDS = ("archive", "manifest", "head", "row")
_TIMES = {"issued_at": "2026-11-21T08:00:00Z", "next_update": "2026-12-21T08:00:00Z"}
_FIRM = "91440300MA5DEM004J"


def seeds() -> Iterable[bytes]:
    """A small bundle, its manifest, a snapshot's head, rows with and without history."""
    listed = signed(list_payload())
    entry = {"sha256": hashlib.sha256(listed).hexdigest(), "bytes": len(listed), **_TIMES}
    members = [{"name": "trust-list.json", "kind": "trust-list", **entry}]
    manifest = {"made_at": "2026-11-21T08:00:00Z", "use_until": "2026-11-28T08:00:00Z", "members": members}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (
            (MANIFEST_NAME, signed(_octets(manifest), BUNDLE_TYP)),
            ("trust-list.json", listed),
        ):
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 21, 8, 0, 0)), data)
    yield b"\x00" + packed.getvalue()
    yield b"\x01" + _octets(manifest)
    file = {"name": "registry.jsonl", "sha256": "0" * 64, "bytes": 100, "entries": 1}
    yield b"\x02" + _octets({"number": 4, **_TIMES, "file": file})
    yield b"\x03" + _octets({"uscc": _FIRM, "names": ["示例"], "state": "active"})
    past = {"from": "2015-01-01T00:00:00Z", "until": "2020-01-01T00:00:00Z"}
    history = {"org": "MA5DEM004", "regno": ["440301100000017"], **past}
    yield b"\x03" + _octets({"uscc": _FIRM, "names": ["新", "旧"], "state": "cancelled", **history})


def _octets(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def run(data: bytes) -> None:
    """What the first octet says."""
    body = data[1:]
    kind = _KINDS[data[0] % len(_KINDS)] if data else "row"
    if kind == "archive":
        _archive(body)
    elif kind == "manifest":
        manifest = answer(partial(read_manifest, signed(body, BUNDLE_TYP), officers_keys()))
        require(manifest is None or manifest.members, "a manifest without members")
        for entry in manifest.members.values() if manifest else ():
            check_json(entry.as_dict())
    elif kind == "head":
        head = answer(partial(read_head, signed(body, REGISTRY_TYP), officers_keys()))
        if head is not None:
            check_json(head.as_dict())
    else:
        _row(body)


def _archive(body: bytes) -> None:
    archive = answer(lambda: Archive(lambda: io.BytesIO(body)))
    if archive is None:
        return
    require(sum(member.size for member in archive.members.values()) <= len(body), "members overlap")
    for name, member in archive.members.items():
        check_texts([name])
        require(".." not in name and not name.startswith("/"), "a name that leads elsewhere")
        require(len(archive.read(name)) == member.size, "a member of another size")
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        bundle = answer(lambda: load_bundle(file.name, root=trust_root()))
        if bundle is not None:
            check_json(bundle.as_dict(T))


def _row(body: bytes) -> None:
    row = answer(partial(read_row, body))
    if row is None:
        return
    require(known_row(body) == row, "what is known is read in another way")
    entry = row.entry(T)
    require(entry is None or (entry.uscc == row.uscc and entry.names), "an entry of another entity")
    require(all(alias.id.partition(":")[2] for alias in row.aliases), "an alias without a number")

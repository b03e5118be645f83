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
from collections.abc import Iterable, Mapping
from functools import partial

from fuzz.material import T, crl, hierarchy
from fuzz.officers import officers_keys, signed, trust_root
from fuzz.rules import answer, check_json, check_texts, require
from fuzz.targets.documents import list_payload
from onecert.verifier.bundle.archive import Archive
from onecert.verifier.bundle.load import Bundle, load_bundle
from onecert.verifier.bundle.manifest import BUNDLE_TYP, MANIFEST_NAME, read_manifest
from onecert.verifier.identity.registry_head import TYP as REGISTRY_TYP
from onecert.verifier.identity.registry_head import read_head
from onecert.verifier.identity.registry_rows import known_row, read_row
from onecert.verifier.trust_list.timestamp import TIMESTAMP_TYP

IS_DER = False

_KINDS = ("archive", "manifest", "head", "row", "whole")
_TIMES = {"issued_at": "2026-11-21T08:00:00Z", "next_update": "2026-12-21T08:00:00Z"}
_NAMED = {
    "trust-timestamp.json": "timestamp",
    "trust-list.json": "trust-list",
    "registry.json": "registry",
    "registry.jsonl": "registry-data",
    "policy.json": "policy",
}
_FIRM = "91440300MA5DEM004J"


def seeds() -> Iterable[bytes]:
    """A small bundle, its manifest, a snapshot's head, rows with and without history."""
    listed = signed(list_payload())
    entry = {"sha256": hashlib.sha256(listed).hexdigest(), "bytes": len(listed), **_TIMES}
    members = [{"name": "trust-list.json", "kind": "trust-list", **entry}]
    manifest = {"made_at": "2026-11-21T08:00:00Z", "use_until": "2026-11-28T08:00:00Z", "members": members}
    signed_manifest = signed(_octets(manifest), BUNDLE_TYP)
    yield b"\x00" + _packed({MANIFEST_NAME: signed_manifest, "trust-list.json": listed})
    yield b"\x01" + _octets(manifest)
    yield b"\x04" + _packed(_members())
    file = {"name": "registry.jsonl", "sha256": "0" * 64, "bytes": 100, "entries": 1}
    yield b"\x02" + _octets({"number": 4, **_TIMES, "file": file})
    yield b"\x03" + _octets({"uscc": _FIRM, "names": ["示例"], "state": "active"})
    past = {"from": "2015-01-01T00:00:00Z", "until": "2020-01-01T00:00:00Z"}
    history = {"org": "MA5DEM004", "regno": ["440301100000017"], **past}
    yield b"\x03" + _octets({"uscc": _FIRM, "names": ["新", "旧"], "state": "cancelled", **history})


def _members() -> dict[str, bytes]:
    """What a department needs: all parts, right and of one moment. Its manifest is made when it is run."""
    listed = json.loads(list_payload())
    listed["LoTE"]["TrustedEntitiesList"] = []
    payload = _octets(listed)
    row = _octets({"uscc": _FIRM, "names": ["示例"], "state": "active"}) + b"\n"
    file = {"name": "registry.jsonl", "sha256": _sha256(row), "bytes": len(row), "entries": 1}
    head = _octets({"number": 4, **_TIMES, "file": file})
    stamp = {
        "version": 7,
        "issued_at": "2026-11-21T08:00:00Z",
        "expires_at": "2026-11-22T08:00:00Z",
        "root": {"version": 1, "sha256": "0" * 64},
        "list": {"sequence": 5, "sha256": _sha256(payload)},
        "registry": {"number": 4, "sha256": _sha256(head)},
    }
    root = hierarchy().root_a
    return {
        "trust-timestamp.json": signed(_octets(stamp), TIMESTAMP_TYP),
        "trust-list.json": signed(payload),
        "registry.json": signed(head, REGISTRY_TYP),
        "registry.jsonl": row,
        "crls/pearl.crl": crl(root, (0x66, ())),
        "policy.json": _octets({"version": 1, "max_age": {"login": 604800, "otherwise": 0}}),
    }


def _packed(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 21, 8, 0, 0)), data)
    return packed.getvalue()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _octets(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def run(data: bytes) -> None:
    """What the first octet says."""
    body = data[1:]
    kind = _KINDS[data[0] % len(_KINDS)] if data else "row"
    if kind == "archive":
        _archive(body)
    elif kind == "whole":
        _whole(body)
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
    _load(body)


def _whole(body: bytes) -> None:
    """The members with a manifest that names them as they are: what is behind the digests is reached."""
    archive = answer(lambda: Archive(lambda: io.BytesIO(body)))
    if archive is None:
        return
    members = {name: archive.read(name) for name in archive.members if name != MANIFEST_NAME}
    named = [
        {"name": name, "kind": _NAMED.get(name, "crl"), "sha256": _sha256(data), "bytes": len(data)}
        for name, data in members.items()
    ]
    manifest = {"made_at": "2026-11-21T08:58:00Z", "use_until": "2026-11-28T08:00:00Z", "members": named}
    bundle = _load(_packed({MANIFEST_NAME: signed(_octets(manifest), BUNDLE_TYP), **members}))
    if bundle is not None:
        require(bundle.trust_list.document == _members()["trust-list.json"], "a list that nobody signed")
        require(len(bundle.crls) == sum(each["kind"] == "crl" for each in named), "a list was lost")


def _load(data: bytes) -> Bundle | None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        bundle = answer(lambda: load_bundle(file.name, root=trust_root()))
    if bundle is not None:
        check_json(bundle.as_dict(T))
    return bundle


def _row(body: bytes) -> None:
    row = answer(partial(read_row, body))
    if row is None:
        return
    require(known_row(body) == row, "what is known is read in another way")
    entry = row.entry(T)
    require(entry is None or (entry.uscc == row.uscc and entry.names), "an entry of another entity")
    require(all(alias.id.partition(":")[2] for alias in row.aliases), "an alias without a number")

"""From a file on a disk to a bundle that may be relied upon: all of it is checked before any is used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from onecert.verifier.arguments import check_aware, check_kind
from onecert.verifier.bundle.archive import Archive
from onecert.verifier.bundle.manifest import (
    MANIFEST_MAX_BYTES,
    MANIFEST_NAME,
    Manifest,
    MemberEntry,
    MemberKind,
    read_manifest,
)
from onecert.verifier.bundle.memory import BundleMemory, SeenBundle
from onecert.verifier.bundle.policy import POLICY_MAX_BYTES, OfflinePolicy, load_policy
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.identity.registry_head import (
    DATA_FILE,
    HEAD_FILE,
    HEAD_MAX_BYTES,
    SnapshotHead,
    read_head,
)
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.revocation import Crl, load_crl
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list.load import check_current, load_trust_list, seen_list
from onecert.verifier.trust_list.model import TrustList
from onecert.verifier.trust_list.published import LIST_FILE, TIMESTAMP_FILE, GetFile, root_file
from onecert.verifier.trust_list.roles import CLOCK_SKEW, Role
from onecert.verifier.trust_list.root import (
    ROOT_MAX_BYTES,
    TrustRoot,
    check_root_current,
    load_trust_root,
    next_trust_root,
)
from onecert.verifier.trust_list.state import Seen, TrustState
from onecert.verifier.trust_list.timestamp import (
    TIMESTAMP_MAX_BYTES,
    TrustTimestamp,
    check_timestamp_current,
    load_trust_timestamp,
)
from onecert.verifier.trust_list.vocabulary import MAX_BYTES

__all__ = ["BUNDLE_FILE", "POLICY_FILE", "Bundle", "check_usable", "load_bundle", "remember"]

BUNDLE_FILE = "bundle.zip"
POLICY_FILE = "policy.json"
_ROOTS = "trust-roots/"
# Kinds of which there is one, under one name.
_SINGLE = {
    MemberKind.TIMESTAMP: TIMESTAMP_FILE,
    MemberKind.TRUST_LIST: LIST_FILE,
    MemberKind.REGISTRY: HEAD_FILE,
    MemberKind.REGISTRY_DATA: DATA_FILE,
    MemberKind.POLICY: POLICY_FILE,
}
_NEEDED = (MemberKind.TIMESTAMP, MemberKind.TRUST_LIST)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle whose signatures and digests were checked. Whether it may be used at a time: ``check_usable``.

    Args:
        crls: the lists of the services, as the CAs signed them.
        registry: the head of the snapshot; its rows are ``open_member("registry.jsonl")``.
        policy: ``None`` when the bundle has none.
    """

    manifest: Manifest
    root: TrustRoot
    timestamp: TrustTimestamp
    trust_list: TrustList
    crls: tuple[Crl, ...]
    registry: SnapshotHead | None
    policy: OfflinePolicy | None
    open_member: Callable[[str], BinaryIO]

    @property
    def made_at(self) -> datetime:
        """What the bundle says was true then."""
        return self.manifest.made_at

    @property
    def warnings(self) -> tuple[str, ...]:
        """Codes of what the whole bundle lacks; every result that rests on it repeats them."""
        issuers = {crl.issuer for crl in self.crls}
        authorities = {service.certificates[0].subject for service in self.trust_list.services}
        return ("BUNDLE_CRL_ABSENT",) if authorities - issuers else ()

    @property
    def seen(self) -> dict[Role, Seen]:
        """What a memory of the roles keeps of it."""
        seen = {
            Role.ROOT: self.root.seen,
            Role.TIMESTAMP: self.timestamp.seen,
            Role.LIST: seen_list(self.trust_list, self.root.list_keys),
        }
        if self.registry is not None:
            seen[Role.REGISTRY] = self.registry.seen
        return seen

    def as_dict(self, at: datetime) -> dict[str, Any]:
        """For JSON."""
        return {
            "made_at": format_time(self.made_at),
            "use_until": format_time(self.manifest.use_until),
            "age_s": int((at - self.made_at).total_seconds()),
            "sha256": self.manifest.sha256,
            "root": {"version": self.root.version, "expires_at": format_time(self.root.expires_at)},
            "timestamp": {"version": self.timestamp.version},
            "list": {
                "sequence": self.trust_list.sequence,
                "next_update": format_time(self.trust_list.next_update),
            },
            "crls": [
                {
                    "issuer": crl.issuer_text,
                    "number": crl.number,
                    "this_update": format_time(crl.this_update),
                    "next_update": crl.next_update and format_time(crl.next_update),
                    "entries": len(crl),
                }
                for crl in self.crls
            ],
            "registry": self.registry and self.registry.as_dict(),
            "policy": self.policy and self.policy.as_dict(),
            "warnings": list(self.warnings),
            "members": [entry.as_dict() for entry in self.manifest.members.values()],
        }


def load_bundle(path: Path | str, *, root: TrustRoot, limits: Limits = DEFAULT_LIMITS) -> Bundle:
    """Read a bundle and check everything in it but its age.

    Args:
        path: the file; rows of the register are read from it again when their index is made.
        root: one that a person has compared, or any later one; newer ones in the bundle are walked.

    Raises:
        MalformedError: BUNDLE_ARCHIVE and the other codes of the archive, BUNDLE_MALFORMED, BUNDLE_POLICY,
            BUNDLE_MEMBER_DIGEST, BUNDLE_MEMBER_SIZE, BUNDLE_MEMBER_MISSING, BUNDLE_MEMBER_EXTRA,
            BUNDLE_CONTENT, BUNDLE_CRL.
        RefusedError: BUNDLE_SIGNATURE, and why the root, the timestamp, the list or the snapshot is refused.
        CouldNotCheckError: BUNDLE_MISSING, and what the timestamp does not name (TRUST_PARTS_MIXED).
    """
    check_kind(root, TrustRoot, "root")
    path = Path(path)
    try:
        archive = Archive(lambda: open(path, "rb"))  # noqa: SIM115  who asks closes it
        return _load(archive, root, limits)
    except OSError as exc:
        raise CouldNotCheckError("BUNDLE_MISSING", detail=f"{path.name}: {exc.strerror or exc}") from exc


def _load(archive: Archive, root: TrustRoot, limits: Limits) -> Bundle:
    # 1. The newest root says who signs the rest.
    newest = _walk(archive, root)
    # 2. The manifest says what is in the archive, no more and no less.
    manifest = read_manifest(_read(archive, MANIFEST_NAME, MANIFEST_MAX_BYTES), newest.roles[Role.TIMESTAMP])
    _check_members(archive, manifest)

    def read(name: str, max_bytes: int) -> bytes:
        # The file may be another one by now: what counts is what is read here.
        data = _read(archive, name, max_bytes)
        if hashlib.sha256(data).hexdigest() != manifest.members[name].sha256:
            raise MalformedError("BUNDLE_MEMBER_DIGEST", name=name)
        return data

    # 3. Root, timestamp and list held when it was made, and belong together.
    made_at = manifest.made_at
    check_root_current(newest, made_at)
    timestamp = load_trust_timestamp(read(TIMESTAMP_FILE, TIMESTAMP_MAX_BYTES), root=newest)
    check_timestamp_current(timestamp, made_at)
    trust_list = load_trust_list(
        read(LIST_FILE, MAX_BYTES), keys=newest.list_keys, at=made_at, timestamp=timestamp
    )
    # 4. What the CAs, the register and the supervision have said by then.
    return Bundle(
        manifest=manifest,
        root=newest,
        timestamp=timestamp,
        trust_list=trust_list,
        crls=tuple(_crls(read, manifest.of_kind(MemberKind.CRL), limits)),
        registry=_registry(read, manifest, newest, timestamp),
        policy=_policy(read, manifest),
        open_member=archive.open,
    )


def check_usable(bundle: Bundle, at: datetime, *, max_age: timedelta | None = None) -> None:
    """Refuse to work with a bundle that is too old, or on a computer whose clock is wrong.

    Args:
        max_age: the department's own limit, beside that of the bundle.

    Raises:
        CouldNotCheckError: BUNDLE_CLOCK, BUNDLE_EXPIRED, BUNDLE_OLD; or the list or the root is over.
    """
    check_aware(at)
    # A clock that is set back would keep an old bundle young for ever.
    if at < bundle.made_at - CLOCK_SKEW:
        raise CouldNotCheckError("BUNDLE_CLOCK", made_at=bundle.made_at, at=at)
    if at >= bundle.manifest.use_until:
        raise CouldNotCheckError(
            "BUNDLE_EXPIRED", made_at=bundle.made_at, use_until=bundle.manifest.use_until
        )
    if max_age is not None and at - bundle.made_at > max_age:
        raise CouldNotCheckError("BUNDLE_OLD", made_at=bundle.made_at, max_age=max_age)
    check_root_current(bundle.root, at)
    check_current(bundle.trust_list, at)


def remember(
    bundle: Bundle,
    *,
    state: TrustState,
    memory: BundleMemory,
    keep: Callable[[], None] | None = None,
) -> None:
    """Accept this bundle as the newest: neither it nor any part of it goes back behind what was seen.

    Args:
        keep: stores the bundle when it is accepted and before it is remembered.

    Raises:
        RefusedError: BUNDLE_ROLLBACK, BUNDLE_FORK; TRUST_…_ROLLBACK and TRUST_…_FORK of its parts.
        CouldNotCheckError: the memory cannot be used.
    """

    def inner() -> None:
        memory.advance(SeenBundle(bundle.made_at, bundle.manifest.sha256), keep=keep)

    state.advance(bundle.seen, keep=inner)


def _walk(archive: Archive, root: TrustRoot) -> TrustRoot:
    same = root_file(root.version)
    if same in archive.members:
        held = load_trust_root(_read(archive, same, ROOT_MAX_BYTES))
        if held.sha256 != root.sha256:
            raise RefusedError("TRUST_ROOT_FORK", number=root.version)
    while (name := root_file(root.version + 1)) in archive.members:
        root = next_trust_root(root, _read(archive, name, ROOT_MAX_BYTES))
    # One that is not reached from here would be a later one: a gap that hides who signs now.
    later = [n for n in _versions(archive.members) if n > root.version]
    if later:
        raise RefusedError("BUNDLE_ROOTS", held=root.version, found=min(later))
    return root


def _versions(names: Iterable[str]) -> list[int]:
    found = []
    for name in names:
        number = name.removeprefix(_ROOTS).removesuffix(".json")
        if name.startswith(_ROOTS) and number.isdecimal() and root_file(int(number)) == name:
            found.append(int(number))
    return found


def _check_members(archive: Archive, manifest: Manifest) -> None:
    names = archive.members.keys() - {MANIFEST_NAME}
    if names - manifest.members.keys():
        raise MalformedError("BUNDLE_MEMBER_EXTRA", name=min(names - manifest.members.keys()))
    if manifest.members.keys() - names:
        raise MalformedError("BUNDLE_MEMBER_MISSING", name=min(manifest.members.keys() - names))
    for entry in manifest.members.values():
        if not _fits(entry):
            raise MalformedError("BUNDLE_CONTENT", detail=f"{entry.name} is no {entry.kind.value}")
        if archive.members[entry.name].size != entry.size:
            raise MalformedError("BUNDLE_MEMBER_SIZE", name=entry.name)
        if archive.sha256(entry.name) != entry.sha256:
            raise MalformedError("BUNDLE_MEMBER_DIGEST", name=entry.name)
    for kind in _NEEDED:
        if not manifest.of_kind(kind):
            raise MalformedError("BUNDLE_CONTENT", detail=f"there is no {kind.value}")
    if bool(manifest.of_kind(MemberKind.REGISTRY)) != bool(manifest.of_kind(MemberKind.REGISTRY_DATA)):
        raise MalformedError("BUNDLE_CONTENT", detail="the register needs both of its files")


def _fits(entry: MemberEntry) -> bool:
    if entry.kind in _SINGLE:
        return entry.name == _SINGLE[entry.kind]
    if entry.kind is MemberKind.TRUST_ROOT:
        return bool(_versions([entry.name]))
    return entry.name.startswith("crls/") and entry.name.endswith(".crl")


def _read(archive: Archive, name: str, max_bytes: int) -> bytes:
    member = archive.members.get(name)
    if member is None:
        raise MalformedError("BUNDLE_MEMBER_MISSING", name=name)
    if member.size > max_bytes:
        raise MalformedError("BUNDLE_MEMBER_SIZE", name=name)
    return archive.read(name)


def _crls(read: GetFile, entries: Iterable[MemberEntry], limits: Limits) -> Iterable[Crl]:
    for entry in entries:
        try:
            yield load_crl(read(entry.name, limits.crl_max_bytes), limits=limits)
        except MalformedError as exc:
            raise MalformedError("BUNDLE_CRL", name=entry.name, detail=exc.text("en")) from exc


def _registry(
    read: GetFile, manifest: Manifest, root: TrustRoot, timestamp: TrustTimestamp
) -> SnapshotHead | None:
    if not manifest.of_kind(MemberKind.REGISTRY):
        return None
    keys = root.roles.get(Role.REGISTRY)
    if keys is None:
        raise RefusedError("REGISTRY_SIGNATURE", detail="the trust root names no keys for the register")
    head = read_head(read(HEAD_FILE, HEAD_MAX_BYTES), keys)
    timestamp.check_names(Role.REGISTRY, head.number, head.sha256)
    data = manifest.members[DATA_FILE]
    if (head.data.sha256, head.data.size) != (data.sha256, data.size):
        raise MalformedError("REGISTRY_DATA")
    return head


def _policy(read: GetFile, manifest: Manifest) -> OfflinePolicy | None:
    if not manifest.of_kind(MemberKind.POLICY):
        return None
    return load_policy(read(POLICY_FILE, POLICY_MAX_BYTES))

"""The offline bundle of attribute certificates: everything a department needs, in one signed file.

    bundle = open_attribute_bundle("pmi-bundle.zip", keys=[policy_key], at=now, memory=FileBundleMemory(path))
    verifier = AttributeCertificateVerifier(
        trust=bundle.trust(), status=bundle.status(), delegations=bundle.delegations()
    )
    found = bundle.find(verified.path.target)

A ZIP archive of the form that ``bundle.archive`` reads, with ``manifest.json`` signed by the policy key of
the PMI: what the other members are, when it was made and until when it may be used. Nothing in it is used
before all of it was checked; an older bundle than the last one is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from onecert.verifier.arguments import check_aware
from onecert.verifier.attribute_certificate.acrl import RevocationLists
from onecert.verifier.attribute_certificate.credentials import MAX_CERTIFICATES, Credentials
from onecert.verifier.attribute_certificate.delegation_source import Delegations
from onecert.verifier.attribute_certificate.trust import AttributeTrust, TrustedAuthority
from onecert.verifier.bundle.archive import Archive
from onecert.verifier.bundle.memory import BundleMemory, SeenBundle
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.jws import key_id
from onecert.verifier.signatures import PublicKey
from onecert.verifier.strict_json import Node
from onecert.verifier.trust_list.roles import CLOCK_SKEW, RoleKeys
from onecert.verifier.trust_list.signed_part import SignedPart, read_sha256, read_validity, sha256_of

__all__ = ["BUNDLE_TYP", "AttributeBundle", "open_attribute_bundle"]

BUNDLE_TYP = "onecert-attribute-bundle+json"
MANIFEST = "manifest.json"
CERTIFICATES = "certificates.jsonl"
DELEGATIONS = "delegations.jsonl"
RULES = "rules.json"
CATALOGUE = "catalogue.json"
VALIDITY_MAX = timedelta(days=31)
_MAX_MANIFEST = 1024 * 1024
_MAX_SMALL = 64 * 1024 * 1024
_MAX_ROW = 256 * 1024
_PART = SignedPart(
    typ=BUNDLE_TYP,
    max_bytes=_MAX_MANIFEST,
    malformed=lambda detail: MalformedError("BUNDLE_MALFORMED", detail=detail),
    unsigned=lambda detail: RefusedError("BUNDLE_SIGNATURE", detail=detail),
)


@dataclass(frozen=True)
class _Manifest:
    made_at: datetime
    use_until: datetime
    target: str
    authorities: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...]
    members: Mapping[str, tuple[str, int]]
    sha256: str


@dataclass
class _Index:
    """Where the certificates of a holder stand: offsets into the member of certificates."""

    rows: dict[str, list[int]] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any], offset: int) -> None:
        form = row.get("form")
        name = {"key": "key", "name": "subject", "entity": "entity"}.get(str(form), "holder")
        self.rows.setdefault(f"{name}:{row.get(name)}", []).append(offset)


class AttributeBundle:
    """A bundle whose signature and digests were checked; a ``CredentialSource``."""

    def __init__(self, archive: Archive, manifest: _Manifest) -> None:
        self._archive = archive
        self._manifest = manifest
        self._index = _Index()
        with archive.open(CERTIFICATES) as file:
            offset = 0
            while line := file.readline(_MAX_ROW):
                self._index.add(_row(line), offset)
                offset += len(line)
        self._pairs: list[tuple[bytes, bytes]] = []
        for line in archive.read(DELEGATIONS).splitlines():
            row = _row(line)
            self._pairs.append((_der(row, "certificate"), _der(row, "holder_certificate")))

    @property
    def made_at(self) -> datetime:
        """What the bundle says was true then."""
        return self._manifest.made_at

    @property
    def use_until(self) -> datetime:
        """It may not be used from here on: its first revocation list ends."""
        return self._manifest.use_until

    @property
    def target(self) -> str:
        """URI of the application it was made for; empty for all."""
        return self._manifest.target

    def find(self, certificate: ParsedCertificate, *, identity: str | None = None) -> Credentials:
        """See ``CredentialSource``.

        Args:
            identity: the holder's canonical id, already verified.

        Raises:
            CouldNotCheckError: ``BUNDLE_MISSING``: the file has gone.
        """
        names = [
            f"holder:{hashlib.sha256(certificate.der).hexdigest()}",
            f"key:{hashlib.sha256(certificate.spki_der).hexdigest()}",
            f"subject:{hashlib.sha256(certificate.subject_der).hexdigest()}",
        ]
        if identity:
            names.append(f"entity:{identity}")
        offsets = sorted({offset for name in names for offset in self._index.rows.get(name, ())})
        found: list[bytes] = []
        try:
            with self._archive.open(CERTIFICATES) as file:
                for offset in offsets[:MAX_CERTIFICATES]:
                    file.seek(offset)
                    found.append(_der(_row(file.readline(_MAX_ROW)), "certificate"))
        except OSError as exc:
            raise CouldNotCheckError("BUNDLE_MISSING", detail=str(exc.strerror or exc)) from exc
        return Credentials(certificates=tuple(found), delegations=tuple(self._pairs[:MAX_CERTIFICATES]))

    def delegations(self) -> Delegations:
        """Every delegation of the bundle, for the verifier."""
        return Delegations(self._pairs)

    def authorities(self) -> dict[str, ParsedCertificate]:
        """Certificates of all authorities, by name."""
        return {
            name: parse_certificate(self._archive.read(_authority_file(name)))
            for name, _kind, _roles, _attributes in self._manifest.authorities
        }

    def trust(self) -> AttributeTrust:
        """The sources of authority, and what the catalogue lets each of them give."""
        certificates = self.authorities()
        return AttributeTrust(
            authorities=tuple(
                TrustedAuthority.from_certificate(
                    certificates[name], roles=roles, attributes=attributes, label=name
                )
                for name, kind, roles, attributes in self._manifest.authorities
                if kind == "soa"
            )
        )

    def status(self) -> RevocationLists:
        """The revocation lists of all authorities, also of those that were delegated to."""
        names = [name for name in self._manifest.members if name.startswith("acrls/")]
        lists = [self._archive.read(name) for name in names]
        return RevocationLists(self.trust(), lists, delegations=self.delegations())

    def rules(self) -> bytes | None:
        """Policy and catalogue as ``decision.read_rules`` takes them; None when there was no policy."""
        return self._archive.read(RULES) if RULES in self._manifest.members else None

    def catalogue(self) -> Mapping[str, Any]:
        """The catalogue, as the PMI publishes it."""
        found: dict[str, Any] = json.loads(self._archive.read(CATALOGUE))
        return found

    def check_usable(self, at: datetime, *, max_age: timedelta | None = None) -> None:
        """Refuse to work with a bundle that is too old, or by a clock that is wrong.

        Raises:
            CouldNotCheckError: ``BUNDLE_CLOCK``, ``BUNDLE_EXPIRED``, ``BUNDLE_OLD``.
        """
        check_aware(at)
        if at < self.made_at - CLOCK_SKEW:
            raise CouldNotCheckError("BUNDLE_CLOCK", made_at=self.made_at, at=at)
        if at >= self.use_until:
            raise CouldNotCheckError("BUNDLE_EXPIRED", made_at=self.made_at, use_until=self.use_until)
        if max_age is not None and at - self.made_at > max_age:
            raise CouldNotCheckError("BUNDLE_OLD", made_at=self.made_at, max_age=max_age)


def open_attribute_bundle(
    path: Path | str,
    *,
    keys: Iterable[PublicKey],
    at: datetime,
    memory: BundleMemory | None = None,
    max_age: timedelta | None = None,
) -> AttributeBundle:
    """Open a bundle: signature, digest of each member, age; then remember it as the newest.

    Args:
        keys: the policy keys of the PMI that are believed; one of them must have signed.
        memory: without one, an older bundle in the place of a newer one is not noticed.
        max_age: the department's own limit.

    Raises:
        RefusedError: ``BUNDLE_SIGNATURE``, ``BUNDLE_ROLLBACK``, ``BUNDLE_FORK``.
        MalformedError: ``BUNDLE_ARCHIVE`` and its like, ``BUNDLE_MALFORMED``, ``BUNDLE_CONTENT``,
            ``BUNDLE_MEMBER_…``.
        CouldNotCheckError: ``BUNDLE_MISSING``, ``BUNDLE_CLOCK``, ``BUNDLE_EXPIRED``, ``BUNDLE_OLD``; or the
            memory cannot be used.
    """
    path = Path(path)
    by_id = {key_id(key): key for key in keys}
    try:
        archive = Archive(lambda: open(path, "rb"))  # noqa: SIM115  who asks closes it
        manifest = _read_manifest(archive, RoleKeys(threshold=1, keys=by_id))
        _check_members(archive, manifest)
        bundle = AttributeBundle(archive, manifest)
    except OSError as exc:
        raise CouldNotCheckError("BUNDLE_MISSING", detail=f"{path.name}: {exc.strerror or exc}") from exc
    bundle.check_usable(at, max_age=max_age)
    if memory is not None:
        memory.advance(SeenBundle(manifest.made_at, manifest.sha256))
        memory.use(at)
    return bundle


def _read_manifest(archive: Archive, keys: RoleKeys) -> _Manifest:
    member = archive.members.get(MANIFEST)
    if member is None:
        raise MalformedError("BUNDLE_MEMBER_MISSING", name=MANIFEST)
    if member.size > _MAX_MANIFEST:
        raise MalformedError("BUNDLE_MEMBER_SIZE", name=MANIFEST)
    payload = _PART.check(archive.read(MANIFEST), keys)
    with _PART.reading(payload) as node:
        made_at, use_until = read_validity(node, "made_at", "use_until", longest=VALIDITY_MAX)
        target = node.text("target", max_length=512) if node.has("target") else ""
        authorities = tuple(_read_authority(item) for item in node.nodes("authorities", low=1, high=500))
        members = dict(_read_member(item) for item in node.nodes("members", low=1, high=2000))
    return _Manifest(made_at, use_until, target, authorities, members, sha256_of(payload))


def _read_authority(node: Node) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
    with node:
        return (
            node.text("name", max_length=63),
            node.choice("kind", ["soa", "aa"]),
            node.texts("roles", high=10_000),
            node.texts("attributes", high=1000),
        )


def _read_member(node: Node) -> tuple[str, tuple[str, int]]:
    with node:
        return node.text("name", max_length=260), (
            read_sha256(node),
            node.integer("bytes", low=0, high=4 * 1024**3 - 1),
        )


def _check_members(archive: Archive, manifest: _Manifest) -> None:
    names = archive.members.keys() - {MANIFEST}
    if names - manifest.members.keys():
        raise MalformedError("BUNDLE_MEMBER_EXTRA", name=min(names - manifest.members.keys()))
    needed = {CERTIFICATES, DELEGATIONS, CATALOGUE}
    needed |= {_authority_file(name) for name, *_rest in manifest.authorities}
    missing = (manifest.members.keys() | needed) - names
    if missing:
        raise MalformedError("BUNDLE_MEMBER_MISSING", name=min(missing))
    for name, (sha256, size) in manifest.members.items():
        if archive.members[name].size != size or (name != CERTIFICATES and size > _MAX_SMALL):
            raise MalformedError("BUNDLE_MEMBER_SIZE", name=name)
        if archive.sha256(name) != sha256:
            raise MalformedError("BUNDLE_MEMBER_DIGEST", name=name)


def _authority_file(name: str) -> str:
    return f"authorities/{name}.cer"


def _row(line: bytes) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise MalformedError("BUNDLE_CONTENT", detail="a row is not JSON") from exc
    if not isinstance(row, dict):
        raise MalformedError("BUNDLE_CONTENT", detail="a row is not an object")
    return row


def _der(row: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(str(row.get(name, "")).encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as exc:
        raise MalformedError("BUNDLE_CONTENT", detail=f"{name} is not base64") from exc

"""The offline bundle: what is published, and every CA's revocation lists, in one file for a disk.

Revocation lists come from the addresses on the trust list, as departments would fetch them, and each must be
signed by a key of its service and current before it goes in. The finished file is read the way a department
reads it before anybody gets it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.documents import sign_document
from onecert.supervision import root_records
from onecert.supervision.published import LIST_FILE, ROOTS_FOLDER, TIMESTAMP_FILE
from onecert.supervision.register_errors import (
    BundleClockError,
    BundleIncompleteError,
    BundlePolicyError,
    BundleRefusedError,
    BundleUnpublishedError,
)
from onecert.supervision.root_errors import TimestampKeyError
from onecert.supervision.timestamps import TimestampKeys
from onecert.verifier.bundle.load import BUNDLE_FILE, POLICY_FILE, Bundle, load_bundle
from onecert.verifier.bundle.manifest import BUNDLE_TYP, MANIFEST_NAME, MemberKind
from onecert.verifier.bundle.policy import load_policy
from onecert.verifier.errors import RefusedError, VerifyError
from onecert.verifier.fetch import Fetch, FetchRequest
from onecert.verifier.identity.registry_head import DATA_FILE, HEAD_FILE
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.revocation import Crl, load_crl
from onecert.verifier.signatures import load_public_key
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list import SupplyKind, TrustedService, load_trust_list
from onecert.verifier.trust_list.roles import Role
from onecert.verifier.trust_list.root import TrustRoot, load_trust_root

__all__ = ["DEFAULT_POLICY", "Bundles", "MissingList"]

# Three days of logins get over a long weekend; what commits somebody asks for a bundle of the day.
DEFAULT_POLICY: Mapping[str, Any] = {
    "version": 1,
    "max_age": {"login": 3 * 86400, "otherwise": 86400},
    "closed": {"cancelled": "refuse", "revoked": "warn"},
}
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class MissingList:
    """A revocation list that did not go in, and why."""

    service: str
    url: str
    reason: VerifyError


@dataclass(frozen=True)
class _Member:
    """A member before it is packed: octets at hand, or a file."""

    name: str
    kind: MemberKind
    source: bytes | Path
    issued_at: datetime | None = None
    next_update: datetime | None = None

    def row(self) -> dict[str, Any]:
        digest, size = hashlib.sha256(), 0
        for chunk in self.chunks():
            digest.update(chunk)
            size += len(chunk)
        row: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind.value,
            "sha256": digest.hexdigest(),
            "bytes": size,
        }
        for key, at in (("issued_at", self.issued_at), ("next_update", self.next_update)):
            if at is not None:
                row[key] = format_time(at)
        return row

    def chunks(self) -> Iterable[bytes]:
        if isinstance(self.source, bytes):
            yield self.source
            return
        with open(self.source, "rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


class Bundles:
    """Makes bundles.

    Args:
        published: the folder of the published files.
        fetch: how revocation lists are fetched.
        validity: how long a bundle may be used; the trust list and the root may end it before.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        keys: TimestampKeys,
        published: Path,
        fetch: Fetch,
        validity: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._published = published
        self._fetch = fetch
        self._validity = validity

    def make(
        self, out: Path | None = None, *, policy: bytes | None = None, allow_missing: bool = False
    ) -> tuple[Bundle, list[MissingList]]:
        """Make a bundle of what is published now.

        Args:
            out: the file that is replaced; ``bundle.zip`` among the published files by default.
            policy: ``policy.json``; by default a login may rest on three days, everything else on one.
            allow_missing: leave out revocation lists that cannot be had; certificates of those services
                cannot be checked with the bundle.

        Raises:
            BundleUnpublishedError, BundleIncompleteError, BundlePolicyError, BundleClockError,
            BundleRefusedError; TimestampKeyError, TokenNotReadyError.
        """
        out = out or self._published / BUNDLE_FILE
        made_at = self._clock.now().replace(microsecond=0)
        # 1. What is published, as departments would read it now.
        root, trust_list, members = self._published_members(made_at)
        if policy is None:
            policy = json.dumps(DEFAULT_POLICY).encode("ascii")
        try:
            load_policy(policy)
        except VerifyError as exc:
            raise BundlePolicyError(exc) from exc
        members.append(_Member(POLICY_FILE, MemberKind.POLICY, policy))
        # 2. What the CAs say.
        missing: list[MissingList] = []
        for service in trust_list.services:
            members += self._lists_of(service, made_at, missing)
        if missing and not allow_missing:
            raise BundleIncompleteError(", ".join(f"{each.service} ({each.url})" for each in missing))
        # 3. Signed with the key of the timestamp, which the newest root names.
        manifest = {
            "made_at": format_time(made_at),
            "use_until": format_time(min(made_at + self._validity, trust_list.next_update, root.expires_at)),
            "members": [member.row() for member in members],
        }
        signed = sign_document(manifest, typ=BUNDLE_TYP, keys=[self._key(root)])
        return self._write(out, signed, members, made_at), missing

    def _published_members(self, at: datetime) -> tuple[TrustRoot, Any, list[_Member]]:
        try:
            roots = sorted((self._published / ROOTS_FOLDER).glob("*.json"), key=lambda path: int(path.stem))
            root = load_trust_root(roots[-1].read_bytes())
            listed = (self._published / LIST_FILE).read_bytes()
            stamped = (self._published / TIMESTAMP_FILE).read_bytes()
            trust_list = load_trust_list(listed, keys=root.list_keys, at=at)
        except (OSError, IndexError, ValueError, VerifyError) as exc:
            raise BundleUnpublishedError from exc
        members = [
            _Member(f"{ROOTS_FOLDER}/{path.name}", MemberKind.TRUST_ROOT, path.read_bytes()) for path in roots
        ]
        members.append(_Member(TIMESTAMP_FILE, MemberKind.TIMESTAMP, stamped))
        members.append(
            _Member(
                LIST_FILE,
                MemberKind.TRUST_LIST,
                listed,
                trust_list.issued_at,
                trust_list.next_update,
            )
        )
        if (self._published / HEAD_FILE).is_file() and Role.REGISTRY in root.roles:
            members.append(
                _Member(HEAD_FILE, MemberKind.REGISTRY, (self._published / HEAD_FILE).read_bytes())
            )
            members.append(_Member(DATA_FILE, MemberKind.REGISTRY_DATA, self._published / DATA_FILE))
        return root, trust_list, members

    def _lists_of(
        self, service: TrustedService, at: datetime, missing: list[MissingList]
    ) -> Iterable[_Member]:
        for url in service.urls(SupplyKind.CRL):
            try:
                crl = self._fetched(service, url, at)
            except VerifyError as exc:
                missing.append(MissingList(service.id, url, exc))
                continue
            name = f"crls/{hashlib.sha256(url.encode()).hexdigest()[:32]}.crl"
            yield _Member(name, MemberKind.CRL, crl.der, crl.this_update, crl.next_update)

    def _fetched(self, service: TrustedService, url: str, at: datetime) -> Crl:
        """The list at an address, if it is the service's own and current."""
        answer = self._fetch(FetchRequest(url=url, max_bytes=DEFAULT_LIMITS.crl_max_bytes))
        crl = load_crl(answer.data or b"")
        failure: VerifyError | None = None
        for certificate in service.certificates:
            try:
                crl.check_signature(load_public_key(certificate.spki_der), at=at)
                break
            except VerifyError as exc:
                failure = exc
        else:
            raise failure or RefusedError("CRL_SIGNER", issuer=crl.issuer_text)
        crl.check_fresh(at)
        return crl

    def _key(self, root: TrustRoot) -> Any:
        named = root.roles[Role.TIMESTAMP].keys
        with self._database.reading() as connection:
            known = root_records.timestamp_key_list(connection)
        for key in reversed(known):
            if key.kid in named:
                return self._keys.timestamp_key(key.label)
        raise TimestampKeyError(root.version)

    def _write(self, out: Path, signed: bytes, members: list[_Member], made_at: datetime) -> Bundle:
        roots = [m.source for m in members if m.kind is MemberKind.TRUST_ROOT]
        assert isinstance(roots[0], bytes)  # noqa: S101  read above
        first = load_trust_root(roots[0])
        self._check_forward(out, first, made_at)
        descriptor, name = tempfile.mkstemp(dir=out.parent, prefix=".bundle-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    archive.writestr(_info(MANIFEST_NAME), signed)
                    for member in members:
                        self._pack(archive, member)
                file.flush()
                os.fsync(file.fileno())
            # From the oldest root on: whoever holds any of them reads it.
            try:
                bundle = load_bundle(Path(name), root=first)
            except VerifyError as exc:
                raise BundleRefusedError(exc) from exc
            os.chmod(name, 0o644)
            os.replace(name, out)
        finally:
            Path(name).unlink(missing_ok=True)
        return bundle

    def _pack(self, archive: zipfile.ZipFile, member: _Member) -> None:
        if isinstance(member.source, bytes):
            archive.writestr(_info(member.name), member.source)
            return
        with open(member.source, "rb") as source, archive.open(_info(member.name), "w") as packed:
            shutil.copyfileobj(source, packed, _CHUNK)

    def _check_forward(self, out: Path, root: TrustRoot, made_at: datetime) -> None:
        """Departments never take an older bundle, so none is made."""
        try:
            before = load_bundle(out, root=root)
        except VerifyError:
            return
        if made_at <= before.made_at:
            raise BundleClockError(before.made_at)


def _info(name: str) -> zipfile.ZipInfo:
    # The same date in each: what is in the bundle says when it was made.
    return zipfile.ZipInfo(name)

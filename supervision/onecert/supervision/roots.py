"""The online side of the root ceremony: draft the next root, and take the signed one in.

A draft changes nothing that counts. Import checks the root with the verifier's own reader, as a department
will: signed by enough of the old and of the new root keys, the next version, no epoch going back. What the
departments' reader cannot see is checked besides: different holders, officers who are ours, a timestamp key
that is ours, and a list that the new root's officers have signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from onecert.server.audit import AuditTrail, Json
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.supervision import records, root_records
from onecert.supervision.editor import Editor
from onecert.supervision.officers import Officer, all_officers
from onecert.supervision.records import Publication
from onecert.supervision.root_errors import (
    ListNotUnderRootError,
    OfficersTooFewError,
    RootHolderError,
    RootHolderUnknownError,
    RootMissingError,
    RootOfficerError,
    RootRefusedError,
    RootThresholdError,
    TimestampKeyError,
)
from onecert.supervision.root_file import Ceremony, RootHolder, new_ceremony
from onecert.supervision.root_payload import RootChange, RootContent, find_root_changes, read_root
from onecert.supervision.root_records import RootRecord
from onecert.supervision.timestamps import Timestamps
from onecert.verifier.certificate import decode_pem
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import key_id, verify_payload
from onecert.verifier.signatures import PublicKey, load_public_key
from onecert.verifier.trust_list.roles import Role, RoleKeys
from onecert.verifier.trust_list.root import TrustRoot, check_root_current, load_trust_root, next_trust_root
from onecert.verifier.trust_list.vocabulary import MAX_BYTES, TYP

__all__ = ["Imported", "Roots"]


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did, or would do."""

    root: TrustRoot
    changes: tuple[RootChange, ...]
    is_known: bool  # it was imported before; nothing is done
    with_list: int | None  # the open draft is published together with it, under this number


class Roots:
    """Drafts and takes in trust roots."""

    def __init__(
        self, *, database: Database, audit: AuditTrail, clock: Clock, editor: Editor, timestamps: Timestamps
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._editor = editor
        self._timestamps = timestamps

    def draft(
        self,
        *,
        holders: Sequence[RootHolder],
        threshold: int | None,
        raise_epoch: Iterable[Role] = (),
        new_timestamp_key: bool = False,
        registry_key: PublicKey | None = None,
        expires_at: datetime | None = None,
        actor: str,
    ) -> Ceremony:
        """The next root, to be signed by the holders. Nothing counts before it is imported.

        Args:
            holders: all of the next root's; none: those of the present root stay.
            threshold: how many of them must sign; None: as at present.
            raise_epoch: roles whose counters begin anew.
            registry_key: a new key for the snapshot of the register; None: as at present.

        Raises:
            OfficersTooFewError, RootHolderError, RootMissingError, TokenNotReadyError
        """
        timestamp = self._timestamps.public_key(new=new_timestamp_key)
        with self._database.transaction() as connection:
            present = root_records.find_root(connection)
            before = present.content if present else None
            self._register(connection, holders, actor)
            roles = {
                Role.ROOT: self._root_role(before, holders, threshold),
                Role.LIST: self._list_role(all_officers(connection)),
                Role.TIMESTAMP: RoleKeys(1, {timestamp.kid: _key(timestamp.spki_pem)}),
            }
            if registry_key is not None:
                roles[Role.REGISTRY] = RoleKeys(1, {key_id(registry_key): registry_key})
            elif before is not None and Role.REGISTRY in before.roles:
                roles[Role.REGISTRY] = before.roles[Role.REGISTRY]
            issued_at = self._clock.now().replace(microsecond=0)
            content = RootContent(
                version=before.version + 1 if before else 1,
                issued_at=issued_at,
                expires_at=expires_at or issued_at + self._editor.config.root_validity,
                roles=_with_epochs(roles, before, frozenset(raise_epoch)),
            )
            names = _names(connection)
            ceremony = new_ceremony(
                content,
                previous=present.document if present else None,
                names={kid: names[kid] for kid in _all_keys(before, content) if kid in names},
            )
            details: dict[str, Json] = {"sha256": ceremony.sha256}
            self._record(connection, "root.drafted", actor, content.version, details)
        return ceremony

    def changes(self, ceremony: Ceremony) -> list[RootChange]:
        """What it changes against the root in force here."""
        with self._database.reading() as connection:
            present = root_records.find_root(connection)
            return find_root_changes(
                present.content if present else None, ceremony.content, _names(connection)
            )

    def take_in(
        self, document: bytes, *, holders: Sequence[RootHolder] = (), actor: str, apply: bool
    ) -> Imported:
        """Check a signed root and, with ``apply``, put it in force; a known one a second time does nothing.

        When the published list lacks the signatures of officers whom the new root names, the open draft must
        have them, and is published in the same transaction.

        Args:
            holders: public files of holders whom the record does not know, after a restored backup.

        Raises:
            RootRefusedError: departments would refuse it.
            RootHolderError, RootHolderUnknownError, RootOfficerError, TimestampKeyError,
            ListNotUnderRootError, and as ``Editor.publish`` when a draft goes with it.
        """
        try:
            with self._database.transaction() as connection:
                imported = self._take_in(connection, document, holders, actor)
                if not apply:
                    raise _DryRunError(imported)
        except _DryRunError as undone:
            return undone.imported
        return imported

    def newest(self) -> RootRecord:
        """The root in force.

        Raises:
            RootMissingError
        """
        with self._database.reading() as connection:
            record = root_records.find_root(connection)
        if record is None:
            raise RootMissingError
        return record

    def names(self) -> dict[str, str]:
        """Id of a key -> who holds it."""
        with self._database.reading() as connection:
            return _names(connection)

    # Inside

    def _take_in(
        self, connection: Connection, document: bytes, holders: Sequence[RootHolder], actor: str
    ) -> Imported:
        at = self._clock.now()
        present = root_records.find_root(connection, lock=True)
        root, is_known = self._read(document, present, at)
        before = present.content if present else None
        changes = tuple(find_root_changes(before, read_root(document), _names(connection)))
        if is_known:
            return Imported(root=root, changes=(), is_known=True, with_list=None)
        self._register(connection, holders, actor)
        self._check_keys(connection, root)
        record = RootRecord(
            version=root.version,
            document=document,
            sha256=root.sha256,
            issued_at=root.issued_at,
            expires_at=root.expires_at,
            imported_at=at,
            imported_by=actor,
        )
        root_records.insert_root(connection, record)
        # Signatures of other keys were not looked at: nobody is named who has no say here.
        counting = {*root.roles[Role.ROOT].keys, *(before.roles[Role.ROOT].keys if before else ())}
        names = root_records.holder_names(connection)
        signers = [names.get(kid, kid) for kid in _signers(document) if kid in counting]
        details: dict[str, Json] = {"sha256": root.sha256, "signers": list(signers)}
        self._record(connection, "root.imported", actor, root.version, details)
        published = self._publish_with(connection, root, actor)
        return Imported(
            root=root,
            changes=changes,
            is_known=False,
            with_list=None if published is None else published.sequence,
        )

    def _read(self, document: bytes, present: RootRecord | None, at: datetime) -> tuple[TrustRoot, bool]:
        """As a department that holds the present root does. True: it is the present root itself."""
        try:
            root = load_trust_root(document)
            if present is not None:
                current = load_trust_root(present.document)
                if root.sha256 == current.sha256:
                    return current, True
                root = next_trust_root(current, document)
            elif root.version != 1:
                # After a lost record: walk from the first.
                raise RootMissingError
            check_root_current(root, at)
        except VerifyError as exc:
            raise RootRefusedError(exc) from exc
        return root, False

    def _check_keys(self, connection: Connection, root: TrustRoot) -> None:
        """What departments cannot see: who holds the keys."""
        names = root_records.holder_names(connection)
        seen: dict[str, str] = {}
        for kid in root.roles[Role.ROOT].keys:
            if kid not in names:
                raise RootHolderUnknownError(kid)
            if names[kid] in seen:
                raise RootHolderError(names[kid], kid)
            seen[names[kid]] = kid
        officers = {each.kid for each in all_officers(connection)}
        for kid in root.list_keys.keys:
            if kid not in officers:
                raise RootOfficerError(kid)
        if root.list_keys.threshold < 2:
            raise OfficersTooFewError(root.list_keys.threshold, 2)
        if root.roles[Role.ROOT].threshold < 2:
            raise RootThresholdError(root.roles[Role.ROOT].threshold, len(root.roles[Role.ROOT].keys))
        ours = {each.kid for each in root_records.timestamp_key_list(connection)}
        if not ours & root.roles[Role.TIMESTAMP].keys.keys():
            raise TimestampKeyError(root.version)

    def _publish_with(self, connection: Connection, root: TrustRoot, actor: str) -> Publication | None:
        """Publish the open draft when the published list does not stand under this root."""
        published = records.find_publication(connection)
        if published is None:
            return None
        keys = root.list_keys
        try:
            verify_payload(
                published.document, typ=TYP, keys=keys.keys, threshold=keys.threshold, max_bytes=MAX_BYTES
            )
        except VerifyError:
            draft = records.find_open_draft(connection)
            if draft is None or draft.document is None:
                raise ListNotUnderRootError(root.version, keys.threshold) from None
            return self._editor.publish_in(connection, actor=actor)
        return None

    def _register(self, connection: Connection, holders: Sequence[RootHolder], actor: str) -> None:
        for index, each in enumerate(holders):
            for other in holders[:index]:
                if each.holder == other.holder or each.kid == other.kid:
                    raise RootHolderError(each.holder, other.holder)
        names = root_records.holder_names(connection)
        for each in holders:
            if each.kid not in names:
                root_records.add_holder(
                    connection,
                    kid=each.kid,
                    holder=each.holder,
                    spki_pem=each.spki_pem,
                    actor=actor,
                    at=self._clock.now(),
                )
            elif names[each.kid] != each.holder:
                raise RootHolderError(names[each.kid], each.holder)

    def _root_role(
        self, before: RootContent | None, holders: Sequence[RootHolder], threshold: int | None
    ) -> RoleKeys:
        present = before.roles[Role.ROOT] if before else None
        keys = {each.kid: _key(each.spki_pem) for each in holders}
        if not keys:
            if present is None:
                raise RootMissingError
            keys = dict(present.keys)
        needed = threshold or (present.threshold if present else 0)
        if not 2 <= needed <= len(keys):
            raise RootThresholdError(needed, len(keys))
        return RoleKeys(needed, keys)

    def _list_role(self, officers: Sequence[Officer]) -> RoleKeys:
        needed = self._editor.config.signatures_needed
        if len(officers) < needed:
            raise OfficersTooFewError(len(officers), needed)
        return RoleKeys(needed, {each.kid: each.public_key for each in officers})

    def _record(
        self, connection: Connection, event: str, actor: str, version: int, details: Mapping[str, Json]
    ) -> None:
        self._audit.record(connection, event=event, actor=actor, subject=f"root:{version}", details=details)


class _DryRunError(Exception):
    """Ends the transaction of a dry run."""

    def __init__(self, imported: Imported) -> None:
        super().__init__()
        self.imported = imported


def _key(spki_pem: str) -> PublicKey:
    return load_public_key(decode_pem(spki_pem.encode("ascii"), "PUBLIC KEY"))


def _with_epochs(
    roles: Mapping[Role, RoleKeys], before: RootContent | None, raised: frozenset[Role]
) -> dict[Role, RoleKeys]:
    """Epochs stay, or rise by one."""
    found: dict[Role, RoleKeys] = {}
    for role, keys in roles.items():
        present = before.roles[role].epoch if before and role in before.roles else None
        epoch = 1 if present is None else present + (1 if role in raised else 0)
        found[role] = replace(keys, epoch=epoch)
    return found


def _names(connection: Connection) -> dict[str, str]:
    """Id of a key -> who holds it: a root holder, an officer, this service."""
    names = root_records.holder_names(connection)
    names |= {each.kid: each.id for each in all_officers(connection, removed=True)}
    return names | {each.kid: each.label for each in root_records.timestamp_key_list(connection)}


def _all_keys(before: RootContent | None, content: RootContent) -> list[str]:
    both = [*(before.roles.values() if before else ()), *content.roles.values()]
    return list(dict.fromkeys(kid for role in both for kid in role.keys))


def _signers(document: bytes) -> tuple[str, ...]:
    return Ceremony(root=document, previous=None, names={}).signers

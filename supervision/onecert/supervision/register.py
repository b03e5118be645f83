"""The snapshot of the register of legal entities: made, signed and published beside the trust list.

The key of the role ``registry`` lies on the service's token. Departments believe it from the root on that
names it: ``onecert trust-list registry key``, then ``onecert trust-list root draft --registry-key``.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from onecert.hsm import PrivateKey
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.documents import sign_document
from onecert.server.folders import make_private_folder, write_file
from onecert.supervision import root_records
from onecert.supervision.register_errors import (
    RegisterAbsentError,
    RegisterKeyError,
    RegisterNumberError,
    RegisterRefusedError,
)
from onecert.supervision.timestamps import TimestampKeys
from onecert.verifier.errors import VerifyError
from onecert.verifier.identity.registry_head import (
    DATA_FILE,
    HEAD_FILE,
    HEAD_MAX_BYTES,
    TYP,
    SnapshotHead,
    load_head,
    parse_head,
    read_head,
)
from onecert.verifier.identity.registry_index import RegistryIndex, open_file
from onecert.verifier.jws import key_id, load_payload
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list.roles import Role, RoleKeys

__all__ = ["KEY_LABEL", "Register"]

KEY_LABEL = "registry"


class Register:
    """Makes snapshots and publishes them.

    Args:
        published: the folder of the published files.
    """

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        keys: TimestampKeys,
        published: Path,
        validity: timedelta,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._keys = keys
        self._published = published
        self._validity = validity

    def key(self) -> PrivateKey:
        """The key that signs snapshots, made when there is none.

        Raises:
            TokenNotReadyError: the service's token does not answer.
        """
        return self._keys.timestamp_key(KEY_LABEL, create=True)

    def make(self, lines: list[bytes], out: Path) -> SnapshotHead:
        """Sign a snapshot of these rows under the next number, into ``out``; nothing is published.

        Args:
            lines: rows that were checked, sorted, each with its line feed.

        Raises:
            RegisterRefusedError: verifiers would refuse it: two entities have one number at one time.
            TokenNotReadyError: the service's token does not answer.
        """
        make_private_folder(out)
        now = self._clock.now().replace(microsecond=0)
        digest, size = hashlib.sha256(), 0
        # 1. The rows, under their name only when they are whole.
        descriptor, name = tempfile.mkstemp(dir=out, prefix=".registry-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for line in lines:
                    digest.update(line)
                    size += len(line)
                    file.write(line)
                file.flush()
                os.fsync(file.fileno())
            # 2. The head; both are read the way a department reads them.
            payload = {
                "number": max(self._seen(), _number_in(out)) + 1,
                "issued_at": format_time(now),
                "next_update": format_time(now + self._validity),
                "file": {
                    "name": DATA_FILE,
                    "sha256": digest.hexdigest(),
                    "bytes": size,
                    "entries": len(lines),
                },
            }
            key = self.key()
            document = sign_document(payload, typ=TYP, keys=[key])
            public = key.public_key()
            head = read_head(document, RoleKeys(1, {key_id(public): public}))
            self._check_rows(Path(name), head)
            os.replace(name, out / DATA_FILE)
        finally:
            Path(name).unlink(missing_ok=True)
        write_file(out / HEAD_FILE, document)
        return head

    def check(self, folder: Path) -> SnapshotHead:
        """Whether departments would take this snapshot, by the keys of the newest root.

        Raises:
            RegisterAbsentError: there is none in the folder.
            RegisterKeyError: the newest root does not name the key.
            RegisterNumberError: the published one has this number or a later one.
            RegisterRefusedError: for another reason.
        """
        with self._database.reading() as connection:
            root = root_records.find_root(connection)
        keys = root.content.roles.get(Role.REGISTRY) if root is not None else None
        try:
            document = (folder / HEAD_FILE).read_bytes()
        except OSError as exc:
            raise RegisterAbsentError(str(folder)) from exc
        if keys is None:
            raise RegisterKeyError
        try:
            head = load_head(document, keys=keys, at=self._clock.now())
        except VerifyError as exc:
            if exc.code == "REGISTRY_SIGNATURE":
                raise RegisterKeyError from exc
            raise RegisterRefusedError(exc) from exc
        seen = self._seen()
        if head.number <= seen:
            raise RegisterNumberError(head.number, seen)
        self._check_rows(folder / DATA_FILE, head)
        return head

    def publish(self, folder: Path, *, actor: str) -> SnapshotHead:
        """Put a snapshot beside the list; departments take it when the next timestamp names it.

        Raises:
            as ``check``.
        """
        head = self.check(folder)
        make_private_folder(self._published)
        # The head last: whoever reads in between has rows that do not fit, and goes on with what he has.
        for name in (DATA_FILE, HEAD_FILE):
            write_file(self._published / name, (folder / name).read_bytes(), mode=0o644)
        with self._database.transaction() as connection:
            self._audit.record(
                connection,
                event="registry.published",
                actor=actor,
                subject=f"registry:{head.number}",
                details={"entries": head.data.entries, "sha256": head.sha256},
            )
        return head

    def current(self) -> SnapshotHead | None:
        """The published snapshot, whoever signed it; ``None`` when there is none."""
        return _read_own(self._published)

    def named(self, connection: Connection) -> Mapping[str, Any] | None:
        """Number and digest for the timestamp; ``None`` while no root names keys for the register."""
        root = root_records.find_root(connection)
        head = self.current()
        if head is None or root is None or Role.REGISTRY not in root.content.roles:
            return None
        return {"number": head.number, "sha256": head.sha256}

    def _seen(self) -> int:
        """The highest number that departments may have seen, also when the published files were lost."""
        with self._database.reading() as connection:
            return max(_number_in(self._published), root_records.highest_registry(connection))

    def _check_rows(self, data: Path, head: SnapshotHead) -> None:
        with tempfile.TemporaryDirectory(dir=data.parent, prefix=".index-") as folder:
            try:
                RegistryIndex(Path(folder), open_file(data), head.data).close()
            except VerifyError as exc:
                raise RegisterRefusedError(exc) from exc


def _number_in(folder: Path) -> int:
    head = _read_own(folder)
    return 0 if head is None else head.number


def _read_own(folder: Path) -> SnapshotHead | None:
    """Our own file; who signed it does not matter here."""
    try:
        document = (folder / HEAD_FILE).read_bytes()
        return parse_head(load_payload(document, max_bytes=HEAD_MAX_BYTES), epoch=1)
    except (OSError, VerifyError):
        return None

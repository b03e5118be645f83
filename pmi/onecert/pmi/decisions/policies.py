"""Policies in force: signed, versioned, tested before they count, checked again whenever they are loaded.

A policy is published as a signed document (typ ``onecert-policy+json``) under a key of the PMI's token. The
service loads only what that key has signed, so a row that somebody writes into the database decides nothing.
A version is never changed; to go back is to publish the old content as the next version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from onecert.hsm import PrivateKey
from onecert.pmi.errors import NoPolicyError
from onecert.pmi.models import policies
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.documents import sign_document
from onecert.server.statements import Statement
from onecert.verifier.decision import (
    PolicyEngine,
    PolicySource,
    RoleModel,
    check_policy,
    compile_policy,
    read_policy,
)
from onecert.verifier.decision.published import POLICY_TYP, policy_payload
from onecert.verifier.errors import RefusedError
from onecert.verifier.signatures import PublicKey

__all__ = ["CompiledPolicy", "Policies"]

_KEPT = 8
_COLUMNS = (policies.c.name, policies.c.version, policies.c.sha256)
_ACTIVE = Statement(select(*_COLUMNS).where(policies.c.active))
_DOCUMENT = Statement(
    select(policies.c.document).where(
        policies.c.name == bindparam("wanted"), policies.c.version == bindparam("number")
    )
)
_THEN = Statement(
    select(*_COLUMNS)
    .where(policies.c.published_at <= bindparam("at"))
    .order_by(policies.c.published_at.desc(), policies.c.version.desc())
    .limit(1)
)


@dataclass(frozen=True, kw_only=True)
class CompiledPolicy:
    """One version of a policy, compiled. ``sha256`` names exactly this content in every decision."""

    name: str
    version: int
    sha256: str
    engine: PolicyEngine
    source: PolicySource


class Policies:
    """Published policies of one service.

    Args:
        public_key: of the key that signs policies; asked for when it is first needed.
    """

    def __init__(self, *, audit: AuditTrail, clock: Clock, public_key: Callable[[], PublicKey]) -> None:
        self._audit = audit
        self._clock = clock
        self._public_key = public_key
        self._kept: dict[tuple[str, int, str], CompiledPolicy] = {}

    def publish(
        self,
        connection: Connection,
        source: PolicySource,
        *,
        key: PrivateKey,
        actor: str,
        model: RoleModel | None = None,
    ) -> CompiledPolicy:
        """Test, sign and activate a policy as the next version of its name; the one before ends.

        Args:
            model: hierarchy and exclusions of the catalogue in force, for the tests inside the policy.

        Raises:
            PolicyWrongError, PolicyTestsFailedError: nothing was changed.
        """
        engine = check_policy(source, model)
        newest = connection.scalar(
            select(policies.c.version)
            .where(policies.c.name == source.name)
            .order_by(policies.c.version.desc())
            .limit(1)
        )
        version = (newest or 0) + 1
        now = self._clock.now()
        payload = policy_payload(source, version=version, published_at=now, published_by=actor)
        document = sign_document(payload, typ=POLICY_TYP, keys=[key])
        connection.execute(update(policies).where(policies.c.active).values(active=False))
        connection.execute(
            insert(policies).values(
                name=source.name,
                version=version,
                sha256=source.sha256,
                document=document,
                active=True,
                published_at=now,
                published_by=actor,
            )
        )
        self._audit.record(
            connection,
            event="policy.published",
            actor=actor,
            subject=f"policy:{source.name}:{version}",
            details={"sha256": source.sha256, "rules": len(engine.rules), "tests": len(source.cases)},
        )
        return CompiledPolicy(
            name=source.name, version=version, sha256=source.sha256, engine=engine, source=source
        )

    def load(self, connection: Connection) -> CompiledPolicy:
        """Return the policy in force; compiled once per version.

        Raises:
            NoPolicyError: there is none, there are two, or its signature is wrong.
        """
        rows = _ACTIVE.all(connection, {})
        if len(rows) != 1:
            raise NoPolicyError
        return self._compiled(connection, rows[0])

    def load_at(self, connection: Connection, at: datetime) -> CompiledPolicy:
        """Return the policy that was in force at this time.

        Raises:
            NoPolicyError: there was none, or its signature is wrong.
        """
        row = _THEN.first(connection, {"at": at})
        if row is None:
            raise NoPolicyError
        return self._compiled(connection, row)

    def load_version(self, connection: Connection, name: str, version: int) -> CompiledPolicy:
        """Return one version of a policy, in force or not.

        Raises:
            NoPolicyError: there is no such version, or its signature is wrong.
        """
        row = connection.execute(
            select(*_COLUMNS).where(policies.c.name == name, policies.c.version == version)
        ).first()
        if row is None:
            raise NoPolicyError
        return self._compiled(connection, row._asdict())

    def history(self, connection: Connection) -> list[dict[str, Any]]:
        """Return every version, newest first: name, version, sha256, when and by whom, whether in force."""
        rows = connection.execute(
            select(*_COLUMNS, policies.c.published_at, policies.c.published_by, policies.c.active).order_by(
                policies.c.published_at.desc(), policies.c.version.desc()
            )
        )
        return [row._asdict() for row in rows]

    def _compiled(self, connection: Connection, row: Mapping[str, Any]) -> CompiledPolicy:
        which = (row["name"], row["version"], row["sha256"])
        kept = self._kept.get(which)
        if kept is None:
            kept = self._read(connection, *which)
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[which] = kept
        return kept

    def _read(self, connection: Connection, name: str, version: int, sha256: str) -> CompiledPolicy:
        row = _DOCUMENT.first(connection, {"wanted": name, "number": version}) or {}
        try:
            read = read_policy(row.get("document", b""), keys=[self._public_key()])
            engine = compile_policy(read.source)
        except RefusedError as exc:
            raise NoPolicyError from exc
        if (read.name, read.version, read.sha256) != (name, version, sha256):
            raise NoPolicyError
        return CompiledPolicy(name=name, version=version, sha256=sha256, engine=engine, source=read.source)

"""Policies in force: signed, versioned, tested before they count, checked again whenever they are loaded.

A policy is published as a signed document (typ ``onecert-policy+json``) under a key of the PMI's token. The
service loads only what that key has signed, so a row that somebody writes into the database decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from onecert.hsm import PrivateKey
from onecert.pmi.decisions.cedar import compile_policy
from onecert.pmi.decisions.policy import PolicyEngine, PolicySource
from onecert.pmi.errors import NoPolicyError, PolicyTestsFailedError, PolicyWrongError
from onecert.pmi.models import policies
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.documents import sign_document
from onecert.server.statements import Statement
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import key_id, verify_document
from onecert.verifier.signatures import PublicKey

__all__ = ["ActivePolicy", "Policies", "check_policy"]

TYP = "onecert-policy+json"
MAX_BYTES = 4 * 1024 * 1024
_ACTIVE = Statement(select(policies.c.name, policies.c.version, policies.c.sha256).where(policies.c.active))
_DOCUMENT = Statement(
    select(policies.c.document).where(
        policies.c.name == bindparam("wanted"), policies.c.version == bindparam("number")
    )
)


@dataclass(frozen=True, kw_only=True)
class ActivePolicy:
    """The policy in force. ``sha256`` names exactly this content in every decision."""

    name: str
    version: int
    sha256: str
    engine: PolicyEngine


def check_policy(source: PolicySource) -> PolicyEngine:
    """Compile a policy and run the tests inside it.

    Raises:
        PolicyWrongError, PolicyTestsFailedError: it must not be put in force.
    """
    engine = compile_policy(source)
    failures = [
        failure
        for case in source.cases
        if (failure := case.failure(engine.decide(case.question))) is not None
    ]
    if failures:
        raise PolicyTestsFailedError(failures)
    return engine


class Policies:
    """Published policies of one service.

    Args:
        public_key: of the key that signs policies; asked for when it is first needed.
    """

    def __init__(self, *, audit: AuditTrail, clock: Clock, public_key: Callable[[], PublicKey]) -> None:
        self._audit = audit
        self._clock = clock
        self._public_key = public_key
        self._kept: ActivePolicy | None = None

    def publish(
        self, connection: Connection, source: PolicySource, *, key: PrivateKey, actor: str
    ) -> ActivePolicy:
        """Test, sign and activate a policy as the next version of its name; the one before ends.

        Raises:
            PolicyWrongError, PolicyTestsFailedError: nothing was changed.
        """
        engine = check_policy(source)
        newest = connection.scalar(
            select(policies.c.version)
            .where(policies.c.name == source.name)
            .order_by(policies.c.version.desc())
            .limit(1)
        )
        version = (newest or 0) + 1
        now = self._clock.now()
        payload = {
            "policy": source.name,
            "version": version,
            "sha256": source.sha256,
            "published_at": now.isoformat(),
            "published_by": actor,
            "content": source.content,
        }
        document = sign_document(payload, typ=TYP, keys=[key])
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
        return ActivePolicy(name=source.name, version=version, sha256=source.sha256, engine=engine)

    def load(self, connection: Connection) -> ActivePolicy:
        """Return the policy in force; compiled once per version.

        Raises:
            NoPolicyError: there is none, there are two, or its signature is wrong.
        """
        rows = _ACTIVE.all(connection, {})
        if len(rows) != 1:
            raise NoPolicyError
        name, version, sha256 = rows[0].values()
        kept = self._kept
        if kept is None or (kept.name, kept.version, kept.sha256) != (name, version, sha256):
            self._kept = kept = self._read(connection, name, version)
        return kept

    def _read(self, connection: Connection, name: str, version: int) -> ActivePolicy:
        row = _DOCUMENT.first(connection, {"wanted": name, "number": version}) or {}
        key = self._public_key()
        try:
            payload = verify_document(
                row.get("document", b""), typ=TYP, keys={key_id(key): key}, max_bytes=MAX_BYTES
            )
            source = PolicySource.from_content(payload["content"])
        except (VerifyError, PolicyWrongError, KeyError, TypeError) as exc:
            raise NoPolicyError from exc
        if (payload.get("policy"), payload.get("version"), payload.get("sha256")) != (
            name,
            version,
            source.sha256,
        ):
            raise NoPolicyError
        return ActivePolicy(name=name, version=version, sha256=source.sha256, engine=compile_policy(source))

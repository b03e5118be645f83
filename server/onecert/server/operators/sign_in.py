"""Signing in, step by step: by client certificate or by one-time link. Every outcome is in the audit trail.

A refusal is counted against the address it came from and recorded in a transaction of its own, because the
sign-in's transaction leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import Connection

from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import links
from onecert.server.operators.certificates import OperatorCertificates
from onecert.server.operators.config import SignInConfig
from onecert.server.operators.errors import OperatorError
from onecert.server.operators.peer import is_local_browser, read_peer_certificate, source_of
from onecert.server.operators.roles import Operator, check_usable
from onecert.server.operators.sessions import OpenSession, Session, Sessions
from onecert.server.operators.sign_in_errors import (
    CertificateNotBoundError,
    CertificateUncheckedError,
    LinkElsewhereError,
    NoCertificateError,
)
from onecert.server.operators.store import Operators
from onecert.server.operators.throttle import Throttle

__all__ = ["SignIn"]

Environ = Mapping[str, Any]
Result = TypeVar("Result")


class SignIn:
    """The ways into one service."""

    def __init__(
        self,
        *,
        database: Database,
        operators: Operators,
        certificates: OperatorCertificates,
        audit: AuditTrail,
        clock: Clock,
        config: SignInConfig,
    ) -> None:
        self.config = config
        self.sessions = Sessions(database, operators, clock=clock, config=config)
        self._database = database
        self._operators = operators
        self._certificates = certificates
        self._audit = audit
        self._clock = clock
        self._throttle = Throttle(database, clock=clock, config=config)

    def by_certificate(self, environ: Environ, *, old_session: str | None = None) -> str:
        """Sign in with the certificate of this connection and return the token of a new session.

        Raises: OperatorError, with nothing changed but the count of refusals.
        """
        return self._attempt(environ, lambda: self._by_certificate(environ, old_session))

    def by_link(self, environ: Environ, token: str, *, old_session: str | None = None) -> str:
        """Use up a one-time link and return the token of a new session. Raises OperatorError."""
        return self._attempt(environ, lambda: self._by_link(environ, token, old_session))

    def preview_link(self, environ: Environ, token: str) -> Operator:
        """Whose link this is, without using it up. Raises OperatorError."""
        return self._attempt(environ, lambda: self._preview_link(environ, token))

    def certificate_operator(self, environ: Environ) -> Operator:
        """Who makes this request, by the certificate of its connection alone; for programs without a session.

        The certificate is verified in full at every call. Raises OperatorError.
        """
        return self._attempt(environ, lambda: self._certificate_operator(environ)[0])

    def find_session(self, environ: Environ, token: str) -> Session | None:
        """The session of this cookie, if it is alive and this connection may use it; None otherwise.

        A session by link stays on this machine, like the link. A session by certificate needs that very
        certificate on every request, still good: a revocation ends it as soon as the CRL is here.

        Raises:
            DatabaseUnavailableError: it could not be looked up.
        """
        session = self.sessions.find(token)
        if session is None:
            return None
        if session.method == "link":
            return session if is_local_browser(environ, self.config) else None
        certificate = read_peer_certificate(environ, self.config)
        if certificate is None or certificate.fingerprint(SHA256()).hex() != session.certificate_sha256:
            return None
        try:
            self._certificates.check(certificate, at=self._clock.now())
        except OperatorError:
            return None
        return session

    def sign_out(self, session: Session) -> None:
        """End a session."""
        with self._database.transaction() as connection:
            if self.sessions.end(connection, session.token_sha256):
                self._record(connection, "operator.signed_out", session.operator, {"method": session.method})

    def own_sessions(self, operator: Operator) -> list[OpenSession]:
        """The open sessions of this operator, the one that was used last first."""
        with self._database.reading() as connection:
            return self.sessions.of(connection, operator.id)

    def end_own(self, session: Session, name: str) -> int:
        """End another session of the same operator by its name, or all others without one; how many ended."""
        with self._database.transaction() as connection:
            ended = [
                each
                for each in self.sessions.of(connection, session.operator.id)
                if each.token_sha256 != session.token_sha256 and name in {"", each.name}
            ]
            for each in ended:
                self.sessions.end(connection, each.token_sha256)
                details = {"method": each.method, "from": "another session"}
                self._record(connection, "operator.signed_out", session.operator, details)
        return len(ended)

    def _by_certificate(self, environ: Environ, old_session: str | None) -> str:
        # 1. The certificate must be good now, and be somebody's.
        operator, certificate = self._certificate_operator(environ)
        # 2. A new session with a new token; the one the browser came with ends.
        with self._database.transaction() as connection:
            if old_session:
                self.sessions.end(connection, links.token_sha256(old_session))
            sha256 = certificate.fingerprint(SHA256()).hex()
            token = self.sessions.open(
                connection,
                operator,
                method="certificate",
                certificate_sha256=sha256,
                not_after=certificate.not_valid_after_utc,
            )
            self._record(
                connection,
                "operator.signed_in",
                operator,
                {"method": "certificate", "certificate_sha256": sha256},
            )
        return token

    def _certificate_operator(self, environ: Environ) -> tuple[Operator, x509.Certificate]:
        certificate = read_peer_certificate(environ, self.config)
        if certificate is None:
            raise NoCertificateError
        now = self._clock.now()
        self._certificates.check(certificate, at=now)
        with self._database.reading() as connection:
            operator = self._operators.find_by_certificate(connection, certificate)
        if operator is None:
            raise CertificateNotBoundError(certificate.fingerprint(SHA256()).hex())
        check_usable(operator, at=now)
        return operator, certificate

    def _by_link(self, environ: Environ, token: str, old_session: str | None) -> str:
        if not is_local_browser(environ, self.config):
            raise LinkElsewhereError
        now = self._clock.now()
        with self._database.transaction() as connection:
            operator = self._operators.load(connection, links.use(connection, token, at=now))
            check_usable(operator, at=now)
            if old_session:
                self.sessions.end(connection, links.token_sha256(old_session))
            session = self.sessions.open(connection, operator, method="link")
            self._record(connection, "operator.signed_in", operator, {"method": "link"})
        return session

    def _preview_link(self, environ: Environ, token: str) -> Operator:
        if not is_local_browser(environ, self.config):
            raise LinkElsewhereError
        now = self._clock.now()
        with self._database.reading() as connection:
            operator = self._operators.load(connection, links.find_operator_id(connection, token, at=now))
        check_usable(operator, at=now)
        return operator

    def _attempt(self, environ: Environ, act: Callable[[], Result]) -> Result:
        source = source_of(environ, self.config)
        self._throttle.check(source)
        try:
            return act()
        except (NoCertificateError, CertificateUncheckedError):
            # Nothing was claimed, or we could not tell: not a try at somebody's account.
            raise
        except OperatorError as exc:
            self._throttle.refused(source)
            with self._database.transaction() as connection:
                self._audit.record(
                    connection,
                    event="operator.sign_in_refused",
                    actor="anonymous",
                    subject=f"address:{source}",
                    details={"code": exc.code, "reason": getattr(exc, "reason_code", "")},
                )
            raise

    def _record(
        self, connection: Connection, event: str, operator: Operator, details: Mapping[str, str]
    ) -> None:
        self._audit.record(
            connection, event=event, actor=operator.actor, subject=operator.actor, details=dict(details)
        )

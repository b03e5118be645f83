"""What a gateway asks for each request (nginx: ``auth_request``): who is it, may they, and what to hand on.

The gateway sends the original method and address, the certificate of the connection, and perhaps attribute
certificates; it gets 200 with ``OneCert-Privileges``, or 401 (nobody), or 403 with ``OneCert-Code``. What
could not be checked is 403 too, since auth_request knows no other answer that keeps the door shut.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from onecert.verifier.attribute_certificate.credentials import CredentialSource, FirstOf, Presented
from onecert.verifier.enforce.gateway.header import HEADER, GatewaySigner, Privileges
from onecert.verifier.enforce.proof import Proved, Prover
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError, VerifyError
from onecert.verifier.verified_certificate import VerifiedCertificate
from onecert.verifier.verifier import Verifier
from onecert.verifier.web.client_certificate import ClientCertificates
from onecert.verifier.web.gate import Gate

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["CODE_HEADER", "CREDENTIALS_HEADER", "GatewayService", "Route", "read_target"]

CODE_HEADER, CREDENTIALS_HEADER = "OneCert-Code", "OneCert-Credentials"
_MAX_TARGET = 8192

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Route:
    """Which role opens which addresses.

    Args:
        path: one address, or with a trailing / all below it.
        methods: of HTTP; empty for all.
        roles: one of them is needed; empty for everybody whose certificate verifies.
    """

    path: str
    methods: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    def covers(self, path: str) -> bool:
        """Tell whether this speaks of an address."""
        return path == self.path or (self.path.endswith("/") and path.startswith(self.path))


class GatewayService:
    """A WSGI application that only the gateway may reach: a unix socket, or a port of the loopback address.

    Args:
        verifier: of the holders' certificates.
        prover: of their attribute certificates; presented ones come before its own source.
        audience: the application behind the gateway.
        routes: those with the longest path that covers a request count, and no others; without one for its
            method nobody is let through.
        certificates: in which header the gateway hands over the certificate of the connection.
        presented: whether a request may bring attribute certificates (``OneCert-Credentials``).
    """

    def __init__(
        self,
        verifier: Verifier,
        prover: Prover,
        signer: GatewaySigner,
        *,
        audience: str,
        routes: Iterable[Route],
        certificates: ClientCertificates | None = None,
        presented: bool = True,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        certificates = certificates or ClientCertificates(header="Client-Cert")
        self._gate = Gate(verifier, certificates=certificates, clock=clock)
        self._prover, self._signer, self._audience = prover, signer, audience
        self._routes = sorted(routes, key=lambda each: len(each.path), reverse=True)
        self._presented = presented

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one question."""
        try:
            header = self.ask(environ)
        except VerifyError as error:
            log.info("request refused", extra={"code": error.code})
            status = "401 Unauthorized" if error.code == "CLIENT_CERTIFICATE_MISSING" else "403 Forbidden"
            start_response(status, [(CODE_HEADER, error.code), ("Content-Length", "0")])
            return [b""]
        start_response("200 OK", [(HEADER, header), ("Content-Length", "0"), ("Cache-Control", "no-store")])
        return [b""]

    def ask(self, environ: WSGIEnvironment) -> str:
        """The header for the request that the gateway asks about.

        Raises:
            VerifyError: who sent it may not, or nobody can tell.
        """
        # 1. Which request.
        method = str(environ.get("HTTP_X_ORIGINAL_METHOD", ""))
        path = read_target(str(environ.get("HTTP_X_ORIGINAL_URI", "")))
        # 2. Who.
        presented = self._gate.certificates.from_environ(environ)
        verified = self._gate.check(presented)
        if verified is None:
            raise RefusedError("CLIENT_CERTIFICATE_MISSING")
        # 3. What they can prove.
        at = self._gate.clock()
        proved = self._prover.prove(
            verified.path.target,
            identity=verified.identity.id,
            entity=verified.identity.entity.id if verified.identity.entity else None,
            at=at,
            source=self._source(environ),
        )
        # 4. Whether that opens this address.
        self._check(proved, method, path)
        return self._signer.sign(
            _privileges(verified, proved), audience=self._audience, method=method, path=path, at=at
        )

    def _source(self, environ: WSGIEnvironment) -> CredentialSource:
        value = str(environ.get("HTTP_ONECERT_CREDENTIALS", "")) if self._presented else ""
        own = self._prover.source
        return FirstOf(Presented.from_texts([value]), own) if value else own

    def _check(self, proved: Proved, method: str, path: str) -> None:
        # The longest path speaks, also by what it leaves out: no other rule opens its other methods.
        nearest = next((each.path for each in self._routes if each.covers(path)), None)
        own = (each for each in self._routes if each.path == nearest)
        route = next((each for each in own if not each.methods or method in each.methods), None)
        if route is None:
            raise RefusedError("PRIVILEGE_ROUTE", method=method, path=path)
        if route.roles and not route.roles & proved.roles:
            if proved.unknown:
                raise CouldNotCheckError("PRIVILEGE_NOT_DECIDED", reason=proved.unknown[0].code)
            raise RefusedError("PRIVILEGE_DENIED", action=f"{method} {path}")


def read_target(target: str) -> str:
    """The path of a request, decoded, from its address as the client sent it.

    What two programs may read in two ways is refused: dot segments, empty ones, encoded slashes.

    Raises:
        MalformedError: ``PRIVILEGE_TARGET``.
    """
    raw = target.partition("?")[0]
    if len(target) > _MAX_TARGET or not raw.startswith("/") or not raw.isascii() or not raw.isprintable():
        raise MalformedError("PRIVILEGE_TARGET", path=raw[:200])
    try:
        path = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedError("PRIVILEGE_TARGET", path=raw[:200]) from exc
    segments = path.split("/")[1:]
    ambiguous = "%2f" in raw.lower() or "\\" in path or ";" in path or not path.isprintable()
    if ambiguous or {".", ".."} & set(segments) or "" in segments[:-1]:
        raise MalformedError("PRIVILEGE_TARGET", path=raw[:200])
    return path


def _privileges(verified: VerifiedCertificate, proved: Proved) -> Privileges:
    identity = verified.identity
    ders = [verified.path.target.der, *(each.certificate.der for each in proved.certificates)]
    return Privileges(
        subject=identity.id,
        entity=identity.entity.id if identity.entity else None,
        person=identity.person.id if identity.person else None,
        roles=proved.roles,
        certificates=tuple(hashlib.sha256(der).hexdigest() for der in ders),
    )

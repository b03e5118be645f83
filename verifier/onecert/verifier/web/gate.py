"""What WSGI and ASGI middleware share: from a presented certificate to an identity, or to a refusal."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, TypeVar

from onecert.verifier.errors import RefusedError, VerifyError
from onecert.verifier.purposes import LOGIN, Purpose
from onecert.verifier.verifier import VerifiedCertificate, Verifier
from onecert.verifier.web.client_certificate import ClientCertificates, PresentedCertificate

__all__ = ["Gate", "Gated", "now"]

A = TypeVar("A")

log = logging.getLogger(__name__)


def now() -> datetime:
    """The clock of the machine, in UTC."""
    return datetime.now(UTC)


class Gate:
    """Checks the certificate of each request anew, so that a revocation counts from the next request on.

    Args:
        certificates: where the certificate of a connection is found.
        purpose: what the certificate must be good for.
        clock: gives the time of a request; the machine's clock by default.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        certificates: ClientCertificates | None = None,
        purpose: Purpose = LOGIN,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.certificates = certificates or ClientCertificates()
        self._verifier = verifier
        self._purpose = purpose
        self.clock = clock or now

    def check(
        self, presented: PresentedCertificate | None, *, required: bool = True
    ) -> VerifiedCertificate | None:
        """The verified certificate, or ``None`` where none is needed and none came.

        Args:
            required: refuse a request without a certificate; otherwise it passes, and nobody is named.

        Raises:
            RefusedError: ``CLIENT_CERTIFICATE_MISSING``.
            VerifyError: as ``Verifier.verify``.
        """
        if presented is None:
            if required:
                raise RefusedError("CLIENT_CERTIFICATE_MISSING")
            return None
        return self._verifier.verify(
            presented.data, at=self.clock(), purpose=self._purpose, candidates=presented.chain
        )

    def note(self, error: VerifyError) -> None:
        """Leave a line for the operator: the code, and the rule behind it."""
        log.info("client certificate refused", extra={"code": error.code, "source": error.source})


class Gated(Generic[A]):
    """What is alike in the WSGI and the ASGI middleware: an application behind a gate.

    Args:
        certificates: where the certificate of a connection is found.
        required: refuse requests without a certificate; otherwise they pass, and nobody is named.
        purpose: what the certificate must be good for.
        clock: gives the time of a request; the machine's clock by default.
    """

    def __init__(
        self,
        application: A,
        verifier: Verifier,
        *,
        certificates: ClientCertificates | None = None,
        required: bool = True,
        purpose: Purpose = LOGIN,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._application = application
        self._gate = Gate(verifier, certificates=certificates, purpose=purpose, clock=clock)
        self._required = required

"""An operator in the moment of an act: the account, and the client certificate that the connection proved.

The fingerprint goes into the record of each act and into its audit entry, so that an act can be traced to the
key that its person held. An operator without one came by a one-time link on this machine, or by a command.
"""

from dataclasses import dataclass, fields
from typing import Any

from onecert.ra.errors import CertificateRequiredError
from onecert.server.operators import Operator

__all__ = ["ActingOperator", "acting", "certificate_of", "check_certificate", "with_certificate"]


@dataclass(frozen=True, kw_only=True)
class ActingOperator(Operator):
    """An account with the SHA-256 of the certificate (DER, hex) that this connection proved."""

    certificate_sha256: str | None = None


def acting(operator: Operator, certificate_sha256: str | None) -> ActingOperator:
    """The account as it acts by this certificate."""
    account = {field.name: getattr(operator, field.name) for field in fields(Operator)}
    return ActingOperator(**account, certificate_sha256=certificate_sha256)


def certificate_of(operator: Operator) -> str | None:
    """The fingerprint behind this act; None: no certificate."""
    return operator.certificate_sha256 if isinstance(operator, ActingOperator) else None


def with_certificate(operator: Operator) -> dict[str, Any]:
    """What an audit entry says of the certificate: nothing when there was none."""
    sha256 = certificate_of(operator)
    return {} if sha256 is None else {"certificate_sha256": sha256}


def check_certificate(operator: Operator, *, required: bool) -> None:
    """Raise `CertificateRequiredError` when the policy wants each act bound to a certificate, and none is."""
    if required and certificate_of(operator) is None:
        raise CertificateRequiredError

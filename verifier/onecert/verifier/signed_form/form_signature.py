"""One signature of a form, in whatever format: what the judge of forms asks of CMS, raw, JWS, XML and PDF.

Each kind reads its own format and checks its own mathematics; when a signature was made and whether its
signer may be relied upon is asked in one place for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from onecert.verifier.algorithms import AlgorithmPolicy
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.result import Notice
from onecert.verifier.revocation import Crl, OcspResponse
from onecert.verifier.signed_form.cms import SignedData
from onecert.verifier.signed_form.proved_time import Stamped
from onecert.verifier.signed_form.signer_check import Content

__all__ = ["CheckedSignature", "Enclosed", "FormSignature", "OpenedForm"]


@dataclass(frozen=True, kw_only=True)
class CheckedSignature:
    """A signature that is right for its content.

    Args:
        certificates: those of the signer, at least one, none validated yet.
        names_certificate: the signature covers which certificate was meant, or its digest.
        claimed_at: the signer's own word about the time.
    """

    certificates: tuple[ParsedCertificate, ...]
    names_certificate: bool = False
    claimed_at: datetime | None = None
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Enclosed:
    """What came with a signature, unverified."""

    certificates: tuple[ParsedCertificate, ...] = ()
    crls: tuple[Crl, ...] = ()
    ocsp: tuple[OcspResponse, ...] = ()


class FormSignature(Protocol):
    """One signature, not checked yet.

    ``stamps`` are its timestamps, each with the octets that it stamps; ``countersignatures`` are signatures
    over this one.
    """

    @property
    def stamps(self) -> Sequence[Stamped]: ...

    @property
    def enclosed(self) -> Enclosed: ...

    @property
    def digest_algorithm(self) -> str: ...

    @property
    def countersignatures(self) -> Sequence[FormSignature]: ...

    def check(
        self, known: Sequence[ParsedCertificate], policy: AlgorithmPolicy, at: datetime
    ) -> CheckedSignature:
        """Check it with the algorithms that are accepted at ``at``.

        Args:
            known: certificates that were at hand, besides the enclosed ones.

        Raises:
            SignatureInvalidError: it is wrong, or over something else.
            RefusedError: any other reason.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class OpenedForm:
    """A form that was read: the signatures, and what is signed, which is asked after they were checked."""

    content: Callable[[], Content]
    signatures: tuple[FormSignature, ...]
    message: SignedData | None = None

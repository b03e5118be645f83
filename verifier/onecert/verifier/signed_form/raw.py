"""A raw signature over a document or over the canonical JSON of a form (RFC 8785), with its certificate.

The algorithm never comes from outside alone: by default it is the one that belongs to the key; a named one
must fit the key and the policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from onecert.verifier.algorithms import AlgorithmPolicy
from onecert.verifier.arguments import as_octets
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import CouldNotCheckError, MalformedError
from onecert.verifier.keys import load_public_key
from onecert.verifier.login import default_algorithm
from onecert.verifier.signatures import verify_signature
from onecert.verifier.signed_form.canonical_json import canonicalise
from onecert.verifier.signed_form.form_signature import CheckedSignature, Enclosed, FormSignature, OpenedForm
from onecert.verifier.signed_form.proved_time import Stamped
from onecert.verifier.signed_form.signer_check import Content

__all__ = ["DocumentForm", "RawSignature", "open_raw"]

SIGNATURE_MAX_BYTES = 8 * 1024  # ML-DSA-87 needs 4,627


class DocumentForm(StrEnum):
    """What was signed of the document."""

    BYTES = "bytes"  # every octet as it is
    JSON = "json"  # its canonical JSON: spaces and order do not matter


@dataclass(frozen=True, kw_only=True)
class RawSignature:
    """A signature that is nothing but its octets.

    Args:
        value: RSA, EdDSA or ML-DSA octets; for ECDSA and SM2 the DER SEQUENCE of r and s.
        certificate: DER or PEM of the signer's certificate.
        algorithm: a name such as "rsa-pss-sha256"; empty for the one that belongs to the key.
        document_form: what was signed of the document.
        timestamp: RFC 3161 token over ``value``, if there is one.
    """

    value: bytes
    certificate: bytes
    algorithm: str = ""
    document_form: DocumentForm = DocumentForm.JSON
    timestamp: bytes | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", as_octets(self.value, "a signature"))

    def parse_certificate(self) -> ParsedCertificate:
        """The certificate, parsed.

        Raises:
            MalformedError: it cannot be read, or the signature is too long to be one.
        """
        if len(self.value) > SIGNATURE_MAX_BYTES:
            raise MalformedError("TOO_LARGE", kind="signature", max=SIGNATURE_MAX_BYTES)
        return parse_certificate(self.certificate)

    def signed_data(self, document: bytes) -> bytes:
        """What the signature is over.

        Raises:
            MalformedError: ``JSON_NOT_CANONICAL`` when the document should be JSON.
        """
        return canonicalise(document) if self.document_form is DocumentForm.JSON else document


def open_raw(document: bytes | None, signature: RawSignature) -> OpenedForm:
    """The document and its one signature.

    Raises:
        CouldNotCheckError: ``FORM_DOCUMENT_NEEDED``.
        MalformedError: the certificate or the JSON cannot be read.
    """
    if document is None:
        raise CouldNotCheckError("FORM_DOCUMENT_NEEDED", algorithm="-")
    certificate = signature.parse_certificate()
    return OpenedForm(
        content=lambda: Content(data=document),
        signatures=(_Raw(signature, certificate, signature.signed_data(document)),),
    )


@dataclass(frozen=True)
class _Raw:
    """See ``FormSignature``."""

    source: RawSignature
    certificate: ParsedCertificate
    data: bytes
    enclosed: Enclosed = field(default_factory=Enclosed)
    digest_algorithm: str = ""
    countersignatures: Sequence[FormSignature] = ()

    @property
    def stamps(self) -> Sequence[Stamped]:
        token = self.source.timestamp
        return () if token is None else (Stamped(token, self.source.value),)

    def check(
        self, known: Sequence[ParsedCertificate], policy: AlgorithmPolicy, at: datetime
    ) -> CheckedSignature:
        key = load_public_key(self.certificate.spki_der)
        algorithm = self.source.algorithm or default_algorithm(key)
        verify_signature(key, algorithm, self.source.value, self.data, policy=policy, at=at)
        return CheckedSignature(certificates=(self.certificate,))

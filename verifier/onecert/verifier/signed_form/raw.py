"""A raw signature over a document or over the canonical JSON of a form (RFC 8785), with its certificate.

The algorithm never comes from outside alone: by default it is the one that belongs to the key; a named one
must fit the key and the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onecert.verifier.arguments import as_octets
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import MalformedError
from onecert.verifier.signed_form.canonical_json import canonicalise

__all__ = ["DocumentForm", "RawSignature"]

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

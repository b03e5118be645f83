"""Where the attribute certificates of a holder come from: presented with the request, pulled, or both.

    source = FirstOf(Presented.from_texts(request.headers.getlist("OneCert-Credentials")), pull)
    found = source.find(verified.path.target)

What a source returns is *unverified*: ``AttributeCertificateVerifier`` judges each certificate. A source
answers with what it has, and raises when it cannot tell; it never answers "nothing" because it failed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from onecert.verifier.arguments import as_octets, check_offers
from onecert.verifier.attribute_certificate.parse import MAX_BYTES, PEM_LABEL
from onecert.verifier.certificate import ParsedCertificate, decode_pem
from onecert.verifier.errors import MalformedError

__all__ = [
    "MAX_CERTIFICATES",
    "MAX_PRESENTED_CHARACTERS",
    "CredentialSource",
    "Credentials",
    "FirstOf",
    "Presented",
    "Together",
    "as_der",
]

MAX_CERTIFICATES = 64
"""The most attribute certificates, and the most delegations, that are looked at for one holder."""
MAX_PRESENTED_CHARACTERS = 65_536
"""The most that one request may present, as base64."""

_KIND = "attribute certificates"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What may prove the attributes of one holder; nothing here has been verified.

    Args:
        certificates: attribute certificates, DER.
        delegations: those that may connect their issuers with a source of authority: pairs of the
            delegation (an attribute certificate, DER) and the sub-authority's public-key certificate (DER).

    Raises:
        MalformedError: ``TOO_MANY``: more than 64 of either.
    """

    certificates: tuple[bytes, ...] = ()
    delegations: tuple[tuple[bytes, bytes], ...] = ()

    def __post_init__(self) -> None:
        if max(len(self.certificates), len(self.delegations)) > MAX_CERTIFICATES:
            raise MalformedError("TOO_MANY", kind=_KIND, max=MAX_CERTIFICATES)

    def __bool__(self) -> bool:
        """Whether there is any certificate; delegations alone prove nothing of a holder."""
        return bool(self.certificates)

    def __or__(self, other: Credentials) -> Credentials:
        """What is in either, once, in this order."""
        return Credentials(
            certificates=tuple(dict.fromkeys(self.certificates + other.certificates)),
            delegations=tuple(dict.fromkeys(self.delegations + other.delegations)),
        )


class CredentialSource(Protocol):
    """Finds what may prove the attributes of a holder."""

    def find(self, certificate: ParsedCertificate) -> Credentials:
        """Everything that is at hand for this holder; empty when there is nothing.

        Args:
            certificate: the holder's public-key certificate, already verified.

        Raises:
            VerifyError: nobody can tell, or what was presented cannot be read.
        """
        ...


@dataclass(frozen=True)
class Presented:
    """What came with the request ("push"): the same for whoever asks, since the verifier compares holders."""

    credentials: Credentials

    @classmethod
    def from_texts(cls, values: Iterable[str]) -> Presented:
        """Read the values of a header or a form field: base64 of DER, several divided by commas.

        Args:
            values: each occurrence of the field; together at most 65,536 characters.

        Raises:
            MalformedError: ``TOO_LARGE``, ``TOO_MANY`` or ``CREDENTIALS_MALFORMED``.
        """
        joined = ",".join(value for value in values if value.strip())
        if len(joined) > MAX_PRESENTED_CHARACTERS:
            raise MalformedError("TOO_LARGE", kind=_KIND, max=MAX_PRESENTED_CHARACTERS)
        if not joined:
            return cls(Credentials())
        if joined.count(",") >= MAX_CERTIFICATES:
            raise MalformedError("TOO_MANY", kind=_KIND, max=MAX_CERTIFICATES)
        return cls(Credentials(certificates=tuple(dict.fromkeys(map(_decode, joined.split(","))))))

    def find(self, certificate: ParsedCertificate) -> Credentials:
        """See ``CredentialSource``."""
        return self.credentials


class Together:
    """Everything that any of several sources has. All are asked; when one cannot tell, nobody can.

    The right one where policies *forbid* by attribute: a holder cannot keep such a certificate back.
    """

    def __init__(self, *sources: CredentialSource) -> None:
        _check(sources)
        self._sources = sources

    def find(self, certificate: ParsedCertificate) -> Credentials:
        """See ``CredentialSource``."""
        found = Credentials()
        for source in self._sources:
            found |= source.find(certificate)
        return found


class FirstOf:
    """What the first source has that has anything: presented certificates spare a call to the repository."""

    def __init__(self, *sources: CredentialSource) -> None:
        _check(sources)
        self._sources = sources

    def find(self, certificate: ParsedCertificate) -> Credentials:
        """See ``CredentialSource``."""
        for source in self._sources:
            if found := source.find(certificate):
                return found
        return Credentials()


def as_der(data: bytes) -> bytes:
    """The DER of an attribute certificate that may be one PEM block; it is not parsed.

    Raises:
        MalformedError: ``TOO_LARGE`` or ``NOT_PEM``.
    """
    data = as_octets(data, "an attribute certificate")
    if len(data) > 2 * MAX_BYTES:
        raise MalformedError("TOO_LARGE", kind="attribute certificate", max=MAX_BYTES)
    return data if data[:1] == b"\x30" else decode_pem(data, PEM_LABEL)


def _check(sources: tuple[CredentialSource, ...]) -> None:
    for source in sources:
        check_offers(source, ("find",), "a source", "a CredentialSource")


def _decode(item: str) -> bytes:
    text = item.strip()
    # RFC 9440, section 2.1, writes octets between colons; either form is read.
    if text.startswith(":"):
        text = text[1:-1] if text.endswith(":") and len(text) > 1 else ""
    try:
        der = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as exc:
        raise MalformedError("CREDENTIALS_MALFORMED", detail="not base64") from exc
    if not der:
        raise MalformedError("CREDENTIALS_MALFORMED", detail="an empty certificate")
    return der

"""What comes with an XML signature: certificates, and the properties of XAdES (EN 319 132-1).

Used are: the certificate that the signer meant, the time that he claims, the timestamps of the signature, and
certificates, lists and answers that were added for later. Everything else is left alone.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from onecert.verifier.algorithms import AlgorithmPolicy
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import MalformedError
from onecert.verifier.revocation import load_crl, load_ocsp
from onecert.verifier.signed_form.digests import check_digest, digest
from onecert.verifier.signed_form.form_signature import Enclosed
from onecert.verifier.signed_form.xml_shape import DS, Shape, canonical, octets_of, only, text_of

__all__ = ["Properties", "digest_of", "read_properties"]

T = TypeVar("T")
_XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
_ITEMS_MAX = 16
_MORE, _ENC = "http://www.w3.org/2001/04/xmldsig-more#", "http://www.w3.org/2001/04/xmlenc#"
_DIGESTS = {
    "http://www.w3.org/2000/09/xmldsig#sha1": "sha1",
    _MORE + "sha224": "sha224",
    _ENC + "sha256": "sha256",
    _MORE + "sha384": "sha384",
    _ENC + "sha512": "sha512",
}


@dataclass(frozen=True, kw_only=True)
class Properties:
    """``stamped`` are the octets that ``tokens`` stamp; ``meant`` the digests of the signer's certificate."""

    key_certificates: tuple[ParsedCertificate, ...]
    enclosed: Enclosed
    stamped: bytes
    tokens: tuple[bytes, ...]
    claimed_at: datetime | None
    meant: tuple[tuple[str, bytes], ...]

    @property
    def names_certificate(self) -> bool:
        """Whether the signature covers which certificate was meant."""
        return bool(self.meant)

    def means(self, certificate: ParsedCertificate, policy: AlgorithmPolicy, at: datetime) -> bool:
        """Tell whether the signer may have meant this certificate.

        Raises:
            RefusedError: his digest is not accepted.
        """
        for name, value in self.meant:
            check_digest(name, policy, at)
            if not hmac.compare_digest(digest(name, certificate.der), value):
                return False
        return True


def read_properties(signature: Any, shape: Shape) -> Properties:
    """Read what came with a signature; only what ``shape.properties`` holds is signed.

    Raises:
        MalformedError: ``XML_MALFORMED``.
        RefusedError: ``XML_TRANSFORM``, ``UNSUPPORTED_ALGORITHM``.
    """
    data = f"{DS}KeyInfo/{DS}X509Data/"
    own = tuple(_read(signature.iterfind(f"{data}{DS}X509Certificate"), parse_certificate))
    values = f"{DS}Object/{_XADES}QualifyingProperties/{_XADES}UnsignedProperties/"
    unsigned = f"{values}{_XADES}UnsignedSignatureProperties/"
    lists = f"{unsigned}{_XADES}RevocationValues/{_XADES}"
    certificates = _read(
        signature.iterfind(f"{unsigned}{_XADES}CertificateValues/{_XADES}EncapsulatedX509Certificate"),
        parse_certificate,
    )
    stamps = list(signature.iterfind(f"{unsigned}{_XADES}SignatureTimeStamp"))[:_ITEMS_MAX]
    method = stamps[0].find(DS + "CanonicalizationMethod") if stamps else None
    name = None if method is None else method.get("Algorithm")
    tokens = [
        octets_of(token)
        for stamp in stamps
        if _method_name(stamp) == name
        for token in stamp.iterfind(f"{_XADES}EncapsulatedTimeStamp")
    ]
    return Properties(
        key_certificates=own,
        enclosed=Enclosed(
            certificates=(*own, *certificates),
            crls=tuple(_read(signature.iterfind(f"{lists}CRLValues/{_XADES}EncapsulatedCRLValue"), load_crl)),
            ocsp=tuple(
                _read(signature.iterfind(f"{lists}OCSPValues/{_XADES}EncapsulatedOCSPValue"), load_ocsp)
            ),
        ),
        # Section 5.3: the element SignatureValue, with its tags.
        stamped=canonical(only(signature, DS + "SignatureValue"), method) if tokens else b"",
        tokens=tuple(tokens),
        claimed_at=_claimed_at(shape.properties),
        meant=tuple(_meant(shape.properties)),
    )


def digest_of(method: Any) -> str:
    """The name of the digest of a DigestMethod; its address when it is not known."""
    uri: str = method.get("Algorithm", "")
    return _DIGESTS.get(uri, uri[:100])


def _read(elements: Iterator[Any], load: Callable[[bytes], T]) -> Iterator[T]:
    """What can be read among what is offered."""
    for count, element in enumerate(elements):
        if count == _ITEMS_MAX:
            return
        try:
            yield load(octets_of(element))
        except MalformedError:
            continue


def _method_name(stamp: Any) -> str | None:
    method = stamp.find(DS + "CanonicalizationMethod")
    name: str | None = None if method is None else method.get("Algorithm")
    return name


def _claimed_at(properties: Any) -> datetime | None:
    found = (
        None
        if properties is None
        else properties.find(f"{_XADES}SignedSignatureProperties/{_XADES}SigningTime")
    )
    if found is None:
        return None
    try:
        at = datetime.fromisoformat(text_of(found).strip())
        return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as exc:
        raise MalformedError("XML_MALFORMED", source="EN 319 132-1", detail="SigningTime") from exc


def _meant(properties: Any) -> Iterator[tuple[str, bytes]]:
    """The first digest of each list: section 5.2.2 gives it to the signer's own certificate."""
    if properties is None:
        return
    for version in ("SigningCertificate", "SigningCertificateV2"):
        listed = properties.find(f"{_XADES}SignedSignatureProperties/{_XADES}{version}")
        if listed is not None:
            first = listed.find(f"{_XADES}Cert/{_XADES}CertDigest")
            if first is None:
                raise MalformedError("XML_MALFORMED", source="EN 319 132-1", detail=version)
            yield digest_of(only(first, DS + "DigestMethod")), octets_of(only(first, DS + "DigestValue"))

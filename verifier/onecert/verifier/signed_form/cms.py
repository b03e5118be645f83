"""CMS SignedData from untrusted bytes: DER, or BER within limits, or PEM. Nothing in it is verified here.

RFC 5652, section 5; PKCS #7 version 1.5 where it is the same; GM/T 0010 (GB/T 35275), which is PKCS #7 with
object identifiers of its own. Of the revocation information CRLs and OCSP answers (RFC 5940) are kept, of the
certificates those of X.509; what cannot be read among them is left out, because it is only offered.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import NoReturn

from onecert.verifier.arguments import as_octets
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.der import OCTET_STRING, OID, SEQUENCE, SET, DerError, Reader
from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.names import canonical_name, names_match
from onecert.verifier.revocation import Crl, OcspResponse, load_crl, load_ocsp
from onecert.verifier.signed_form.attributes import Attributes, read_attributes
from onecert.verifier.signed_form.ber import normalise
from onecert.verifier.signed_form.digests import read_digest_algorithm

__all__ = ["DATA_TYPES", "SignedData", "SignerInfo", "load_signed_data", "read_signer"]

_SIGNED_DATA = {"1.2.840.113549.1.7.2", "1.2.156.10197.6.1.4.2.2"}
# id-data, and that of GM/T 0010: only these may be signed without attributes.
DATA_TYPES = frozenset({"1.2.840.113549.1.7.1", "1.2.156.10197.6.1.4.2.1"})
_OCSP_RESPONSE = "1.3.6.1.5.5.7.16.2"
_CERTIFICATES_MAX, _LISTS_MAX, _SIGNERS_MAX = 64, 64, 16
_KIND = "CMS"
_PEM = re.compile(
    rb"\A\s*-----BEGIN (CMS|PKCS7|PKCS #7 SIGNED DATA)-----\s*?\n([A-Za-z0-9+/=\s]*)-----END \1-----\s*\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerInfo:
    """One signature. The signer is named by issuer and serial number, or by key identifier."""

    issuer_der: bytes | None
    serial: int | None
    key_id: bytes | None
    digest_algorithm: str
    signed: Attributes | None
    algorithm_der: bytes
    signature: bytes
    unsigned: Attributes | None

    def names(self, certificate: ParsedCertificate) -> bool:
        """Tell whether this certificate is the one that is named."""
        if self.issuer_der is None:
            return self.key_id == certificate.subject_key_id
        return self.serial == certificate.serial and names_match(self.issuer_der, certificate.issuer_der)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedData:
    """One message. ``content`` is ``None`` when it is detached."""

    der: bytes
    content_type: str
    content: bytes | None
    certificates: tuple[ParsedCertificate, ...]
    crls: tuple[Crl, ...]
    ocsp: tuple[OcspResponse, ...]
    signers: tuple[SignerInfo, ...]


def load_signed_data(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> SignedData:
    """Load one message from anybody: DER, BER or PEM, at most ``limits.document_max_bytes``.

    Raises:
        MalformedError: ``TOO_LARGE``, ``NOT_PEM``, ``CMS_MALFORMED``, ``CMS_TRAILING``.
        RefusedError: ``CMS_TYPE``, ``CMS_VERSION``, ``CMS_NO_SIGNER``, ``CMS_ATTRIBUTE_TWICE``.
    """
    data = as_octets(data, "a signed message")
    if len(data) > limits.document_max_bytes:
        raise MalformedError("TOO_LARGE", kind=_KIND, max=limits.document_max_bytes)
    if data[:1] != b"\x30":
        data = _decode_pem(data)
    try:
        try:
            return _signed_data(data, limits)
        except DerError:
            # RFC 5652, section 5.1: it may be BER. What was DER all through has not come here.
            der, rest = normalise(data)
            if rest:
                raise MalformedError("CMS_TRAILING", source="RFC 5652, section 3", count=len(rest)) from None
            return _signed_data(der, limits)
    except (DerError, IndexError, RecursionError) as exc:
        _malformed(str(exc) or type(exc).__name__)


def _malformed(detail: str) -> NoReturn:
    raise MalformedError("CMS_MALFORMED", source="RFC 5652, section 5.1", detail=detail)


def _decode_pem(data: bytes) -> bytes:
    match = _PEM.match(data)
    if match is None:
        raise MalformedError("NOT_PEM", kind=_KIND)
    try:
        return base64.b64decode(b"".join(match[2].split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedError("NOT_PEM", kind=_KIND) from exc


def _signed_data(der: bytes, limits: Limits) -> SignedData:
    outer = Reader(der)
    info = outer.enter(SEQUENCE)
    outer.done()
    kind = info.oid()
    if kind not in _SIGNED_DATA:
        raise RefusedError("CMS_TYPE", source="RFC 5652, section 3", found=kind)
    explicit = info.enter(0xA0)
    info.done()
    reader = explicit.enter(SEQUENCE)
    explicit.done()

    version = reader.integer()
    if not 1 <= version <= 5:
        raise RefusedError("CMS_VERSION", source="RFC 5652, section 5.1", version=version)
    digests = reader.enter(SET)
    count = 0
    while digests:
        _skip_algorithm(digests)
        count += 1
        if count > _SIGNERS_MAX:
            _malformed("too many digest algorithms")
    content_type, content = _content(reader.enter(SEQUENCE))
    certificates: tuple[ParsedCertificate, ...] = ()
    crls: list[Crl] = []
    answers: list[OcspResponse] = []
    if reader.peek() == 0xA0:
        certificates = tuple(_certificates(reader.enter(0xA0), limits))
    if reader.peek() == 0xA1:
        _revocation(reader.enter(0xA1), crls, answers, limits)
    infos = reader.enter(SET)
    reader.done()
    signers: list[SignerInfo] = []
    while infos:
        if len(signers) == _SIGNERS_MAX:
            _malformed("too many signers")
        signers.append(read_signer(infos.enter(SEQUENCE)))
    if not signers:
        # RFC 5652, section 5.1, knows such messages: they only carry certificates.
        raise RefusedError("CMS_NO_SIGNER", source="RFC 5652, section 5.1")
    return SignedData(
        der=der,
        content_type=content_type,
        content=content,
        certificates=certificates,
        crls=tuple(crls),
        ocsp=tuple(answers),
        signers=tuple(signers),
    )


def _skip_algorithm(reader: Reader) -> None:
    """The list of digest algorithms only helps readers in one pass; what counts stands with each signer."""
    sequence = reader.enter(SEQUENCE)
    sequence.contents(OID)
    if sequence:
        sequence.raw()
    sequence.done()


def _content(reader: Reader) -> tuple[str, bytes | None]:
    content_type = reader.oid()
    content = None
    if reader:
        explicit = reader.enter(0xA0)
        content = explicit.contents(OCTET_STRING)
        explicit.done()
    reader.done()
    return content_type, content


def _certificates(reader: Reader, limits: Limits) -> list[ParsedCertificate]:
    found: list[ParsedCertificate] = []
    count = 0
    while reader:
        count += 1
        if count > _CERTIFICATES_MAX:
            _malformed("too many certificates")
        is_certificate = reader.peek() == SEQUENCE
        der = reader.raw()
        if not is_certificate:
            continue  # attribute certificates and formats of old
        try:
            found.append(parse_certificate(der, limits=limits))
        except MalformedError:
            continue
    return found


def _revocation(reader: Reader, crls: list[Crl], answers: list[OcspResponse], limits: Limits) -> None:
    count = 0
    while reader:
        count += 1
        if count > _LISTS_MAX:
            _malformed("too many revocation lists")
        try:
            if reader.peek() == SEQUENCE:
                crls.append(load_crl(reader.raw(), limits=limits))
                continue
            other = reader.enter(0xA1)
            if other.oid() == _OCSP_RESPONSE:
                answers.append(load_ocsp(other.raw(), limits=limits))
        except MalformedError:
            continue


def read_signer(reader: Reader) -> SignerInfo:
    """Read the contents of a SignerInfo, which a countersignature is too.

    Raises:
        DerError: breaks the grammar.
        RefusedError: ``CMS_VERSION``, ``CMS_ATTRIBUTE_TWICE``.
    """
    version = reader.integer()
    issuer_der: bytes | None = None
    serial: int | None = None
    key_id: bytes | None = None
    if reader.peek() == 0x80:
        key_id = reader.contents(0x80)
    else:
        named = reader.enter(SEQUENCE)
        issuer_der = named.raw()
        canonical_name(issuer_der)
        serial = named.integer()
        named.done()
    # RFC 5652, section 5.3: 1 for issuer and serial number, 3 for the key identifier.
    if version != (1 if key_id is None else 3):
        raise RefusedError("CMS_VERSION", source="RFC 5652, section 5.3", version=version)
    digest_algorithm = read_digest_algorithm(reader)
    signed = read_attributes(reader, 0xA0) if reader.peek() == 0xA0 else None
    algorithm_der = reader.raw()
    signature = reader.contents(OCTET_STRING)
    unsigned = read_attributes(reader, 0xA1) if reader.peek() == 0xA1 else None
    reader.done()
    return SignerInfo(
        issuer_der=issuer_der,
        serial=serial,
        key_id=key_id,
        digest_algorithm=digest_algorithm,
        signed=signed,
        algorithm_der=algorithm_der,
        signature=signature,
        unsigned=unsigned,
    )

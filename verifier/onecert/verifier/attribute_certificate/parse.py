"""Read an attribute certificate (RFC 5755, section 4.1): strict, DER only, bounded.

What is not DER, or not this structure, raises. What is well formed but against the profile (a wrong version,
a UTCTime, no attributes) is kept as a finding, so that ``explain`` can name every fault of a certificate.
Contents of unknown extensions are opaque octets and are not looked into.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from onecert.verifier.attribute_certificate import asn1 as syntax
from onecert.verifier.attribute_certificate.encoding import check_der, read_single, tlv
from onecert.verifier.attribute_certificate.findings import Code, Finding
from onecert.verifier.attribute_certificate.general_names import DIRECTORY, GeneralName
from onecert.verifier.attribute_certificate.holder import Holder
from onecert.verifier.der import GENERALIZED_TIME, OID, SEQUENCE, DerError, Reader
from onecert.verifier.remembered import remembered

MAX_BYTES = 64 * 1024
MAX_ATTRIBUTES = 64
MAX_VALUES = 256
MAX_EXTENSIONS = 32
MAX_SERIAL_OCTETS = 20
PEM_LABEL = "ATTRIBUTE CERTIFICATE"

_V2_FORM = 0xA0
_KIND = "attribute certificate"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: its type and the DER of each value, in the order of the SET OF."""

    oid: ObjectIdentifier
    values: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension: the octets of its value are not interpreted here."""

    oid: ObjectIdentifier
    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeCertificate:
    """A well-formed attribute certificate. Nothing in it has been verified."""

    der: bytes
    info_der: bytes
    version: int
    holder: Holder
    issuer: GeneralName | None
    """The issuer's directory name; None when the form is not the profile's (then a fault says so)."""
    serial: int
    not_before: datetime | None
    not_after: datetime | None
    attributes: tuple[Attribute, ...]
    extensions: tuple[Extension, ...]
    algorithm_der: bytes
    outer_algorithm_der: bytes
    signature: bytes
    faults: tuple[Finding, ...]

    @property
    def serial_hex(self) -> str:
        """The serial number as people write it."""
        return f"{self.serial:x}"

    def find_extension(self, oid: ObjectIdentifier) -> Extension | None:
        """Return the extension with this identifier, if there is one."""
        return next((extension for extension in self.extensions if extension.oid == oid), None)


def parse(data: bytes) -> AttributeCertificate:
    """Read one attribute certificate from DER, at most 64 KiB.

    Raises:
        MalformedError: ``NOT_DER`` or ``TOO_LARGE``.
    """
    if len(data) > MAX_BYTES:
        raise Finding(Code.TOO_LARGE, {"kind": _KIND, "max": MAX_BYTES}).error()
    try:
        return _parse(bytes(data))
    except (ValueError, TypeError, OverflowError, RecursionError) as exc:
        # hazmat.asn1 raises ValueError; DerError is one too.
        raise Finding(Code.NOT_DER, {"kind": _KIND, "detail": exc}).error() from exc


def _parse(data: bytes) -> AttributeCertificate:
    outer = asn1.decode_der(syntax.AttributeCertificateSyntax, data)
    info_der = asn1.encode_der(outer.info)
    info = asn1.decode_der(syntax.AttributeCertificateInfo, info_der)
    if outer.signature.padding_bits():
        raise DerError("the signature is not whole octets")
    if info.version.bit_length() > 31:
        raise DerError("version")
    algorithm_der = asn1.encode_der(info.signature)
    outer_algorithm_der = asn1.encode_der(outer.algorithm)
    for algorithm in {algorithm_der, outer_algorithm_der}:
        _check_algorithm(algorithm)
    issuer = _issuer(asn1.encode_der(info.issuer))
    attributes = tuple(read_attributes(info.attributes))
    extensions = tuple(Extension(e.oid, e.critical, e.value) for e in info.extensions or ())
    if info.extensions is not None and not 0 < len(extensions) <= MAX_EXTENSIONS:
        raise DerError("no extension in the list, or too many")
    not_before, not_after = _time(info.validity.not_before), _time(info.validity.not_after)
    certificate = AttributeCertificate(
        der=data,
        info_der=info_der,
        version=info.version,
        holder=Holder.from_syntax(info.holder),
        issuer=issuer,
        serial=info.serial,
        not_before=not_before,
        not_after=not_after,
        attributes=attributes,
        extensions=extensions,
        algorithm_der=algorithm_der,
        outer_algorithm_der=outer_algorithm_der,
        signature=outer.signature.as_bytes(),
        faults=(),
    )
    faults = tuple(_faults(certificate, has_issuer_unique_id=info.issuer_unique_id is not None))
    if faults:
        object.__setattr__(certificate, "faults", faults)
    return certificate


@lru_cache(maxsize=64)
def _check_algorithm(algorithm_der: bytes) -> None:
    check_der(algorithm_der)
    reader = Reader(read_single(algorithm_der, SEQUENCE))
    reader.contents(OID)
    if reader:
        reader.any()
    reader.done()


@remembered(most=1024)
def _issuer(issuer_der: bytes) -> GeneralName | None:
    # RFC 5755, section 4.2.3: v2Form with one non-empty distinguished name and nothing else.
    if issuer_der[0] == SEQUENCE:
        check_der(issuer_der)
        return None
    contents = read_single(issuer_der, _V2_FORM)
    form = asn1.decode_der(syntax.V2Form, tlv(SEQUENCE, contents))
    names = [GeneralName.from_tlv(name) for name in form.issuer_name or ()]
    if form.base_certificate_id is not None or form.object_digest_info is not None:
        return None
    if len(names) != 1 or names[0].tag != DIRECTORY or names[0].is_empty_directory_name:
        return None
    return names[0]


def read_attributes(attributes: list[syntax.AttributeSyntax]) -> Iterator[Attribute]:
    """Take over attributes read by ``hazmat.asn1``; bounded, each value DER through and through."""
    if len(attributes) > MAX_ATTRIBUTES:
        raise DerError("too many attributes")
    for attribute in attributes:
        values = attribute.values.as_list()
        if not 0 < len(values) <= MAX_VALUES:
            raise DerError("an attribute without a value, or with too many")
        encoded = tuple(asn1.encode_der(value) for value in values)
        for value in encoded:
            check_der(value)
        yield Attribute(attribute.type, encoded)


def _time(value: syntax.Tlv) -> datetime | None:
    if value.tag_bytes != bytes((GENERALIZED_TIME,)):
        return None
    return _read_time(bytes(value.data))


@lru_cache(maxsize=4096)
def _read_time(text: bytes) -> datetime | None:
    # RFC 5755, section 4.2.6: GeneralizedTime, YYYYMMDDHHMMSSZ, even before 2050.
    if len(text) != 15 or text[14:] != b"Z" or not text[:14].isdigit():
        return None
    try:
        return datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _faults(certificate: AttributeCertificate, *, has_issuer_unique_id: bool) -> Iterator[Finding]:
    """Yield what is well formed but against RFC 5755 sections 4.1 and 4.2, in the order of the codes."""
    if certificate.version != 1:
        yield Finding(Code.VERSION, {"version": certificate.version})
    if certificate.issuer is None or has_issuer_unique_id:
        yield Finding(Code.ISSUER_FORM)
    if certificate.serial <= 0 or certificate.serial.bit_length() > 8 * MAX_SERIAL_OCTETS - 1:
        yield Finding(Code.SERIAL)
    start, end = certificate.not_before, certificate.not_after
    if start is None or end is None or start > end:
        yield Finding(Code.TIME_FORM)
    if not certificate.attributes:
        yield Finding(Code.NO_ATTRIBUTES)
    if len({attribute.oid for attribute in certificate.attributes}) != len(certificate.attributes):
        yield Finding(Code.DUPLICATE_ATTRIBUTE, {"oid": _first_repeated(certificate.attributes)})
    if len({extension.oid for extension in certificate.extensions}) != len(certificate.extensions):
        yield Finding(Code.DUPLICATE_EXTENSION, {"oid": _first_repeated(certificate.extensions)})


def _first_repeated(items: Sequence[Attribute] | Sequence[Extension]) -> str:
    oids = [item.oid.dotted_string for item in items]
    return next(oid for oid in oids if oids.count(oid) > 1)

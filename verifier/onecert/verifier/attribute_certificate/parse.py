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
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.encoding import check_der, read_single, tlv
from onecert.verifier.attribute_certificate.findings import Code, Finding
from onecert.verifier.attribute_certificate.general_names import DIRECTORY, GeneralName
from onecert.verifier.attribute_certificate.holder import Holder
from onecert.verifier.der import BIT_STRING, GENERALIZED_TIME, OID, SEQUENCE, DerError, Reader
from onecert.verifier.remembered import remembered

MAX_BYTES = 64 * 1024
MAX_ATTRIBUTES = 64
MAX_VALUES = 256
MAX_EXTENSIONS = 32
MAX_SERIAL_OCTETS = 20
PEM_LABEL = "ATTRIBUTE CERTIFICATE"

# RFC 5755, sections 4.4.3 and 4.4.4: several names stand inside of one value.
SINGLE_VALUED = frozenset({Oid.CHARGING_IDENTITY, Oid.GROUP})
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
    extensions_der: bytes = b""
    """The whole list of extensions as it stands; empty when there is none."""

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
    reader = Reader(data)
    outer = reader.enter(SEQUENCE)
    reader.done()
    info_der, outer_algorithm_der = outer.raw(), outer.raw()
    signature = outer.contents(BIT_STRING)
    outer.done()
    if signature[:1] != b"\x00":
        raise DerError("the signature is not whole octets")
    info = Reader(info_der).enter(SEQUENCE)
    version = info.integer()
    if version.bit_length() > 31:
        raise DerError("version")
    holder_der, issuer_der, algorithm_der = info.raw(), info.raw(), info.raw()
    serial = info.integer()
    validity_der, attributes_der = info.raw(), info.raw()
    has_issuer_unique_id = info.peek() == BIT_STRING
    if has_issuer_unique_id:
        check_der(info.raw())
    extensions_der = info.raw() if info else b""
    info.done()
    # Few of these parts differ among the certificates of one authority: each is read once.
    for algorithm in {algorithm_der, outer_algorithm_der}:
        _check_algorithm(algorithm)
    extensions, repeated_extension = read_extensions(extensions_der) if extensions_der else ((), "")
    not_before, not_after = _period(validity_der)
    certificate = AttributeCertificate(
        der=data,
        info_der=info_der,
        version=version,
        holder=_holder(holder_der),
        issuer=_issuer(issuer_der),
        serial=serial,
        not_before=not_before,
        not_after=not_after,
        attributes=_attributes(attributes_der),
        extensions=extensions,
        algorithm_der=algorithm_der,
        outer_algorithm_der=outer_algorithm_der,
        signature=signature[1:],
        faults=(),
        extensions_der=extensions_der,
    )
    faults = tuple(_faults(certificate, repeated_extension, has_issuer_unique_id=has_issuer_unique_id))
    if faults:
        object.__setattr__(certificate, "faults", faults)
    return certificate


@remembered(most=4096)
def _holder(holder_der: bytes) -> Holder:
    return Holder.from_syntax(asn1.decode_der(syntax.HolderSyntax, holder_der))


@remembered(most=1024)
def _attributes(attributes_der: bytes) -> tuple[Attribute, ...]:
    reader = Reader(attributes_der).enter(SEQUENCE)
    found: list[syntax.AttributeSyntax] = []
    while reader and len(found) <= MAX_ATTRIBUTES:
        found.append(asn1.decode_der(syntax.AttributeSyntax, reader.raw()))
    return tuple(read_attributes(found))


@remembered(most=1024)
def read_extensions(extensions_der: bytes) -> tuple[tuple[Extension, ...], str]:
    """Read ``Extensions``, and tell which identifier occurs twice, or an empty text.

    Raises:
        DerError, ValueError: it is not a list of extensions, or has more than 32.
    """
    reader = Reader(extensions_der).enter(SEQUENCE)
    found: list[Extension] = []
    while reader:
        read = asn1.decode_der(syntax.ExtensionSyntax, reader.raw())
        found.append(Extension(read.oid, read.critical, read.value))
        if len(found) > MAX_EXTENSIONS:
            raise DerError("too many extensions")
    if not found:
        raise DerError("no extension in the list")
    return tuple(found), _find_repeated(found)


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


@remembered(most=4096)
def _period(validity_der: bytes) -> tuple[datetime | None, datetime | None]:
    reader = Reader(validity_der).enter(SEQUENCE)
    times = reader.any(), reader.any()
    reader.done()
    first, last = (_read_time(contents) if tag == GENERALIZED_TIME else None for tag, contents in times)
    return first, last


def _read_time(text: bytes) -> datetime | None:
    # RFC 5755, section 4.2.6: GeneralizedTime, YYYYMMDDHHMMSSZ, even before 2050.
    if len(text) != 15 or text[14:] != b"Z" or not text[:14].isdigit():
        return None
    try:
        return datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _faults(
    certificate: AttributeCertificate, repeated_extension: str, *, has_issuer_unique_id: bool
) -> Iterator[Finding]:
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
    attributes = certificate.attributes
    if not attributes:
        yield Finding(Code.NO_ATTRIBUTES)
    elif len(attributes) > 1 and (repeated := _find_repeated(attributes)):
        yield Finding(Code.DUPLICATE_ATTRIBUTE, {"oid": repeated})
    for attribute in attributes:
        if len(attribute.values) > 1 and attribute.oid in SINGLE_VALUED:
            yield Finding(Code.SINGLE_VALUE, {"oid": attribute.oid.dotted_string})
    if repeated_extension:
        yield Finding(Code.DUPLICATE_EXTENSION, {"oid": repeated_extension})


def _find_repeated(items: Sequence[Attribute] | Sequence[Extension]) -> str:
    oids = [item.oid.dotted_string for item in items]
    return next((oid for oid in oids if oids.count(oid) > 1), "")

"""The extensions of an attribute certificate that we enforce (RFC 5755, section 4.3).

A critical extension that is not here refuses the certificate, and so does one of these whose value cannot be
read, critical or not. One that narrows the certificate and is not enforced refuses it as well, even when it
is not critical (ITU-T X.509, section 17). Left out: ac-proxying, which would let one server use another's
attributes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from onecert.verifier.attribute_certificate import asn1 as syntax
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.encoding import check_der, read_single, tlv
from onecert.verifier.attribute_certificate.general_names import GeneralName
from onecert.verifier.der import OCTET_STRING, SEQUENCE, DerError, Reader
from onecert.verifier.extensions import NameConstraints, parse_name_constraints
from onecert.verifier.remembered import remembered

_NULL = b"\x05\x00"
_TARGET_NAME = 0xA0
_TARGET_GROUP = 0xA1
_TARGET_CERTIFICATE = 0xA2
MAX_TARGETS = 256

ENFORCED = frozenset(
    {
        Oid.TARGET_INFORMATION,
        Oid.AUDIT_IDENTITY,
        Oid.AUTHORITY_KEY_IDENTIFIER,
        Oid.NO_REVOCATION_AVAILABLE,
        Oid.CRL_DISTRIBUTION_POINTS,
        Oid.AUTHORITY_INFORMATION_ACCESS,
        Oid.AUTHORITY_ATTRIBUTE_IDENTIFIER,
        Oid.BASIC_ATTRIBUTE_CONSTRAINTS,
        Oid.DELEGATED_NAME_CONSTRAINTS,
        Oid.HOLDER_NAME_CONSTRAINTS,
        Oid.NO_ASSERTION,
    }
)
# ITU-T X.509 and RFC 5755: what narrows a certificate in a way that we do not enforce. To read over one of
# these would make the certificate mean more than its authority meant, so they refuse it, critical or not.
NARROWING = frozenset(
    {
        Oid.TIME_SPECIFICATION,
        Oid.ACCEPTABLE_CERTIFICATE_POLICIES,
        Oid.ACCEPTABLE_PRIVILEGE_POLICIES,
        Oid.ISSUED_ON_BEHALF_OF,
        Oid.SINGLE_USE,
        Oid.ALLOWED_ATTRIBUTE_ASSIGNMENTS,
    }
)
MAX_IDENTIFIERS = 16


@dataclass(frozen=True, slots=True)
class BasicAttributeConstraints:
    """``basicAttConstraints``: whether the holder may delegate, and how far (None: no limit here)."""

    authority: bool
    path_length: int | None


@dataclass(frozen=True, slots=True)
class TargetIdentity:
    """Who the relying party says it is: its names, and the groups it belongs to."""

    names: tuple[GeneralName, ...] = ()
    groups: tuple[GeneralName, ...] = ()

    @classmethod
    def from_uris(cls, *names: str, groups: Iterable[str] = ()) -> "TargetIdentity":
        """Name a relying party and its groups by URIs, the form our own authorities write."""
        return cls(tuple(map(GeneralName.uri, names)), tuple(map(GeneralName.uri, groups)))


@dataclass(frozen=True, slots=True)
class Targets:
    """Where a certificate may be used: any name or group of these is enough."""

    names: tuple[GeneralName, ...]
    groups: tuple[GeneralName, ...]

    def admits(self, target: TargetIdentity | None) -> bool:
        """Tell whether this relying party is meant. One that does not know its own name is not."""
        if target is None:
            return False
        names = {name.key() for name in target.names}
        groups = {group.key() for group in target.groups}
        return any(name.key() in names for name in self.names) or any(
            group.key() in groups for group in self.groups
        )

    def to_der(self) -> bytes:
        """Return the DER of the extension's value: SEQUENCE OF Targets (RFC 5755, section 4.3.2)."""
        values = [tlv(_TARGET_NAME, name.to_der()) for name in self.names]
        values += [tlv(_TARGET_GROUP, group.to_der()) for group in self.groups]
        return tlv(SEQUENCE, tlv(SEQUENCE, *values))


@dataclass(frozen=True, slots=True)
class Extensions:
    """The values of the extensions we know; None where the certificate has none."""

    key_identifier: bytes | None = None
    targets: Targets | None = None
    audit_identity: bytes | None = None
    no_revocation_available: bool = False
    has_status_pointer: bool = False
    basic: BasicAttributeConstraints | None = None
    names: NameConstraints | None = None
    no_assertion: bool = False
    given_under: tuple[tuple[GeneralName, int], ...] = ()
    """``authorityAttributeIdentifier``: issuer and serial number of the delegations it was issued under."""


_FIELDS = tuple(field.name for field in fields(Extensions))
NO_EXTENSIONS = Extensions()


def merge(read: Sequence[Extensions]) -> Extensions:
    """Put together what each extension fills; of two for one field the first counts."""
    values = {}
    for each in reversed(read):
        for name in _FIELDS:
            value = getattr(each, name)
            if value is not None and value is not False and value != ():
                values[name] = value
    return Extensions(**values) if values else NO_EXTENSIONS


@remembered(most=4096)
def read_extension(oid: ObjectIdentifier, value: bytes) -> Extensions:
    """Read the value of one enforced extension into the field that it fills.

    Raises:
        DerError: the value is not what its definition says.
    """
    check_der(value)
    if oid == Oid.TARGET_INFORMATION:
        return Extensions(targets=_read_targets(value))
    if oid == Oid.AUDIT_IDENTITY:
        # RFC 5755, section 4.3.1: 1 to 20 octets.
        identity = read_single(value, OCTET_STRING)
        if not 0 < len(identity) <= 20:
            raise DerError("auditIdentity has 1 to 20 octets")
        return Extensions(audit_identity=identity)
    if oid == Oid.AUTHORITY_KEY_IDENTIFIER:
        read = asn1.decode_der(syntax.AuthorityKeyIdentifierSyntax, value)
        return Extensions(key_identifier=read.key_identifier)
    if oid == Oid.NO_REVOCATION_AVAILABLE:
        if value != _NULL:
            raise DerError("noRevAvail is NULL")
        return Extensions(no_revocation_available=True)
    if oid == Oid.BASIC_ATTRIBUTE_CONSTRAINTS:
        return Extensions(basic=_read_basic(value))
    if oid in {Oid.DELEGATED_NAME_CONSTRAINTS, Oid.HOLDER_NAME_CONSTRAINTS}:
        reader = Reader(value)
        names = parse_name_constraints(reader)
        reader.done()
        return Extensions(names=names)
    if oid == Oid.NO_ASSERTION:
        if value != _NULL:
            raise DerError("noAssertion is NULL")
        return Extensions(no_assertion=True)
    if oid == Oid.AUTHORITY_ATTRIBUTE_IDENTIFIER:
        return Extensions(given_under=_read_identifiers(value))
    return Extensions(has_status_pointer=True)


def _read_basic(value: bytes) -> BasicAttributeConstraints:
    read = asn1.decode_der(syntax.BasicAttConstraintsSyntax, value)
    length = read.path_length
    # X.509, section 17.5.2.1: INTEGER (0..MAX), meaningful only if authority is TRUE.
    if length is not None and (length < 0 or length.bit_length() > 31 or not read.authority):
        raise DerError("pathLenConstraint")
    return BasicAttributeConstraints(read.authority, length)


def _read_identifiers(value: bytes) -> tuple[tuple[GeneralName, int], ...]:
    found = []
    reader = Reader(read_single(value, SEQUENCE))
    while reader:
        read = asn1.decode_der(syntax.IssuerSerial, reader.raw())
        names = [GeneralName.from_tlv(name) for name in read.issuer]
        found += [(name, read.serial) for name in names]
    if not 0 < len(found) <= MAX_IDENTIFIERS:
        raise DerError("no authority attribute certificate is named, or too many")
    return tuple(found)


def _read_targets(value: bytes) -> Targets:
    names: list[GeneralName] = []
    groups: list[GeneralName] = []
    outer = Reader(read_single(value, SEQUENCE))
    while outer:
        inner = outer.enter(SEQUENCE)
        while inner:
            tag, contents = inner.any()
            # RFC 5755, section 4.3.2: targetCert must not be used. It is read over and admits nobody.
            if tag == _TARGET_NAME:
                names.append(GeneralName.from_tlv(syntax.raw(contents)))
            elif tag == _TARGET_GROUP:
                groups.append(GeneralName.from_tlv(syntax.raw(contents)))
            elif tag != _TARGET_CERTIFICATE:
                raise DerError("not a Target")
            if len(names) + len(groups) > MAX_TARGETS:
                raise DerError("too many targets")
    return Targets(tuple(names), tuple(groups))

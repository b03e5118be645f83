"""The extensions of an attribute certificate that we enforce (RFC 5755, section 4.3).

A critical extension that is not here refuses the certificate, and so does one of these whose value cannot be
read, critical or not. Left out: ac-proxying, which would let one server use another's attributes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from onecert.verifier.attribute_certificate import asn1 as syntax
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.encoding import check_der, read_single, tlv
from onecert.verifier.attribute_certificate.general_names import GeneralName
from onecert.verifier.der import OCTET_STRING, SEQUENCE, DerError, Reader
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
    }
)


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
    return Extensions(has_status_pointer=True)


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

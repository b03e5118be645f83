"""``GeneralName`` (RFC 5280, section 4.2.1.6) as holders, issuers, roles and targets use it.

Names are compared by meaning: directory names by RFC 5280, section 7.1, DNS names and mail domains without
case, everything else octet by octet. Left out: reading X.400 and EDI names, which match only themselves.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509

from onecert.verifier.attribute_certificate.asn1 import Tlv
from onecert.verifier.attribute_certificate.encoding import CONSTRUCTED, check_der, tlv
from onecert.verifier.der import DerError, decode_oid
from onecert.verifier.names import canonical_name, display_name

OTHER = 0xA0
MAIL = 0x81
DNS = 0x82
DIRECTORY = 0xA4
URI = 0x86
IP = 0x87
REGISTERED = 0x88
EMPTY_NAME = b"\x30\x00"
_KNOWN = frozenset({OTHER, MAIL, DNS, 0xA3, DIRECTORY, 0xA5, URI, IP, REGISTERED})
_IA5 = frozenset({MAIL, DNS, URI})


@dataclass(frozen=True, slots=True)
class GeneralName:
    """One name: its identifier octet and its contents (for a directory name the DER of the ``Name``)."""

    tag: int
    value: bytes

    @classmethod
    def uri(cls, text: str) -> "GeneralName":
        """Name something by URI."""
        return cls(URI, text.encode("ascii"))

    @classmethod
    def dns(cls, text: str) -> "GeneralName":
        """Name a host."""
        return cls(DNS, text.encode("ascii"))

    @classmethod
    def directory(cls, name: x509.Name) -> "GeneralName":
        """Name an entity by its distinguished name."""
        return cls(DIRECTORY, name.public_bytes())

    @classmethod
    def from_tlv(cls, value: Tlv) -> "GeneralName":
        """Take over one value read by ``hazmat.asn1``.

        Raises:
            DerError: not a GeneralName, or its contents are not what its kind demands.
        """
        if len(value.tag_bytes) != 1 or value.tag_bytes[0] not in _KNOWN:
            raise DerError("not a GeneralName")
        name = cls(value.tag_bytes[0], bytes(value.data))
        name._check()
        return name

    def _check(self) -> None:
        if self.tag in _IA5:
            # IA5String; a control character or a zero octet inside a name has fooled others before.
            if not self.value or not all(0x20 <= octet < 0x7F for octet in self.value):
                raise DerError("a name in IA5String form is empty or has other characters")
        elif self.tag == IP:
            if len(self.value) not in {4, 16}:
                raise DerError("an IP address has 4 or 16 octets")
        elif self.tag == REGISTERED:
            decode_oid(self.value)
        elif self.tag == DIRECTORY:
            check_der(self.value)
            canonical_name(self.value)
        elif self.tag & CONSTRUCTED:
            check_der(tlv(0x30, self.value))

    @property
    def is_empty_directory_name(self) -> bool:
        """A directory name without any part names nobody."""
        return self.tag == DIRECTORY and self.value == EMPTY_NAME

    def to_der(self) -> bytes:
        """Return the DER of the name."""
        return tlv(self.tag, self.value)

    def key(self) -> tuple[int, object]:
        """Return what two names that mean the same have in common."""
        if self.tag == DIRECTORY:
            return self.tag, canonical_name(self.value)
        if self.tag == DNS:
            return self.tag, self.value.lower()
        if self.tag == MAIL:
            local, at, domain = self.value.rpartition(b"@")
            return self.tag, local + at + domain.lower()
        return self.tag, self.value

    def __str__(self) -> str:
        if self.tag == DIRECTORY:
            return display_name(self.value)
        return self.value.decode("ascii", "replace") if self.tag in _IA5 else self.value.hex()


def share_a_name(left: Iterable[GeneralName], right: Iterable[GeneralName]) -> bool:
    """Tell whether the two have a name in common."""
    return not {name.key() for name in left}.isdisjoint(name.key() for name in right)

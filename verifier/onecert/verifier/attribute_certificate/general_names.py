"""``GeneralName`` (RFC 5280, section 4.2.1.6) as holders, issuers, roles and targets use it.

Names are compared by meaning: directory names by RFC 5280, section 7.1, DNS names and mail domains without
case, everything else octet by octet. Left out: reading X.400 and EDI names, which match only themselves.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat import asn1

from onecert.verifier.attribute_certificate.asn1 import Tlv
from onecert.verifier.attribute_certificate.encoding import CONSTRUCTED, check_der, tlv
from onecert.verifier.attribute_certificate.value_text import BadValueError, check_text
from onecert.verifier.der import OID, DerError, Reader, decode_oid
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
_JSON_IA5 = {"uri": URI, "dns": DNS, "mail": MAIL}


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

    @classmethod
    def from_der(cls, der: bytes) -> "GeneralName":
        """Read one whole value.

        Raises:
            DerError: as ``from_tlv``.
        """
        reader = Reader(der)
        tag, contents = reader.any()
        reader.done()
        if tag not in _KNOWN:
            raise DerError("not a GeneralName")
        name = cls(tag, contents)
        name._check()
        return name

    @classmethod
    def from_json(cls, value: Any) -> "GeneralName":
        """Read a name as ``values.py`` writes it: an object with one member.

        Raises:
            ValueError: it is not one.
        """
        if not isinstance(value, Mapping) or len(value) != 1:
            raise BadValueError("a name is an object with one member")
        kind, text = next(iter(value.items()))
        if kind == "der":
            return cls.from_der(bytes.fromhex(text))
        text = check_text(text)
        if kind == "directory":
            name = cls.directory(x509.Name.from_rfc4514_string(text))
        elif kind == "ip":
            name = cls(IP, ipaddress.ip_address(text).packed)
        elif kind == "oid":
            name = cls(REGISTERED, Reader(asn1.encode_der(x509.ObjectIdentifier(text))).contents(OID))
        elif kind in _JSON_IA5:
            name = cls(_JSON_IA5[kind], text.encode("ascii"))
        else:
            raise BadValueError("a name is one of uri, dns, mail, ip, oid, directory and der")
        name._check()
        return name

    def to_json(self) -> dict[str, str]:
        """Return the JSON from which ``from_json`` makes the same octets again."""
        for kind, shown in self._readings():
            try:
                if GeneralName.from_json({kind: shown}) == self:
                    return {kind: shown}
            except (ValueError, UnicodeError):
                continue
        return {"der": self.to_der().hex()}

    def _readings(self) -> Iterable[tuple[str, str]]:
        if self.tag in _IA5:
            yield next(kind for kind, tag in _JSON_IA5.items() if tag == self.tag), str(self)
        elif self.tag == DIRECTORY:
            yield "directory", display_name(self.value)
        elif self.tag == IP:
            yield "ip", str(ipaddress.ip_address(self.value))
        elif self.tag == REGISTERED:
            yield "oid", decode_oid(self.value)

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

"""The role attribute (RFC 5755, section 4.4.5; X.509, section 14.4): which role an authority gives a holder.

Profile: ``roleName`` is a URI, ``urn:…:role:…``. A role whose name has another form is not a role that anyone
can have been given; it is reported and does not reach a decision.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat import asn1

from onecert.verifier.attribute_certificate import asn1 as syntax
from onecert.verifier.attribute_certificate.general_names import URI, GeneralName
from onecert.verifier.attribute_certificate.parse import Attribute
from onecert.verifier.remembered import remembered

# RFC 8141: no blanks, quotes, angle brackets or characters outside ASCII can pass into a policy or a log.
_ROLE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[A-Za-z0-9\-._~:/?#@!$&'()*+,;=%]{1,500}")


@dataclass(frozen=True, slots=True)
class Role:
    """One role: its URI and, when the certificate says so, who specifies what it means."""

    name: str
    authority: tuple[str, ...] = ()

    def to_der(self) -> bytes:
        """Return the DER of ``RoleSyntax`` (without ``roleAuthority``)."""
        if not is_role_name(self.name):
            raise ValueError(f"not the URI of a role: {self.name!r}")
        return _encode(self.name)


@lru_cache(maxsize=4096)
def _encode(name: str) -> bytes:
    value = syntax.raw(GeneralName.uri(name).to_der())
    return asn1.encode_der(syntax.RoleSyntax(role_authority=None, role_name=value))


def is_role_name(name: str) -> bool:
    """Tell whether this can be the name of a role: a URI of at most 500 characters, plain ASCII."""
    return _ROLE_URI.fullmatch(name) is not None


@remembered(most=4096)
def find_role(value_der: bytes) -> Role | None:
    """Read one value of the role attribute; None when its name is not a role's URI, or it is malformed."""
    try:
        value = asn1.decode_der(syntax.RoleSyntax, value_der)
        name = GeneralName.from_tlv(value.role_name)
        authority = tuple(str(GeneralName.from_tlv(item)) for item in value.role_authority or ())
    except (ValueError, TypeError):
        return None
    if name.tag != URI or not is_role_name(str(name)):
        return None
    return Role(str(name), authority)


def read_roles(attribute: Attribute) -> Iterator[tuple[bytes, Role | None]]:
    """Yield each value of a role attribute with the role it names, or None."""
    for value in attribute.values:
        yield value, find_role(value)

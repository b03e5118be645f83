"""What the extensions of a service say about it."""

from __future__ import annotations

from dataclasses import dataclass

from onecert.verifier.identity.profile import IdentityProfile, parse_profile
from onecert.verifier.strict_json import Node
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.fields import read_extensions, read_url
from onecert.verifier.trust_list.model import Contact
from onecert.verifier.trust_list.parts import Part, PartReader

__all__ = ["EXTENSIONS", "Description", "read_description"]

EXTENSIONS = "ServiceInformationExtensions"
_KNOWN = (v.EXT_IDENTITY_PROFILE, v.EXT_STATUS_TERMS, v.EXT_ISSUANCE_LOG, v.EXT_CONTACT)
_NO_CONTACT = Contact()


@dataclass(frozen=True, kw_only=True)
class Description:
    """The extensions of a service. The terms are read with the status that they belong to."""

    identity_profile: IdentityProfile | None = None
    issuance_log_required: bool = False
    contact: Contact = _NO_CONTACT
    terms: object = None
    terms_where: str = ""

    def terms_node(self) -> Node | None:
        """The terms of the present status, not read yet."""
        return None if self.terms is None else Node(self.terms, self.terms_where)


def read_description(value: object, where: str, parts: PartReader | None) -> Description:
    """Read the extensions, found in the object at ``where``.

    Args:
        value: decoded JSON, or a part, which may have been read before.
    """
    if parts is not None and isinstance(value, Part):
        return parts.read(value, EXTENSIONS, lambda found: _read(found, where))
    return _read(value, where)


def _read(value: object, where: str) -> Description:
    found = read_extensions(Node({EXTENSIONS: value}, where), EXTENSIONS, known=_KNOWN)
    terms = found.get(v.EXT_STATUS_TERMS)
    return Description(
        identity_profile=_profile(found.get(v.EXT_IDENTITY_PROFILE)),
        issuance_log_required=_issuance_log(found.get(v.EXT_ISSUANCE_LOG)),
        contact=_contact(found.get(v.EXT_CONTACT)),
        terms=None if terms is None else terms.raw,
        terms_where="" if terms is None else terms.where,
    )


def _profile(value: Node | None) -> IdentityProfile | None:
    return None if value is None else parse_profile(value.raw, value.where)


def _issuance_log(value: Node | None) -> bool:
    if value is None:
        return False
    with value:
        return value.boolean("required")


def _contact(value: Node | None) -> Contact:
    if value is None:
        return Contact()
    with value:
        return Contact(
            hotline=value.text("hotline", default="", max_length=64),
            email=value.text("email", default="", max_length=128),
            website=read_url(value, "website") if value.has("website") else "",
        )

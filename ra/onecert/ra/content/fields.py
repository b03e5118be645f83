"""The three application types of this stage and the fields of each.

A field is a row: form, REST, CSV and review page all read the same table, so a new field is one line here and
one line in the catalogue. Personal fields are sealed at rest and never written to logs or the audit trail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from onecert.ra.content.text import UB_COMMON_NAME, UB_LOCALITY, UB_ORGANIZATION
from onecert.server.languages import _


class Kind(StrEnum):
    """What is applied for; the word is also the CA profile's name."""

    ORGANISATION = "organisation"
    CITIZEN = "citizen"
    EMPLOYEE = "employee"


KIND_NAMES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.ORGANISATION: _("Organisation certificate"),
        Kind.CITIZEN: _("Citizen certificate"),
        Kind.EMPLOYEE: _("Employee certificate"),
    }
)

KIND_HELP: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.ORGANISATION: _("For a company, an authority or an association, held by its agent."),
        Kind.CITIZEN: _("For a natural person acting for themselves."),
        Kind.EMPLOYEE: _("For a person acting on behalf of an organisation."),
    }
)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field: its check, its length in characters, and where a form shows it."""

    name: str
    label: str
    check: str  # name | person | address | note | uscc | idcard | mobile | email | postcode
    group: str  # subject | place | agent | contact | other
    required: bool = False
    personal: bool = False
    max_length: int = 64
    help: str = ""
    placeholder: str = ""


GROUP_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "subject": _("Who the certificate is for"),
        "place": _("Place"),
        "agent": _("Agent who acts for the organisation"),
        "contact": _("Contact"),
        "other": _("Remarks"),
    }
)

_ORGANIZATION_NAME = Field(
    name="organization_name",
    label=_("Organisation name"),
    check="name",
    group="subject",
    required=True,
    max_length=UB_ORGANIZATION,
    help=_("Exactly as on the business licence."),
)
_USCC = Field(
    name="uscc",
    label=_("Unified social credit code"),
    check="uscc",
    group="subject",
    required=True,
    max_length=18,
    help=_("18 digits and capital letters, without I, O, S, V, Z."),
    placeholder="91440300MA5DEM004J",
)
_PERSON_NAME = Field(
    name="name",
    label=_("Name"),
    check="person",
    group="subject",
    required=True,
    max_length=UB_COMMON_NAME,
    help=_("Exactly as on the identity card."),
)
_IDCARD = Field(
    name="idcard",
    label=_("Identity card number"),
    check="idcard",
    group="subject",
    required=True,
    personal=True,
    max_length=18,
    help=_("18 characters; the last one may be X."),
)
_PROVINCE = Field(
    name="state_or_province",
    label=_("Province"),
    check="name",
    group="place",
    required=True,
    max_length=UB_LOCALITY,
    placeholder="广东省",
)
_LOCALITY = Field(
    name="locality",
    label=_("City"),
    check="name",
    group="place",
    required=True,
    max_length=UB_LOCALITY,
    placeholder="深圳市",
)
_ADDRESS = Field(
    name="address",
    label=_("Address"),
    check="address",
    group="place",
    max_length=200,
    help=_("Registered address of an organisation. It stays here and is not written into the certificate."),
)
_POSTCODE = Field(name="postcode", label=_("Postcode"), check="postcode", group="place", max_length=6)
_AGENT_NAME = Field(
    name="agent_name",
    label=_("Agent's name"),
    check="person",
    group="agent",
    required=True,
    personal=True,
    max_length=UB_COMMON_NAME,
)
_AGENT_IDCARD = Field(
    name="agent_idcard",
    label=_("Agent's identity card number"),
    check="idcard",
    group="agent",
    required=True,
    personal=True,
    max_length=18,
    help=_("The original has been seen at the counter."),
)
_MOBILE = Field(
    name="mobile",
    label=_("Mobile number"),
    check="mobile",
    group="contact",
    required=True,
    personal=True,
    max_length=11,
    placeholder="13800000000",
)
_EMAIL = Field(name="email", label=_("E-mail"), check="email", group="contact", personal=True, max_length=128)
_UNIT = Field(
    name="organizational_unit",
    label=_("Department"),
    check="name",
    group="subject",
    max_length=UB_ORGANIZATION,
)
_NOTE = Field(name="note", label=_("Remarks"), check="note", group="other", max_length=500)

FIELDS: Mapping[Kind, tuple[Field, ...]] = MappingProxyType(
    {
        Kind.ORGANISATION: (
            _ORGANIZATION_NAME,
            _USCC,
            _PROVINCE,
            _LOCALITY,
            _ADDRESS,
            _POSTCODE,
            _AGENT_NAME,
            _AGENT_IDCARD,
            _MOBILE,
            _EMAIL,
            _NOTE,
        ),
        Kind.CITIZEN: (_PERSON_NAME, _IDCARD, _PROVINCE, _LOCALITY, _ADDRESS, _MOBILE, _EMAIL, _NOTE),
        Kind.EMPLOYEE: (
            _PERSON_NAME,
            _IDCARD,
            _ORGANIZATION_NAME,
            _USCC,
            _UNIT,
            _PROVINCE,
            _LOCALITY,
            _MOBILE,
            _EMAIL,
            _NOTE,
        ),
    }
)

ALL_FIELDS: Mapping[str, Field] = MappingProxyType(
    {field.name: field for fields in FIELDS.values() for field in fields}
)

CERTIFICATE_FIELDS: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        Kind.ORGANISATION: frozenset(
            {"organization_name", "uscc", "state_or_province", "locality", "agent_idcard"}
        ),
        Kind.CITIZEN: frozenset({"name", "idcard", "state_or_province", "locality"}),
        Kind.EMPLOYEE: frozenset(
            {
                "name",
                "idcard",
                "organization_name",
                "uscc",
                "organizational_unit",
                "state_or_province",
                "locality",
            }
        ),
    }
)

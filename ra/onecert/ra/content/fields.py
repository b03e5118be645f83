"""The application types and the fields of each.

A field is a row: form, REST, CSV and review page all read the same table, so a new field is one line here and
one line in the catalogue. Personal fields are sealed at rest and never written to logs or the audit trail.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from onecert.ra.content.text import UB_COMMON_NAME, UB_LOCALITY, UB_ORGANIZATION
from onecert.server.languages import _


class Kind(StrEnum):
    """What is applied for; the word is also the CA profile's name."""

    ORGANISATION = "organisation"
    CITIZEN = "citizen"
    EMPLOYEE = "employee"
    DEVICE = "device"


KIND_NAMES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.ORGANISATION: _("Organisation certificate"),
        Kind.CITIZEN: _("Citizen certificate"),
        Kind.EMPLOYEE: _("Employee certificate"),
        Kind.DEVICE: _("Device certificate"),
    }
)

KIND_HELP: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.ORGANISATION: _("For a company, an authority or an association, held by its agent."),
        Kind.CITIZEN: _("For a natural person acting for themselves."),
        Kind.EMPLOYEE: _("For a person acting on behalf of an organisation."),
        Kind.DEVICE: _("For a gateway, a server or a meter that belongs to an organisation."),
    }
)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field: its check, its length in characters, and where a form shows it."""

    name: str
    label: str
    # name | person | address | note | uscc | idcard | mobile | phone | email | postcode | code | amount |
    # months | choice | consent
    check: str
    group: str  # one of GROUP_NAMES
    required: bool = False
    personal: bool = False
    max_length: int = 64
    help: str = ""
    placeholder: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)  # value -> label, of `choice` and `consent`


GROUP_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "subject": _("Who the certificate is for"),
        "place": _("Place"),
        "agent": _("Agent who acts for the organisation"),
        "contact": _("Contact"),
        "organisation_more": _("More about the organisation"),
        "agent_more": _("More about the agent"),
        "term": _("Term and medium"),
        "fees": _("Fees"),
        "delivery": _("Delivery"),
        "consent": _("Consent of the applicant"),
        "other": _("References and remarks"),
    }
)

# Groups that a form folds away until they hold something or have a fault.
FOLDED = ("organisation_more", "agent_more", "term", "fees", "delivery", "other")

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
ID_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "idcard": _("Resident identity card"),
        "passport": _("Passport"),
        "officer": _("Military officer's certificate"),
        "permit": _("Travel permit of Hong Kong, Macao or Taiwan residents"),
        "other": _("Another document"),
    }
)
_AGENT_MORE = (
    Field(
        name="agent_id_type",
        label=_("Agent's document"),
        check="choice",
        group="agent_more",
        personal=True,
        choices=ID_TYPES,
        help=_("Only where the agent has no resident identity card; the number then stands below."),
    ),
    Field(
        name="agent_id_no",
        label=_("Number of that document"),
        check="code",
        group="agent_more",
        personal=True,
        max_length=32,
        help=_("It stays here and is not written into the certificate."),
    ),
    Field(
        name="agent_phone",
        label=_("Agent's telephone"),
        check="phone",
        group="agent_more",
        personal=True,
        max_length=32,
    ),
    Field(name="agent_fax", label=_("Fax"), check="phone", group="agent_more", personal=True, max_length=32),
    Field(
        name="agent_department",
        label=_("Agent's department"),
        check="name",
        group="agent_more",
        personal=True,
    ),
    Field(name="agent_position", label=_("Position"), check="name", group="agent_more", personal=True),
    Field(
        name="agent_address",
        label=_("Agent's address"),
        check="address",
        group="agent_more",
        personal=True,
        max_length=200,
        help=_("Empty: the registered address."),
    ),
)
_ORGANISATION_MORE = (
    Field(
        name="contact_name",
        label=_("Contact person"),
        check="person",
        group="organisation_more",
        personal=True,
        help=_("Empty: the agent."),
    ),
    Field(
        name="contact_phone",
        label=_("Telephone"),
        check="phone",
        group="organisation_more",
        personal=True,
        max_length=32,
        help=_("Empty: the agent's mobile number."),
    ),
    Field(
        name="postal_address",
        label=_("Postal address"),
        check="address",
        group="organisation_more",
        max_length=200,
        help=_("Empty: the registered address."),
    ),
)
MEDIA: Mapping[str, str] = MappingProxyType(
    {
        "usb-key": _("USB key"),
        "card": _("Smart card"),
        "cloud": _("Key kept by a signing service"),
        "file": _("File, for devices"),
    }
)
_TERM = (
    Field(
        name="certificate_months",
        label=_("Term of the certificate, months"),
        check="months",
        group="term",
        max_length=3,
        help=_("Empty: the whole term that the authority grants."),
    ),
    Field(
        name="service_months",
        label=_("Term of the service, months"),
        check="months",
        group="term",
        max_length=3,
        help=_("At least as long as the certificate's. Empty: the same."),
    ),
    Field(name="media", label=_("Planned medium"), check="choice", group="term", choices=MEDIA),
)
FEE_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "counter": _("Paid at the counter"),
        "transfer": _("By bank transfer"),
        "monthly": _("Monthly account"),
        "online": _("Online"),
        "none": _("Free of charge"),
    }
)
_FEES = (
    Field(name="fee_method", label=_("Payment"), check="choice", group="fees", choices=FEE_METHODS),
    Field(
        name="certificate_fee",
        label=_("Certificate fee, yuan"),
        check="amount",
        group="fees",
        max_length=12,
        placeholder="200.00",
    ),
    Field(name="seal_fee", label=_("Seal fee, yuan"), check="amount", group="fees", max_length=12),
    Field(name="remittance_no", label=_("Remittance number"), check="code", group="fees"),
)
DELIVERIES: Mapping[str, str] = MappingProxyType(
    {"pickup": _("Collected at the counter"), "post": _("Sent by post")}
)
_DELIVERY = (
    Field(name="delivery", label=_("Handing over"), check="choice", group="delivery", choices=DELIVERIES),
    Field(
        name="recipient",
        label=_("Recipient"),
        check="person",
        group="delivery",
        personal=True,
        help=_("Needed when it is sent by post."),
    ),
    Field(
        name="delivery_address",
        label=_("Recipient's address"),
        check="address",
        group="delivery",
        personal=True,
        max_length=200,
        help=_("Needed when it is sent by post."),
    ),
)
_REFERENCES = (
    Field(name="preregistration_no", label=_("Pre-registration number"), check="code", group="other"),
    Field(name="reference_id", label=_("Reference of the other side"), check="code", group="other"),
)
CONSENTS: Mapping[str, str] = MappingProxyType(
    {"paper": _("Signed on paper"), "screen": _("Given on screen")}
)
_CONSENT = (
    Field(
        name="consent",
        label=_("Agreement and authorisation"),
        check="choice",
        group="consent",
        required=True,
        choices=CONSENTS,
    ),
    Field(
        name="consent_version",
        label=_("Version of the texts"),
        check="consent",
        group="consent",
        required=True,
        max_length=32,
    ),
)
_DEVICE_NAME = Field(
    name="device_name",
    label=_("Device name"),
    check="name",
    group="subject",
    required=True,
    max_length=UB_COMMON_NAME,
    help=_("Each device of an organisation has a name of its own."),
)
_DEVICE_SERIAL = Field(
    name="device_serial",
    label=_("Serial number of the device"),
    check="code",
    group="subject",
    help=_("It stays here and is not written into the certificate."),
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

_BUSINESS = (*_TERM, *_FEES, *_DELIVERY, *_REFERENCES, _NOTE, *_CONSENT)

FIELDS: Mapping[Kind, tuple[Field, ...]] = MappingProxyType(
    {
        Kind.ORGANISATION: (
            _USCC,  # first: the register fills in the name
            _ORGANIZATION_NAME,
            _PROVINCE,
            _LOCALITY,
            _ADDRESS,
            _POSTCODE,
            _AGENT_NAME,
            _AGENT_IDCARD,
            _MOBILE,
            _EMAIL,
            *_ORGANISATION_MORE,
            *_AGENT_MORE,
            *_BUSINESS,
        ),
        Kind.CITIZEN: (
            _PERSON_NAME,
            _IDCARD,
            _PROVINCE,
            _LOCALITY,
            _ADDRESS,
            _POSTCODE,
            _MOBILE,
            _EMAIL,
            *_BUSINESS,
        ),
        Kind.EMPLOYEE: (
            _PERSON_NAME,
            _IDCARD,
            _ORGANIZATION_NAME,
            _USCC,
            _UNIT,
            _PROVINCE,
            _LOCALITY,
            _ADDRESS,
            _POSTCODE,
            _MOBILE,
            _EMAIL,
            *_BUSINESS,
        ),
        Kind.DEVICE: (
            _DEVICE_NAME,
            _DEVICE_SERIAL,
            _ORGANIZATION_NAME,
            _USCC,
            _UNIT,
            _PROVINCE,
            _LOCALITY,
            _ADDRESS,
            _POSTCODE,
            _AGENT_NAME,
            _AGENT_IDCARD,
            _MOBILE,
            _EMAIL,
            *_ORGANISATION_MORE,
            *_AGENT_MORE,
            *_BUSINESS,
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
        Kind.DEVICE: frozenset(
            {
                "device_name",
                "organization_name",
                "uscc",
                "organizational_unit",
                "state_or_province",
                "locality",
            }
        ),
    }
)

"""The rows of the table of fields: each field once, whichever types of application have it.

A new field is one row here, its place in `fields.py`, and one line in the catalogue.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from onecert.ra.content.text import UB_COMMON_NAME, UB_LOCALITY, UB_ORGANIZATION
from onecert.server.languages import _


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field: its check, its length in characters, and where a form shows it."""

    name: str
    label: str
    # name | person | address | note | uscc | idcard | mobile | phone | email | postcode | code | amount |
    # months | choice | consent
    check: str
    group: str  # one of `fields.GROUP_NAMES`
    required: bool = False
    personal: bool = False
    max_length: int = 64
    help: str = ""
    placeholder: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)  # value -> label, of `choice` and `consent`


ORGANIZATION_NAME = Field(
    name="organization_name",
    label=_("Organisation name"),
    check="name",
    group="subject",
    required=True,
    max_length=UB_ORGANIZATION,
    help=_("Exactly as on the business licence."),
)
USCC = Field(
    name="uscc",
    label=_("Unified social credit code"),
    check="uscc",
    group="subject",
    required=True,
    max_length=18,
    help=_("18 digits and capital letters, without I, O, S, V, Z."),
    placeholder="91440300MA5DEM004J",
)
PERSON_NAME = Field(
    name="name",
    label=_("Name"),
    check="person",
    group="subject",
    required=True,
    max_length=UB_COMMON_NAME,
    help=_("Exactly as on the identity card."),
)
IDCARD = Field(
    name="idcard",
    label=_("Identity card number"),
    check="idcard",
    group="subject",
    required=True,
    personal=True,
    max_length=18,
    help=_("18 characters; the last one may be X."),
)
PROVINCE = Field(
    name="state_or_province",
    label=_("Province"),
    check="name",
    group="place",
    required=True,
    max_length=UB_LOCALITY,
    placeholder="广东省",
)
LOCALITY = Field(
    name="locality",
    label=_("City"),
    check="name",
    group="place",
    required=True,
    max_length=UB_LOCALITY,
    placeholder="深圳市",
)
ADDRESS = Field(
    name="address",
    label=_("Address"),
    check="address",
    group="place",
    max_length=200,
    help=_("Registered address of an organisation. It stays here and is not written into the certificate."),
)
POSTCODE = Field(name="postcode", label=_("Postcode"), check="postcode", group="place", max_length=6)
AGENT_NAME = Field(
    name="agent_name",
    label=_("Agent's name"),
    check="person",
    group="agent",
    required=True,
    personal=True,
    max_length=UB_COMMON_NAME,
)
AGENT_IDCARD = Field(
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
AGENT_MORE = (
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
ORGANISATION_MORE = (
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
TERM = (
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
FEES = (
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
DELIVERY = (
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
REFERENCES = (
    Field(name="preregistration_no", label=_("Pre-registration number"), check="code", group="other"),
    Field(name="reference_id", label=_("Reference of the other side"), check="code", group="other"),
)
CONSENTS: Mapping[str, str] = MappingProxyType(
    {"paper": _("Signed on paper"), "screen": _("Given on screen")}
)
CONSENT = (
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
DEVICE_NAME = Field(
    name="device_name",
    label=_("Device name"),
    check="name",
    group="subject",
    required=True,
    max_length=UB_COMMON_NAME,
    help=_("Each device of an organisation has a name of its own."),
)
DEVICE_SERIAL = Field(
    name="device_serial",
    label=_("Serial number of the device"),
    check="code",
    group="subject",
    help=_("It stays here and is not written into the certificate."),
)
MOBILE = Field(
    name="mobile",
    label=_("Mobile number"),
    check="mobile",
    group="contact",
    required=True,
    personal=True,
    max_length=11,
    placeholder="13800000000",
)
EMAIL = Field(name="email", label=_("E-mail"), check="email", group="contact", personal=True, max_length=128)
UNIT = Field(
    name="organizational_unit",
    label=_("Department"),
    check="name",
    group="subject",
    max_length=UB_ORGANIZATION,
)
NOTE = Field(name="note", label=_("Remarks"), check="note", group="other", max_length=500)

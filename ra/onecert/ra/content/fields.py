"""The application types and the fields of each.

A field is a row of `rows.py`: form, REST, CSV and review page all read the same table. Personal fields are
sealed at rest and never written to logs or the audit trail.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from onecert.ra.content import rows
from onecert.ra.content.rows import CONSENTS, Field
from onecert.server.languages import _

__all__ = [
    "ALL_FIELDS",
    "CERTIFICATE_FIELDS",
    "CONSENTS",
    "FIELDS",
    "FOLDED",
    "GROUP_NAMES",
    "KIND_HELP",
    "KIND_NAMES",
    "Field",
    "Kind",
]


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

_BUSINESS = (*rows.TERM, *rows.FEES, *rows.DELIVERY, *rows.REFERENCES, rows.NOTE, *rows.CONSENT)

FIELDS: Mapping[Kind, tuple[Field, ...]] = MappingProxyType(
    {
        Kind.ORGANISATION: (
            rows.USCC,  # first: the register fills in the name
            rows.ORGANIZATION_NAME,
            rows.PROVINCE,
            rows.LOCALITY,
            rows.ADDRESS,
            rows.POSTCODE,
            rows.AGENT_NAME,
            rows.AGENT_IDCARD,
            rows.MOBILE,
            rows.EMAIL,
            *rows.ORGANISATION_MORE,
            *rows.AGENT_MORE,
            *_BUSINESS,
        ),
        Kind.CITIZEN: (
            rows.PERSON_NAME,
            rows.IDCARD,
            rows.PROVINCE,
            rows.LOCALITY,
            rows.ADDRESS,
            rows.POSTCODE,
            rows.MOBILE,
            rows.EMAIL,
            *_BUSINESS,
        ),
        Kind.EMPLOYEE: (
            rows.PERSON_NAME,
            rows.IDCARD,
            rows.ORGANIZATION_NAME,
            rows.USCC,
            rows.UNIT,
            rows.PROVINCE,
            rows.LOCALITY,
            rows.ADDRESS,
            rows.POSTCODE,
            rows.MOBILE,
            rows.EMAIL,
            *_BUSINESS,
        ),
        Kind.DEVICE: (
            rows.DEVICE_NAME,
            rows.DEVICE_SERIAL,
            rows.ORGANIZATION_NAME,
            rows.USCC,
            rows.UNIT,
            rows.PROVINCE,
            rows.LOCALITY,
            rows.ADDRESS,
            rows.POSTCODE,
            rows.AGENT_NAME,
            rows.AGENT_IDCARD,
            rows.MOBILE,
            rows.EMAIL,
            *rows.ORGANISATION_MORE,
            *rows.AGENT_MORE,
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

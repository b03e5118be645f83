"""Which papers belong to which business (材料), as a table: the choice in forms, the check list, the policy.

`wanted` materials are shown as a check list; the setting `materials_required` makes some of them necessary.
A material that is `late` comes after the certificate is there (the signed hand-over slip) and is no part of
what was approved.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from onecert.ra.content.fields import Kind
from onecert.ra.life.machine import CERTIFICATE, STATUS, Business
from onecert.server.languages import _

__all__ = [
    "LATE",
    "MATERIALS",
    "Material",
    "check_policy",
    "materials_of",
    "required_materials",
    "wanted_materials",
]


@dataclass(frozen=True, kw_only=True)
class Material:
    """One kind of paper. `personal`: it shows a person's number, so opening it is audited."""

    name: str
    label: str
    personal: bool = False
    late: bool = False


_ALL = (
    Material(name="form", label=_("Application form, signed and sealed"), personal=True),
    Material(name="licence", label=_("Business licence")),
    Material(name="agent_id", label=_("Agent's identity card"), personal=True),
    Material(name="holder_id", label=_("Applicant's identity card"), personal=True),
    Material(name="authorisation", label=_("Letter of authorisation"), personal=True),
    Material(name="agreement", label=_("Subscriber agreement")),
    Material(name="consent", label=_("Consent to the use of personal data"), personal=True),
    Material(name="seal_card", label=_("Seal specimen card")),
    Material(name="change_notice", label=_("Notice of the change")),
    Material(name="loss_statement", label=_("Statement of loss or damage"), personal=True),
    Material(name="proof", label=_("Proof for the request"), personal=True),
    Material(name="legal", label=_("Legal instrument"), personal=True),
    Material(name="list", label=_("List of applicants, sealed"), personal=True),
    Material(name="other", label=_("Other material"), personal=True),
    Material(name="handover", label=_("Hand-over slip, signed"), personal=True, late=True),
)
MATERIALS: Mapping[str, Material] = MappingProxyType({material.name: material for material in _ALL})
LATE = frozenset(material.name for material in _ALL if material.late)

_BY_ORGANISATION = ("form", "licence", "agent_id", "authorisation", "agreement", "consent")
# Of a new certificate, by its type.
_NEW: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.ORGANISATION: (*_BY_ORGANISATION, "seal_card"),
        Kind.DEVICE: _BY_ORGANISATION,
        Kind.CITIZEN: ("form", "holder_id", "agreement", "consent"),
        Kind.EMPLOYEE: ("form", "holder_id", "licence", "authorisation", "agreement", "consent"),
    }
)
# What comes instead of that in other business.
_WANTED: Mapping[Business, tuple[str, ...]] = MappingProxyType(
    {
        Business.RENEW: ("form",),
        Business.CHANGE: ("form", "change_notice", "licence"),
        Business.REPLACE: ("form", "loss_statement", "licence"),
        Business.HOLD: ("form", "proof"),
        Business.RELEASE: ("form", "proof"),
        Business.REVOKE: ("form", "proof"),
        Business.UNLOCK: ("form",),
        Business.BATCH: ("form", "list"),
        Business.RECOVERY: ("form", "legal"),
    }
)
_BY_AGENT = frozenset({Kind.ORGANISATION, Kind.DEVICE})
_OF_ORGANISATIONS = frozenset({"licence", "authorisation", "seal_card", "agent_id"})


def wanted_materials(business: Business, kind: Kind) -> tuple[Material, ...]:
    """The check list."""
    names = _NEW[kind] if business is Business.NEW else _WANTED[business]
    return tuple(
        MATERIALS[name] for name in names if kind is not Kind.CITIZEN or name not in _OF_ORGANISATIONS
    )


def materials_of(business: Business, kind: Kind) -> tuple[Material, ...]:
    """Everything that may be added: the check list first, then what is common and the rest."""
    wanted = wanted_materials(business, kind)
    further = ["other"]
    if business in CERTIFICATE:
        person = "agent_id" if kind in _BY_AGENT else "holder_id"
        further = [person, "authorisation", "agreement", "consent", "seal_card", "other", "handover"]
        if kind is Kind.CITIZEN:
            further = [name for name in further if name not in _OF_ORGANISATIONS]
    elif business in STATUS or business is Business.UNLOCK:
        person = "agent_id" if kind in _BY_AGENT else "holder_id"
        further = [person, "authorisation", "proof", "other"]
    names = list(dict.fromkeys([*(material.name for material in wanted), *further]))
    return tuple(MATERIALS[name] for name in names)


def required_materials(policy: Iterable[str], business: Business, kind: Kind) -> tuple[Material, ...]:
    """What the setting `materials_required` makes necessary here.

    Args:
        policy: `licence` (wherever it is on the check list) or `new:licence` (in this business).
    """
    wanted = wanted_materials(business, kind)
    words = set(policy)
    return tuple(
        material
        for material in wanted
        if material.name in words or f"{business.value}:{material.name}" in words
    )


def check_policy(policy: Iterable[str]) -> None:
    """Raise `ValueError` when a word of `materials_required` names no material or no business."""
    for word in policy:
        business, _colon, name = word.rpartition(":")
        if name not in MATERIALS or (business and business not in set(Business)):
            raise ValueError(f"materials_required: {word}: {', '.join(MATERIALS)}")

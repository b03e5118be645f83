"""One firm, three CAs, RSA, P-256 and SM2, every encoding, renewed, with a second key: one id, or a refusal.

Every certificate here is real: signed by a CA of the list, on the path that a department validates.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from identity_cities import (
    AGENT,
    CAS,
    DAY,
    ENCODINGS,
    ENTITY,
    KINDS,
    ORG_CODE,
    PRINTABLE,
    REGISTRATION,
    SUMMIT_CLASS,
    SUMMIT_ID,
    SUMMIT_PERSON,
    TAX,
    UID,
    UTF8,
    T,
    firm_fields,
    holder_key,
    issue,
    make_verifier,
    profile_of,
    tlv,
)

from onecert.verifier import Verifier
from onecert.verifier.errors import RefusedError
from onecert.verifier.identity import Identity, MemoryRegistry, RegistryEntry, parse_profile
from onecert.verifier.identity.check_digits import registration_number_check_digit
from onecert.verifier.identity.decode import Form

FIRM, OTHER, ELSEWHERE = "91440300MA5DEM004J", "91440300MA5DEM0A63", "91110000MA5DEM004J"
ORG, OTHER_ORG = "MA5DEM004", "MA5DEM0A6"
TAX_NUMBER, OTHER_TAX = f"440300{ORG}", f"440300{OTHER_ORG}"
REGNO, OTHER_REGNO = (
    first + registration_number_check_digit(first) for first in ("44030110000001", "44030110000002")
)
PERSON = "440300190001010015"
CELLS = [(ca, encoding, kind) for ca in CAS for encoding in ENCODINGS[ca] for kind in KINDS]
REGISTER = MemoryRegistry(
    dict.fromkeys(
        (f"uscc:{FIRM}", f"org:{ORG}", f"regno:{REGNO}"),
        RegistryEntry(uscc=FIRM, names=("示例科技有限公司",)),
    )
    | dict.fromkeys(
        (f"uscc:{OTHER}", f"org:{OTHER_ORG}", f"regno:{OTHER_REGNO}"), RegistryEntry(uscc=OTHER, names=())
    )
)


@pytest.fixture(scope="module")
def department() -> Verifier:
    return make_verifier()


def identity_of(verifier: Verifier, certificate: bytes) -> Identity:
    return verifier.verify(certificate, at=T).identity


@pytest.mark.parametrize(("ca", "encoding", "kind"), CELLS)
def test_one_firm_one_id(department: Verifier, ca: str, encoding: str, kind: str) -> None:
    """issuing CA -> first certificate, renewal, second key, the firm under a new name. Must be one id."""
    first = issue(ca, kind, firm_fields(ca, encoding, FIRM))
    renewed = issue(ca, kind, firm_fields(ca, encoding, FIRM), begin=T - DAY)
    second = issue(ca, kind, firm_fields(ca, encoding, FIRM, 2), key=holder_key(kind, 2))
    renamed = issue(ca, kind, firm_fields(ca, encoding, FIRM), name="示例科技（新名）有限公司")
    found = [identity_of(department, der) for der in (first, renewed, second, renamed)]
    assert {one.id for one in found} == {f"uscc:{FIRM}"}
    assert {one.ca_service for one in found} == {f"{ca}-{kind}"}
    assert [one.key_number for one in found] == ([1, 1, 2, 1] if ca == "pearl" else [None] * 4)
    neighbour = issue(ca, kind, firm_fields(ca, encoding, OTHER))
    assert identity_of(department, neighbour).id == f"uscc:{OTHER}"


def test_the_matrix_has_every_encoding() -> None:
    """The three profiles together allow every form that the library reads."""
    profiles = [parse_profile(profile_of(ca)) for ca in CAS]
    assert {form for profile in profiles for form in profile.sources[0].forms} == set(Form)


@pytest.mark.parametrize("kind", KINDS)
def test_one_citizen_one_id_in_an_application(department: Verifier, kind: str) -> None:
    """A citizen with certificates of all three CAs, one with the old number of 15 digits."""
    value = base64.b64encode(PERSON.encode()).decode()
    certificates = [
        issue("pearl", kind, {UID: tlv(UTF8, f"1@0006SF1{value}")}),
        issue("harbour", kind, {AGENT: tlv(0x80, "440300000101001")}),
        issue("summit", kind, {SUMMIT_PERSON: tlv(UTF8, PERSON), SUMMIT_CLASS: tlv(UTF8, "004")}),
    ]
    here = {identity_of(department, der).id for der in certificates}
    there = {identity_of(make_verifier(application="social"), der).id for der in certificates}
    assert len(here) == len(there) == 1
    assert here != there
    assert PERSON not in "".join(here | there)


def credit(number: str) -> dict[str, bytes]:
    return firm_fields("harbour", "SET", number)


def older(**numbers: str) -> dict[str, bytes]:
    """Numbers at harbour's older places: ``org``, ``regno``, ``tax``."""
    places = {"org": ORG_CODE, "regno": REGISTRATION, "tax": TAX}
    return {places[name]: tlv(PRINTABLE, number) for name, number in numbers.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fields", "alone", "registered"),
    [
        (credit(FIRM) | older(org="MA5DEM00-4"), f"uscc:{FIRM}", f"uscc:{FIRM}"),
        (credit(FIRM) | older(tax=TAX_NUMBER), f"uscc:{FIRM}", f"uscc:{FIRM}"),
        (credit(FIRM) | older(tax=FIRM, org=ORG), f"uscc:{FIRM}", f"uscc:{FIRM}"),
        (credit(FIRM) | older(regno=REGNO), f"uscc:{FIRM}", f"uscc:{FIRM}"),
        (credit(FIRM) | {AGENT: tlv(0x80, PERSON)}, f"uscc:{FIRM}", f"uscc:{FIRM}"),
        (older(org=ORG), f"org:{ORG}", f"uscc:{FIRM}"),
        (older(org=ORG.lower(), tax=TAX_NUMBER), f"org:{ORG}", f"uscc:{FIRM}"),
        (older(tax=TAX_NUMBER), f"org:{ORG}", f"uscc:{FIRM}"),
        (older(regno=REGNO), f"regno:{REGNO}", f"uscc:{FIRM}"),
        (older(org=ORG, regno=REGNO), f"org:{ORG}", f"uscc:{FIRM}"),
    ],
)
def test_older_numbers_lead_to_the_firm_through_the_register_only(
    department: Verifier, kind: str, fields: dict[str, bytes], alone: str, registered: str
) -> None:
    """Without a register an older number is an id of its own, and says that it is provisional."""
    certificate = issue("harbour", kind, fields)
    without = identity_of(department, certificate)
    assert without.id == alone
    assert without.entity is not None
    assert without.entity.provisional == (not alone.startswith("uscc:"))
    within = identity_of(make_verifier(registry=REGISTER), certificate)
    assert within.id == registered
    assert within.entity is not None
    assert not within.entity.provisional
    assert within.warnings == ()


def _subject(*numbers: str) -> x509.Name:
    serial = x509.ObjectIdentifier("2.5.4.5")
    common = x509.NameAttribute(x509.ObjectIdentifier("2.5.4.3"), "示例科技有限公司")
    return x509.Name([common, *(x509.NameAttribute(serial, number) for number in numbers)])


CONFLICTS: dict[str, tuple[dict[str, bytes], Any, Any]] = {
    "credit code, organisation code": (credit(FIRM) | older(org=OTHER_ORG), None, None),
    "credit code, tax number": (credit(FIRM) | older(tax=OTHER_TAX), None, None),
    "credit code, credit code as tax number": (credit(FIRM) | older(tax=OTHER), None, None),
    "credit code, credit code in the subject": (credit(FIRM), _subject(OTHER), None),
    "two credit codes in the subject": ({}, _subject(FIRM, OTHER), None),
    "organisation code, tax number": (older(org=ORG, tax=OTHER_TAX), None, None),
    "same organisation, other region": (credit(FIRM), _subject("91440101MA5DEM004N"), None),
    "registration number of another firm": (credit(FIRM) | older(regno=OTHER_REGNO), None, REGISTER),
    "organisation code, registration number": (older(org=ORG, regno=OTHER_REGNO), None, REGISTER),
    "register knows the registration number only": (
        credit(FIRM) | older(regno=OTHER_REGNO),
        None,
        MemoryRegistry({f"regno:{OTHER_REGNO}": RegistryEntry(uscc=OTHER, names=())}),
    ),
    "tax number unknown to the register, registration number of another": (
        older(tax=TAX_NUMBER, regno=OTHER_REGNO),
        None,
        MemoryRegistry({f"regno:{OTHER_REGNO}": RegistryEntry(uscc=OTHER, names=())}),
    ),
    "register gives another firm for the code": (
        older(org=ORG),
        None,
        MemoryRegistry({f"org:{ORG}": RegistryEntry(uscc=OTHER, names=())}),
    ),
    "register gives another firm for the credit code": (
        credit(FIRM),
        None,
        MemoryRegistry({f"uscc:{FIRM}": RegistryEntry(uscc=OTHER, names=())}),
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_contradict_each_other(kind: str, case: str) -> None:
    """Two numbers of one certificate, or a number and the register, name two firms. Must be refused."""
    fields, subject, registry = CONFLICTS[case]
    assert refusal(issue("harbour", kind, fields, subject=subject), registry=registry) == "IDENTITY_CONFLICT"


def refusal(certificate: bytes, *, registry: Any = None, **profiles: dict[str, Any]) -> str:
    with pytest.raises(RefusedError) as caught:
        identity_of(make_verifier(profiles, registry=registry), certificate)
    assert caught.value.text("zh") != caught.value.text("en")
    return caught.value.code


def scoped(ca: str, **scope: Any) -> dict[str, Any]:
    profile = profile_of(ca)
    profile["scope"].update(scope)
    return profile


BEYOND: dict[str, tuple[str, dict[str, bytes], dict[str, Any], Any]] = {
    "firm of another region": ("harbour", credit(ELSEWHERE), {}, None),
    "tax number of another region": ("harbour", older(tax=f"110000{ORG}"), {}, None),
    "registration number of another region": (
        "harbour",
        older(regno="11000010000001" + registration_number_check_digit("11000010000001")),
        {},
        None,
    ),
    "organisation code of a firm that the register has in another region": (
        "harbour",
        older(org=ORG),
        {},
        MemoryRegistry({f"org:{ORG}": RegistryEntry(uscc=ELSEWHERE, names=())}),
    ),
    "CA for persons names a firm": ("harbour", credit(FIRM), {"id_types": ["idcard"]}, None),
    "kind of number that is not granted": ("harbour", older(org=ORG), {"id_types": ["uscc"]}, None),
    "class that is not granted": ("harbour", credit(FIRM), {"classes": ["citizen"]}, None),
    "agent of another region": (
        "harbour",
        credit(FIRM) | {AGENT: tlv(0x80, PERSON)},
        {"person_regions": ["31"]},
        None,
    ),
    "citizen of another region": (
        "summit",
        {SUMMIT_PERSON: tlv(UTF8, PERSON), SUMMIT_CLASS: tlv(UTF8, "004")},
        {"person_regions": ["31"]},
        None,
    ),
    "employee where only organisations are granted": (
        "summit",
        {
            SUMMIT_ID: tlv(UTF8, FIRM),
            SUMMIT_PERSON: tlv(UTF8, PERSON),
            SUMMIT_CLASS: tlv(UTF8, "003"),
        },
        {"classes": ["organisation"]},
        None,
    ),
}


@pytest.mark.parametrize("case", BEYOND)
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_ca_may_not_assert(kind: str, case: str) -> None:
    """A number, a class or a region beyond the licence. Must be refused."""
    ca, fields, scope, registry = BEYOND[case]
    certificate = issue(ca, kind, fields)
    assert refusal(certificate, registry=registry, **{ca: scoped(ca, **scope)}) == "OUT_OF_SCOPE"


def test_an_agent_of_a_firm_is_never_the_firm(department: Verifier) -> None:
    """The same agent in certificates of two firms, and as a citizen: three ids."""
    agent = {AGENT: tlv(0x80, PERSON)}
    found = [identity_of(department, issue("harbour", "p-256", fields | agent)) for fields in _firms()]
    assert [one.id for one in found[:2]] == [f"uscc:{FIRM}", f"uscc:{OTHER}"]
    assert found[2].id.startswith("person:")
    assert len({one.person and one.person.id for one in found}) == 1


def _firms() -> Iterator[dict[str, bytes]]:
    yield from (credit(FIRM), credit(OTHER), {})
    assert ENTITY in credit(FIRM)

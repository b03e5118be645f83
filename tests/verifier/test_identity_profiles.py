"""One firm, three CAs that write its number in three places and many encodings: one id, or a refusal.

Certificates here are self-signed carriers of extensions: the path is validated elsewhere.
"""

import base64
import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.identity import (
    Identity,
    MemoryRegistry,
    PersonRule,
    RegistryEntry,
    identify,
    load_pairwise_key,
    parse_profile,
)
from onecert.verifier.identity.check_digits import registration_number_check_digit
from onecert.verifier.identity.errors import IdentityError, ProfileError
from onecert.verifier.identity.profile import load_profile

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
FIRM, OTHER = "91440300MA5DEM004J", "91440300MA5DEM0A63"
PERSON = "440300190001010015"
KEY = ec.generate_private_key(ec.SECP256R1())
PROFILES = Path(__file__).parents[2] / "demo" / "profiles"
ORG, AGENT, UID = "1.2.156.10260.4.1.4", "1.2.156.10260.4.1.1", "2.16.156.112548"
SUMMIT_ID, SUMMIT_CLASS, SUMMIT_PERSON = (f"1.3.6.1.4.1.58888.7.{n}" for n in (1, 2, 3))
RULE = PersonRule(application="tax", pairwise_key=b"k" * 32)


def cert(extensions: dict[str, bytes], *, name: str = "示例科技有限公司", policies: tuple[str, ...] = ()):
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")]))
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(T - timedelta(days=1))
        .not_valid_after(T + timedelta(days=1))
    )
    for oid, value in extensions.items():
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(unknown, critical=False)
    if policies:
        infos = [x509.PolicyInformation(x509.ObjectIdentifier(p), None) for p in policies]
        builder = builder.add_extension(x509.CertificatePolicies(infos), critical=False)
    return builder.sign(KEY, hashes.SHA256())


def tlv(tag: int, content: str | bytes) -> bytes:
    octets = content.encode() if isinstance(content, str) else content
    return bytes([tag, len(octets)]) + octets


def uid(value: str, kind: str = "ZZ", seq: str = "10001", code: str = "0006") -> bytes:
    return tlv(0x0C, f"{seq}@{code}{kind}1{base64.b64encode(value.encode()).decode()}")


def wrapped(value: str, alternative: int = 0) -> bytes:
    return tlv(0x31, tlv(0xA0 + alternative, tlv(0x13, value)))


def data(name: str) -> dict[str, Any]:
    return json.loads((PROFILES / f"{name}.json").read_text("utf-8"))


def resolve(name: str | dict[str, Any], certificate: x509.Certificate, **more: Any) -> Identity:
    profile = parse_profile(data(name) if isinstance(name, str) else name)
    return identify(certificate, profile, ca_service="ca", at=T, **{"persons": RULE, **more})


def refusal(name: str | dict[str, Any], certificate: x509.Certificate, **more: Any) -> str:
    with pytest.raises(VerifyError) as caught:
        resolve(name, certificate, **more)
    assert caught.value.text("zh") != caught.value.text("en")
    return caught.value.code


FORMS = {
    "pearl": [{UID: uid(FIRM)}, {UID: uid(FIRM, seq="2")}, {UID: tlv(0x0C, f"1@0006ZZ0{FIRM}")}],
    "harbour": [
        {ORG: wrapped(FIRM)},
        {ORG: tlv(0x30, tlv(0xA0, tlv(0x13, FIRM)))},
        {ORG: tlv(0xA0, tlv(0x13, FIRM))},
        {ORG: tlv(0x13, FIRM)},
        {ORG: wrapped(FIRM), AGENT: tlv(0x80, PERSON)},
        {ORG: wrapped(FIRM.lower())},
    ],
    "summit": [
        {SUMMIT_ID: tlv(0x0C, FIRM), SUMMIT_CLASS: tlv(0x0C, "001")},
        {SUMMIT_ID: tlv(0x0C, "９１440300MA5DEM004J"), SUMMIT_CLASS: tlv(0x0C, "001")},
    ],
}


@pytest.mark.parametrize(
    ("name", "extensions"), [(name, extensions) for name, many in FORMS.items() for extensions in many]
)
def test_three_cas_and_all_their_forms_give_one_id(name: str, extensions: dict[str, bytes]) -> None:
    identity = resolve(name, cert(extensions))
    assert identity.id == f"uscc:{FIRM}"
    assert identity.entity is not None
    assert not identity.entity.provisional
    assert identity.holder_class == "organisation"
    assert identity.name == "示例科技有限公司"


def test_key_number_is_not_identity() -> None:
    first, second = (
        resolve("pearl", cert({UID: uid(FIRM)})),
        resolve("pearl", cert({UID: uid(FIRM, seq="2")})),
    )
    assert (first.id, first.key_number) == (f"uscc:{FIRM}", 10001)
    assert (second.id, second.key_number) == (f"uscc:{FIRM}", 2)


def test_full_width_digits_are_accepted_with_a_warning() -> None:
    identity = resolve("summit", cert(FORMS["summit"][1]))
    assert identity.warnings == ("FULL_WIDTH",)


def test_agent_is_a_person_beside_the_entity_and_is_not_shown() -> None:
    """The agent's number (经办人) stands in an organisation certificate: entity is the firm."""
    identity = resolve("harbour", cert({ORG: wrapped(FIRM), AGENT: tlv(0x80, PERSON)}))
    assert identity.id == f"uscc:{FIRM}"
    assert identity.person is not None
    assert identity.person.id is not None
    assert identity.person.id.startswith("person:")
    assert identity.person.number is None
    assert PERSON not in repr(identity)


def test_employee_is_the_firm_with_a_person_beside_it() -> None:
    extensions = {
        SUMMIT_ID: tlv(0x0C, FIRM),
        SUMMIT_PERSON: tlv(0x0C, PERSON),
        SUMMIT_CLASS: tlv(0x0C, "003"),
    }
    identity = resolve("summit", cert(extensions))
    assert (identity.id, identity.holder_class) == (f"uscc:{FIRM}", "employee")
    assert identity.person is not None


def test_citizens_get_pairwise_ids() -> None:
    """Three CAs, one citizen: one id within an application, another id in another application."""
    certificates = {
        "pearl": cert({UID: uid(PERSON, "SF")}),
        "harbour": cert({AGENT: tlv(0x80, "440300000101001")}),  # the old number of 15 digits
        "summit": cert({SUMMIT_PERSON: tlv(0x0C, PERSON), SUMMIT_CLASS: tlv(0x0C, "004")}),
    }
    ids = {resolve(name, one).id for name, one in certificates.items()}
    assert len(ids) == 1
    assert PERSON not in "".join(ids)
    other = PersonRule(application="social", pairwise_key=b"k" * 32)
    assert resolve("pearl", certificates["pearl"], persons=other).id not in ids
    raw = PersonRule(application="police", raw_numbers=True)
    assert resolve("pearl", certificates["pearl"], persons=raw).id == f"idcard:{PERSON}"


def test_citizen_without_pairwise_key_could_not_be_named() -> None:
    with pytest.raises(CouldNotCheckError) as caught:
        resolve("pearl", cert({UID: uid(PERSON, "SF")}), persons=PersonRule(application="tax"))
    assert caught.value.code == "PAIRWISE_KEY_MISSING"


def test_pairwise_key_file(tmp_path: Path) -> None:
    path = tmp_path / "secret" / "pairwise.key"
    key = load_pairwise_key(path, create=True)
    assert load_pairwise_key(path, create=True) == key
    assert path.stat().st_mode & 0o777 == 0o600
    for broken in (tmp_path / "missing", tmp_path / "short"):
        (tmp_path / "short").write_bytes(b"1234")
        with pytest.raises(CouldNotCheckError):
            load_pairwise_key(broken)


def test_passport_and_officer() -> None:
    raw = PersonRule(application="a", raw_numbers=True)
    assert (
        resolve("harbour", cert({AGENT: tlv(0x82, "E12345678")}), persons=raw).id == "passport:CHN:E12345678"
    )
    assert resolve("harbour", cert({AGENT: tlv(0x81, "12345678")}), persons=raw).id == "officer:12345678"


@pytest.mark.parametrize(
    ("name", "extensions", "code"),
    [
        ("pearl", {}, "SOURCE_MISSING"),
        ("pearl", {UID: uid(FIRM, code="7025")}, "UID_CODE_NOT_ALLOWED"),
        ("pearl", {UID: uid(FIRM, kind="GS")}, "ID_KIND_NOT_ALLOWED"),
        ("pearl", {UID: uid(PERSON)}, "ID_CHECK_DIGIT"),  # a citizen's number in the place of a firm's
        ("pearl", {UID: uid("440300")}, "ID_KIND_NOT_ALLOWED"),
        ("pearl", {UID: tlv(0x13, "1")}, "ENCODING_NOT_ALLOWED"),
        ("pearl", {UID: tlv(0x0C, "1")}, "UID_GRAMMAR"),
        ("harbour", {}, "CLASS_UNKNOWN"),
        ("harbour", {ORG: wrapped(FIRM[:-1] + "K")}, "ID_CHECK_DIGIT"),
        ("harbour", {ORG: wrapped(FIRM, alternative=1)}, "ID_KIND_NOT_ALLOWED"),
        ("summit", {SUMMIT_ID: tlv(0x0C, FIRM)}, "CLASS_UNKNOWN"),
        ("summit", {SUMMIT_ID: tlv(0x0C, FIRM), SUMMIT_CLASS: tlv(0x0C, "004")}, "CLASS_CONFLICT"),
        ("summit", {SUMMIT_CLASS: tlv(0x0C, "001")}, "IDENTITY_MISSING"),
        ("summit", {SUMMIT_PERSON: tlv(0x0C, PERSON), SUMMIT_CLASS: tlv(0x0C, "001")}, "IDENTITY_MISSING"),
        ("summit", {SUMMIT_ID: tlv(0x13, FIRM), SUMMIT_CLASS: tlv(0x0C, "001")}, "ENCODING_NOT_ALLOWED"),
    ],
)
def test_refusals(name: str, extensions: dict[str, bytes], code: str) -> None:
    assert refusal(name, cert(extensions)) == code


def changed(name: str, **changes: Any) -> dict[str, Any]:
    profile = copy.deepcopy(data(name))
    profile.update(changes)
    return profile


def test_numbers_that_disagree_are_refused() -> None:
    """Credit code in one place, organisation code of another firm in a second place."""
    profile = changed("pearl")
    profile["sources"].append(
        {
            "source": "extension",
            "oid": ORG,
            "forms": ["utf8"],
            "id_types": ["uscc", "org"],
            "subject": "entity",
        }
    )
    assert resolve(profile, cert({UID: uid(FIRM), ORG: tlv(0x0C, "MA5DEM00-4")})).id == f"uscc:{FIRM}"
    assert refusal(profile, cert({UID: uid(FIRM), ORG: tlv(0x0C, "MA5DEM0A6")})) == "IDENTITY_CONFLICT"
    assert refusal(profile, cert({UID: uid(FIRM), ORG: tlv(0x0C, OTHER)})) == "IDENTITY_CONFLICT"


def test_two_key_numbers_are_refused() -> None:
    profile = changed("pearl")
    profile["sources"].append({**profile["sources"][0], "oid": ORG})
    assert refusal(profile, cert({UID: uid(FIRM), ORG: uid(FIRM, seq="2")})) == "IDENTITY_CONFLICT"


def test_subject_attribute_as_a_source_and_old_tax_number() -> None:
    profile = changed("summit", classes=[{"class": "organisation", "claims": "entity"}])
    profile["scope"]["id_types"] += ["tax", "org"]
    profile["sources"] = [
        {"source": "subject", "oid": "2.5.4.3", "id_types": ["tax"], "subject": "entity"},
        {"source": "extension", "oid": ORG, "forms": ["utf8"], "id_types": ["org"], "subject": "entity"},
    ]
    tax = cert({ORG: tlv(0x0C, "MA5DEM004")}, name="440300MA5DEM004")
    assert resolve(profile, tax).id == "org:MA5DEM004"
    assert resolve(profile, cert({}, name="440300MA5DEM004")).id == "org:MA5DEM004"
    assert resolve(profile, cert({}, name=FIRM)).id == f"uscc:{FIRM}"
    assert (
        refusal(profile, cert({ORG: tlv(0x0C, "MA5DEM0A6")}, name="440300MA5DEM004")) == "IDENTITY_CONFLICT"
    )


def test_organisation_code_alone_is_provisional_without_register() -> None:
    identity = resolve("harbour", cert({ORG: wrapped("MA5DEM004")}))
    assert identity.id == "org:MA5DEM004"
    assert identity.entity is not None
    assert identity.entity.provisional


def test_register_finds_the_credit_code_and_reports_names_and_states() -> None:
    entry = RegistryEntry(uscc=FIRM, names=("新名称有限公司", "示例科技有限公司"), state="cancelled")
    register = MemoryRegistry({"org:MA5DEM004": entry, f"uscc:{FIRM}": entry})
    identity = resolve("harbour", cert({ORG: wrapped("MA5DEM004")}), registry=register)
    assert identity.id == f"uscc:{FIRM}"
    assert identity.warnings == ("ENTITY_CLOSED", "NAME_DIFFERS")


def test_register_that_answers_with_another_firm_is_refused() -> None:
    register = MemoryRegistry({"org:MA5DEM004": RegistryEntry(uscc=OTHER, names=())})
    assert refusal("harbour", cert({ORG: wrapped("MA5DEM004")}), registry=register) == "IDENTITY_CONFLICT"


def test_registration_number_agrees_only_through_the_register() -> None:
    number = "440301100000015"
    number = number[:14] + registration_number_check_digit(number[:14])
    profile = changed("harbour")
    profile["scope"]["id_types"].append("regno")
    profile["sources"].append(
        {"source": "extension", "oid": UID, "forms": ["utf8"], "id_types": ["regno"], "subject": "entity"}
    )
    both = cert({ORG: wrapped(FIRM), UID: tlv(0x0C, number)})
    entry = RegistryEntry(uscc=FIRM, names=())
    assert resolve(profile, both).warnings == ("REGISTRATION_NUMBER_NOT_CONFIRMED",)
    agreeing = MemoryRegistry({f"regno:{number}": entry, f"uscc:{FIRM}": entry})
    assert resolve(profile, both, registry=agreeing).warnings == ()
    other = MemoryRegistry({f"regno:{number}": RegistryEntry(uscc=OTHER, names=()), f"uscc:{FIRM}": entry})
    assert refusal(profile, both, registry=other) == "IDENTITY_CONFLICT"
    alone = resolve(profile, cert({UID: tlv(0x0C, number)}))
    assert alone.id == f"regno:{number}"


def test_scope() -> None:
    """A CA licensed for persons asserts a firm; a CA of another province; a class it may not issue."""
    persons_only = changed("pearl")
    persons_only["scope"] = {"id_types": ["idcard"], "classes": ["citizen", "organisation"]}
    assert refusal(persons_only, cert({UID: uid(FIRM)})) == "OUT_OF_SCOPE"
    elsewhere = changed("pearl")
    elsewhere["scope"]["entity_regions"] = ["31", "1101"]
    assert refusal(elsewhere, cert({UID: uid(FIRM)})) == "OUT_OF_SCOPE"
    no_firms = changed("pearl")
    no_firms["scope"]["classes"] = ["citizen"]
    assert refusal(no_firms, cert({UID: uid(FIRM)})) == "OUT_OF_SCOPE"


def test_class_by_policy() -> None:
    rules = [
        {"class": "organisation", "policy": "1.3.6.1.4.1.58888.1.1"},
        {"class": "employee", "policy": "1.3.6.1.4.1.58888.1.2", "assurance": "low"},
    ]
    profile = changed("pearl", classes=rules)
    profile["scope"]["classes"].append("employee")
    extensions = {UID: uid(FIRM)}
    employee = resolve(profile, cert(extensions, policies=("1.3.6.1.4.1.58888.1.2",)))
    assert (employee.holder_class, employee.assurance) == ("employee", "low")
    both = cert(extensions, policies=("1.3.6.1.4.1.58888.1.1", "1.3.6.1.4.1.58888.1.2"))
    assert refusal(profile, both) == "CLASS_CONFLICT"
    assert refusal(profile, cert(extensions)) == "CLASS_UNKNOWN"


def test_profile_that_only_warns() -> None:
    profile = changed("summit", check="warn")
    extensions = {SUMMIT_ID: tlv(0x0C, FIRM[:-1] + "K"), SUMMIT_CLASS: tlv(0x0C, "001")}
    assert resolve(profile, cert(extensions)).warnings == ("ID_CHECK_DIGIT",)


def test_test_numbers_need_the_profiles_word() -> None:
    certificate = cert({UID: uid("999999190001010015", "SF")})
    assert resolve("pearl", certificate).holder_class == "citizen"
    assert refusal(changed("pearl", test_ids=False), certificate) == "ID_TEST"


@pytest.mark.parametrize("name", ["pearl", "harbour", "summit"])
def test_demo_profiles_load(name: str) -> None:
    assert load_profile((PROFILES / f"{name}.json").read_bytes()).name == name


def _without(profile: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in profile.items() if k != key}


SOURCE = data("summit")["sources"][0]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b'{"name": "a", "name": "b"}',
        b"\xff",
        b'{"name": NaN}',
        b"[" * 100_000,
        b" " * 70_000,
        _without(data("pearl"), "sources"),
        changed("pearl", surprise=1),
        changed("pearl", check="lax"),
        changed("pearl", version=True),
        changed("pearl", sources=[]),
        changed("summit", sources=[SOURCE, SOURCE]),
        changed("summit", sources=[{**SOURCE, "oid": "1.2.x"}]),
        changed("summit", sources=[{**SOURCE, "forms": ["utf9"]}]),
        changed("summit", sources=[{**SOURCE, "forms": []}]),
        changed("summit", sources=[{**SOURCE, "source": "subject"}]),
        changed("summit", sources=[{**SOURCE, "id_types": ["uscc", "idcard"]}]),  # both have 18 characters
        changed("summit", sources=[{**SOURCE, "id_types": ["passport"]}]),  # no country
        changed("summit", sources=[{**SOURCE, "grammar": "uid"}]),  # no types
        changed("summit", sources=[{**SOURCE, "ca_codes": ["0006"]}]),  # only with grammar uid
        changed("summit", classes=[{"class": "organisation"}]),
        changed("summit", classes=[{"class": "organisation", "claims": "entity", "policy": "1.2.3"}]),
        changed("summit", scope={"id_types": ["uscc"], "classes": ["organisation"], "entity_regions": ["4"]}),
    ],
)
def test_malformed_profiles_are_refused(broken: bytes | dict[str, Any]) -> None:
    content = broken if isinstance(broken, bytes) else json.dumps(broken).encode()
    with pytest.raises(ProfileError) as caught:
        load_profile(content)
    assert caught.value.code == "PROFILE_MALFORMED"


def test_identity_error_is_a_refusal_with_text() -> None:
    error = IdentityError("OUT_OF_SCOPE", what="number uscc")
    assert "uscc" in error.text("zh")
    assert error.hint("en")

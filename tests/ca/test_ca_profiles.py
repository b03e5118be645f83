"""Profiles, identity forms, drafts, lint, key rules and DER: the pure parts, without database or token."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from onecert.ca import der
from onecert.ca.ceremonies.file import load_ceremony_file
from onecert.ca.certificates.checked_request import checked_request
from onecert.ca.certificates.csr import CheckedKey, load_request
from onecert.ca.certificates.draft import (
    CheckedRequest,
    Draft,
    DraftMaker,
    Issuer,
    key_identifier,
    random_serial,
)
from onecert.ca.certificates.identity import IdentityForm, entity_of, read_value
from onecert.ca.certificates.keys import check_key
from onecert.ca.certificates.lint import check_certificate
from onecert.ca.certificates.names import subject_der
from onecert.ca.errors import CaError, IssuerExpiresError, LintError
from onecert.ca.lists.crl import Scope, check_crl, check_entry, draft_crl, entry_der
from onecert.ca.profiles.profile import (
    packaged_profile_names,
    profile_from_data,
    profile_from_json,
    resolved_profile,
)
from onecert.ca.signatures.algorithms import ThrowAwayKeys, spki_der

T = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
CEREMONIES = Path(__file__).parents[2] / "demo" / "ceremonies"
USCC, IDCARD = "91440300MA5DEM004J", "440300190001010015"
KEYS = ThrowAwayKeys()


def profiles(name: str) -> dict[str, Any]:
    return {profile.name: profile for profile in load_ceremony_file(CEREMONIES / f"{name}.toml").profiles}


def make_issuer(**changes: Any) -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    issuer = Issuer(
        name="harbour",
        subject_der=subject_der({"country": "CN", "organization": "海港", "common_name": "海港CA"}),
        public_key=key,
        key_id=key_identifier(spki_der(key)),
        not_before=T - timedelta(days=1),
        not_after=T + timedelta(days=3652),
        crl_url="http://127.0.0.1:8080/ca/harbour.crl",
        certificate_url="http://127.0.0.1:8080/ca/harbour.cer",
        ocsp_url="http://127.0.0.1:8080/ca/harbour/ocsp",
    )
    return replace(issuer, **changes)


def make_request(profile: Any, csr: Any, **changes: Any) -> CheckedRequest:
    values = {"uscc": USCC, "agent_idcard": IDCARD, "idcard": IDCARD}
    wanted = (*profile.identity_required, *profile.identity_optional)
    subject = {"common_name": "虚构公司", "country": "CN"}
    if "organization" in profile.subject:
        subject["organization"] = "虚构公司"
    arguments: dict[str, Any] = {
        "csr_pem": csr(),
        "subject": subject,
        "identity": {name: values[name] for name in wanted},
        "at": T,
        "dns_names": ("localhost",) if profile.alternative_names else (),
        "addresses": ("127.0.0.1", "::1") if profile.alternative_names else (),
    }
    return checked_request(profile, **(arguments | changes))


def make_draft(profile: Any, csr: Any, *, key_number: int = 1, **changes: Any) -> Draft:
    issuer = make_issuer()
    request = make_request(profile, csr, **changes)
    return DraftMaker(issuer, profile).draft(request, serial=random_serial(), key_number=key_number, at=T)


def sign(draft: Draft) -> bytes:
    return KEYS.sign(draft.issuer.algorithm, draft.tbs_der)


# ------------------------------------------------------------------ profiles


@pytest.mark.parametrize("authority", ["pearl", "harbour", "summit", "operations"])
def test_every_profile_of_every_ceremony_drafts_and_lints(authority: str, csr: Any) -> None:
    for profile in profiles(authority).values():
        draft = make_draft(profile, csr)
        certificate = check_certificate(sign(draft), draft)
        assert certificate.tbs_certificate_bytes == draft.tbs_der
        assert profile_from_json(profile.as_json()) == profile
        assert profile_from_json(profile.as_json()).sha256 == profile.sha256


def test_packaged_profiles_are_the_agreed_ones() -> None:
    assert packaged_profile_names() == [
        "attribute-authority", "citizen", "cross", "device", "drill", "employee", "issuing", "ocsp",
        "operator", "organisation", "root", "timestamp", "tls-client", "tls-server",
    ]  # fmt: skip


def test_faulty_profile_names_every_fault() -> None:
    with pytest.raises(CaError) as caught:
        profile_from_data(
            {
                "name": "x",
                "version": 0,
                "holder": "cat",
                "validity_days": 0,
                "key_kinds": ["rsa-512"],
                "key_usage": ["everything"],
                "subject": {"nickname": {}, "common_name": {"colour": "red"}, "title": {"alphabet": "runes"}},
                "identity": [{"oid": "1.2.3"}],
                "surprise": True,
            }
        )
    text = str(caught.value)
    faults = (
        "version",
        "holder",
        "validity_days",
        "rsa-512",
        "everything",
        "nickname",
        "common_name",
        "runes",
    )
    assert all(word in text for word in (*faults, "identity", "surprise", "“title” is missing"))


def test_unknown_profile_is_refused() -> None:
    with pytest.raises(CaError):
        resolved_profile("wizard")


# ------------------------------------------------------------------ identity forms


def values_of(certificate: bytes) -> dict[str, bytes]:
    parsed = x509.load_der_x509_certificate(certificate)
    return {
        each.oid.dotted_string: each.value.value
        for each in parsed.extensions
        if isinstance(each.value, x509.UnrecognizedExtension)
    }


def test_pearl_writes_the_unique_entity_identifier(csr: Any) -> None:
    draft = make_draft(profiles("pearl")["organisation"], csr, key_number=2)
    encoded = base64.b64encode(USCC.encode()).decode()
    expected = der.utf8(f"10002@0006ZZ1{encoded}")
    assert values_of(sign(draft)) == {"2.16.156.112548": expected}


def test_harbour_writes_the_extensions_of_gm_t_0015(csr: Any) -> None:
    draft = make_draft(profiles("harbour")["organisation"], csr)
    assert values_of(sign(draft)) == {
        "1.2.156.10260.4.1.4": bytes.fromhex("3116a0141312") + USCC.encode(),
        "1.2.156.10260.4.1.1": bytes.fromhex("8012") + IDCARD.encode(),
    }


def test_summit_writes_private_extensions_and_the_class(csr: Any) -> None:
    draft = make_draft(profiles("summit")["employee"], csr)
    assert values_of(sign(draft)) == {
        "1.3.6.1.4.1.58888.7.1": der.utf8(USCC),
        "1.3.6.1.4.1.58888.7.2": der.utf8("003"),
        "1.3.6.1.4.1.58888.7.3": der.utf8(IDCARD),
    }


def test_optional_number_that_is_not_given_has_no_extension(csr: Any) -> None:
    draft = make_draft(profiles("harbour")["organisation"], csr, identity={"uscc": USCC})
    certificate = sign(draft)
    check_certificate(certificate, draft)
    assert set(values_of(certificate)) == {"1.2.156.10260.4.1.4"}


@pytest.mark.parametrize(
    "syntax",
    ["utf8", "printable", "ia5", "choice-implicit", "choice-explicit", "set-explicit", "sequence-explicit"],
)
def test_what_is_written_is_read_back(syntax: str) -> None:
    form = IdentityForm(oid="1.2.3", value="uscc", syntax=syntax)
    encoded = form.extension_der({"uscc": USCC}, 1)
    assert encoded is not None
    value = der.Reader(encoded).enter()
    value.element()
    content = value.take(der.OCTET_STRING)
    assert read_value(content, syntax) == USCC
    assert form.find_fault(content, {"uscc": USCC}, 1) is None
    assert form.find_fault(content, {"uscc": "other"}, 1)
    assert form.find_fault(content + b"\x00", {"uscc": USCC}, 1)


def test_holders_are_told_apart() -> None:
    assert entity_of("organisation", {"uscc": USCC}, "x", "organisation") == f"uscc:{USCC}"
    assert entity_of("employee", {"uscc": USCC, "idcard": IDCARD}, "x", "e") == f"employee:{USCC}:{IDCARD}"
    assert entity_of("citizen", {"idcard": IDCARD}, "x", "citizen") == f"idcard:{IDCARD}"
    assert entity_of("system", {}, "x", "operator") == "system:operator:x"


# ------------------------------------------------------------------ drafts and lint


def test_lifetime_is_exact_to_the_second(csr: Any) -> None:
    """365 days are 365 days: the last second counts (Let's Encrypt 2021: one second too long)."""
    draft = make_draft(profiles("harbour")["organisation"], csr)
    assert draft.not_before == T
    assert draft.not_after == T + timedelta(days=1095) - timedelta(seconds=1)


def test_never_longer_than_its_issuer(csr: Any) -> None:
    profile = profiles("harbour")["organisation"]
    maker = DraftMaker(make_issuer(not_after=T + timedelta(days=100)), profile)
    with pytest.raises(IssuerExpiresError):
        maker.draft(make_request(profile, csr), serial=random_serial(), key_number=1, at=T)


def test_dates_from_2050_are_generalized_time(csr: Any) -> None:
    profile = replace(profiles("harbour")["organisation"], validity_days=10000)
    issuer = make_issuer(not_after=T + timedelta(days=20000))
    draft = DraftMaker(issuer, profile).draft(
        make_request(profile, csr), serial=random_serial(), key_number=1, at=T
    )
    assert check_certificate(sign(draft), draft).not_valid_after_utc.year > 2050


def test_serials_have_128_random_bits_and_a_fixed_lead() -> None:
    serials = {random_serial() for _ in range(1000)}
    assert len(serials) == 1000
    assert {serial >> 128 for serial in serials} == {0x4F}


BREAKS: dict[str, tuple[bytes, bytes]] = {
    "other issuer": ("海港CA".encode(), "海湾CA".encode()),
    "other algorithm": (bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040303")),
    "other subject": ("虚构公司".encode(), "实在公司".encode()),
    "other number": (USCC.encode(), b"91440300MA5DEM0A63"),
    "other list": (b"harbour.crl", b"harbouy.crl"),
    "other responder": (b"harbour/ocsp", b"harbour/ocxp"),
    "other usage": (bytes.fromhex("030206c0"), bytes.fromhex("03020640")),
    "other purpose": (bytes.fromhex("2b06010505070302"), bytes.fromhex("2b06010505070301")),
    "other policy": (der.oid("1.3.6.1.4.1.58888.8.2.1"), der.oid("1.3.6.1.4.1.58888.8.2.9")),
    "not critical": (bytes.fromhex("551d0f0101ff"), bytes.fromhex("551d0f010100")),
    "another extension": (der.oid("1.2.156.10260.4.1.1"), der.oid("1.2.156.10260.4.1.9")),
    "twice the same": (der.oid("1.2.156.10260.4.1.1"), der.oid("1.2.156.10260.4.1.4")),
    "string type": (b"\x13\x02CN", b"\x0c\x02CN"),
    "one day longer": (b"291120085959Z", b"291121085959Z"),
    "serial without lead": (bytes.fromhex("02114f"), bytes.fromhex("02111f")),
    "key identifier": (bytes.fromhex("551d0e04160414"), bytes.fromhex("551d0e04160413")),
}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("seen_before", [False, True])
def test_lint_finds(name: str, seen_before: bool, csr: Any) -> None:
    """A draft whose bytes are changed in one place; the lint must say so, also after it saw a right one."""
    draft = make_draft(profiles("harbour")["organisation"], csr)
    if seen_before:
        check_certificate(sign(draft), draft)
    old, new = BREAKS[name]
    assert old in draft.tbs_der, name
    broken = replace(draft, tbs_der=draft.tbs_der.replace(old, new))
    with pytest.raises(LintError):
        check_certificate(sign(broken), draft)


def test_lint_finds_another_key(csr: Any) -> None:
    draft = make_draft(profiles("harbour")["organisation"], csr)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    request = replace(draft.request, key=CheckedKey(other, spki_der(other)))
    with pytest.raises(LintError):
        check_certificate(sign(draft), replace(draft, request=request))


def test_lint_remembers_no_verdict_across_rules(csr: Any) -> None:
    """The same bytes are right under one profile and issuer, and wrong under another."""
    draft = make_draft(profiles("harbour")["organisation"], csr)
    check_certificate(sign(draft), draft)
    profile = draft.request.profile
    for changed in (
        replace(draft, issuer=replace(draft.issuer, crl_url="http://127.0.0.1:8080/ca/other.crl")),
        replace(draft, issuer=replace(draft.issuer, ocsp_url="")),
        replace(draft, issuer=replace(draft.issuer, key_id=bytes(20))),
        replace(draft, request=replace(draft.request, profile=replace(profile, policies=("1.2.3",)))),
        replace(draft, request=replace(draft.request, identity={"uscc": USCC})),
    ):
        with pytest.raises(LintError):
            check_certificate(sign(draft), changed)


def test_lint_checks_alternative_names_each_time(csr: Any) -> None:
    draft = make_draft(profiles("operations")["tls-server"], csr)
    check_certificate(sign(draft), draft)
    other = replace(draft, request=replace(draft.request, dns_names=("otherhost",)))
    with pytest.raises(LintError):
        check_certificate(sign(draft), other)


def test_lint_refuses_fields_that_we_never_write(csr: Any) -> None:
    """An issuerUniqueID between key and extensions."""
    draft = make_draft(profiles("harbour")["organisation"], csr)
    spki = draft.request.key.spki_der
    content = der.Reader(draft.tbs_der).element()[1].replace(spki, spki + der.implicit(1, b"\x00\x01"))
    broken = replace(draft, tbs_der=der.sequence(content))
    with pytest.raises(LintError):
        check_certificate(sign(broken), draft)


# ------------------------------------------------------------------ keys


def test_keys_that_are_no_keys_here() -> None:
    with pytest.raises(CaError):
        check_key(object(), ("p-256",))


def test_sm2_request_with_a_point_off_the_curve_is_malformed(csr: Any) -> None:
    body = base64.b64decode("".join(csr().splitlines()[1:-1]))
    # The same request with the curve of SM2 instead of P-256; both object identifiers have 8 and 8 octets.
    swapped = body.replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a811ccf5501822d"))
    pem = "-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(swapped).decode()
    with pytest.raises(CaError) as caught:
        load_request(pem + "-----END CERTIFICATE REQUEST-----\n")
    assert caught.value.code == "CSR_MALFORMED"


# ------------------------------------------------------------------ lists


def test_list_lint_finds_each_difference() -> None:
    issuer = make_issuer()
    entries = [entry_der(random_serial(), T, "keyCompromise", None) for _ in range(3)]
    times = {"this_update": T, "next_update": T + timedelta(days=1)}
    draft = draft_crl(issuer, number=7, entries=entries, **times)
    encoded = KEYS.sign(issuer.algorithm, draft.tbs_der)
    assert len(check_crl(encoded, draft)) == 3
    for change in (
        {"number": 8},
        {"entries": 2},
        {"this_update": T - timedelta(seconds=1)},
        {"next_update": T + timedelta(days=2)},
        {"issuer": make_issuer()},
        {"tbs_parts": (*draft.tbs_parts, b"\x00")},
    ):
        with pytest.raises(LintError):
            check_crl(encoded, replace(draft, **change))
    with pytest.raises(LintError):
        check_crl(b"nonsense", draft)


@pytest.mark.parametrize(
    "scope",
    [
        Scope(url="http://127.0.0.1:8080/ca/harbour-1.crl"),
        Scope(url="http://127.0.0.1:8080/ca/harbour-1.crl", base_number=5),
        Scope(delta_url="http://127.0.0.1:8080/ca/harbour-delta.crl"),
    ],
)
def test_list_lint_knows_partitions_and_deltas(scope: Scope) -> None:
    """Each scope passes as itself and as no other: another name, another base, none at all."""
    issuer = make_issuer()
    times = {"this_update": T, "next_update": T + timedelta(days=1)}
    draft = draft_crl(issuer, number=7, entries=[], scope=scope, **times)
    encoded = KEYS.sign(issuer.algorithm, draft.tbs_der)
    check_crl(encoded, draft)
    for other in (
        Scope(),
        replace(scope, url=f"{scope.url}x"),
        replace(scope, delta_url=f"{scope.delta_url}x"),
        replace(scope, base_number=6),
    ):
        with pytest.raises(LintError):
            check_crl(encoded, replace(draft, scope=other))


def test_delta_on_itself_is_no_delta() -> None:
    issuer = make_issuer()
    times = {"this_update": T, "next_update": T + timedelta(days=1)}
    draft = draft_crl(issuer, number=7, entries=[], scope=Scope(base_number=7), **times)
    with pytest.raises(LintError):
        check_crl(KEYS.sign(issuer.algorithm, draft.tbs_der), draft)


def test_reason_unspecified_is_left_out() -> None:
    assert entry_der(5, T, "unspecified", None) == der.sequence(der.integer(5), der.time(T))


def test_entry_lint() -> None:
    encoded = entry_der(5, T, "superseded", T)
    check_entry(encoded, 5)
    for broken, serial in ((encoded, 6), (encoded + b"\x00", 5), (encoded[:-1], 5)):
        with pytest.raises(LintError):
            check_entry(broken, serial)


# ------------------------------------------------------------------ DER


@given(st.integers(min_value=0, max_value=1 << 200))
def test_integers_round_trip(number: int) -> None:
    reader = der.Reader(der.integer(number))
    assert reader.take_integer() == number
    reader.end()


@given(st.binary(max_size=400))
def test_the_reader_raises_only_its_own_error(data: bytes) -> None:
    reader = der.Reader(data)
    try:
        for _tag, _content, whole in reader.each():
            assert whole in data
    except der.DerError:
        pass


@given(st.binary(max_size=300))
def test_octet_strings_round_trip(data: bytes) -> None:
    assert der.Reader(der.octet_string(data)).take(der.OCTET_STRING) == data


@pytest.mark.parametrize(
    "encoded", ["3080", "3081", "30817f", "308200ff", "0201", "1f0100", "3003020101ff", "02020001", "020180"]
)
def test_what_is_not_der_is_refused(encoded: str) -> None:
    def walk(data: bytes) -> None:
        reader = der.Reader(data)
        if reader.peek() == der.INTEGER:
            reader.take_integer()
        reader.element()
        reader.end()

    with pytest.raises(der.DerError):
        walk(bytes.fromhex(encoded))


@pytest.mark.parametrize("dotted", ["1", "3.1", "1.40"])
def test_wrong_object_identifiers(dotted: str) -> None:
    with pytest.raises(der.DerError):
        der.oid(dotted)


def test_known_encodings() -> None:
    assert der.oid("2.5.29.15").hex() == "0603551d0f"
    assert der.oid("1.2.840.10045.4.3.2").hex() == "06082a8648ce3d040302"
    assert der.named_bits(frozenset({0, 1})).hex() == "030206c0"
    assert der.named_bits(frozenset({5, 6})).hex() == "03020106"
    assert der.named_bits(frozenset()).hex() == "030100"

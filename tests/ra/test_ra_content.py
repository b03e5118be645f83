"""What is typed: normalised, checked, each fault with its field; requests (CSR) of every bad kind."""

import base64
import subprocess
from datetime import date

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from ra_fakes import IDCARD, USCC, make_csr, make_key

from onecert.ra.applications.records import split_personal
from onecert.ra.content.checking import canonical_json, check_content, order_identity, order_subject
from onecert.ra.content.csr import MAX_OCTETS, RequestFault, load_request
from onecert.ra.content.fields import ALL_FIELDS, FIELDS, Kind
from onecert.ra.content.ids import masked_idcard

TODAY = date(2026, 11, 21)
GOOD = {
    "organization_name": "深圳市示例科技有限公司",
    "uscc": USCC,
    "state_or_province": "广东省",
    "locality": "深圳市",
    "agent_name": "张三",
    "agent_idcard": IDCARD,
    "mobile": "13800000000",
    "consent": "paper",
    "consent_version": "2026-11",
}
CSR = make_csr()


def check(csr=CSR, *, test_ids=False, **changes):
    return check_content(Kind.ORGANISATION, "pearl", {**GOOD, **changes}, csr, at=TODAY, test_ids=test_ids)


def codes(outcome) -> set[tuple[str, str]]:
    return {(fault.field, fault.code) for fault in outcome.faults}


def test_good_content_becomes_an_order() -> None:
    """Everything valid: subject and identity numbers as the wire contract says."""
    content = check().content
    assert order_subject(content) == {
        "common_name": "深圳市示例科技有限公司",
        "organization": "深圳市示例科技有限公司",
        "locality": "深圳市",
        "state_or_province": "广东省",
        "country": "CN",
    }
    assert order_identity(content) == {"uscc": USCC, "agent_idcard": IDCARD}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("uscc", "91440300MA5DEM004K", "ID_CHECK_DIGIT"),
        ("uscc", "91440300MA5DEM00", "ID_LENGTH"),
        ("uscc", "9144O300MA5DEM004J", "ID_CHARACTER"),
        ("uscc", "91440300MA5DEM0054", "ID_CHECK_DIGIT"),
        ("agent_idcard", "440300190001010016", "ID_CHECK_DIGIT"),
        ("agent_idcard", "440300190002300013", "ID_CHECK_DIGIT"),
        ("agent_idcard", "999999190001010015", "ID_TEST"),
        ("agent_idcard", "", "FIELD_MISSING"),
        ("organization_name", "深" * 65, "FIELD_TOO_LONG"),
        ("organization_name", "Окно有限公司", "FIELD_ALPHABET"),
        ("organization_name", "名称\u202e", "FIELD_ALPHABET"),
        ("organization_name", "😀有限公司", "FIELD_ALPHABET"),
        ("organization_name", "<b>有限公司</b>", "FIELD_ALPHABET"),
        ("organization_name", "a\u200bb", "FIELD_ALPHABET"),
        ("agent_name", "张三1", "FIELD_ALPHABET"),
        ("mobile", "12345678901", "FIELD_FORM"),
        ("email", "nobody", "FIELD_FORM"),
        ("postcode", "51800", "FIELD_FORM"),
        ("state_or_province", "\0", "FIELD_ALPHABET"),
    ],
)
def test_each_fault_names_its_field(field, value, code) -> None:
    """One wrong value at a time."""
    outcome = check(**{field: value})
    assert codes(outcome) == {(field, code)}
    assert outcome.content is None


def test_all_faults_come_at_once() -> None:
    """A clerk corrects a form once, not field by field."""
    outcome = check(csr="", uscc="x", mobile="")
    assert codes(outcome) == {("uscc", "ID_LENGTH"), ("mobile", "FIELD_MISSING"), ("csr", "CSR_MISSING")}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" 91440300ma5dem004j ", USCC),
        ("９１４４０３００ＭＡ５ＤＥＭ００４Ｊ", USCC),
        ("\u300091440300MA5DEM004J", USCC),
    ],
)
def test_codes_are_spelled_one_way(typed, kept) -> None:
    """Blanks, lower case, full width. Must be accepted and kept in one spelling."""
    outcome = check(uscc=typed)
    assert outcome.values["uscc"] == kept
    assert outcome.faults == ()


def test_full_width_leaves_a_note_and_brackets_stay() -> None:
    """Letters become ASCII with a note; full-width brackets belong to registered names."""
    outcome = check(organization_name="ＡＢＣ贸易（深圳）有限公司")
    assert outcome.values["organization_name"] == "ABC贸易（深圳）有限公司"
    assert [note.field for note in outcome.notes] == ["organization_name"]


def test_rare_han_characters_are_names() -> None:
    """Extension B, as in rare personal names; 〇 (U+3007), which Unicode keeps among the symbols."""
    assert check(agent_name="\U00020bb7\U000242ee").faults == ()
    assert check(agent_name="张〇").faults == ()


def test_a_company_is_no_citizen() -> None:
    """A firm's name in the form for natural persons."""
    fields = {"name": "某某有限公司", "idcard": IDCARD, "state_or_province": "广东省", "locality": "深圳市"}
    fields |= {"mobile": "13800000000", "consent": "paper", "consent_version": "2026-11"}
    outcome = check_content(Kind.CITIZEN, "pearl", fields, CSR, at=TODAY, test_ids=False)
    assert codes(outcome) == {("name", "NAME_NOT_A_PERSON")}


def test_a_field_of_another_type_is_not_swallowed() -> None:
    """REST or CSV gives a department to an organisation certificate. Must be named, not dropped."""
    assert codes(check(organizational_unit="财务部")) == {("organizational_unit", "FIELD_UNKNOWN")}


def test_the_hash_covers_every_field_and_the_salt() -> None:
    """Change anything, and the hash changes; the order of keys does not matter."""
    base = check().content.sha256("salt")
    assert check(note="x").content.sha256("salt") != base
    assert check(csr=make_csr()).content.sha256("salt") != base
    assert check().content.sha256("other") != base
    assert check().content.sha256("salt") == base
    assert canonical_json({"b": 1, "a": "深"}) == '{"a":"深","b":1}'.encode()


def test_personal_fields_are_split_off() -> None:
    """Whatever names a person or is unknown goes to the sealed part."""
    opened, personal = split_personal({**GOOD, "unheard_of": "1"})
    assert set(personal) == {"agent_name", "agent_idcard", "mobile", "unheard_of"}
    assert "uscc" in opened
    assert masked_idcard(IDCARD) == "440300***********5"


@given(st.dictionaries(st.sampled_from(sorted(ALL_FIELDS)), st.text(max_size=200)), st.binary(max_size=300))
def test_checking_never_raises(fields, csr) -> None:
    """Any text in any field and any octets as a request: an outcome, not an exception."""
    for kind in Kind:
        outcome = check_content(kind, "pearl", fields, csr, at=TODAY, test_ids=True)
        assert outcome.content is None or not outcome.faults
        assert {fault.field for fault in outcome.faults} <= {f.name for f in FIELDS[kind]} | {"csr"} | set(
            fields
        )


# ------------------------------------------------------------------ requests


def refused(data) -> str:
    with pytest.raises(RequestFault) as caught:
        load_request(data)
    return caught.value.fault.code


@pytest.mark.parametrize("kind", ["p-256", "rsa-2048"])
def test_a_good_request_is_previewed(kind) -> None:
    """Key, name, proof of possession."""
    request = load_request(make_csr(make_key(kind), name="示例"))
    assert request.key.lower() == kind
    assert "示例" in request.subject
    assert request.signature == "sha256"


def test_der_and_surrounding_text_are_fine() -> None:
    """A DER file, and a PEM block with a mail's text around it."""
    pem = make_csr()
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    assert load_request(der).pem == load_request(f"Dear clerk,\n{pem}\nRegards").pem


def test_bad_requests_have_codes_of_their_own() -> None:
    """Each kind of bad request, as it comes over the counter."""
    key, pem = make_key(), make_csr()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert refused("rubbish") == "CSR_MALFORMED"
    assert refused(b"\x30\x03\x02\x01\x01") == "CSR_MALFORMED"
    assert refused(pem[:200]) == "CSR_MALFORMED"
    assert refused(pem + pem) == "CSR_NOT_ONE"
    assert refused("A" * (MAX_OCTETS + 1)) == "CSR_TOO_LONG"
    assert refused(private) == "CSR_PRIVATE_KEY"
    assert refused(make_csr(make_key("rsa-1024"))) == "KEY_WEAK"
    assert refused(make_csr(ec.generate_private_key(ec.SECP521R1()))) == "KEY_TYPE"
    assert refused(make_csr(ec.generate_private_key(ec.SECP256K1()))) == "KEY_TYPE"


def test_a_request_signed_by_another_key_is_refused() -> None:
    """One bit of the signature is changed. It proves nothing."""
    der = bytearray(base64.b64decode("".join(make_csr(make_key("rsa-2048")).splitlines()[1:-1])))
    der[-5] ^= 1
    assert refused(bytes(der)) == "CSR_SIGNATURE"


def test_a_small_public_exponent_is_weak() -> None:
    """RSA with e = 3."""
    key = rsa.generate_private_key(public_exponent=3, key_size=2048)
    assert refused(make_csr(key, algorithm=hashes.SHA256())) == "KEY_WEAK"


def test_a_request_signed_with_sha1_is_refused(tmp_path) -> None:
    """As very old software makes them."""
    command = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-sha1", "-subj", "/CN=old"]
    done = subprocess.run(
        [*command, "-keyout", tmp_path / "key"], capture_output=True, check=False, timeout=60
    )
    if done.returncode:
        pytest.skip("this openssl makes no SHA-1 requests")
    assert refused(done.stdout) == "CSR_WEAK_HASH"


def test_extensions_asked_for_are_named(tmp_path) -> None:
    """A request that asks to be a CA gets a note, and nothing else."""
    command = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=me"]
    made = subprocess.run(
        [*command, "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", tmp_path / "key"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert len(load_request(made.stdout).notes) == 1

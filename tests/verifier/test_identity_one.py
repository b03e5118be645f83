"""One id for one holder: properties over all CAs, all their encodings, and everything that is no number."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onecert.verifier.certificate import parse_certificate
from onecert.verifier.errors import VerifyError
from onecert.verifier.identity import Identity, IdentityProfile, PersonRule, identify, load_profile
from onecert.verifier.identity.check_digits import organisation_code_check_digit, uscc_check_digit
from onecert.verifier.identity.reading import Readings

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
FOLDER = Path(__file__).parents[2] / "demo" / "profiles"
PROFILES = {
    name: load_profile((FOLDER / f"{name}.json").read_bytes()) for name in ("pearl", "harbour", "summit")
}
RULE = PersonRule(application="tax", pairwise_key=b"k" * 32)
ORG, AGENT, UID = "1.2.156.10260.4.1.4", "1.2.156.10260.4.1.1", "2.16.156.112548"
SUMMIT_ID, SUMMIT_CLASS, SUMMIT_PERSON = (f"1.3.6.1.4.1.58888.7.{n}" for n in (1, 2, 3))
PLACES = {
    "pearl": (UID,),
    "harbour": (ORG, AGENT),
    "summit": (SUMMIT_ID, SUMMIT_PERSON, SUMMIT_CLASS),
}
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
MANY = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def certificate(extensions: dict[str, bytes], name: str = "示例科技有限公司") -> bytes:
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
    made = builder.sign(KEY, hashes.SHA256())
    return made.public_bytes(encoding=serialization.Encoding.DER)


def resolve(profile: IdentityProfile, der: bytes, *, at: datetime = T) -> Identity:
    return identify(der, profile, ca_service="ca", at=at, persons=RULE)


def fresh(profile: IdentityProfile) -> IdentityProfile:
    """The same profile, with nothing remembered."""
    return replace(profile)


def tlv(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


@st.composite
def credit_codes(draw: st.DrawFn) -> str:
    """A credit code with right check digits, of the region that the three CAs may certify."""
    organisation = "".join(draw(st.lists(st.sampled_from(ALPHABET), min_size=8, max_size=8)))
    first17 = "91" + "440300" + organisation + organisation_code_check_digit(organisation)
    return first17 + uscc_check_digit(first17)


def written(number: str, ca: str, way: int, seq: int) -> dict[str, bytes]:
    """The number as this CA writes it; ``way`` chooses among its encodings."""
    octets = number.encode()
    if ca == "pearl":
        plain = f"{seq}@0006ZZ0{number}"
        packed = f"{seq}@0006ZZ1{base64.b64encode(octets).decode()}"
        return {UID: tlv(0x0C, (plain, packed)[way % 2].encode())}
    if ca == "harbour":
        inner = tlv(0x13, octets.lower() if way % 2 else octets)
        return {
            ORG: (tlv(0x31, tlv(0xA0, inner)), tlv(0x30, tlv(0xA0, inner)), tlv(0xA0, inner), inner)[way % 4]
        }
    wide = "".join(chr(ord(c) + 0xFEE0) for c in number) if way % 2 else number
    return {SUMMIT_ID: tlv(0x0C, wide.encode()), SUMMIT_CLASS: tlv(0x0C, b"001")}


CAS = st.sampled_from(sorted(PROFILES))


@MANY
@given(credit_codes(), credit_codes(), CAS, CAS, st.integers(0, 3), st.integers(0, 3), st.integers(1, 99999))
def test_ids_are_equal_exactly_when_the_numbers_are(
    one: str, two: str, first: str, second: str, way: int, other_way: int, seq: int
) -> None:
    """Two certificates of any two CAs in any encoding, a renewal or another key: one id for one firm only."""
    a = resolve(PROFILES[first], certificate(written(one, first, way, seq)))
    b = resolve(PROFILES[second], certificate(written(one, second, other_way, 1), name="更名后的公司"))
    c = resolve(PROFILES[second], certificate(written(two, second, other_way, seq)))
    assert a.id == b.id == f"uscc:{one}"
    assert (c.id == a.id) == (one == two)


@MANY
@given(CAS, st.data())
def test_nothing_but_our_errors_and_no_id_out_of_thin_air(ca: str, data: st.DataObject) -> None:
    """Any octets where numbers are expected. Must refuse, or name a number that stands there."""
    wrappings = st.sampled_from([b"", b"\x0c", b"\x13", b"\x31", b"\xa0", b"\x80", b"\x1e", b"\x16"])
    values = {}
    for oid in data.draw(st.sets(st.sampled_from(PLACES[ca]), min_size=1)):
        content = data.draw(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
        head = data.draw(wrappings)
        values[oid] = head + bytes([len(content)]) + content if head and len(content) < 128 else content
    try:
        der = certificate(values)
    except ValueError:
        return
    try:
        identity = resolve(PROFILES[ca], der)
    except VerifyError:
        return
    assert identity.id.startswith(("uscc:", "org:", "person:"))


@MANY
@given(credit_codes(), credit_codes(), CAS, st.integers(0, 3), st.integers(0, 3))
def test_what_is_remembered_says_what_a_new_reading_says(
    one: str, two: str, ca: str, way: int, other_way: int
) -> None:
    """A profile that has read many, and the same profile that has read none."""
    for number, chosen in ((one, way), (two, other_way), (one, other_way), (one, way)):
        der = certificate(written(number, ca, chosen, 7))
        assert resolve(PROFILES[ca], der) == resolve(fresh(PROFILES[ca]), der)


def test_every_field_of_a_reading_counts() -> None:
    """Change one field that the profile reads. Must be read anew."""
    profile = PROFILES["summit"]
    firm = tlv(0x0C, b"91440300MA5DEM004J")
    organisation = resolve(profile, certificate({SUMMIT_ID: firm, SUMMIT_CLASS: tlv(0x0C, b"001")}))
    employee = {
        SUMMIT_ID: firm,
        SUMMIT_CLASS: tlv(0x0C, b"003"),
        SUMMIT_PERSON: tlv(0x0C, b"440300190001010015"),
    }
    other_class = resolve(profile, certificate(employee))
    other_name = resolve(
        profile, certificate({SUMMIT_ID: firm, SUMMIT_CLASS: tlv(0x0C, b"001")}, name="另一家公司")
    )
    assert (organisation.holder_class, other_class.holder_class) == ("organisation", "employee")
    assert other_class.person is not None
    assert organisation.person is None
    assert other_name.name == "另一家公司"


def test_memory_of_readings_is_bounded() -> None:
    """A flood of readings."""
    profile = fresh(PROFILES["pearl"])
    readings = Readings(profile)
    der = certificate(written("91440300MA5DEM004J", "pearl", 0, 1))
    for day in range(5000):
        readings.read(parse_certificate(der), T + timedelta(days=day))
    assert 2048 <= len(readings) <= 4096

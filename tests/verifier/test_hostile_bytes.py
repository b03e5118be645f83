"""Whatever bytes go in, only this library's errors come out.

Starts from good certificates, lists and answers and damages them: octets, whole TLVs, lengths, strings from a
dictionary of what parsers trip over. What still loads is used as far as it goes.
"""

from __future__ import annotations

import gc
import ipaddress
import tracemalloc
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onecert.verifier import (
    PathValidator,
    RevocationEvidence,
    VerifyError,
    load_certificate,
    load_crl,
    load_ocsp,
    load_public_key,
    parse_certificate,
    validate_path,
)
from onecert.verifier.certificate import decode_pem
from onecert.verifier.explanation import error_as_dict
from onecert.verifier.names import display_name
from onecert.verifier.purposes import ANY
from onecert.verifier.signatures import parse_algorithm

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
SNIPPETS = [bytes.fromhex(text) for text in (
    "00", "ff", "80", "3080", "0000", "308400000000", "0201ff", "0500", "a000", "0101ff", "010100", "1f81",
    "170d3236313132313039303030305a", "180f32303236313132313039303030305a", "06032a0304", "0c00", "1e01ff",
    "551d1e", "551d11", "551d20", "551d21", "551d24", "551d1c", "551d1b", "551d1d", "0303070680",
    "8700", "a400",
)]  # fmt: skip
Mutation = Callable[[bytes], bytes]


def mutations() -> st.SearchStrategy[Mutation]:
    where = st.floats(0, 1, exclude_max=True)

    def at(data: bytes, share: float) -> int:
        return int(share * len(data))

    def flip(share: float, value: int) -> Mutation:
        return lambda d: d[: at(d, share)] + bytes((value,)) + d[at(d, share) + 1 :]

    def insert(share: float, snippet: bytes) -> Mutation:
        return lambda d: d[: at(d, share)] + snippet + d[at(d, share) :]

    def overwrite(share: float, snippet: bytes) -> Mutation:
        return lambda d: d[: at(d, share)] + snippet + d[at(d, share) + len(snippet) :]

    def cut(share: float, length: int) -> Mutation:
        return lambda d: d[: at(d, share)] + d[at(d, share) + length :]

    def repeat(share: float, length: int) -> Mutation:
        return lambda d: d[: at(d, share) + length] + d[at(d, share) :]

    snippets = st.sampled_from(SNIPPETS)
    return st.one_of(
        st.builds(flip, where, st.integers(0, 255)),
        st.builds(overwrite, where, snippets),
        st.builds(insert, where, snippets),
        st.builds(cut, where, st.integers(1, 8)),
        st.builds(repeat, where, st.integers(1, 40)),
    )


def relength(data: bytes) -> bytes:
    """Correct the length of the outermost TLV, so that damage inside is looked at."""
    with suppress(IndexError):
        if data[1] == 0x82:
            return data[:2] + (len(data) - 4).to_bytes(2, "big") + data[4:]
        if data[1] == 0x81:
            return data[:2] + bytes(((len(data) - 3) & 0xFF,)) + data[3:]
    return data


DAMAGE = st.lists(mutations(), min_size=1, max_size=4)
HARD = settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])


def damaged(data: bytes, damage: list[Mutation], fix: bool) -> bytes:
    for mutate in damage:
        data = mutate(data)
    return relength(data) if fix else data


@pytest.fixture(scope="module")
def material(shared_pki: Any) -> dict[str, Any]:
    """A rich chain: every extension that is parsed occurs in it."""
    pki = shared_pki
    uri = x509.UniformResourceIdentifier("http://a.cn/1.crl")
    policies = [x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.1"), ["http://a.cn/cps"])]
    mappings = pki.tlv(0x30, pki.tlv(0x30, *(pki.tlv(0x06, b"\x2a\x03" + bytes((i,))) for i in (1, 2))))
    root = pki.root()
    ca = pki.ca(
        root,
        path_length=3,
        extra=[
            (x509.NameConstraints([x509.DNSName("a.cn")], [x509.RFC822Name("b.cn")]), True),
            (x509.CertificatePolicies(policies), False),
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), mappings), False),
            (x509.PolicyConstraints(5, 5), True),
            (x509.InhibitAnyPolicy(5), True),
        ],
    )
    names = [x509.DNSName("x.a.cn"), uri, x509.IPAddress(ipaddress.ip_address("10.0.0.1"))]
    names.append(x509.DirectoryName(root.subject))
    point = x509.DistributionPoint([uri], None, None, None)
    access = x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, uri)
    leaf = pki.leaf(
        ca,
        extended=[x509.ExtendedKeyUsageOID.CLIENT_AUTH],
        extra=[
            (x509.SubjectAlternativeName(names), False),
            (x509.CRLDistributionPoints([point]), False),
            (x509.AuthorityInformationAccess([access]), False),
            (x509.CertificatePolicies(policies), False),
        ],
    )
    pki.revoke(ca, pki.leaf(ca, "Other"), extra=[(x509.InvalidityDate(T), False)])
    scope = x509.IssuingDistributionPoint([uri], None, False, False, None, False, False)
    crl = pki.crl(ca, extra=[(scope, True)])
    responder = pki.responder(ca)
    answer = pki.ocsp(ca, leaf, responder=responder, nonce=b"nonce")
    return {"root": root, "ca": ca, "leaf": leaf, "crl": crl, "ocsp": answer, "root_crl": pki.crl(root)}


def check(material: dict[str, Any], **parts: bytes) -> None:
    """Validate with some part replaced; anything but an answer or a VerifyError is a failure of the test."""
    with suppress(VerifyError):
        validate_path(
            parts.get("leaf", material["leaf"].der),
            candidates=[parts.get("ca", material["ca"].der)],
            anchors=[material["root"].anchor],
            at=T,
            purpose=ANY,
            revocation=RevocationEvidence(
                crls=[parts.get("crl", material["crl"]), material["root_crl"]],
                ocsp=[parts.get("ocsp", material["ocsp"])],
            ),
        )


def test_the_material_is_good(material: dict[str, Any]) -> None:
    path = validate_path(
        material["leaf"].der,
        candidates=[material["ca"].der],
        anchors=[material["root"].anchor],
        at=T,
        purpose=ANY,
        revocation=RevocationEvidence(crls=[material["crl"], material["root_crl"]], ocsp=[material["ocsp"]]),
    )
    assert len(path.evidence) == 3


@HARD
@given(st.sampled_from(["leaf", "ca"]), DAMAGE, st.booleans())
def test_certificates(material: dict[str, Any], which: str, damage: list[Mutation], fix: bool) -> None:
    data = damaged(material[which].der, damage, fix)
    with suppress(VerifyError):
        parsed = parse_certificate(data)
        for name in dir(parsed):
            if not name.startswith("_"):
                getattr(parsed, name)
        with suppress(VerifyError):
            load_public_key(parsed.spki_der)
    check(material, **{which: data})


@HARD
@given(DAMAGE, st.booleans())
def test_lists(material: dict[str, Any], damage: list[Mutation], fix: bool) -> None:
    data = damaged(material["crl"], damage, fix)
    with suppress(VerifyError):
        crl = load_crl(data)
        crl.find(material["leaf"].certificate.serial_number)
        with suppress(VerifyError):
            crl.check_fresh(T)
        with suppress(VerifyError):
            crl.check_signature(material["ca"].certificate.public_key(), at=T)
    check(material, crl=data)


@HARD
@given(DAMAGE, st.booleans())
def test_answers(material: dict[str, Any], damage: list[Mutation], fix: bool) -> None:
    data = damaged(material["ocsp"], damage, fix)
    with suppress(VerifyError):
        answer = load_ocsp(data)
        assert answer.certificates is not None
    check(material, ocsp=data)


@HARD
@given(DAMAGE)
def test_keys(material: dict[str, Any], damage: list[Mutation]) -> None:
    spki = (
        material["ca"].certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    with suppress(VerifyError):
        load_public_key(damaged(spki, damage, fix=False))


@given(st.binary(max_size=200))
def test_arbitrary_bytes(data: bytes) -> None:
    for load in (load_certificate, load_crl, load_ocsp, load_public_key):
        with suppress(VerifyError):
            load(data)  # type: ignore[operator]
    with suppress(VerifyError):
        decode_pem(b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----\n", "CERTIFICATE")


@pytest.mark.parametrize("data", ["300c00bb30820161a00302010202"])
def test_found_by_fuzzing(data: str) -> None:
    """Inputs that once let another exception out."""
    for load in (load_certificate, load_crl, load_ocsp):
        with pytest.raises(VerifyError):
            load(bytes.fromhex(data))


def test_numbers_too_long_to_print(pki: Any) -> None:
    """Python refuses to write out integers of thousands of digits, wherever a text wants one."""
    long = b"\x7f" * 2000
    with pytest.raises(VerifyError, match="NOT_DER"):
        load_ocsp(pki.tlv(0x30, pki.tlv(0x0A, long)))
    sha256 = pki.tlv(0x30, bytes.fromhex("0609608648016503040201"))
    mgf1 = pki.tlv(0x30, bytes.fromhex("06092a864886f70d010108"), sha256)
    parts = (pki.tlv(0xA0, sha256), pki.tlv(0xA1, mgf1), pki.tlv(0xA2, pki.tlv(0x02, long)))
    algorithm = pki.tlv(0x30, bytes.fromhex("06092a864886f70d01010a"), pki.tlv(0x30, *parts))
    with pytest.raises(VerifyError, match="NOT_DER"):
        parse_algorithm(algorithm)
    root = pki.root()
    assert load_crl(pki.crl(root, number=(1 << 159) - 1)).number == (1 << 159) - 1
    with pytest.raises(VerifyError, match="NOT_DER"):
        load_crl(pki.crl(root, number=1 << 8000))


def test_a_serial_that_is_not_positive_is_no_reason_for_a_warning(pki: Any) -> None:
    """cryptography warns whoever reads such a serial; warnings are errors here."""
    leaf = pki.leaf(pki.root(), serial=0x7F).der.replace(
        b"\xa0\x03\x02\x01\x02\x02\x01\x7f", b"\xa0\x03\x02\x01\x02\x02\x01\x80"
    )
    parsed = parse_certificate(leaf)
    assert parsed.serial == -128
    with pytest.raises(VerifyError) as caught:
        validate_path(parsed, anchors=[], at=T)
    assert error_as_dict(caught.value)["certificate"] == "-80"


def test_names_do_not_write_on_the_terminal() -> None:
    """A name may hold what clears a screen, ends a line or turns the writing around; shown, it does not."""
    shown = "a\\1b[2J\\0db\\e2\\80\\aec\\e2\\80\\a8"
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a\x1b[2J\rb\u202ec\u2028")])
    assert display_name(name.public_bytes()) == f"CN={shown}"


def test_large_extensions_and_names_are_not_kept(pki: Any) -> None:
    """Caches bound how many things they hold; a stream of large certificates must not fill them either."""
    ca = pki.root()

    def large(number: int) -> bytes:
        names = x509.SubjectAlternativeName([x509.DNSName(f"{number}-{i}") for i in range(3000)])
        unit = x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, f"{number}" * 20)
        return bytes(pki.leaf(ca, x509.Name([unit] * 50), extra=[(names, False)]).der)

    stream = [large(number) for number in range(20)]
    parse_certificate(stream.pop()).subject
    tracemalloc.start()
    try:
        for data in stream:
            assert len(parse_certificate(data).subject) == 50
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < sum(map(len, stream))


def test_a_validator_does_not_keep_large_candidates(pki: Any) -> None:
    """root; each leaf brings a large "CA" of its own, which the root has not signed."""
    root = pki.root()
    validator = PathValidator(anchors=[root.anchor])
    names = x509.SubjectAlternativeName([x509.DNSName(f"{i}.a.cn") for i in range(3000)])
    stream = []
    for number in range(20):
        ca = pki.ca(pki.party(root.certificate, pki.key()), f"CA {number}", extra=[(names, False)])
        stream.append((pki.leaf(ca).der, ca.der))
    with pytest.raises(VerifyError, match="SIGNATURE"):
        validator.validate(stream[0][0], at=T, candidates=[stream[0][1]])
    tracemalloc.start()
    try:
        for leaf, ca_der in stream:
            with pytest.raises(VerifyError, match="SIGNATURE"):
                validator.validate(leaf, at=T, candidates=[bytes(bytearray(ca_der))])
        gc.collect()  # errors and their frames know each other
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < sum(len(ca_der) for _, ca_der in stream) / 2


@pytest.mark.parametrize("value", ["82016e", "0c81016e", "0c0182", "0c00"])
@pytest.mark.parametrize("constrained", [True, False])
def test_an_unreadable_mailbox(pki: Any, value: str, constrained: bool) -> None:
    """root -> CA with or without a constraint on e-mail -> leaf whose SmtpUTF8Mailbox is no UTF8String.

    It is refused where addresses are constrained, and of no concern elsewhere.
    """
    root = pki.root()
    tree = x509.RFC822Name("a.cn") if constrained else x509.DNSName("a.cn")
    ca = pki.ca(root, extra=[(x509.NameConstraints([tree], None), True)])
    mailbox = pki.tlv(0xA0, bytes.fromhex("06082b06010505070809"), pki.tlv(0xA0, bytes.fromhex(value)))
    names = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), pki.tlv(0x30, mailbox))
    leaf = pki.leaf(ca, extra=[(names, False)])
    expected = pytest.raises(VerifyError, match="NAME_CONSTRAINT") if constrained else nullcontext()
    with expected:
        pki.validate(leaf, root=root, cas=[ca], crls=pki.crls(root, ca), purpose=ANY)


def test_deeply_nested(pki: Any) -> None:
    """Thousands of nested SEQUENCEs end in an error, not in a crash."""
    data = b""
    for _ in range(5000):
        data = pki.tlv(0x30, data)
    for load in (load_certificate, load_crl, load_ocsp):
        with pytest.raises(VerifyError):
            load(data)

"""One encoding for every key, signature and algorithm identifier; each other one is refused, with a code."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from onecert.verifier import (
    PathParameters,
    RefusedError,
    RevocationMode,
    RevocationPolicy,
    SignatureInvalidError,
    TrustAnchor,
    VerifyError,
    validate_path,
)
from onecert.verifier.login import default_algorithm
from onecert.verifier.purposes import ANY
from onecert.verifier.signatures import (
    ALGORITHMS,
    DEFAULT_ALGORITHMS,
    check_spki,
    load_public_key,
    parse_algorithm,
    spki_der,
    verify_signature,
)

DATA = b"what was signed"
NULL = b"\x05\x00"
ORDER_TAILS = {
    "secp256r1": "00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    "secp384r1": "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    "secp521r1": "fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
}
# Curve, algorithm, order: ones, then the tail.
CURVES = {
    curve.name: (
        curve,
        algorithm,
        ((1 << curve.key_size) - 1 >> 4 * len(tail) << 4 * len(tail)) + int(tail, 16),
    )
    for curve, algorithm in (
        (ec.SECP256R1(), "ecdsa-sha256"),
        (ec.SECP384R1(), "ecdsa-sha384"),
        (ec.SECP521R1(), "ecdsa-sha512"),
    )
    for tail in (ORDER_TAILS[curve.name],)
}


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def integer(tlv: Any, value: int) -> bytes:
    return bytes(tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)))


@pytest.mark.parametrize("name", CURVES)
def test_ecdsa_signatures(pki: Any, sm2_tools: Any, name: str) -> None:
    """One signature, written in every other way, and numbers out of range."""
    tlv = pki.tlv
    curve, algorithm, n = CURVES[name]
    key = ec.generate_private_key(curve)
    row = ALGORITHMS[algorithm]
    assert row.ecdsa
    r, s = decode_dss_signature(key.sign(DATA, row.ecdsa))
    first, second = integer(tlv, r), integer(tlv, s)
    good = tlv(0x30, first, second)
    verify_signature(key.public_key(), algorithm, good, DATA)
    # The other signature of the pair is as good: nothing here depends on there being one.
    verify_signature(key.public_key(), algorithm, tlv(0x30, first, integer(tlv, n - s)), DATA)

    body = first + second
    long_form = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    for wrong in (
        b"",
        tlv(0x30),
        good[:-1],
        good + b"\x00",
        long_form,
        b"\x30\x80" + body + b"\x00\x00",
        tlv(0x31, body),
        tlv(0x30, first),
        tlv(0x30, body, integer(tlv, 1)),
        tlv(0x30, tlv(2, b"\x00" + first[2:]), second),  # padded
        tlv(0x30, first, tlv(2, b"\x00" + second[2:])),
        tlv(0x30, integer(tlv, r - n), second),
        tlv(0x30, first, integer(tlv, -s)),
        tlv(0x30, integer(tlv, r + n), second),
        tlv(0x30, first, integer(tlv, s + n)),
        tlv(0x30, integer(tlv, 0), second),
        tlv(0x30, first, integer(tlv, 0)),
        tlv(0x30, integer(tlv, n), second),
        tlv(0x30, first, integer(tlv, n)),
        tlv(0x30, tlv(2), second),
        r.to_bytes(66, "big") + s.to_bytes(66, "big"),
    ):
        with pytest.raises(SignatureInvalidError) as caught:
            verify_signature(key.public_key(), algorithm, wrong, DATA)
        assert caught.value.code == "SIGNATURE_INVALID", wrong.hex()


def test_rsa_signatures(rsa_key: rsa.RSAPrivateKey) -> None:
    """As long as the modulus, below it, and nothing but the padding of the scheme (RFC 8017, section 8)."""
    public = rsa_key.public_key()
    numbers = public.public_numbers()
    good = rsa_key.sign(DATA, padding.PKCS1v15(), hashes.SHA256())
    value = int.from_bytes(good)
    for wrong in (
        b"\x00" + good,
        good + b"\x00",
        good[:-1],
        bytes(256),
        bytes(255) + b"\x01",
        numbers.n.to_bytes(256),
        (numbers.n - value).to_bytes(256),
        (value + numbers.n).to_bytes(257),
    ):
        with pytest.raises(SignatureInvalidError):
            verify_signature(public, "rsa-sha256", wrong, DATA)
    for other in ("rsa-sha384", "rsa-pss-sha256"):
        with pytest.raises(SignatureInvalidError):
            verify_signature(public, other, good, DATA)


@pytest.mark.parametrize("kind", ["ed25519", "ed448", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_signatures_of_one_length(kind: str) -> None:
    makers: dict[str, Any] = {
        "ed25519": ed25519.Ed25519PrivateKey,
        "ed448": ed448.Ed448PrivateKey,
        "ml-dsa-44": mldsa.MLDSA44PrivateKey,
        "ml-dsa-65": mldsa.MLDSA65PrivateKey,
        "ml-dsa-87": mldsa.MLDSA87PrivateKey,
    }
    key = makers[kind].generate()
    good = key.sign(DATA)
    verify_signature(key.public_key(), kind, good, DATA)
    wrongs = [good[:-1], good + b"\x00", bytes(len(good)), b"\xff" * len(good)]
    if kind == "ed25519":  # S + L, which a lax verifier takes for S (RFC 8032, section 5.1.7)
        order = 2**252 + 27742317777372353535851937790883648493
        wrongs.append(good[:32] + (int.from_bytes(good[32:], "little") + order).to_bytes(32, "little"))
    for wrong in wrongs:
        with pytest.raises(SignatureInvalidError):
            verify_signature(key.public_key(), kind, wrong, DATA)


def spki(tlv: Any, algorithm: bytes, key: bytes) -> bytes:
    return bytes(tlv(0x30, tlv(0x30, algorithm), tlv(3, b"\x00", key)))


@pytest.mark.parametrize("name", CURVES)
def test_points(pki: Any, name: str) -> None:
    """RFC 5480, section 2: named curve, uncompressed point on it. A leaf's form is judged without loading."""
    tlv = pki.tlv
    curve = CURVES[name][0]
    public = ec.generate_private_key(curve).public_key()
    good = spki_der(public)
    assert load_public_key(good) == public
    check_spki(good, DEFAULT_ALGORITHMS)

    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    compressed = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    size = len(point) // 2
    algorithm = good[good.index(bytes.fromhex("06072a8648ce3d0201")) : good.index(b"\x00" + point)]
    algorithm = algorithm[: 9 + 2 + algorithm[10]]
    assert spki(tlv, algorithm, point) == good
    hybrid = bytes((6 + point[-1] % 2,)) + point[1:]
    for form in (compressed, hybrid, b"\x00", b"", bytes(len(point)), point[1:]):
        for check in (load_public_key, lambda key: check_spki(key, DEFAULT_ALGORITHMS)):
            with pytest.raises(RefusedError) as caught:
                check(spki(tlv, algorithm, form))
            assert caught.value.code == "KEY_INVALID", form.hex()
    for wrong in (
        point[:-1] + bytes((point[-1] ^ 1,)),
        b"\x04" + bytes(2 * size),
        b"\x04" + b"\xff" * size + point[size + 1 :],
        point + b"\x00",
        point[:-1],
    ):
        with pytest.raises(RefusedError) as caught:
            load_public_key(spki(tlv, algorithm, wrong))
        assert caught.value.code == "KEY_INVALID"


def test_curves_without_a_name(pki: Any) -> None:
    """Parameters written out, as in CVE-2020-0601, NULL, or absent: never accepted, nor in a leaf."""
    tlv = pki.tlv
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    explicit = tlv(
        0x30,
        integer(tlv, 1),
        tlv(0x30, bytes.fromhex("06072a8648ce3d0101"), integer(tlv, p)),
        tlv(0x30, tlv(4, (p - 3).to_bytes(32)), tlv(4, b.to_bytes(32))),
        tlv(4, point),  # a generator of the attacker's choice
        integer(tlv, CURVES["secp256r1"][2]),
        integer(tlv, 1),
    )
    for parameters in (explicit, NULL, b""):
        encoded = spki(tlv, bytes.fromhex("06072a8648ce3d0201") + parameters, point)
        for check in (load_public_key, lambda key: check_spki(key, DEFAULT_ALGORITHMS)):
            with pytest.raises(RefusedError) as caught:
                check(encoded)
            assert caught.value.code in {"KEY_INVALID", "UNSUPPORTED_ALGORITHM", "WEAK_KEY"}


def test_forms_of_other_keys(pki: Any, rsa_key: rsa.RSAPrivateKey) -> None:
    """RFC 3279: NULL for RSA. RFC 8410 and 9881: nothing for EdDSA and ML-DSA, keys of their one length."""
    tlv = pki.tlv
    pkcs1 = rsa_key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    rsa_oid = bytes.fromhex("06092a864886f70d010101")
    load_public_key(spki(tlv, rsa_oid + NULL, pkcs1))
    negative = tlv(0x30, tlv(2, b"\x80" + bytes(255)), integer(tlv, 65537))
    wrongs = [spki(tlv, rsa_oid, pkcs1), spki(tlv, rsa_oid + NULL, negative)]
    wrongs += [spki(tlv, rsa_oid + NULL, pkcs1 + b"\x00"), spki(tlv, rsa_oid + NULL, tlv(0x30))]
    for public, size in (
        (ed25519.Ed25519PrivateKey.generate().public_key(), 32),
        (ed448.Ed448PrivateKey.generate().public_key(), 57),
        (mldsa.MLDSA44PrivateKey.generate().public_key(), 1312),
        (mldsa.MLDSA65PrivateKey.generate().public_key(), 1952),
        (mldsa.MLDSA87PrivateKey.generate().public_key(), 2592),
    ):
        good = spki_der(public)
        octets = good[-size:]
        start = good.index(b"\x06")
        oid = good[start : start + 2 + good[start + 1]]
        assert spki(tlv, oid, octets) == good
        assert load_public_key(good) == public
        wrongs += [
            spki(tlv, oid + NULL, octets),
            spki(tlv, oid, octets[:-1]),
            spki(tlv, oid, octets + b"\x00"),
        ]
    for wrong in wrongs:
        with pytest.raises(RefusedError) as caught:
            load_public_key(wrong)
        assert caught.value.code == "KEY_INVALID"


@pytest.mark.parametrize("parameters", ["none", "sha256", "salt 40", "sha1", "null", "octets after"])
def test_keys_for_pss_alone(pki: Any, rsa_key: rsa.RSAPrivateKey, parameters: str) -> None:
    """RFC 4055, sections 1.2 and 3.3: a key of id-RSASSA-PSS checks PSS signatures, with its own hash and no
    less salt than it names; nothing of PKCS #1 v1.5."""
    tlv = pki.tlv
    pkcs1 = rsa_key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    whole = pss(tlv, change={"salt": tlv(0xA2, tlv(2, b"\x28"))} if parameters == "salt 40" else {})
    oid = bytes.fromhex("06092a864886f70d01010a")
    inside = {
        "none": oid,
        "sha1": oid + b"\x30\x00",  # the defaults
        "null": oid + NULL,
        "octets after": whole[2:] + NULL,
    }.get(parameters, whole[2:])
    encoded = spki(tlv, inside, pkcs1)
    if parameters in {"sha1", "null", "octets after"}:
        with pytest.raises(RefusedError) as caught:
            load_public_key(encoded)
        assert caught.value.code == "KEY_INVALID"
        return
    key = load_public_key(encoded)
    assert spki_der(key) == encoded
    assert key == load_public_key(encoded)
    assert key != rsa_key.public_key()
    assert default_algorithm(key) == "rsa-pss-sha256"

    def verdict(algorithm: str | bytes, signature: bytes) -> str:
        try:
            verify_signature(key, algorithm, signature, DATA)
        except VerifyError as error:
            return error.code
        return ""

    def signed(scheme: Any, digest: Any) -> bytes:
        return rsa_key.sign(DATA, scheme, digest)

    sha256, sha384 = hashes.SHA256(), hashes.SHA384()
    assert verdict("rsa-sha256", signed(padding.PKCS1v15(), sha256)) == "ALGORITHM_MISMATCH"
    by_default = signed(padding.PSS(padding.MGF1(sha256), 32), sha256)
    assert verdict("rsa-pss-sha256", by_default) == ("ALGORITHM_MISMATCH" if parameters == "salt 40" else "")
    other = signed(padding.PSS(padding.MGF1(sha384), 48), sha384)
    assert verdict("rsa-pss-sha384", other) == ("" if parameters == "none" else "ALGORITHM_MISMATCH")
    salted = pss(tlv, change={"salt": tlv(0xA2, tlv(2, b"\x28"))})
    assert verdict(salted, signed(padding.PSS(padding.MGF1(sha256), 40), sha256)) == ""
    assert verdict("rsa-pss-sha256", bytes(256)) == (
        "ALGORITHM_MISMATCH" if parameters == "salt 40" else "SIGNATURE_INVALID"
    )


def test_path_below_a_key_for_pss_alone(pki: Any, rsa_key: rsa.RSAPrivateKey) -> None:
    """A CA of such a key (openssl genpkey -algorithm rsa-pss) -> leaf: signed with PSS good, else refused."""
    tlv = pki.tlv
    pkcs1 = rsa_key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    encoded = spki(tlv, bytes.fromhex("06092a864886f70d01010a"), pkcs1)
    root = pki.root("PSS", key=rsa_key)
    anchor = TrustAnchor(name_der=root.subject.public_bytes(), public_key_der=encoded)
    for scheme, code in ((padding.PSS(padding.MGF1(hashes.SHA256()), 32), ""), (None, "ALGORITHM_MISMATCH")):
        builder = (
            x509.CertificateBuilder(issuer_name=root.subject, subject_name=pki.name("Clerk 7"))
            .public_key(pki.key().public_key())
            .serial_number(7)
            .not_valid_before(pki.T - pki.DAY)
            .not_valid_after(pki.T + pki.DAY)
        )
        leaf = builder.sign(rsa_key, hashes.SHA256(), rsa_padding=scheme)
        parameters = PathParameters(purpose=ANY, revocation=RevocationPolicy(mode=RevocationMode.OFF))
        try:
            validate_path(leaf, anchors=(anchor,), at=pki.T, parameters=parameters)
            found = ""
        except RefusedError as error:
            found = error.code
        assert found == code


def test_short_rsa_pss_key_of_a_leaf(pki: Any) -> None:
    """id-RSASSA-PSS in the key is RSA too: it is as weak as under its usual name."""
    short = rsa.generate_private_key(65537, 1024).public_key()
    pkcs1 = short.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    encoded = spki(pki.tlv, bytes.fromhex("06092a864886f70d01010a"), pkcs1)
    with pytest.raises(RefusedError) as caught:
        check_spki(encoded, DEFAULT_ALGORITHMS)
    assert caught.value.code == "WEAK_KEY"


@pytest.mark.parametrize("name", sorted(name for name in ALGORITHMS if "pss" not in name))
def test_parameters_of_each_algorithm(pki: Any, name: str) -> None:
    """NULL, or nothing, as the algorithm's RFC has it; SM2 has both. Anything else is not that algorithm."""
    row = ALGORITHMS[name]
    arcs = [int(arc) for arc in row.oid.split(".")]
    octets = bytes((40 * arcs[0] + arcs[1],))
    for arc in arcs[2:]:
        parts = [arc & 0x7F]
        while arc := arc >> 7:
            parts.append(0x80 | arc & 0x7F)
        octets += bytes(reversed(parts))
    oid = pki.tlv(6, octets)
    accepted = {b"", NULL} if row.optional_null else {NULL} if row.null_parameters else {b""}
    for parameters in (b"", NULL, b"\x05\x01\x00", b"\x30\x00", b"\x04\x00", NULL + NULL, b"\x05\x81\x00"):
        encoded = pki.tlv(0x30, oid, parameters)
        if parameters in accepted:
            assert parse_algorithm(encoded) is row
        else:
            with pytest.raises(VerifyError) as caught:
                parse_algorithm(encoded)
            assert caught.value.code == "NOT_DER"


SHA256, SHA384 = (bytes.fromhex(f"06096086480165030402{n}") for n in ("01", "02"))
SHA1 = bytes.fromhex("06052b0e03021a")
MGF1 = bytes.fromhex("06092a864886f70d010108")


def pss(tlv: Any, *, change: dict[str, bytes | None], after: bytes = b"") -> bytes:
    """The identifier of RSASSA-PSS with SHA-256, some of its parameters changed or left out."""
    parts: dict[str, bytes | None] = {
        "hash": tlv(0xA0, tlv(0x30, SHA256, NULL)),
        "mgf": tlv(0xA1, tlv(0x30, MGF1, tlv(0x30, SHA256, NULL))),
        "salt": tlv(0xA2, tlv(2, b"\x20")),
        "trailer": None,
        **change,
    }
    sequence = tlv(0x30, *(part for part in parts.values() if part is not None), after)
    return bytes(tlv(0x30, bytes.fromhex("06092a864886f70d01010a"), sequence))


def test_pss_parameters(pki: Any, rsa_key: rsa.RSAPrivateKey) -> None:
    """RFC 4055, section 3.1: what verifiers must take; other hashes and functions are refused."""
    tlv = pki.tlv

    def salted(length: int) -> bytes:
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), length)
        return rsa_key.sign(DATA, scheme, hashes.SHA256())

    public = rsa_key.public_key()
    for change, length in (
        ({}, 32),
        ({"hash": tlv(0xA0, tlv(0x30, SHA256))}, 32),
        ({"mgf": tlv(0xA1, tlv(0x30, MGF1, tlv(0x30, SHA256)))}, 32),
        ({"trailer": tlv(0xA3, tlv(2, b"\x01"))}, 32),
        ({"salt": None}, 20),
        ({"salt": tlv(0xA2, tlv(2, b"\x00"))}, 0),
        ({"salt": tlv(0xA2, tlv(2, b"\x00\xde"))}, 222),
    ):
        algorithm = pss(tlv, change=change)
        assert parse_algorithm(algorithm).name == "rsa-pss-sha256"
        verify_signature(public, algorithm, salted(length), DATA)
        with pytest.raises(SignatureInvalidError):  # the salt is as long as it says, not as it comes
            verify_signature(public, algorithm, salted(length + 1 if length < 222 else 32), DATA)

    for change in (
        {"hash": None},
        {"mgf": None},
        {"hash": tlv(0xA0, tlv(0x30, SHA1, NULL))},
        {"hash": tlv(0xA0, tlv(0x30, SHA384, NULL))},
        {"mgf": tlv(0xA1, tlv(0x30, MGF1, tlv(0x30, SHA1, NULL)))},
        {"mgf": tlv(0xA1, tlv(0x30, SHA256, tlv(0x30, SHA256, NULL)))},
        {"mgf": tlv(0xA1, tlv(0x30, MGF1, tlv(0x30, SHA256, NULL), NULL))},
        {"mgf": tlv(0xA1, tlv(0x30, MGF1, tlv(0x30, SHA256, NULL)), NULL)},
        {"hash": tlv(0xA0, tlv(0x30, SHA256, NULL), NULL)},
        {"salt": tlv(0xA2, tlv(2, b"\xff"))},
        {"salt": tlv(0xA2, tlv(2, b"\x00\x20"))},
        {"salt": tlv(0xA2, tlv(2, b"\x20"), NULL)},
        {"trailer": tlv(0xA3, tlv(2, b"\x02"))},
        {"trailer": tlv(0xA3, tlv(2, b"\x01"), NULL)},
    ):
        with pytest.raises(VerifyError) as caught:
            parse_algorithm(pss(tlv, change=change))
        assert caught.value.code in {"NOT_DER", "UNSUPPORTED_ALGORITHM"}, change
    with pytest.raises(VerifyError):
        parse_algorithm(pss(tlv, change={}, after=NULL))
    # More salt than the key has room for: no signature can be good, and nothing else is raised.
    with pytest.raises(SignatureInvalidError):
        verify_signature(public, pss(tlv, change={"salt": tlv(0xA2, tlv(2, b"\x7f\xff"))}), salted(32), DATA)

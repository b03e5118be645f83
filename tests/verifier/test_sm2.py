"""SM2 with SM3: the standard's example, other implementations in both directions, every refusal."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from onecert.verifier import MalformedError, RefusedError, SignatureInvalidError
from onecert.verifier.signatures import (
    DEFAULT_ALGORITHMS,
    AlgorithmPolicy,
    check_key,
    check_spki,
    key_id,
    load_public_key,
    parse_algorithm,
    spki_der,
    verify_signature,
)
from onecert.verifier.sm2 import DEFAULT_ID, Sm2PublicKey, curve, keys
from onecert.verifier.sm2.curve import GENERATOR, N, P

DATA = b"what was signed"
ALICE = b"ALICE123@YAHOO.COM"
PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
SM2_ALGORITHM = bytes.fromhex("300a06082a811ccf55018375")


@pytest.fixture(scope="module")
def other(sm2_tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key of the openssl command, ``key.pem`` and ``public.der``."""
    folder = tmp_path_factory.mktemp("sm2")
    sm2_tools.openssl(
        "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", "key.pem", cwd=folder
    )
    sm2_tools.openssl(
        "pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "public.der", cwd=folder
    )
    (folder / "data").write_bytes(DATA)
    return folder


def sign_with_openssl(sm2_tools: Any, folder: Path, identifier: bytes | None) -> bytes:
    option = () if identifier is None else ("-pkeyopt", f"distid:{identifier.decode()}")
    sm2_tools.openssl(
        *("pkeyutl", "-sign", "-inkey", "key.pem", "-rawin", "-digest", "sm3", *option),
        *("-in", "data", "-out", "signature"),
        cwd=folder,
    )
    return (folder / "signature").read_bytes()


def test_the_example_of_the_standard(sm2_tools: Any) -> None:
    """GB/T 32918.5, annex A.2: key, message and signature."""
    public = (
        0x09F9DF31_1E5421A1_50DD7D16_1E4BC5C6_72179FAD_1833FC07_6BB08FF3_56F35020,
        0xCCEA490C_E26775A5_2DC6EA71_8CC1AA60_0AED05FB_F35E084A_6632F607_2DA9AD13,
    )
    r = 0xF5A03B06_48D2C463_0EEAC513_E1BB81A1_5944DA38_27D5B741_43AC7EAC_EEE720B3
    s = 0xB1B6AA29_DF212FD8_763182BC_0D421CA1_BB9038FD_1F7F42D4_840B69C4_85BBC1AA
    assert (
        sm2_tools.affine(0x3945208F_7B2144B1_3F36E38A_C6D39F95_88939369_2860B51A_42FB81EF_4DF7C5B8) == public
    )
    Sm2PublicKey(public).verify(sm2_tools.encode(r, s), b"message digest")
    with pytest.raises(InvalidSignature):
        Sm2PublicKey(public).verify(sm2_tools.encode(r, s), b"message digesT")


@pytest.mark.parametrize("identifier", [DEFAULT_ID, ALICE])
def test_what_openssl_signs(sm2_tools: Any, other: Path, identifier: bytes) -> None:
    """Good with its identifier; refused with another one, and altered."""
    key = load_public_key((other / "public.der").read_bytes())
    signature = sign_with_openssl(sm2_tools, other, identifier)
    verify_signature(key, "sm2-sm3", signature, DATA, sm2_id=identifier)
    verify_signature(key, SM2_ALGORITHM, signature, DATA, policy=policy(sm2_id=identifier))
    for data, wrong_id, changed in (
        (DATA, b"somebody else", signature),
        (DATA + b".", identifier, signature),
        (DATA, identifier, signature[:-1] + bytes((signature[-1] ^ 1,))),
    ):
        with pytest.raises(SignatureInvalidError) as caught:
            verify_signature(key, "sm2-sm3", changed, data, sm2_id=wrong_id)
        assert caught.value.code == "SIGNATURE_INVALID"


def test_the_empty_identifier_is_named(sm2_tools: Any, other: Path) -> None:
    """openssl 3.0 takes an empty identifier when it is told none."""
    key = load_public_key((other / "public.der").read_bytes())
    signature = sign_with_openssl(sm2_tools, other, None)
    with pytest.raises(SignatureInvalidError) as caught:
        verify_signature(key, "sm2-sm3", signature, DATA)
    assert caught.value.code == "SM2_EMPTY_ID"
    assert "distid:1234567812345678" in caught.value.hint("zh")
    # Asked for by name it is refused too: it is nobody's identifier.
    with pytest.raises(SignatureInvalidError) as caught:
        verify_signature(key, "sm2-sm3", signature, DATA, sm2_id=b"")
    assert caught.value.code == "SM2_EMPTY_ID"


@pytest.mark.parametrize("identifier", [DEFAULT_ID, ALICE])
def test_openssl_agrees_about_what_we_accept(sm2_tools: Any, tmp_path: Path, identifier: bytes) -> None:
    """What is accepted here the openssl command accepts, and it refuses the same wrong identifier."""
    private = secrets.randbelow(N - 1) + 1
    key = Sm2PublicKey(sm2_tools.affine(private))
    (tmp_path / "public.der").write_bytes(spki_der(key))
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "signature").write_bytes(sm2_tools.sign(private, DATA, identifier))
    verify_signature(key, "sm2-sm3", (tmp_path / "signature").read_bytes(), DATA, sm2_id=identifier)
    command = ("pkeyutl", "-verify", "-pubin", "-inkey", "public.der", "-keyform", "DER", "-rawin")
    command += ("-digest", "sm3", "-in", "data", "-sigfile", "signature")
    sm2_tools.openssl(*command, "-pkeyopt", f"distid:{identifier.decode()}", cwd=tmp_path)
    assert sm2_tools.openssl(*command, "-pkeyopt", "distid:other", cwd=tmp_path, fine=False).returncode == 1


def policy(**changes: Any) -> AlgorithmPolicy:
    return AlgorithmPolicy(**{"algorithms": {"sm2-sm3": None}, **changes})


def test_a_policy_without_sm2(sm2_tools: Any) -> None:
    private = 77
    key = Sm2PublicKey(sm2_tools.affine(private))
    signature = sm2_tools.sign(private, DATA)
    without = {name: None for name in DEFAULT_ALGORITHMS.algorithms if name != "sm2-sm3"}
    with pytest.raises(RefusedError) as caught:
        verify_signature(key, "sm2-sm3", signature, DATA, policy=policy(algorithms=without))
    assert caught.value.code == "ALGORITHM_NOT_ALLOWED"
    for check in (lambda p: check_key(key, p), lambda p: check_spki(spki_der(key), p)):
        check(DEFAULT_ALGORITHMS)
        with pytest.raises(RefusedError) as caught:
            check(policy(curves=frozenset({"secp256r1"})))
        assert caught.value.code == "WEAK_KEY"
    with pytest.raises(RefusedError) as caught:
        verify_signature(key, "ecdsa-sha256", signature, DATA)
    assert caught.value.code == "ALGORITHM_MISMATCH"


@pytest.mark.parametrize(
    "spki",
    [
        PREFIX + GENERATOR[0].to_bytes(32, "big") + (GENERATOR[1] ^ 1).to_bytes(32, "big"),
        PREFIX + bytes(64),
        PREFIX + GENERATOR[0].to_bytes(32, "big") + (P - 1).to_bytes(32, "big"),
        PREFIX + b"\xff" * 32 + GENERATOR[1].to_bytes(32, "big"),
        # Compressed, hybrid, at infinity, and with bytes left over.
        bytes.fromhex("3039301306072a8648ce3d020106082a811ccf5501822d03220002")
        + GENERATOR[0].to_bytes(32, "big"),
        PREFIX[:-1] + b"\x06" + b"".join(c.to_bytes(32, "big") for c in GENERATOR),
        bytes.fromhex("3019301306072a8648ce3d020106082a811ccf5501822d03020000"),
        PREFIX + b"".join(c.to_bytes(32, "big") for c in GENERATOR) + b"\x00",
        b"\x30\x81" + PREFIX[1:] + b"".join(c.to_bytes(32, "big") for c in GENERATOR),
    ],
)
def test_points_and_forms_that_are_refused(spki: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        load_public_key(spki)
    assert caught.value.code == "KEY_INVALID"


def test_signatures_that_are_not_canonical(sm2_tools: Any) -> None:
    """One signature, written in every other way, and numbers out of range."""
    private = 123456789
    key = Sm2PublicKey(sm2_tools.affine(private))
    good = sm2_tools.sign(private, DATA)
    key.verify(good, DATA)
    r, s = keys._read_signature(good)

    def wrap(body: bytes) -> bytes:
        return bytes((0x30, len(body))) + body

    padded = sm2_tools.integer(r)
    padded = b"\x02" + bytes((padded[1] + 1,)) + b"\x00" + padded[2:]
    for wrong in (
        b"",
        b"\x30\x00",
        good + b"\x00",
        good[:-1],
        b"\x30\x81" + good[1:],
        b"\x30\x80" + good[2:] + b"\x00\x00",
        wrap(padded + sm2_tools.integer(s)),
        wrap(sm2_tools.integer(r)),
        wrap(sm2_tools.integer(r) + sm2_tools.integer(s) + sm2_tools.integer(1)),
        sm2_tools.encode(r + N, s),
        sm2_tools.encode(r, s + N),
        sm2_tools.encode(r - N, s),
        sm2_tools.encode(0, s),
        sm2_tools.encode(r, 0),
        sm2_tools.encode(r, N),
        sm2_tools.encode(r, N - r),
        r.to_bytes(32, "big") + s.to_bytes(32, "big"),
    ):
        with pytest.raises(SignatureInvalidError):
            verify_signature(key, "sm2-sm3", wrong, DATA)


def test_algorithm_identifier() -> None:
    """Parameters absent, as openssl writes, or NULL, as GM/T 0015 shows; nothing else."""
    assert parse_algorithm(SM2_ALGORITHM).name == "sm2-sm3"
    assert parse_algorithm(bytes.fromhex("300c06082a811ccf550183750500")).name == "sm2-sm3"
    for wrong in ("300e06082a811ccf55018375050004 00", "300d06082a811ccf55018375050100"):
        with pytest.raises(MalformedError):
            parse_algorithm(bytes.fromhex(wrong))


SCALARS = st.integers(0, N - 1) | st.sampled_from([0, 1, 2, N - 1, N - 2, 1 << 255, (1 << 255) - 1])
TABLE = curve.make_table(GENERATOR, 5)


@settings(max_examples=60, deadline=None)
@given(s=SCALARS, t=SCALARS, private=st.integers(1, N - 1))
def test_tables_and_plain_multiplication_agree(sm2_tools: Any, s: int, t: int, private: int) -> None:
    """s * G + t * Q with and without tables, and by multiplying the scalars first."""
    point = sm2_tools.affine(private)
    found = [
        curve.multiply([(s, GENERATOR), (t, point)]),
        curve.sum_of([(s, TABLE), (t, curve.make_table(point, 2))]),
    ]
    expected = (s + t * private) % N
    for total in found:
        assert (curve.affine(total) if total else None) == (sm2_tools.affine(expected) if expected else None)


@pytest.mark.parametrize("private", [1, 2, N - 1])
def test_sums_that_double_or_vanish(sm2_tools: Any, private: int) -> None:
    """Keys whose table shares points with that of the generator."""
    table = curve.make_table(sm2_tools.affine(private), 5)
    for s, t in ((1, 1), (5, N - 5), (N - 1, 1), (7, 0), (0, 7), (1 << 200, (1 << 200) + 1)):
        total = curve.sum_of([(s, TABLE), (t, table)])
        expected = (s + t * private) % N
        assert (total is None) == (not expected)
        if total:
            assert curve.affine(total) == sm2_tools.affine(expected)
            assert curve.has_x(total, sm2_tools.affine(expected)[0] % N)


@pytest.mark.parametrize("private", [1, 2, 0xC0FFEE])
def test_a_key_earns_a_table_and_answers_the_same(
    sm2_tools: Any, monkeypatch: pytest.MonkeyPatch, private: int
) -> None:
    """First without tables, then with its own and the generator's; by whichever object it is asked."""
    monkeypatch.setattr(keys, "_TABLES", {})
    monkeypatch.setattr(keys, "_WINDOW", 3)
    monkeypatch.setattr(keys, "_generator_table", lambda: TABLE)
    monkeypatch.setattr(keys, "_USES_BEFORE_TABLE", 3)
    good = sm2_tools.sign(private, DATA)
    tables = []
    for key in (Sm2PublicKey(sm2_tools.affine(private)) for _ in range(2)):
        for _ in range(3):
            key.verify(good, DATA)
            with pytest.raises(InvalidSignature):
                key.verify(good, DATA + b".")
            tables.append(len(keys._TABLES))
    assert tables == [0, 1, 1, 1, 1, 1]


def test_only_so_many_tables_are_kept(sm2_tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes."""
    monkeypatch.setattr(keys, "_TABLES", {})
    monkeypatch.setattr(keys, "_TABLES_MAX", 2)
    points = [sm2_tools.affine(private) for private in (3, 4, 5)]
    for point in points:
        keys._keep_table(point, TABLE)
    assert list(keys._TABLES) == points[1:]


def test_a_key_is_a_key(sm2_tools: Any) -> None:
    """Encodings, equality, name; what has no meaning for it is a ValueError."""
    key, same = (
        Sm2PublicKey(sm2_tools.affine(9)),
        load_public_key(spki_der(Sm2PublicKey(sm2_tools.affine(9)))),
    )
    assert key == same
    assert hash(key) == hash(same)
    assert key != Sm2PublicKey(sm2_tools.affine(10))
    assert len(key_id(key)) == 43
    assert key.key_size == 256
    assert key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    ) == spki_der(key)[-65:]  # fmt: skip
    with pytest.raises(ValueError, match="SubjectPublicKeyInfo"):
        key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)
    with pytest.raises(ValueError, match="8191"):
        key.verify(sm2_tools.sign(9, DATA), DATA, b"x" * 8192)

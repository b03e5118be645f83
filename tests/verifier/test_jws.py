"""Signed documents: what is accepted, and every way in which one is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from onecert.verifier import MalformedError, RefusedError, SignatureInvalidError, VerifyError
from onecert.verifier.jws import algorithms_for, decode_base64url, key_id, load_json, verify_document
from onecert.verifier.sm2 import Sm2PublicKey, curve

TYP = "onecert-test+json"


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    return {
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "RS256": rsa.generate_private_key(65537, 2048),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        "Ed448": ed448.Ed448PrivateKey.generate(),
        "ML-DSA-44": mldsa.MLDSA44PrivateKey.generate(),
        "ML-DSA-65": mldsa.MLDSA65PrivateKey.generate(),
        "ML-DSA-87": mldsa.MLDSA87PrivateKey.generate(),
    }


SECOND_NAMES = {"PS256": "RS256", "EdDSA": "Ed25519"}
ALGORITHMS = ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519", "Ed448"]
ALGORITHMS += ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(key: Any, algorithm: str, payload: str, **header: Any) -> dict[str, str]:
    fields = {"alg": algorithm, "kid": key_id(key.public_key()), "typ": TYP} | header
    protected = b64(json.dumps({k: v for k, v in fields.items() if v is not None}).encode())
    data = f"{protected}.{payload}".encode()
    if algorithm == "RS256":
        signature = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    elif algorithm == "PS256":
        signature = key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        size = key.curve.key_size // 8
        digest = hashes.SHA256() if size == 32 else hashes.SHA384()
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
        signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    else:
        signature = key.sign(data)
    return {"protected": protected, "signature": b64(signature)}


def document(*signatures: dict[str, str], payload: str) -> bytes:
    return json.dumps({"payload": payload, "signatures": list(signatures)}).encode()


def trusted(*keys: Any) -> dict[str, Any]:
    return {key_id(key.public_key()): key.public_key() for key in keys}


PAYLOAD = b64('{"name":"深圳","n":7}'.encode())


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_each_algorithm(keys: dict[str, Any], alg: str) -> None:
    """Good; with one bit of the signature changed; and under the names of all other algorithms."""
    key = keys[SECOND_NAMES.get(alg, alg)]
    entry = signed(key, alg, PAYLOAD)
    data = document(entry, payload=PAYLOAD)
    assert verify_document(data, typ=TYP, keys=trusted(key)) == {"name": "深圳", "n": 7}

    raw = decode_base64url(entry["signature"])
    altered = b64(bytes((raw[0] ^ 1,)) + raw[1:])
    with pytest.raises(SignatureInvalidError) as caught:
        verify_document(document(entry | {"signature": altered}, payload=PAYLOAD), typ=TYP, keys=trusted(key))
    assert caught.value.code == "DOCUMENT_SIGNATURE"

    for other in set(ALGORITHMS) - algorithms_for(key.public_key()).keys():
        header = json.loads(decode_base64url(entry["protected"])) | {"alg": other}
        renamed = entry | {"protected": b64(json.dumps(header).encode())}
        with pytest.raises(RefusedError) as refused:
            verify_document(document(renamed, payload=PAYLOAD), typ=TYP, keys=trusted(key))
        assert refused.value.code == "ALGORITHM_MISMATCH"


def test_threshold_counts_different_keys(keys: dict[str, Any]) -> None:
    one, two = keys["ES256"], keys["ES384"]
    both = document(signed(one, "ES256", PAYLOAD), signed(two, "ES384", PAYLOAD), payload=PAYLOAD)
    verify_document(both, typ=TYP, keys=trusted(one, two), threshold=2)

    with pytest.raises(RefusedError) as caught:
        verify_document(both, typ=TYP, keys=trusted(one), threshold=2)  # the second is a stranger
    assert caught.value.code == "DOCUMENT_THRESHOLD"

    twice = document(signed(one, "ES256", PAYLOAD), signed(one, "ES256", PAYLOAD), payload=PAYLOAD)
    with pytest.raises(MalformedError):
        verify_document(twice, typ=TYP, keys=trusted(one), threshold=2)

    # One key that is listed under two names is one signer.
    listed = trusted(one) | {"other": one.public_key()}
    renamed = document(
        signed(one, "ES256", PAYLOAD), signed(one, "ES256", PAYLOAD, kid="other"), payload=PAYLOAD
    )
    with pytest.raises(MalformedError):
        verify_document(renamed, typ=TYP, keys=listed, threshold=2)


def test_altered_payload(keys: dict[str, Any]) -> None:
    key = keys["ES256"]
    other = b64(b'{"n":8}')
    with pytest.raises(SignatureInvalidError) as caught:
        verify_document(document(signed(key, "ES256", PAYLOAD), payload=other), typ=TYP, keys=trusted(key))
    assert caught.value.code == "DOCUMENT_SIGNATURE"


def test_wrong_type(keys: dict[str, Any]) -> None:
    key = keys["ES256"]
    with pytest.raises(RefusedError) as caught:
        verify_document(
            document(signed(key, "ES256", PAYLOAD), payload=PAYLOAD), typ="another", keys=trusted(key)
        )
    assert caught.value.code == "DOCUMENT_TYPE"


@pytest.mark.parametrize("alg", ["none", "HS256", "ES384", "RS256", "ES256K"])
def test_the_document_does_not_choose_the_algorithm(keys: dict[str, Any], alg: str) -> None:
    key = keys["ES256"]
    entry = signed(key, "ES256", PAYLOAD, alg=alg)
    with pytest.raises(RefusedError) as caught:
        verify_document(document(entry, payload=PAYLOAD), typ=TYP, keys=trusted(key))
    assert caught.value.code == "ALGORITHM_MISMATCH"


@pytest.mark.parametrize(
    "change",
    [
        {"crit": ["exp"]},
        {"jwk": {}},
        {"typ": None},
        {"kid": None},
        {"kid": 7},
        {"b64": False},
    ],
)
def test_header_has_exactly_three_members(keys: dict[str, Any], change: dict[str, Any]) -> None:
    key = keys["ES256"]
    entry = signed(key, "ES256", PAYLOAD, **change)
    with pytest.raises(MalformedError):
        verify_document(document(entry, payload=PAYLOAD), typ=TYP, keys=trusted(key))


def test_spelling_of_base64url(keys: dict[str, Any]) -> None:
    """Padding, the other alphabet, blanks and leftover bits make a second spelling of one document."""
    key = keys["ES256"]
    good = signed(key, "ES256", PAYLOAD)
    last = good["signature"][-1]
    sibling = chr(ord(last) + 1)  # the last sextet of 64 octets has four bits that must be zero
    for signature in (good["signature"] + "==", good["signature"] + "\n", good["signature"][:-1] + sibling):
        with pytest.raises(MalformedError):
            verify_document(
                document(good | {"signature": signature}, payload=PAYLOAD), typ=TYP, keys=trusted(key)
            )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"payload":"","signatures":[]}',
        b'{"payload":"","payload":"","signatures":[]}',
        b'{"payload":"e30","signatures":[{"protected":"e30","signature":""}],"header":{}}',
        b'\xef\xbb\xbf{"payload":"e30","signatures":[1]}',
        b'{"payload":"e30","signatures":[1]}',
        '{"payload":"e30","signatures":[]}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_not_a_document(text: bytes) -> None:
    with pytest.raises(MalformedError):
        verify_document(text, typ=TYP, keys={})


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1.5}',
        b'{"a":1e9}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b"[" * 33 + b"]" * 33,
    ],
)
def test_strict_json(text: bytes) -> None:
    with pytest.raises(MalformedError):
        load_json(text, max_bytes=10_000)


@pytest.mark.parametrize(
    "text", ["QQ=", "QQ==", "QR", "Q", "QUI+", "QUI/", "Q U", "QUé", "\ud800", "QUJD\n", "=", "*"]
)
def test_wrong_base64url(text: str) -> None:
    with pytest.raises(MalformedError):
        decode_base64url(text)


@given(st.binary(max_size=9), st.integers(0, 12), st.text("+/= \n?*é", max_size=6))
def test_base64url_of_any_spelling(octets: bytes, place: int, between: str) -> None:
    """What belongs to no alphabet is never passed over."""
    text = base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
    assert decode_base64url(text) == octets
    if between:
        with pytest.raises(MalformedError):
            decode_base64url(text[:place] + between + text[place:])


def test_base64url_is_text() -> None:
    """Who reads a document of others' without checking it must see a wrong type as such."""
    assert decode_base64url("") == b""
    assert decode_base64url("-_8") == b"\xfb\xff"
    with pytest.raises(TypeError):
        decode_base64url(7)  # type: ignore[arg-type]


def test_brackets_in_strings_do_not_count() -> None:
    assert load_json(b'{"a":"' + b"[{" * 100 + b'\\""}', max_bytes=10_000) == {"a": "[{" * 100 + '"'}


@given(st.lists(st.text('[]{}\\"a', max_size=6), min_size=40, max_size=40), st.integers(25, 40))
def test_nesting_is_counted_outside_of_strings(texts: list[str], depth: int) -> None:
    """Lists in objects, with strings full of brackets, quotes and backslashes before each level."""
    value: Any = []
    for level in range(1, depth):
        value = (
            [texts[level], value] if level % 2 else {texts[level]: texts[level], texts[level] + ".": value}
        )
    data = json.dumps(value).encode()
    if depth <= 32:
        assert load_json(data, max_bytes=100_000) == value
    else:
        with pytest.raises(MalformedError) as caught:
            load_json(data, max_bytes=100_000)
        assert "deep" in str(caught.value)


def test_depth_scan_is_linear() -> None:
    with pytest.raises(MalformedError):
        load_json(b"[" * 33 + b'"' + b'\\"' * 500_000, max_bytes=2_000_000)


def test_size(keys: dict[str, Any]) -> None:
    key = keys["ES256"]
    data = document(signed(key, "ES256", PAYLOAD), payload=PAYLOAD)
    with pytest.raises(MalformedError) as caught:
        verify_document(data, typ=TYP, keys=trusted(key), max_bytes=len(data) - 1)
    assert caught.value.code == "TOO_LARGE"


def test_weak_key_does_not_count() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    data = document(signed(weak, "RS256", PAYLOAD), payload=PAYLOAD)
    with pytest.raises(RefusedError) as caught:
        verify_document(data, typ=TYP, keys=trusted(weak))
    assert caught.value.code == "WEAK_KEY"


def test_a_key_without_a_jws_algorithm() -> None:
    """SM2 too: no name is registered for it."""
    assert not algorithms_for(ec.generate_private_key(ec.SECP521R1()).public_key())
    assert not algorithms_for(Sm2PublicKey(curve.GENERATOR))


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(VerifyError):
        verify_document(data, typ=TYP, keys={})


NAMES = st.sampled_from(["payload", "signatures", "protected", "signature"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
)


@given(VALUES)
def test_any_json(value: object) -> None:
    with pytest.raises(VerifyError):
        verify_document(json.dumps(value).encode(), typ=TYP, keys={})

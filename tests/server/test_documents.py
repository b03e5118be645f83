"""Signed documents: what the server signs, the verifier accepts, for every kind of key."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from onecert.server.documents import PrivateKey, add_signature, sign_document
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import key_id, verify_document

TYPE = "onecert-test+json"
PAYLOAD = {"order": "1", "name": "深圳", "count": 3, "list": [1, None, True], "nested": {"z": 1, "a": 2}}


def make_key(kind: str) -> PrivateKey:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"p-256": ec.SECP256R1(), "p-384": ec.SECP384R1()}[kind])


@pytest.mark.parametrize("kind", ["rsa", "p-256", "p-384", "ed25519"])
def test_signed_document_verifies(kind: str) -> None:
    key = make_key(kind)
    document = sign_document(PAYLOAD, typ=TYPE, keys=[key])
    keys = {key_id(key.public_key()): key.public_key()}
    assert verify_document(document, typ=TYPE, keys=keys) == PAYLOAD


def test_ecdsa_signatures_have_one_length() -> None:
    """RFC 7518: r and s are padded; one signature in 128 would be short otherwise."""
    key = make_key("p-256")
    keys = {key_id(key.public_key()): key.public_key()}
    for number in range(300):
        document = sign_document({"n": number}, typ=TYPE, keys=[key])
        assert len(json.loads(document)["signatures"][0]["signature"]) == 86
        assert verify_document(document, typ=TYPE, keys=keys) == {"n": number}


def test_second_officer_signs_the_same_bytes() -> None:
    first, second = make_key("p-256"), make_key("ed25519")
    keys = {key_id(key.public_key()): key.public_key() for key in (first, second)}
    one = sign_document(PAYLOAD, typ=TYPE, keys=[first])
    with pytest.raises(VerifyError):
        verify_document(one, typ=TYPE, keys=keys, threshold=2)
    two = add_signature(one, typ=TYPE, key=second)
    assert verify_document(two, typ=TYPE, keys=keys, threshold=2) == PAYLOAD
    assert verify_document(
        sign_document(PAYLOAD, typ=TYPE, keys=[first, second]), typ=TYPE, keys=keys, threshold=2
    )


def test_signature_for_one_type_is_none_for_another() -> None:
    key = make_key("p-256")
    document = sign_document(PAYLOAD, typ=TYPE, keys=[key])
    with pytest.raises(VerifyError):
        verify_document(document, typ="onecert-order+json", keys={key_id(key.public_key()): key.public_key()})


def test_document_without_a_key_or_with_a_foreign_curve() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        sign_document(PAYLOAD, typ=TYPE, keys=[])
    with pytest.raises(ValueError, match="P-256"):
        sign_document(PAYLOAD, typ=TYPE, keys=[ec.generate_private_key(ec.SECP521R1())])

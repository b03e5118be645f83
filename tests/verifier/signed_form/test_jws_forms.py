"""Forms signed with JWS: what verifies, and every header and payload that is refused.

root -> issuing CA -> signer; the signature is right but for what the test changes
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from onecert.verifier import JwsSignature, VerifyError
from onecert.verifier.signed_form import EvidenceTrust, check_evidence, load_evidence, make_evidence
from onecert.verifier.signed_form.digests import digest

Signer = Callable[[bytes], bytes]


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_ecdsa(key: Any) -> Signer:
    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign


def header_of(party: Any, **changes: Any) -> dict[str, Any]:
    header = {"alg": "ES256", "x5c": [base64.b64encode(party.der).decode()]} | changes
    return {name: value for name, value in header.items() if value is not None}


def jws(
    office: Any, document: bytes, *, sign: Signer | None = None, attached: bool = False, **header: Any
) -> bytes:
    """Compact; ``b64=False`` signs the document as it is."""
    protected = encoded(json.dumps(header_of(office.signer, **header)).encode())
    body = encoded(document).encode() if header.get("b64", True) else document
    value = (sign or raw_ecdsa(office.signer.key))(protected.encode() + b"." + body)
    payload = encoded(document) if attached else ""
    return f"{protected}.{payload}.{encoded(value)}".encode()


def refused(office: Any, value: bytes, document: bytes | None, **policy: Any) -> VerifyError:
    with pytest.raises(VerifyError) as caught:
        office.verify(JwsSignature(value=value), document, **policy)
    return caught.value


def test_detached_and_attached(office: Any, document: bytes) -> None:
    form = office.verify(JwsSignature(value=jws(office, document)))
    assert form.signer.certificate.der == office.signer.der
    assert form.as_dict()["form"] == "jws"
    inside = office.verify(JwsSignature(value=jws(office, document, attached=True)), None)
    assert inside.document == document
    assert refused(office, jws(office, document), document + b" ").code == "SIGNATURE_INVALID"
    assert refused(office, jws(office, document), None).code == "FORM_DOCUMENT_NEEDED"
    assert refused(office, jws(office, document, attached=True), b"x").code == "FORM_CONTENT_DIFFERS"


def test_payload_as_it_is(office: Any, document: bytes) -> None:
    """RFC 7797: b64=false signs the octets themselves, and must be named as critical."""
    right = {"b64": False, "crit": ["b64"]}
    assert office.verify(JwsSignature(value=jws(office, document, **right))).document == document
    assert refused(office, jws(office, document, b64=False), document).facts["member"] == "b64"
    assert refused(office, jws(office, document, crit=["b64"]), document).facts["member"] == "b64"
    assert refused(office, jws(office, document, b64="no", crit=["b64"]), document).code == "JWS_HEADER"


@pytest.mark.parametrize(
    ("changes", "code", "member"),
    [
        ({"crit": ["exp"], "exp": 1}, "JWS_CRITICAL", "exp"),
        ({"crit": []}, "JWS_HEADER", "crit"),
        ({"crit": "b64"}, "JWS_HEADER", "crit"),
        ({"crit": ["b64", "b64"], "b64": True}, "JWS_HEADER", "crit"),
        ({"crit": [["b64"]], "b64": True}, "JWS_CRITICAL", "['b64']"),
        ({"jwk": {}}, "JWS_HEADER", "jwk"),
        ({"jku": "http://keys.example"}, "JWS_HEADER", "jku"),
        ({"x5u": "http://keys.example"}, "JWS_HEADER", "x5u"),
        ({"x5c": None}, "JWS_HEADER", "x5c"),
        ({"x5c": []}, "JWS_HEADER", "x5c"),
        ({"x5c": "A"}, "JWS_HEADER", "x5c"),
        ({"x5c": ["!"]}, "JWS_HEADER", "x5c"),
        ({"alg": None}, "JWS_HEADER", "alg"),
        ({"x5t#S256": "AAAA"}, "JWS_HEADER", "x5t#S256"),
    ],
)
def test_headers(office: Any, document: bytes, changes: dict[str, Any], code: str, member: str) -> None:
    error = refused(office, jws(office, document, **changes), document)
    assert (error.code, error.facts["member"]) == (code, member)


def test_thumbprint(office: Any, document: bytes) -> None:
    right = encoded(digest("sha256", office.signer.der))
    assert office.verify(JwsSignature(value=jws(office, document, **{"x5t#S256": right, "typ": "JOSE"})))


@pytest.mark.parametrize("alg", ["none", "HS256", "RS256", "ES384", ""])
def test_the_name_never_chooses(office: Any, document: bytes, alg: str) -> None:
    """The algorithm is that of the key in the certificate, or the signature is refused."""
    assert refused(office, jws(office, document, alg=alg), document).code == "ALGORITHM_MISMATCH"
    empty = jws(office, document, alg=alg, sign=lambda _: b"")
    assert refused(office, empty, document).code == "ALGORITHM_MISMATCH"


@pytest.mark.parametrize("alg", ["RS256", "PS256", "EdDSA", "Ed25519"])
def test_keys(office: Any, document: bytes, alg: str) -> None:
    sha256, key = hashes.SHA256(), rsa.generate_private_key(65537, 2048)
    edwards = ed25519.Ed25519PrivateKey.generate()
    sign: Signer = {
        "RS256": lambda data: key.sign(data, padding.PKCS1v15(), sha256),
        "PS256": lambda data: key.sign(data, padding.PSS(padding.MGF1(sha256), 32), sha256),
    }.get(alg, edwards.sign)
    office.signer = office.pki.leaf(office.ca, "Firm", key=key if alg in {"RS256", "PS256"} else edwards)
    assert office.verify(JwsSignature(value=jws(office, document, sign=sign, alg=alg)))
    wrong = jws(office, document, sign=lambda data: sign(data + b"x"), alg=alg)
    assert refused(office, wrong, document).code == "SIGNATURE_INVALID"


def as_json(*compact: bytes, payload: str | None = None, flat: bool = False) -> bytes:
    parts = [value.decode().split(".") for value in compact]
    entries = [{"protected": first, "signature": last} for first, _, last in parts]
    value: dict[str, Any] = dict(entries[0]) if flat else {"signatures": entries}
    if payload is not None:
        value["payload"] = payload
    return json.dumps(value).encode()


def test_json_forms(office: Any, document: bytes) -> None:
    """General and flattened; several signers where they are expected, each judged."""
    one = jws(office, document)
    assert office.verify(JwsSignature(value=as_json(one)))
    assert office.verify(JwsSignature(value=as_json(one, flat=True)))
    inside = office.verify(JwsSignature(value=as_json(one, payload=encoded(document))), None)
    assert inside.document == document
    first, office.signer = office.signer, office.pki.leaf(office.ca, "Other firm")
    both = as_json(one, jws(office, document))
    assert refused(office, both, document).code == "CMS_SEVERAL_SIGNERS"
    form = office.verify(JwsSignature(value=both), several_signers=True)
    assert [s.certificate.der for s in form.signers] == [first.der, office.signer.der]
    mixed = as_json(one, jws(office, document, b64=False, crit=["b64"]))
    assert refused(office, mixed, document, several_signers=True).code == "JWS_HEADER"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b".",
        b"a.b.c.d",
        "签名".encode(),
        b"{}",
        b'{"signatures": []}',
        b'{"signatures": [{"protected": "e30"}]}',
        b'{"signatures": [{"protected": "e30", "signature": "", "header": {"alg": "ES256"}}]}',
        b'{"protected": 1, "signature": ""}',
        b'{"signatures": 7, "payload": ""}',
        b'{"signatures": [1], "more": 1}',
        b"W10..AA",
    ],
)
def test_malformed(office: Any, document: bytes, value: bytes) -> None:
    assert refused(office, value, document).code == "DOCUMENT_MALFORMED"


def test_large(office: Any, document: bytes) -> None:
    assert refused(office, b"a" * (17 << 20), document).code == "TOO_LARGE"
    assert refused(office, b"a" * (1 << 20) + b"..AA", document).code == "TOO_LARGE"


def test_timestamp_and_record(office: Any, document: bytes) -> None:
    """The token stamps the octets of the signature; the record holds all and is checked without network."""
    value = jws(office, document)
    octets = base64.urlsafe_b64decode(value.rpartition(b".")[2] + b"==")
    source = JwsSignature(value=value, timestamp=office.token(octets, office.now))
    trust = office.timestamps()
    form = office.verify(source, timestamps=trust)
    assert form.signer.time.source == "timestamp"
    record = make_evidence(form, at=office.now)
    assert load_evidence(record).signature == source
    assert load_evidence(record).schema == 2
    known = EvidenceTrust(timestamps=trust, anchors=(office.root.anchor,))
    assert check_evidence(record, document, trust=known, at=office.now).form.signer.time.source == "timestamp"
    for wrong, code in ((document + b" ", "EVIDENCE_DOCUMENT"), (None, "FORM_DOCUMENT_NEEDED")):
        with pytest.raises(VerifyError) as caught:
            check_evidence(record, wrong, trust=known, at=office.now)
        assert caught.value.code == code

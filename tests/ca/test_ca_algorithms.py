"""A CA of every kind of key issues, lists, answers and stamps, and a department's verifier accepts it all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ca_algorithms import (
    authority_der,
    hold,
    issue,
    ocsp_request,
    request_of,
    spki_of,
    validate,
)
from ca_batches import Sender
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from test_ca_ocsp import call, post, revoke
from test_ca_timestamp import DATA

from onecert.ca.certificates.csr import CheckedKey
from onecert.ca.certificates.draft import CheckedRequest, DraftMaker, random_serial
from onecert.ca.certificates.keys import check_key
from onecert.ca.certificates.lint import check_certificate
from onecert.ca.errors import CaError, LintError, TokenGoneError
from onecert.ca.signatures.algorithms import (
    ThrowAwayKeys,
    algorithm_of,
    hashed,
    is_signature_valid,
    key_kind,
    sign,
    spki_der,
    throw_away_key,
)
from onecert.ca.signatures.public_keys import is_for_key, is_issued_by, key_of_certificate
from onecert.verifier import RevokedError, SignatureInvalidError
from onecert.verifier.der import slice_tlv
from onecert.verifier.signatures import parse_algorithm
from onecert.verifier.signed_form import load_timestamp, read_timestamp_response, request_timestamp

DER = Encoding.DER
AUTHORITIES = ["sm2", "ed25519", "p-384", "ml-dsa-65"]
# What a certificate's AlgorithmIdentifier must be, from the standards.
ALGORITHMS = {
    "rsa-2048": ("300d06092a864886f70d01010b0500", "sha256"),
    "rsa-3072": ("300d06092a864886f70d01010b0500", "sha256"),
    "p-256": ("300a06082a8648ce3d040302", "sha256"),
    "p-384": ("300a06082a8648ce3d040303", "sha384"),
    "ed25519": ("300506032b6570", "sha512"),
    "sm2": ("300a06082a811ccf55018375", "sm3"),
    "ml-dsa-44": ("300b0609608648016503040311", "sha512"),
    "ml-dsa-65": ("300b0609608648016503040312", "sha512"),
    "ml-dsa-87": ("300b0609608648016503040313", "sha512"),
}


@pytest.fixture(params=AUTHORITIES)
def capital(empty_world: Any, request: pytest.FixtureRequest) -> Any:
    """The authority “capital” with keys of one kind, its root's and its delegates' too."""
    return hold(empty_world, request.param)


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_the_table_says_how_each_kind_signs(kind: str) -> None:
    key = throw_away_key(kind)
    public = key.public_key()
    algorithm = algorithm_of(public)
    identifier, digest = ALGORITHMS[kind]
    assert key_kind(key) == key_kind(public) == kind
    assert algorithm is algorithm_of(key)
    assert (algorithm.identifier_der.hex(), algorithm.message_digest) == (identifier, digest)
    # The verifier, which has a table of its own, knows it under the same identifier.
    assert parse_algorithm(algorithm.identifier_der).oid == algorithm.oid
    for data in (b"data", hashed(public, b"data")):
        signature = sign(key, data)
        assert is_signature_valid(public, signature, b"data")
        assert is_signature_valid(public, signature, hashed(public, b"data"))
        assert not is_signature_valid(public, signature, b"other")
        assert not is_signature_valid(public, signature[:-1], b"data")
    check_key(public, (kind,))
    with pytest.raises(CaError) as caught:
        check_key(public, ("none",))
    assert caught.value.facts["kind"] == kind


def test_a_kind_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(CaError, match="dsa-1024"):
        throw_away_key("dsa-1024")
    with pytest.raises(CaError, match="object"):
        algorithm_of(object())
    assert not is_signature_valid(object(), b"", b"")


def test_a_whole_life_by_lists(capital: Any) -> None:
    """root -> capital -> holder, all with keys of one kind: accepted, then revoked and refused."""
    kind = capital.parts.authorities.get("capital").issuer
    key, csr = request_of(key_kind(kind.public_key))
    record = issue(capital, csr)

    path = validate(capital, record.certificate_der)
    assert path.anchor is not None
    certificate = x509.load_der_x509_certificate(record.certificate_der)
    assert spki_of(key) == _spki(certificate)

    revoke(capital, record.serial, authority="capital")
    with pytest.raises(RevokedError):
        validate(capital, record.certificate_der)


def test_a_whole_life_by_answers(capital: Any) -> None:
    """The responder has its authority's kind of key where the ceremony says so."""
    kind = key_kind(capital.parts.authorities.get("capital").issuer.public_key)
    record = issue(capital, request_of(kind)[1])
    body = ocsp_request(capital, record.serial)

    _status, _headers, good = post(capital.service.status, body, "capital")
    validate(capital, record.certificate_der, ocsp=(good,))
    responder = capital.parts.ocsp_delegates.current(capital.parts.authorities.get("capital"))
    assert key_kind(responder.public_key) == kind

    revoke(capital, record.serial, authority="capital")
    _status, _headers, answer = post(capital.service.status, body, "capital")
    with pytest.raises(RevokedError):
        validate(capital, record.certificate_der, ocsp=(answer,))


def test_a_batch_and_the_checker(capital: Any) -> None:
    """A batch of such orders is filled, and whatever was issued and listed is sound when it is read again."""
    kind = key_kind(capital.parts.authorities.get("capital").issuer.public_key)
    orders = [
        capital.order_payload(authority="capital", csr_pem=request_of(holder)[1])
        for holder in (kind, kind, "p-256")
    ]
    number = Sender(capital).send(*orders)
    capital.parts.batch_work.run()
    lines = Sender(capital).results(number)
    assert len({line["serial"] for line in lines}) == 3
    for line in lines:
        record = capital.parts.ledger.order(line["order"])
        validate(capital, record.certificate_der)
    revoke(capital, record.serial, authority="capital")
    assert [finding for page in capital.parts.checker.pages() for finding in page.findings] == []
    for name in ("capital", "capital-root"):
        authority = capital.parts.authorities.get(name)
        assert list(capital.parts.list_checker.check(authority)) == []


@pytest.mark.parametrize("kind", ["ed25519", "ml-dsa-44"])
def test_a_key_that_only_signs_gets_no_usage_for_encryption(empty_world: Any, kind: str) -> None:
    """RFC 8410 and RFC 9881, section 5: the lint stops what a profile would allow; P-256 goes through."""
    world = hold(empty_world, "p-384", holders=f'{kind}", "p-256')
    authority = world.parts.authorities.get("capital")
    profile = replace(authority.profile("organisation"), key_usage=("digitalSignature", "keyAgreement"))
    for holder, is_stopped in (("p-256", False), (kind, True)):
        public_key = throw_away_key(holder).public_key()
        request = CheckedRequest(
            profile=profile,
            key=CheckedKey(public_key, spki_der(public_key)),
            subject={"common_name": "x", "organization": "x", "country": "CN"},
            entity="organisation:x",
            identity={},
        )
        draft = DraftMaker(authority.issuer, profile).draft(
            request, serial=random_serial(), key_number=1, at=world.clock.now()
        )
        try:
            check_certificate(ThrowAwayKeys().sign(authority.issuer.algorithm, draft.tbs_der), draft)
            found = []
        except LintError as exc:
            found = list(exc.findings)
        assert any(finding.startswith("certificate-key-only-signs:") for finding in found) == is_stopped


def test_a_certificate_is_of_its_issuer_and_for_its_key(capital: Any) -> None:
    root, ca = (x509.load_der_x509_certificate(authority_der(capital, f"capital{n}")) for n in ("-root", ""))
    assert is_issued_by(ca, root)
    assert is_issued_by(root, root)
    assert not is_issued_by(root, ca)
    altered = ca.public_bytes(DER)
    altered = altered[:-1] + bytes((altered[-1] ^ 1,))
    assert not is_issued_by(x509.load_der_x509_certificate(altered), root)
    assert is_for_key(ca, capital.parts.authorities.get("capital").issuer.public_key)
    assert not is_for_key(root, capital.parts.authorities.get("capital").issuer.public_key)


@pytest.mark.deliberately_wrong("an altered signature of a list, for the verifier to find")
def test_altered_bytes_are_refused(capital: Any) -> None:
    """One bit of the signature of certificate, list or answer."""
    kind = key_kind(capital.parts.authorities.get("capital").issuer.public_key)
    record = issue(capital, request_of(kind)[1])
    altered = record.certificate_der[:-1] + bytes((record.certificate_der[-1] ^ 1,))
    with pytest.raises(SignatureInvalidError):
        validate(capital, altered)
    # An issuer whose list does not verify is not believed: nobody can tell.
    path = capital.parts.files.path("capital", "crl")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes((content[-1] ^ 1,)))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is the verifier's matter
        validate(capital, record.certificate_der)
    assert type(caught.value).__name__ in {"RevocationUnknownError", "SignatureInvalidError"}


@pytest.mark.parametrize("kind", ["p-256", "rsa-2048", "sm2"])
def test_holders_of_other_kinds_under_an_sm2_authority(empty_world: Any, kind: str) -> None:
    world = hold(empty_world, "sm2")
    key, csr = request_of(kind)
    record = issue(world, csr)
    validate(world, record.certificate_der)
    assert key_kind(key_of_certificate(x509.load_der_x509_certificate(record.certificate_der))) == kind
    assert spki_of(key) in record.certificate_der


@pytest.mark.parametrize("kind", ["sm2", "ed25519", "ml-dsa-44"])
def test_holders_of_these_kinds_under_an_rsa_authority(empty_world: Any, kind: str) -> None:
    """A profile that allows them; under one that does not, the request is refused."""
    world = hold(empty_world, "rsa-2048", holders=kind)
    record = issue(world, request_of(kind)[1])
    validate(world, record.certificate_der)
    with pytest.raises(CaError) as caught:
        issue(
            world,
            request_of(kind)[1],
            profile="citizen",
            subject={"common_name": "张三", "country": "CN"},
            identity={"idcard": "440300190001010015"},
        )
    assert caught.value.code == "KEY_KIND"


def test_timestamps_are_hashed_as_the_key_asks(capital: Any) -> None:
    request = request_timestamp(DATA)
    status, _headers, content = call(
        capital.service.status,
        "/capital/tsa",
        "POST",
        request.der,
        CONTENT_TYPE="application/timestamp-query",
    )
    assert status == 200
    token = load_timestamp(read_timestamp_response(content, request))
    delegate = capital.parts.timestamp_delegates.current(capital.parts.authorities.get("capital"))
    (signer,) = token.message.signers
    assert signer.digest_algorithm == algorithm_of(delegate.public_key).message_digest


def test_a_token_that_is_away_stops_every_kind(capital: Any) -> None:
    kind = key_kind(capital.parts.authorities.get("capital").issuer.public_key)
    issue(capital, request_of(kind)[1])
    capital.token.gone = True
    with pytest.raises(TokenGoneError):
        issue(capital, request_of(kind)[1])
    capital.token.gone = False
    issue(capital, request_of(kind)[1])


def _spki(certificate: x509.Certificate) -> bytes:
    tbs = certificate.tbs_certificate_bytes
    start = slice_tlv(tbs, 0)[0]
    for _field in range(6):
        start = slice_tlv(tbs, start)[1]
    return tbs[start : slice_tlv(tbs, start)[1]]

"""RFC 3161: tokens that openssl makes, our requests that it answers, and tokens with one thing wrong.

root -> timestamp authority; tokens are checked at T
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from onecert.verifier import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.fetch import FetchAnswer, FetchRequest
from onecert.verifier.signed_form import (
    TimestampClient,
    check_timestamp,
    load_timestamp,
    read_timestamp_response,
    request_timestamp,
)

DAY, LONG_AGO = timedelta(days=1), datetime(2001, 1, 1, tzinfo=UTC)
DATA = b"what was stamped"
TSTINFO_SERIAL = b"\x02\x01\x07"
CONFIGURATION = """
[tsa]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.2
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
ordering = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class OpensslAuthority:
    """``openssl ts -reply``, whose clock is the machine's."""

    def __init__(self, office: Any, new_authority: Any, *, fine: bool = True) -> None:
        self.office = office
        pki = office.pki
        ages = {"not_before": LONG_AGO, "not_after": pki.T + 3650 * DAY}
        self.root = pki.root("Old root", **ages)
        self.authority = new_authority(pki, self.root, **ages)
        certificate, key = office.files(self.authority, "tsa")
        self.options = ("-config", "tsa.cnf", "-section", "tsa", "-signer", certificate, "-inkey", key)
        self.folder: Path = office.folder
        (self.folder / "tsa.cnf").write_text(CONFIGURATION.format(folder=self.folder))
        (self.folder / "serial").write_text("01\n")

    def answer(self, request: bytes) -> bytes:
        (self.folder / "query.tsq").write_bytes(request)
        self.office.openssl("ts", "-reply", "-queryfile", "query.tsq", *self.options, "-out", "reply.tsr")
        return (self.folder / "reply.tsr").read_bytes()

    def trust(self, at: datetime) -> Any:
        crl = self.office.pki.crl(self.root, this_update=at - DAY, next_update=at + DAY)
        trust = self.office.timestamps(crl)
        path = type(trust.path)(anchors=(self.root.anchor,), evidence=trust.path.evidence)
        return type(trust)(path=path)


@pytest.fixture
def authority(office: Any, new_authority: Any) -> OpensslAuthority:
    return OpensslAuthority(office, new_authority)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_openssl_answers_our_request(authority: OpensslAuthority, algorithm: str) -> None:
    """Request, reply with nonce and certificate, accuracy and ordering: all read, all checked."""
    request = request_timestamp(DATA, hash_algorithm=algorithm)
    token = load_timestamp(read_timestamp_response(authority.answer(request.der), request))
    assert (token.policy, token.ordering, token.nonce) == ("1.2.3.4.1", True, request.nonce)
    assert token.accuracy == timedelta(seconds=1, milliseconds=500, microseconds=100)
    at = token.time + timedelta(minutes=1)
    stamped = check_timestamp(token, DATA, trust=authority.trust(at), at=at, nonce=request.nonce)
    assert stamped.time == token.time
    assert stamped.latest == token.time + token.accuracy
    assert stamped.hash_algorithm == algorithm


def test_openssl_verifies_ours(office: Any) -> None:
    """A token that the tests write by hand is right for openssl too."""
    (office.folder / "token").write_bytes(office.token(DATA, office.now))
    (office.folder / "data").write_bytes(DATA)
    root, _ = office.files(office.root, "root")
    at = int(office.now.timestamp())
    office.openssl(
        "ts", "-verify", "-token_in", "-in", "token", "-data", "data", "-CAfile", root, "-attime", at
    )


def test_client(authority: OpensslAuthority) -> None:
    """The client posts the request through the fetch that it was given."""
    asked: list[FetchRequest] = []

    def fetch(request: FetchRequest) -> FetchAnswer:
        asked.append(request)
        assert request.body is not None
        return FetchAnswer(data=authority.answer(request.body))

    token = TimestampClient("http://tsa.example/", fetch)(DATA)
    assert (asked[0].url, asked[0].content_type) == ("http://tsa.example/", "application/timestamp-query")
    at = load_timestamp(token).time
    check_timestamp(token, DATA, trust=authority.trust(at), at=at)

    # An authority, or somebody in between, that answers with an older token.
    client = TimestampClient("http://tsa.example/", fetch, nonce=lambda: 5)
    client(DATA)
    older = FetchAnswer(data=(authority.folder / "reply.tsr").read_bytes())
    replay = TimestampClient("http://tsa.example/", lambda _: older, nonce=lambda: 6)
    with pytest.raises(VerifyError) as caught:
        replay(DATA)
    assert caught.value.code == "TIMESTAMP_NONCE"
    other = TimestampClient("http://tsa.example/", lambda _: older, nonce=lambda: 5)
    with pytest.raises(VerifyError) as caught:
        other(b"other data")
    assert caught.value.code == "TIMESTAMP_IMPRINT"


def test_openssl_refuses(authority: OpensslAuthority) -> None:
    """An algorithm that the authority does not take: its own reason is told."""
    request = request_timestamp(DATA, hash_algorithm="sm3")
    with pytest.raises(CouldNotCheckError) as caught:
        read_timestamp_response(authority.answer(request.der), request)
    assert caught.value.code == "TIMESTAMP_REFUSED"
    assert caught.value.facts["failure"] == "badAlg"
    assert caught.value.facts["status"] == "rejection"


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"\x30\x05\x30\x03\x02\x01\x00", b"\xff" * 40])
def test_broken_answers(data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        read_timestamp_response(data, request_timestamp(DATA))
    assert caught.value.code == "TIMESTAMP_MALFORMED"


def check(office: Any, token: bytes, data: bytes = DATA, **inputs: Any) -> Any:
    trust = inputs.pop("trust", None) or office.timestamps(**inputs.pop("terms", {}))
    return check_timestamp(token, data, trust=trust, at=office.now, **inputs)


def refused(office: Any, token: bytes, data: bytes = DATA, **inputs: Any) -> str:
    with pytest.raises(VerifyError) as caught:
        check(office, token, data, **inputs)
    return caught.value.code


def test_fractions_and_accuracy(office: Any) -> None:
    """Half a second, 30 seconds of accuracy: the later end is the proof."""
    accuracy = office.pki.tlv(0x30, b"\x02\x01\x1e")
    stamped = check(office, office.token(DATA, office.now - DAY, fraction=".5", accuracy=accuracy))
    assert stamped.time == office.now - DAY + timedelta(milliseconds=500)
    assert stamped.latest == stamped.time + timedelta(seconds=30)
    assert stamped.as_dict()["accuracy_ms"] == 30_000


@pytest.mark.parametrize("fraction", [".50", ".", ".x", "+1"])
def test_times_that_are_not(office: Any, fraction: str) -> None:
    assert refused(office, office.token(DATA, office.now, fraction=fraction)) == "TIMESTAMP_MALFORMED"


def test_each_statement(office: Any) -> None:
    """One thing wrong in what the token says, each with its code."""
    tlv, now = office.pki.tlv, office.now
    critical = tlv(0xA1, tlv(0x30, b"\x06\x03\x2a\x03\x04", b"\x01\x01\xff", tlv(0x04, b"")))
    hours = tlv(0x30, b"\x02\x02\x0e\x10")
    assert refused(office, office.token(DATA, now), b"other") == "TIMESTAMP_IMPRINT"
    assert refused(office, office.token(DATA, now, nonce=5), nonce=6) == "TIMESTAMP_NONCE"
    assert refused(office, office.token(DATA, now), nonce=6) == "TIMESTAMP_NONCE"
    assert check(office, office.token(DATA, now, nonce=1 << 63), nonce=1 << 63)
    terms = {"policies": frozenset({"1.2.3.4.9"})}
    assert refused(office, office.token(DATA, now), terms=terms) == "TIMESTAMP_POLICY"
    assert refused(office, office.token(DATA, now, accuracy=hours)) == "TIMESTAMP_ACCURACY"
    assert refused(office, office.token(DATA, now, extra=critical)) == "TIMESTAMP_CRITICAL_EXTENSION"
    assert refused(office, office.token(DATA, now + DAY)) == "TIMESTAMP_FUTURE"


def test_each_authority(office: Any, new_authority: Any) -> None:
    """One thing wrong with who signed it: usage not critical, not alone, absent; expired; named wrongly."""
    pki = office.pki
    stamping, client = ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CLIENT_AUTH
    for extra in (
        [(x509.ExtendedKeyUsage([stamping]), False)],
        [(x509.ExtendedKeyUsage([stamping, client]), True)],
        [(x509.ExtendedKeyUsage([client]), True)],
        [],
    ):
        other = new_authority(pki, office.root, extra=extra)
        assert refused(office, office.token(DATA, office.now, authority=other)) == "TIMESTAMP_AUTHORITY"
    old = new_authority(pki, office.root, not_after=office.now - DAY)
    assert refused(office, office.token(DATA, office.now, authority=old)) == "CERT_EXPIRED"
    assert check(office, office.token(DATA, office.now), terms={"policies": frozenset({"1.2.3.4.1"})})
    wrong = office.token(DATA, office.now, certificate_named=office.signer)
    assert refused(office, wrong) == "CMS_SIGNING_CERTIFICATE"


def test_without_signing_certificate(office: Any) -> None:
    """RFC 3161 asks for it: a token must say which certificate it means."""
    token = load_timestamp(office.token(DATA, office.now))
    content = token.message.content
    tst = "1.2.840.113549.1.9.16.1.4"
    info = office.signer_info(office.attributes(content, content_type=tst), party=office.authority)
    bare = office.signed_data(content, info, content_type=tst, certificates=[office.authority.der])
    assert refused(office, bare) == "CMS_ATTRIBUTE_MISSING"


def test_what_is_no_token(office: Any) -> None:
    assert refused(office, office.cms("-nodetach")) == "TIMESTAMP_TYPE"
    assert refused(office, b"\x30" + b"\x00" * (300 * 1024)) == "TOO_LARGE"

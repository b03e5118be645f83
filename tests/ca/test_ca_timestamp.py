"""Timestamps: read back by the verifier and by the openssl command; what is refused, and when time is."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from test_ca_ocsp import call

from onecert.ca import der
from onecert.ca.errors import ClockJumpedError
from onecert.ca.member import roll_delegates
from onecert.ca.operation.clock_guard import ClockGuard
from onecert.ca.timestamps.messages import MAX_REQUEST_OCTETS, RequestRefused, load_request
from onecert.verifier.signed_form import load_timestamp, read_timestamp_response, request_timestamp

POLICY = "1.3.6.1.4.1.58888.8.4.1"
SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"))
DATA = b"declaration of November"


def ask(world: Any, body: bytes, authority: str = "city-tsa", **environ: str) -> tuple[int, Any, bytes]:
    headers = {"CONTENT_TYPE": "application/timestamp-query", **environ}
    return call(world.service.status, f"/{authority}/tsa", "POST", body, **headers)


def stamp(world: Any, data: bytes = DATA, **wishes: Any) -> Any:
    request = request_timestamp(data, **wishes)
    status, headers, content = ask(world, request.der)
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (
        200,
        "application/timestamp-reply",
        "no-store",
    )
    return load_timestamp(read_timestamp_response(content, request))


def ders(token: Any) -> set[bytes]:
    return {each.der for each in token.message.certificates}


def failure_of(content: bytes) -> list[int]:
    """The failInfo bits of an answer that carries no token."""
    answer = der.Reader(content).enter()
    status = answer.enter()
    answer.end()
    assert status.take_integer() == 2
    bits = status.take(der.BIT_STRING)
    value = int.from_bytes(bits[1:], "big") >> bits[0]
    width = (len(bits) - 1) * 8 - bits[0]
    return [bit for bit in range(width) if value >> (width - 1 - bit) & 1]


def request_der(*parts: bytes, imprint: bytes | None = None, version: int = 1) -> bytes:
    stamped = imprint or der.sequence(SHA256, der.octet_string(hashlib.sha256(DATA).digest()))
    return der.sequence(der.integer(version), stamped, *parts)


@pytest.fixture
def tsa(lite: Any) -> Any:
    """A CA with timestamps on a machine whose clock nobody keeps: a test stands still in time."""
    lite.config = replace(lite.config, timestamp_needs_kept_clock=False)
    lite.restart()
    return lite.hold("city-tsa")


@pytest.mark.parametrize("hash_algorithm", ["sha256", "sha384", "sha512", "sm3"])
def test_a_token_says_when_and_what(tsa: Any, hash_algorithm: str) -> None:
    token = stamp(tsa, hash_algorithm=hash_algorithm)
    assert token.time == tsa.clock.now()
    assert token.policy == POLICY
    assert token.accuracy == timedelta(seconds=1)
    assert token.hash_algorithm == hash_algorithm
    assert not token.ordering


def test_no_two_tokens_have_one_serial(tsa: Any) -> None:
    serials = {stamp(tsa).serial for _ in range(20)}
    assert len(serials) == 20
    assert all(serial.bit_length() <= 160 for serial in serials)


def test_the_certificate_is_for_timestamps_alone(tsa: Any) -> None:
    token = stamp(tsa)
    found = [each.certificate for each in token.message.certificates]
    purpose = [
        certificate
        for certificate in found
        if any(extension.oid.dotted_string == "2.5.29.37" for extension in certificate.extensions)
    ]
    (certificate,) = purpose
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert usage.critical
    assert [each.dotted_string for each in usage.value] == ["1.3.6.1.5.5.7.3.8"]


def test_certificates_only_when_asked_for(tsa: Any) -> None:
    imprint = der.sequence(SHA256, der.octet_string(hashlib.sha256(DATA).digest()))
    _status, _headers, content = ask(tsa, der.sequence(der.integer(1), imprint))
    token = der.Reader(content).enter()
    token.element()
    assert load_timestamp(token.element()[2]).message.certificates == ()


def test_openssl_verifies_it(tsa: Any, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    query, reply = tmp_path / "request.tsq", tmp_path / "reply.tsr"
    run("openssl", "ts", "-query", "-data", tmp_path / "data", "-sha256", "-cert", "-out", query)
    reply.write_bytes(ask(tsa, query.read_bytes())[2])
    authority = tsa.parts.authorities.get("city-tsa")
    root = tsa.parts.authorities.get("city-tsa-root")
    (tmp_path / "root.pem").write_text(root.certificate_pem)
    (tmp_path / "ca.pem").write_text(authority.certificate_pem)
    at = str(int(tsa.clock.now().timestamp()))
    checked = run(
        *("openssl", "ts", "-verify", "-queryfile", query, "-in", reply, "-attime", at),
        *("-CAfile", tmp_path / "root.pem", "-untrusted", tmp_path / "ca.pem"),
    )
    assert "Verification: OK" in checked
    shown = run("openssl", "ts", "-reply", "-in", reply, "-text")
    assert f"Policy OID: {POLICY}" in shown
    assert "Accuracy: 0x01 seconds" in shown


def run(*command: Any) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("body", "bit"),
    [
        (b"", 5),
        (b"\x30\x03\x02\x01", 5),
        (request_der() + b"\x00", 5),
        (request_der(version=2), 2),
        (
            request_der(
                imprint=der.sequence(der.sequence(der.oid("1.3.14.3.2.26")), der.octet_string(b"1" * 20))
            ),
            0,
        ),
        (request_der(imprint=der.sequence(SHA256, der.octet_string(b"1" * 31))), 5),
        (request_der(der.oid("1.2.3.4")), 15),
        (request_der(der.explicit(0, der.sequence(der.oid("1.2.3"), der.octet_string(b"")))), 16),
        (request_der(der.integer(1 << 300)), 2),
        (request_der(der.tlv(der.INTEGER, b"\x00\x01")), 5),
        (request_der(der.integer(5), der.integer(6)), 5),
        (b"\x30" * (MAX_REQUEST_OCTETS + 1), 2),
    ],
    ids=[
        *("empty", "truncated", "trailing", "version", "sha-1", "imprint too short", "other policy"),
        *("extension", "nonce too long", "nonce not shortest", "two nonces", "too long"),
    ],
)
def test_a_wrong_request_gets_the_standards_answer(tsa: Any, body: bytes, bit: int) -> None:
    status, headers, content = ask(tsa, body)
    assert (status, headers["Content-Type"]) == (200, "application/timestamp-reply")
    assert failure_of(content) == [bit]


def test_any_request_is_read_or_refused() -> None:
    good = request_der(der.oid(POLICY), der.integer(77), der.TRUE)
    for at in range(len(good)):
        for value in (0x00, 0x30, 0x7F, 0x80, 0xFF):
            try:
                load_request(good[:at] + bytes((value,)) + good[at + 1 :])
            except RequestRefused:
                continue


def test_http_refuses_what_is_no_query(tsa: Any) -> None:
    body = request_timestamp(DATA).der
    assert ask(tsa, body, CONTENT_TYPE="text/plain")[0] == 415
    assert ask(tsa, body, authority="nobody")[0] == 404
    assert ask(tsa, body, authority="harbour")[0] == 404
    assert ask(tsa, body, authority="city-tsa-root")[0] == 404
    assert call(tsa.service.status, "/city-tsa/tsa")[0] == 405


def test_the_key_gets_a_successor_and_old_tokens_stay(tsa: Any) -> None:
    first = stamp(tsa)
    roll_delegates(tsa.parts)
    assert ders(stamp(tsa)) == ders(first)

    tsa.clock.advance(timedelta(days=370))
    roll_delegates(tsa.parts)
    assert ders(stamp(tsa)) != ders(first)


def test_no_token_while_the_token_of_keys_is_away(tsa: Any) -> None:
    stamp(tsa)
    tsa.restart()
    tsa.token.gone = True
    assert failure_of(ask(tsa, request_timestamp(DATA).der)[2]) == [25]
    tsa.token.gone = False
    stamp(tsa)


def test_ordered_tokens_never_share_a_moment(tsa: Any) -> None:
    tsa.config = replace(tsa.config, timestamp_ordering=True)
    tsa.restart()
    tokens = [stamp(tsa) for _ in range(5)]
    assert all(token.ordering for token in tokens)
    times = [token.time for token in tokens]
    assert times == sorted(set(times))


def test_ordered_tokens_do_not_tell_a_time_that_was_wrong(tsa: Any, monkeypatch: Any) -> None:
    """The time daemon has set the clock back by an hour: no token says an hour too late to stay in order."""
    tsa.config = replace(tsa.config, timestamp_ordering=True)
    tsa.restart()
    monkeypatch.setattr(ClockGuard, "_is_vouched_for", lambda self, off: True)
    wrong = tsa.clock.now() + timedelta(hours=1)
    tsa.clock.set(wrong)
    assert stamp(tsa).time >= wrong
    tsa.clock.set(wrong - timedelta(hours=1))
    assert failure_of(ask(tsa, request_timestamp(DATA).der)[2]) == [14]
    tsa.clock.advance(timedelta(hours=1, seconds=1))
    assert stamp(tsa).time == tsa.clock.now()


@pytest.mark.parametrize("by", [timedelta(hours=1), timedelta(hours=-1), timedelta(seconds=-2)])
def test_a_jump_of_the_clock_stops_timestamps_until_it_is_right_again(tsa: Any, by: timedelta) -> None:
    stamp(tsa)
    right = tsa.clock.now()
    tsa.clock.set(right + by)
    assert failure_of(ask(tsa, request_timestamp(DATA).der)[2]) == [14]
    with pytest.raises(ClockJumpedError):
        tsa.service.checks["timestamps"]()
    tsa.clock.set(right)
    tsa.service.checks["timestamps"]()
    assert stamp(tsa).time == right

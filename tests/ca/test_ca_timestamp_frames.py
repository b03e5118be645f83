"""Timestamps by the short way: the same octets as by the long one, for whatever comes."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from test_ca_timestamp import ask, failure_of, request_der, tsa  # noqa: F401 - a fixture

from onecert.ca import der
from onecert.ca.timestamps.frames import attributes_about, granted_token, usual_request
from onecert.ca.timestamps.messages import (
    IMPRINT_OCTETS,
    RequestRefused,
    TokenSigner,
    granted,
    load_request,
    signed_attributes,
    timestamp_info,
    token,
)

IMPRINTS = [
    der.sequence(der.sequence(oid, parameters), der.octet_string(b"h" * octets))
    for oid, octets in IMPRINT_OCTETS.items()
    for parameters in (b"", der.NULL_DER)
]
NONCES = st.one_of(st.just(None), st.integers(0, (1 << 256) - 1))
imprints, wishes = st.sampled_from(IMPRINTS), st.booleans()


def written(imprint: bytes, nonce: int | None, wants: bool) -> bytes:
    parts = (b"" if nonce is None else der.integer(nonce), der.TRUE if wants else b"")
    return request_der(*parts, imprint=imprint)


@given(imprints, NONCES, wishes)
def test_a_usual_request_reads_as_by_the_parser(imprint: bytes, nonce: int | None, wants: bool) -> None:
    request = written(imprint, nonce, wants)
    found = usual_request(request)
    assert found is None or found == load_request(request)
    # Only a length of two octets is left to the strict parser.
    assert (found is None) == (len(request) >= 0x82 or (nonce is not None and nonce >> 255 > 0))


@given(imprints, NONCES, wishes, st.data())
def test_what_the_strict_parser_refuses_is_not_recognised(
    imprint: bytes, nonce: int | None, wants: bool, data: Any
) -> None:
    request = bytearray(written(imprint, nonce, wants))
    for _ in range(data.draw(st.integers(1, 3))):
        request[data.draw(st.integers(0, len(request) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(request)))
    for changed in (bytes(request), bytes(request[:end])):
        found = usual_request(changed)
        if found is not None:
            assert found == load_request(changed)


@given(st.binary(max_size=140))
def test_anything_is_refused_or_read_alike(content: bytes) -> None:
    found = usual_request(content)
    try:
        slow = load_request(content)
    except RequestRefused:
        slow = None
    assert found is None or found == slow


def test_the_same_answer_as_by_the_long_way(tsa: Any) -> None:  # noqa: F811
    authority = tsa.parts.authorities.get("city-tsa")
    delegate = tsa.parts.timestamp_delegates.current(authority)
    signer = TokenSigner.of(delegate.certificate_der, delegate.public_key, ())
    octets = (1, 100, 127, 128, 255, 256, 257, 300, 65536), (70, 71, 72, 256), (True, False)
    for info_octets, signature_octets, along in product(*octets):
        info, signature = b"\x01" * info_octets, b"\x03" * signature_octets
        attributes = attributes_about(info, signer)
        assert attributes == signed_attributes(info, signer)
        slow = granted(token(info, attributes, signature, signer, with_certificate=along))
        assert granted_token(info, attributes, signature, signer, with_certificate=along) == slow


def test_times_of_all_fractions(tsa: Any) -> None:  # noqa: F811
    request = load_request(request_der())
    for microsecond, digits in ((0, b"00Z"), (500_000, b"00.5Z"), (1, b"00.000001Z"), (100, b"00.0001Z")):
        at = tsa.clock.now().replace(second=0, microsecond=microsecond)
        info = timestamp_info(
            request, policy="1.2.3", serial=1, at=at, accuracy=timedelta(seconds=1), ordering=False
        )
        assert b"20261121" in info
        assert digits in info


def test_a_policy_that_is_not_ours_is_refused_with_every_form(tsa: Any) -> None:  # noqa: F811
    other = ask(tsa, request_der(der.oid("1.2.3.4")))[2]
    assert failure_of(other) == [15]

"""Whatever bytes go in, only this library's errors come out: messages, tokens, answers, records.

Starts from good ones and damages octets, lengths and whole values; what still reads is used further.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onecert.verifier import VerifyError
from onecert.verifier.signed_form import (
    EvidenceTrust,
    RawSignature,
    canonicalise,
    check_evidence,
    check_timestamp,
    load_evidence,
    load_signed_data,
    load_timestamp,
    make_evidence,
    read_timestamp_response,
    request_timestamp,
    verify_form,
)

HARD = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SNIPPETS = [bytes.fromhex(text) for text in (
    "00", "ff", "80", "3080", "0000", "2480", "a080", "3100", "0201ff", "0500", "a000", "1f81",
    "308400000000", "06092a864886f70d010904", "180f32303236313132313039303030305a", "8004", "0400",
)]  # fmt: skip
EDIT = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(["put", "insert", "cut", "repeat", "flip"]),
    st.sampled_from(SNIPPETS),
    st.integers(1, 40),
)
EDITS = st.lists(EDIT, min_size=1, max_size=4)


def damaged(data: bytes, edits: list[tuple[float, str, bytes, int]]) -> bytes:
    for share, kind, snippet, count in edits:
        at = int(share * len(data))
        if kind == "put":
            data = data[:at] + snippet + data[at + len(snippet) :]
        elif kind == "insert":
            data = data[:at] + snippet + data[at:]
        elif kind == "cut":
            data = data[:at] + data[at + count :]
        elif kind == "repeat":
            data = data[: at + count] + data[at:]
        else:
            data = data[:at] + bytes((data[at] ^ 1 << count % 8,)) + data[at + 1 :] if data else data
    if data[1:2] == b"\x82":
        data = data[:2] + (len(data) - 4 & 0xFFFF).to_bytes(2, "big") + data[4:]
    return data


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def material(office: Any, document: bytes) -> dict[str, bytes]:
    """Good ones, made once a test."""
    extra = [office.signing_certificate(office.signer)]
    stamped = office.stamped(office.now)
    token = office.token(b"data", office.now, accuracy=office.pki.tlv(0x30, b"\x02\x01\x01"), nonce=7)
    request = request_timestamp(b"data", nonce=7)
    form = office.verify(stamped, timestamps=office.timestamps())
    return {
        "detached": office.signed_data(None, office.signer_info([*office.attributes(document), *extra])),
        "stamped": stamped,
        "streamed": office.cms("-nodetach", "-stream"),
        "token": token,
        "answer": office.pki.tlv(0x30, office.pki.tlv(0x30, b"\x02\x01\x00"), token),
        "request": request.der,
        "record": make_evidence(form, at=office.now, stamp=lambda data, _: office.token(data, office.now)),
    }


@HARD
@given(which=st.sampled_from(["detached", "stamped", "streamed"]), edits=EDITS)
def test_messages(office: Any, material: Any, document: bytes, which: str, edits: Any) -> None:
    data = damaged(material[which], edits)
    with suppress(VerifyError):
        load_signed_data(data)
    with suppress(VerifyError):
        office.verify(
            data,
            None if which == "streamed" else document,
            timestamps=office.timestamps(),
            allow_no_attributes=True,
            several_signers=True,
        )


@HARD
@given(edits=EDITS)
def test_tokens(office: Any, material: Any, edits: Any) -> None:
    with suppress(VerifyError):
        token = damaged(material["token"], edits)
        check_timestamp(token, b"data", trust=office.timestamps(), at=office.now, nonce=7)
    with suppress(VerifyError):
        read_timestamp_response(damaged(material["answer"], edits), request_timestamp(b"data", nonce=7))


@HARD
@given(edits=EDITS)
def test_records(office: Any, material: Any, edits: Any) -> None:
    trust = EvidenceTrust(timestamps=office.timestamps(), anchors=(office.root.anchor,))
    with suppress(VerifyError):
        check_evidence(damaged(material["record"], edits), trust=trust, at=office.now)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=20).map(_base64),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@HARD
@given(share=st.floats(0, 1, exclude_max=True), value=JSON)
def test_records_with_another_value(office: Any, material: Any, share: float, value: object) -> None:
    """Some value of the record is another one, of any kind."""
    trust = EvidenceTrust(timestamps=office.timestamps(), anchors=(office.root.anchor,))
    record = json.loads(material["record"])
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key, item in node.items() if isinstance(node, dict) else enumerate(node):
            places.append((node, key))
            if isinstance(item, dict | list):
                walk(item)

    walk(record)
    node, key = places[int(share * len(places))]
    if node[key] == value:
        return
    node[key] = value
    with pytest.raises(VerifyError):
        check_evidence(json.dumps(record).encode(), trust=trust, at=office.now)


@given(data=st.binary(max_size=120))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_bytes(office: Any, data: bytes) -> None:
    raw = RawSignature(value=data, certificate=office.signer.der, timestamp=data)
    for signature in (data, raw, RawSignature(value=b"", certificate=data, algorithm="no such")):
        with pytest.raises(VerifyError):
            office.verify(signature, data, timestamps=office.timestamps())


def test_costly_messages(office: Any, document: bytes) -> None:
    """Many signers, certificates, attributes, values: each has its bound."""
    info = office.signer_info(office.attributes(document))
    costly = [
        office.signed_data(None, *[info] * 17),
        office.signed_data(None, info, certificates=[office.ca.der] * 65),
        office.signed_data(None, office.signer_info([office.attribute(f"1.2.3.{n}") for n in range(65)])),
        b"\x30\x80" * 500_000,
        b"\x30\x80" + b"\x24\x80\x04\x01A\x00\x00" * 500_000,
    ]
    for data in costly:
        with pytest.raises(VerifyError) as caught:
            office.verify(data, timestamps=office.timestamps(), several_signers=True)
        assert caught.value.code == "CMS_MALFORMED"


def test_much_that_is_allowed(office: Any, document: bytes) -> None:
    """As many signers and false tokens as the bounds let pass."""
    token = office.token(b"other", office.now)
    tokens = office.attribute("1.2.840.113549.1.9.16.2.14", *[token] * 16)
    info = office.signer_info(office.attributes(document), unsigned=[tokens])
    form = office.verify(
        office.signed_data(None, *[info] * 16), timestamps=office.timestamps(), several_signers=True
    )
    assert len(form.signers) == 16
    assert form.signer.time.failure.code == "TIMESTAMP_IMPRINT"


def test_what_is_no_bytes_is_named(office: Any, document: bytes) -> None:
    """A path or a text where bytes belong, a time without a zone: mistakes of the program, said as such."""
    good = office.stamped(office.now)
    naive = office.now.replace(tzinfo=None)
    record = make_evidence(office.verify(good, timestamps=office.timestamps()), at=office.now)
    trust = EvidenceTrust(timestamps=office.timestamps(), anchors=(office.root.anchor,))
    for wrong in ("form.json", 5, ["x"], object()):
        for call in (
            load_signed_data,
            load_timestamp,
            canonicalise,
            load_evidence,
            office.verify,
            lambda value: office.verify(good, value),
            lambda value: RawSignature(value=value, certificate=office.signer.der),
            lambda value: check_evidence(value, trust=trust, at=office.now),
            lambda value: check_evidence(record, value, trust=trust, at=office.now),
        ):
            with pytest.raises(TypeError, match=type(wrong).__name__):
                call(wrong)
    form = office.verify(memoryview(good), bytearray(document), timestamps=office.timestamps())
    assert form.document == document
    for late in (
        lambda: verify_form(document, good, trust=office.trust(), at=naive),
        lambda: make_evidence(form, at=naive),
        lambda: check_evidence(record, trust=trust, at=naive),
    ):
        with pytest.raises(ValueError, match="aware"):
            late()

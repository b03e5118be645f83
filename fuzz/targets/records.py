"""Evidence records, canonical JSON, raw signatures and the answers of timestamp authorities.

The first octet says what the rest is. A record is tried as it is, and with its own digest made to fit, so
that what is behind it is reached.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from fuzz.forms_material import CANONICAL, DOCUMENT, FIRM, LATER, forms, message, signer_info, token
from fuzz.material import DAY, T, sign
from fuzz.rules import answer, check_json, check_texts, require
from fuzz.tree import tlv
from onecert.verifier import VerifyError
from onecert.verifier.messages import LANGUAGES
from onecert.verifier.signed_form import (
    CheckedEvidence,
    RawSignature,
    canonical_json,
    canonicalise,
    check_evidence,
    load_evidence,
    make_evidence,
    read_timestamp_response,
    request_timestamp,
    verify_form,
)

IS_DER = False

_KINDS = ("record", "fitting record", "json", "raw", "answer")
_RECORD, _FITTING, _JSON, _RAW, _ANSWER = (bytes((number,)) for number in range(len(_KINDS)))
_JSON_MAX_BYTES = 1 << 20
_REQUEST = request_timestamp(DOCUMENT, nonce=5)


def _stamp(data: bytes, hash_algorithm: str = "sha256") -> bytes:
    require(hash_algorithm == "sha256", "another digest than was asked for")
    return token(data)


@cache
def _records() -> tuple[bytes, ...]:
    world = forms()
    raw = RawSignature(value=sign(CANONICAL, FIRM), certificate=world.firm.der)
    stamped = message(None, world.firm, signer_info(DOCUMENT, world.firm, stamped=True))
    made = []
    for signature in (stamped, raw):
        form = verify_form(DOCUMENT, signature, trust=world.trust, timestamps=world.timestamps, at=T)
        for is_archived in (False, True):
            stamp = _stamp if is_archived else None
            record = make_evidence(form, at=T, stamp=stamp, include_document=signature is raw)
            made.append(json.dumps(json.loads(record), ensure_ascii=False, separators=(",", ":")).encode())
    return tuple(made)


def seeds() -> Iterable[bytes]:
    """Records with and without archive timestamp and document; JSON; a raw signature's form; an answer."""
    for record in _records():
        yield _RECORD + record
        yield _FITTING + record
    for text in (
        DOCUMENT,
        b"[1e21,-0.0,1E-7,0.1,9007199254740991]",
        b'{"\\ud83d\\ude00":"\\u0000\\/","a":[{}]}',
    ):
        yield _JSON + text
    yield _RAW + DOCUMENT
    yield _ANSWER + tlv(0x30, tlv(0x30, b"\x02\x01\x00"), token(DOCUMENT))
    yield _ANSWER + tlv(0x30, tlv(0x30, b"\x02\x01\x02", tlv(0x30, b"\x0c\x01x"), b"\x03\x02\x05\x20"))


def run(data: bytes) -> None:
    """What the first octet says."""
    body = data[1:]
    kind = _KINDS[data[0] % len(_KINDS)] if data else "json"
    if kind == "record":
        _check_record(body)
    elif kind == "fitting record":
        _check_record(_fit(body))
    elif kind == "json":
        _canonicalise(body)
    elif kind == "raw":
        _raw(body)
    else:
        found = answer(lambda: read_timestamp_response(body, _REQUEST))
        require(found is None or _REQUEST.imprint in found, "a token for something else")


def _canonicalise(text: bytes) -> None:
    canonical = answer(lambda: canonicalise(text, max_bytes=_JSON_MAX_BYTES))
    if canonical is None:
        return
    require(canonicalise(canonical) == canonical, "canonical JSON has another canonical form")
    # RFC 8785, section 3.2.2.3: numbers are those of IEEE 754, also the whole ones.
    value = json.loads(canonical, parse_int=float)
    require(value == json.loads(text, parse_int=float), "canonical JSON means something else")
    require(canonical_json(value) == canonical, "the same value is spelt in two ways")


def _raw(document: bytes) -> None:
    world = forms()
    raw = RawSignature(value=sign(CANONICAL, FIRM), certificate=world.firm.der)
    form = answer(lambda: verify_form(document, raw, trust=world.trust, at=T))
    if form is not None:
        require(canonicalise(document) == CANONICAL, "a form that nobody signed is accepted")
        require(form.document_sha256 == hashlib.sha256(document).hexdigest(), "the digest of another form")


def _fit(record: bytes) -> bytes:
    """The record with a digest of its own that fits, as far as it is JSON at all."""
    try:
        value: Any = json.loads(record)
        value.pop("sha256", None)
        value["sha256"] = hashlib.sha256(canonical_json(value)).hexdigest()
        return json.dumps(value).encode()
    except (ValueError, AttributeError, TypeError, RecursionError, VerifyError):
        return record


def _check_record(data: bytes) -> None:
    record = answer(lambda: load_evidence(data))
    if record is not None:
        written = record.to_json()
        require(load_evidence(written) == record, "written and read, it is another record")
    trust = forms().evidence_trust
    for at in (LATER, T + 2 * DAY):
        for document in (None, DOCUMENT):
            checked = answer(check_evidence, data, document, trust=trust, at=at)
            if checked is not None:
                _check_accepted(checked, record is not None)


def _check_accepted(checked: CheckedEvidence, is_loaded: bool) -> None:
    require(is_loaded, "accepted, though it cannot be loaded")
    # A raw form may have other spaces; a message has the octets that were signed.
    is_raw = isinstance(checked.record.signature, RawSignature)
    require(is_raw or checked.record.digests["sha256"] == _SHA256, "a record of another document is accepted")
    signer = checked.form.signer
    require(signer.certificate.der == forms().firm.der, "somebody else has signed")
    if checked.archive.timestamps:
        stamped = {_core(record) for record in _records()}
        require(canonical_json(checked.record.core()) in stamped, "a stamped record was altered")
    if is_raw:
        require(canonicalise(checked.form.document or b"") == CANONICAL, "a form that nobody signed")
    check_json(checked.as_dict())
    for language in LANGUAGES:
        check_texts([notice.text(language) for notice in checked.notices])


_SHA256 = hashlib.sha256(DOCUMENT).digest()


@cache
def _core(record: bytes) -> bytes:
    return canonical_json(load_evidence(record).core())

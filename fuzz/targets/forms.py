"""Signed forms and timestamps: CMS messages as they come, and with the edited parts signed anew.

Whoever is accepted must have signed exactly these attributes, and they must hold the document's digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Any

from fuzz.forms_material import (
    AUTHORITY,
    DOCUMENT,
    FIRM,
    LATER,
    bare,
    forms,
    message,
    signer_info,
    token,
)
from fuzz.material import T, sign
from fuzz.rules import answer, check_json, check_texts, require
from fuzz.tree import Node, parse, write
from onecert.verifier.messages import LANGUAGES
from onecert.verifier.signed_form import (
    FormPolicy,
    SignedData,
    SignedForm,
    check_evidence,
    check_timestamp,
    load_signed_data,
    load_timestamp,
    make_evidence,
    verify_form,
)

IS_DER = True

_POLICIES = (FormPolicy(), FormPolicy(allow_no_attributes=True, several_signers=True))
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_RESIGNED_MAX = 4


def seeds() -> Iterable[bytes]:
    """Detached, attached, stamped, by two signers, over bare content; a token; BER."""
    firm = forms().firm
    info = signer_info(DOCUMENT, firm)
    yield message(None, firm, info)
    yield message(DOCUMENT, firm, info)
    yield message(None, firm, signer_info(DOCUMENT, firm, stamped=True))
    yield message(None, firm, info, info)
    yield bare()
    yield token(DOCUMENT)
    detached = message(None, firm, info)
    yield b"\x30\x80" + detached[4:] + b"\x00\x00"


def run(data: bytes) -> None:
    """Load, ask about the document, then sign what is in it anew and ask again."""
    loaded = answer(lambda: load_signed_data(data))
    _ask(data, loaded, _genuine())
    if loaded is None:
        return
    again = load_signed_data(loaded.der)
    require(again == loaded, "loaded from its own octets, it is another message")
    anew = _sign_anew(loaded)
    if anew is not None and anew != data:
        found = answer(lambda: load_signed_data(anew))
        _ask(anew, found, _genuine() | _signed_parts(loaded))


def _ask(data: bytes, loaded: SignedData | None, genuine: frozenset[bytes]) -> None:
    world = forms()
    for document in (None, DOCUMENT):
        for policy in _POLICIES:
            inputs: dict[str, Any] = {"trust": world.trust, "timestamps": world.timestamps, "policy": policy}
            form = answer(verify_form, document, data, at=T, **inputs)
            if form is not None:
                require(loaded is not None, "accepted, though it cannot be loaded")
                _check(form, genuine)
    stamp = answer(lambda: load_timestamp(data))
    if stamp is not None:
        believed = answer(lambda: check_timestamp(stamp, DOCUMENT, trust=world.timestamps, at=T))
        if believed is not None:
            _check_signed(stamp.message, genuine)
            require(hashlib.sha256(DOCUMENT).digest() == stamp.imprint or stamp.hash_algorithm != "sha256",
                    "the imprint of something else")  # fmt: skip
            check_json(believed.as_dict())


def _check(form: SignedForm, genuine: frozenset[bytes]) -> None:
    document = form.document
    assert document is not None
    assert form.message is not None
    require(form.document_sha256 == hashlib.sha256(document).hexdigest(), "the digest of another document")
    digests = [hashlib.new(name, document).digest() for name in ("sha256", "sha384", "sha512")]
    for info, signer in zip(form.message.signers, form.signers, strict=True):
        part = document if info.signed is None else info.signed.signed_der
        require(part in genuine, "a form that nobody signed is accepted")
        if info.signed is not None:
            require(any(each in part for each in digests), "a form with another digest is accepted")
        if signer.timestamp is not None:
            _check_signed(signer.timestamp.token.message, genuine)
    check_json(form.as_dict())
    for language in LANGUAGES:
        check_texts([notice.text(language) for signer in form.signers for notice in signer.notices])
    world = forms()
    record = answer(lambda: make_evidence(form, at=T))
    if record is not None:
        checked = check_evidence(record, document, trust=world.evidence_trust, at=LATER)
        require(checked.form.document_sha256 == form.document_sha256, "the record is about something else")
        check_json(checked.as_dict())


def _check_signed(data: SignedData, genuine: frozenset[bytes]) -> None:
    for info in data.signers:
        require(info.signed is not None, "a timestamp without attributes")
        require(info.signed is None or info.signed.signed_der in genuine, "a timestamp that nobody made")


def _signed_parts(data: SignedData) -> frozenset[bytes]:
    parts = {info.signed.signed_der for info in data.signers if info.signed is not None}
    if any(info.signed is None for info in data.signers):
        parts |= {DOCUMENT} | ({data.content} if data.content is not None else set())
    return frozenset(parts)


@cache
def _genuine() -> frozenset[bytes]:
    parts: frozenset[bytes] = frozenset()
    for seed in seeds():
        loaded = load_signed_data(seed)
        parts |= _signed_parts(loaded)
        for info in loaded.signers:
            stamps = () if info.unsigned is None else info.unsigned.values.values()
            for values in stamps:
                parts |= _signed_parts(load_timestamp(values[0]).message)
    return parts


def _sign_anew(data: SignedData) -> bytes | None:
    """The same message with signatures that fit, by whom they should be."""
    nodes = parse(data.der)
    if nodes is None or len(data.signers) > _RESIGNED_MAX:
        return None
    number = AUTHORITY if data.content_type == _TST_INFO else FIRM
    for info in data.signers:
        part = (data.content or DOCUMENT) if info.signed is None else info.signed.signed_der
        _replace(nodes, info.signature, sign(part, number))
    return write(nodes)


def _replace(nodes: list[Node], old: bytes, new: bytes) -> None:
    for node in nodes:
        if node.tag == 0x04 and node.to_der().endswith(old) and len(node.to_der()) - len(old) < 4:
            node.contents, node.children, node.prefix = new, None, b""
        elif node.children is not None:
            _replace(node.children, old, new)

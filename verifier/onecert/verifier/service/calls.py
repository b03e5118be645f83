"""What programs can ask: JSON in, a verdict out. A refusal is an answer here, and never an exception.

The verdict is ``accepted``, or with a ``code`` ``refused`` or ``could-not-check``; the last one lets nobody
in either, and may be asked again later.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from onecert.verifier.errors import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.explanation import error_as_dict
from onecert.verifier.login import Login
from onecert.verifier.login_server import CLIENT_MAX_OCTETS, CLIENT_MIN_OCTETS
from onecert.verifier.purposes import ANY, CLIENT, ENCRYPTION, LOGIN, SIGNING, Purpose
from onecert.verifier.signed_form import (
    EvidenceTrust,
    FormPolicy,
    JwsSignature,
    PdfSignature,
    RawSignature,
    XmlSignature,
    check_evidence,
    make_evidence,
    verify_form,
)
from onecert.verifier.signed_form.form_result import SignatureSource
from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.verifier import Verifier

__all__ = ["Call", "Calls", "RequestError", "run_call"]

PURPOSES: Mapping[str, Purpose] = {
    "login": LOGIN,
    "signing": SIGNING,
    "encryption": ENCRYPTION,
    "client": CLIENT,
    "any": ANY,
}
FORM_KINDS = ("cms", "jws", "xml", "pdf")
_TEXT_MAX = 32 * 1024 * 1024

Answer = dict[str, Any]
Judge = Callable[[datetime], Answer]
Call = Callable[[Node], Judge]


class RequestError(MalformedError):
    """The request itself is wrong: a field is missing, of another type, or not known."""


class Calls:
    """The calls of one department.

    Args:
        trust: for evidence records; usually the list keys and the timestamp authorities.
    """

    def __init__(
        self,
        verifier: Verifier,
        login: Login,
        *,
        trust: EvidenceTrust | None = None,
    ) -> None:
        self._verifier = verifier
        self._login = login
        self._trust = trust

    def verify(self, body: Node) -> Judge:
        """``{certificate, purpose?}``: whose certificate is this, and may it be relied upon?"""
        purpose = PURPOSES[body.choice("purpose", frozenset(PURPOSES), default="login")]
        certificate = _certificate(body)
        return lambda at: self._verifier.verify(certificate, at=at, purpose=purpose).as_dict()

    def explain(self, body: Node) -> Judge:
        """``{certificate, purpose?}``: every path that was tried, and what became of it."""
        purpose = PURPOSES[body.choice("purpose", frozenset(PURPOSES), default="login")]
        certificate = _certificate(body)

        def judge(at: datetime) -> Answer:
            found = self._verifier.explain(certificate, at=at, purpose=purpose)
            if isinstance(found.answer, VerifyError):
                return {"verdict": _verdict(found.answer), "code": found.answer.code, **found.as_dict()}
            return found.as_dict()

        return judge

    def challenge(self, body: Node) -> Judge:
        """``{session, client?}``: something to sign, good once for this session.

        ``client`` is the random of a client that wants the server's signature (docs/mutual-login.md).
        """
        session = body.text("session", max_length=1024)
        client = _octets(body, "client") if body.has("client") else None
        if client is not None and not CLIENT_MIN_OCTETS <= len(client) <= CLIENT_MAX_OCTETS:
            raise RequestError("SERVICE_REQUEST", detail=f"{body.place('client')}: not 16 to 64 octets")
        return lambda at: self._login.challenge(session=session, at=at, client=client).as_dict()

    def answer(self, body: Node) -> Judge:
        """``{challenge, session, certificate, signature, algorithm?}``: who has signed the challenge?"""
        challenge = body.text("challenge", max_length=64)
        session = body.text("session", max_length=1024)
        certificate, signature = _certificate(body), _octets(body, "signature")
        algorithm = body.text("algorithm", max_length=40) if body.has("algorithm") else None
        return lambda at: self._login.verify(
            challenge, certificate, signature, session=session, at=at, algorithm=algorithm
        ).as_dict()

    def form(self, body: Node) -> Judge:
        """``{document?, signature, kind?, …}``: who has signed this form?

        ``kind`` is cms, jws, xml or pdf; with ``certificate`` the signature is raw. With ``evidence`` the
        answer has a record.
        """
        document = _octets(body, "document") if body.has("document") else None
        signature = _signature(body)
        policy = FormPolicy(several_signers=body.boolean("several_signers", default=False))
        wants_record = body.boolean("evidence", default=False)

        def judge(at: datetime) -> Answer:
            form = verify_form(document, signature, at=at, verifier=self._verifier, policy=policy)
            answer = form.as_dict()
            if wants_record:
                record = make_evidence(form, at=at, include_document=True)
                answer["record"] = base64.b64encode(record).decode("ascii")
            return answer

        return judge

    def evidence(self, body: Node) -> Judge:
        """``{record, document?}``: does this evidence record still hold?"""
        record = _octets(body, "record")
        document = _octets(body, "document") if body.has("document") else None

        def judge(at: datetime) -> Answer:
            if self._trust is None:
                raise CouldNotCheckError("SERVICE_NO_EVIDENCE_TRUST")
            checked = check_evidence(record, document, trust=self._trust, at=at).as_dict()
            recorded = checked.pop("verdict")
            return {**checked, "recorded": recorded}

        return judge


def run_call(call: Call, body: Any, at: datetime) -> Answer:
    """The answer with its verdict.

    Raises:
        RequestError: the request is wrong; nothing was judged.
    """
    try:
        # The whole request is read before anything is judged: a misspelt field must not pass unseen.
        with Node(body, "request") as node:
            judge = call(node)
    except StrictJsonError as exc:
        raise RequestError("SERVICE_REQUEST", detail=str(exc)[:300]) from exc
    try:
        return {"verdict": "accepted", **judge(at)}
    except VerifyError as exc:
        return {"verdict": _verdict(exc), "schema": 1, "accepted": False, **error_as_dict(exc)}


def _verdict(error: VerifyError) -> str:
    return "could-not-check" if isinstance(error, CouldNotCheckError) else "refused"


def _signature(body: Node) -> SignatureSource:
    value = _octets(body, "signature")
    kind = body.choice("kind", frozenset(FORM_KINDS), default="cms")
    if body.has("certificate"):
        if kind != "cms":
            raise RequestError(
                "SERVICE_REQUEST", detail=f"{body.place('certificate')}: only for raw signatures"
            )
        return RawSignature(value=value, certificate=_certificate(body))
    if kind == "jws":
        return JwsSignature(value=value)
    if kind == "xml":
        element = body.text("element", max_length=1024) if body.has("element") else ""
        return XmlSignature(value=value, element=element)
    if kind == "pdf":
        return PdfSignature(value=value, allow_filling=body.boolean("allow_filling", default=False))
    return value


def _certificate(body: Node) -> bytes:
    """PEM, or base64 of DER."""
    text = body.text("certificate", max_length=256 * 1024)
    return text.encode("utf-8") if text.startswith("-----") else _decode(text, body.place("certificate"))


def _octets(body: Node, key: str) -> bytes:
    return _decode(body.text(key, max_length=_TEXT_MAX), body.place(key))


def _decode(text: str, place: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise RequestError("SERVICE_REQUEST", detail=f"{place}: not base64") from None

"""What the registration authority says to the CA over HTTP, and what each answer means.

Three outcomes, never mixed up: an answer; `CaRefusedError` (it understood and said no); `CaUnreachableError`
(no answer, a time-out, 5xx, or something that is not the CA). After the third, an order may or may not have
been carried out: post the same bytes with the same number again, the CA answers the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from onecert.ra.ca.errors import CaAnswerError, CaRefusedError, CaUnreachableError

__all__ = ["TOO_OLD", "CaClient", "FoundPage", "IssuedAnswer", "RevokedAnswer"]

MAX_ANSWER_OCTETS = 4 * 1024 * 1024
# Status codes that say "not now" although they begin with 4 (RFC 9110, RFC 6585).
_NOT_NOW = frozenset({408, 421, 425, 429})
# 401: the CA does not know this RA's key. That is a set-up fault and no judgement on the order, so the
# order stays and goes through once the key is registered.
_NOT_JUDGED = frozenset({401})
# Refusals that say nothing about the content: made too long ago (the CA was away for a day), or posted in two
# signed forms by two processes. Both are cured by posting again what is on record, if need be signed anew.
TOO_OLD = "ORDER_TIME"
_ALTERED = frozenset({"ORDER_ALTERED", "REVOCATION_ALTERED", "BATCH_ALTERED"})
JOSE_JSON = "application/jose+json"


@dataclass(frozen=True, kw_only=True)
class IssuedAnswer:
    """The CA's answer to an order that it carried out."""

    order: str
    serial_hex: str
    certificate_pem: str
    chain_pem: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RevokedAnswer:
    """The CA's answer to a revocation, a hold or a release."""

    serial_hex: str
    revoked_at: datetime | None
    reason: str
    crl_number: int | None


@dataclass(frozen=True, kw_only=True)
class FoundPage:
    """Some certificates, as the CA answers them; `next` goes on, None: that was all."""

    certificates: tuple[Mapping[str, Any], ...]
    next: str | None


class CaClient:
    """The wire to the CA. `http` has the CA's base address, such as `https://127.0.0.1:8443/ca`."""

    def __init__(self, http: httpx.Client, *, timeout_s: float) -> None:
        self._http = http
        self._timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0))

    def post_order(self, order_id: str, document: bytes) -> IssuedAnswer:
        """Post a signed issuance order; posting it again is safe."""
        body = self.call(
            "POST",
            "v1/orders",
            content=document,
            headers={"Content-Type": JOSE_JSON, "Idempotency-Key": order_id},
        )
        try:
            answer = IssuedAnswer(
                order=str(body["order"]),
                serial_hex=str(body["serial"]).lower(),
                certificate_pem=str(body["certificate_pem"]),
                chain_pem=tuple(map(str, body["chain_pem"])),
            )
        except (KeyError, TypeError) as exc:
            raise CaAnswerError("POST /ca/v1/orders") from exc
        if answer.order != order_id or body.get("status", "issued") != "issued":
            raise CaAnswerError("POST /ca/v1/orders")
        return answer

    def post_revocation(self, revocation_id: str, document: bytes) -> RevokedAnswer:
        """Post a signed revocation order; posting it again is safe."""
        body = self.call(
            "POST",
            "v1/revocations",
            content=document,
            headers={"Content-Type": JOSE_JSON, "Idempotency-Key": revocation_id},
        )
        try:
            revoked_at = body.get("revoked_at")
            number = body.get("crl_number")
            return RevokedAnswer(
                serial_hex=str(body["serial"]).lower(),
                revoked_at=datetime.fromisoformat(revoked_at) if revoked_at else None,
                reason=str(body.get("reason") or ""),
                crl_number=None if number is None else int(number),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise CaAnswerError("POST /ca/v1/revocations") from exc

    def search(self, document: bytes) -> FoundPage:
        """Ask a signed search; changes nothing."""
        body = self.call("POST", "v1/searches", content=document, headers={"Content-Type": JOSE_JSON})
        found, following = body.get("certificates"), body.get("next")
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise CaAnswerError("POST /ca/v1/searches")
        if following is not None and not isinstance(following, str):
            raise CaAnswerError("POST /ca/v1/searches")
        return FoundPage(certificates=tuple(found), next=following)

    def history(self, document: bytes) -> Mapping[str, Any]:
        """Ask a signed question for the life line of one certificate."""
        body = self.call("POST", "v1/histories", content=document, headers={"Content-Type": JOSE_JSON})
        if not isinstance(body.get("events"), list) or not isinstance(body.get("certificate"), dict):
            raise CaAnswerError("POST /ca/v1/histories")
        return body

    def post_delivery(self, order_id: str, document: bytes) -> str | None:
        """Tell that the holder has a certificate; posting it again is safe.

        Returns:
            what became of the certificate that the order follows: `waiting`, `done` (revoked), `void` (left,
            as the new one is revoked) or `nothing` (left, as ordered); None: it follows none.
        """
        body = self.call("POST", "v1/deliveries", content=document, headers={"Content-Type": JOSE_JSON})
        if body.get("order") != order_id:
            raise CaAnswerError("POST /ca/v1/deliveries")
        replaced = body.get("replaced")
        return None if replaced is None else str(replaced)

    def authorities(self) -> Mapping[str, Any]:
        """The public list of authorities and profiles, as the CA sends it."""
        return self.call("GET", "v1/authorities")

    def certificate(self, authority: str, serial_hex: str) -> Mapping[str, Any]:
        """What the CA has on record about one certificate."""
        return self.call("GET", f"v1/certificates/{authority}/{serial_hex}")

    def call(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Ask, and read the JSON object of the answer.

        Raises:
            CaRefusedError, CaUnreachableError, CaAnswerError
        """
        return _read(self._request(method, path, content, headers))

    def call_for_lines(self, path: str, document: bytes) -> list[dict[str, Any]]:
        """Post a signed question that is answered in JSON lines, and read them.

        Raises:
            CaRefusedError, CaUnreachableError, CaAnswerError
        """
        response = self._request("POST", path, document, {"Content-Type": JOSE_JSON})
        if response.status_code >= 300:
            _read(response)
        try:
            lines = [json.loads(line) for line in response.content.splitlines()]
        except ValueError as exc:
            raise CaAnswerError(f"POST /ca/{path}") from exc
        if len(response.content) > MAX_ANSWER_OCTETS or not all(isinstance(line, dict) for line in lines):
            raise CaAnswerError(f"POST /ca/{path}")
        return lines

    def _request(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str] | None
    ) -> httpx.Response:
        wanted = {"Accept": "application/json", **(headers or {})}
        try:
            return self._http.request(method, path, content=content, headers=wanted, timeout=self._timeout)
        except httpx.TimeoutException as exc:
            raise CaUnreachableError("no answer in time") from exc
        except httpx.HTTPError as exc:
            raise CaUnreachableError(type(exc).__name__) from exc
        except Exception as exc:
            # Inside one process the CA's application is called directly; what it lets through must not look
            # like an error of ours, and surely not like an answer.
            raise CaUnreachableError(type(exc).__name__) from exc


def _read(response: httpx.Response) -> dict[str, Any]:
    status = response.status_code
    if status >= 500 or status in _NOT_NOW or 300 <= status < 400:
        raise CaUnreachableError(f"HTTP {status}{_code_in_brackets(response)}")
    body = _json(response)
    if status in _NOT_JUDGED:
        raise CaUnreachableError(f"HTTP {status}{_code_in_brackets(response)}")
    if status >= 400:
        # A problem document (RFC 9457) with our code is a refusal; anything else was not the CA, for
        # example a proxy.
        if body is None or not isinstance(body.get("code"), str):
            raise CaUnreachableError(f"HTTP {status}")
        if body["code"] in _ALTERED:
            raise CaUnreachableError(body["code"])
        raise CaRefusedError(body["code"], str(body.get("detail") or body.get("title") or ""), status)
    if body is None:
        raise CaAnswerError("no JSON object")
    return body


def _json(response: httpx.Response) -> dict[str, Any] | None:
    if len(response.content) > MAX_ANSWER_OCTETS:
        return None
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _code_in_brackets(response: httpx.Response) -> str:
    body = _json(response)
    return f" {body['code']}" if body and isinstance(body.get("code"), str) else ""

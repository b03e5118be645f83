"""Decisions of the city's PMI over HTTP: for who keeps no policy of the city's in their own process.

    guard = Guard(ServiceDecider("https://pmi.city.example/pmi"))

The service verifies the holder and the attribute certificates, which it takes from its repository where none
are presented, and writes the decision into its log. An answer of another form, late, or of another status
than 200 is no permission. The connection must be one whose other end is known: https, or one's own network.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from onecert.verifier.attribute_certificate.credentials import Credentials
from onecert.verifier.certificate import as_parsed
from onecert.verifier.decision.deciding import Act, Reason
from onecert.verifier.decision.question import Answer, Result
from onecert.verifier.enforce.web.required_roles import RoleAnswer
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.fetch.listed import listed_fetch
from onecert.verifier.fetch.transfer import Fetch, FetchRequest
from onecert.verifier.jws import load_json
from onecert.verifier.messages import LANGUAGES
from onecert.verifier.verified_certificate import VerifiedCertificate

__all__ = ["ServiceDecider"]

_MAX_ANSWER = 1024 * 1024
_REASONS_MAX = 100


class ServiceDecider:
    """Asks the service for each decision; ``Decides``. Safe to share between threads.

    Args:
        url: where the PMI is; ``/v1/decisions`` is put behind it.
        fetch: how to ask; ``listed_fetch(timeout)`` by default.
        timeout: for one decision.
    """

    def __init__(
        self, url: str, *, fetch: Fetch | None = None, timeout: timedelta = timedelta(seconds=3)
    ) -> None:
        self._url = f"{url.rstrip('/')}/v1/decisions"
        self._fetch, self._timeout = fetch or listed_fetch(timeout), timeout

    def decide(
        self,
        certificate: bytes | VerifiedCertificate,
        attribute_certificates: Credentials,
        act: Act,
        *,
        at: datetime,
    ) -> RoleAnswer:
        """See ``Decides``. The service decides by its own clock.

        Raises:
            CouldNotCheckError: ``FETCH_…``: it did not answer; ``DECISION_SERVICE``: that is no answer.
        """
        # The service knows the delegations itself.
        body = _question(certificate, attribute_certificates.certificates, act)
        request = FetchRequest(
            url=self._url,
            max_bytes=_MAX_ANSWER,
            body=body,
            content_type="application/json",
            timeout=self._timeout,
        )
        data = self._fetch(request).data or b""
        try:
            return _read(load_json(data, max_bytes=_MAX_ANSWER))
        except (VerifyError, KeyError, TypeError, ValueError) as exc:
            raise CouldNotCheckError("DECISION_SERVICE", detail=type(exc).__name__) from exc


def _question(certificate: bytes | VerifiedCertificate, presented: Sequence[bytes], act: Act) -> bytes:
    parsed = as_parsed(
        certificate.certificate if isinstance(certificate, VerifiedCertificate) else certificate
    )
    text = base64.encodebytes(parsed.der).decode("ascii")
    resource = {
        "type": act.resource.type,
        "id": act.resource.id,
        "attributes": dict(act.resource.attributes),
    }
    asked: dict[str, Any] = {
        "certificate_pem": f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n",
        "action": act.action,
        "resource": resource,
        "context": dict(act.context),
    }
    if presented:
        asked["attribute_certificates"] = [base64.b64encode(each).decode("ascii") for each in presented]
    if act.target is not None and act.target.names:
        asked["target"] = str(act.target.names[0])
    if act.use_roles is not None:
        asked["use_roles"] = sorted(act.use_roles)
    return json.dumps(asked, ensure_ascii=False).encode("utf-8", "replace")


def _read(said: Any) -> RoleAnswer:
    result = Result(said["result"])
    # Said twice, and believed only where both say the same.
    if said["decision"] != result.decision:
        raise ValueError("the decision is not that of the result")
    reasons = tuple(
        Reason(
            kind=_text(each["kind"]),
            code=_text(each["code"]),
            texts=dict.fromkeys(LANGUAGES, _text(each["text"])),
            serial=_text(each.get("serial", "")),
        )
        for each in said["reasons"][:_REASONS_MAX]
    )
    answer = Answer(result=result, obligations=tuple(map(_text, said["obligations"])))
    return RoleAnswer(id=_text(said["decision_id"]), answer=answer, reasons=reasons)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value

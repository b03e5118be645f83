"""From a draft to the payload that officers sign, in the names of ETSI TS 119 602.

The counterpart that reads it is ``onecert.verifier.trust_list.parse``; every payload made here is read back
with it before anybody signs.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from onecert.supervision.draft import SERVICE_TYPES, Draft, DraftService
from onecert.supervision.draft_pointers import pointer_payload
from onecert.supervision.errors import DraftRefusedError
from onecert.verifier.certificate import decode_pem
from onecert.verifier.errors import VerifyError
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list import LocalText, StatusEntry, TrustList, parse_trust_list
from onecert.verifier.trust_list import vocabulary as v

__all__ = ["build_payload", "check_payload"]


def build_payload(
    draft: Draft, *, sequence: int, issued_at: datetime, next_update: datetime
) -> dict[str, Any]:
    """The payload of a list.

    Raises:
        DraftRefusedError: a certificate is not one.
    """
    return {
        "LoTE": {
            "ListAndSchemeInformation": {
                "LoTEVersionIdentifier": v.LOTE_VERSION,
                "LoTESequenceNumber": sequence,
                "LoTEType": v.LOTE_TYPE,
                "SchemeOperatorName": _texts(draft.operator),
                **({"SchemeTerritory": draft.territory} if draft.territory else {}),
                "HistoricalInformationPeriod": 65535,
                "ListIssueDateTime": format_time(issued_at),
                "NextUpdate": format_time(next_update),
                **(
                    {
                        "PointersToOtherLoTE": [
                            pointer_payload(pointer, texts=_texts, entry=_entry) for pointer in draft.pointers
                        ]
                    }
                    if draft.pointers
                    else {}
                ),
            },
            "TrustedEntitiesList": [
                {
                    "TrustedEntityInformation": {"TEName": _texts(service.entity)},
                    "TrustedEntityServices": [_service(service)],
                }
                for service in draft.services
            ],
        }
    }


def check_payload(payload: dict[str, Any]) -> TrustList:
    """Read a payload as verifiers will.

    Raises:
        DraftRefusedError: with their reason.
    """
    try:
        return parse_trust_list(payload)
    except VerifyError as exc:
        raise DraftRefusedError(exc) from exc


def _service(service: DraftService) -> dict[str, Any]:
    # The standard wants the present status outside and the earlier ones, newest first, in the history.
    history = sorted(service.history, key=lambda entry: entry.start)
    extensions: list[dict[str, Any]] = []
    if service.identity_profile is not None:
        extensions.append(_extension(v.EXT_IDENTITY_PROFILE, True, dict(service.identity_profile)))
    if service.issuance_log:
        extensions.append(_extension(v.EXT_ISSUANCE_LOG, True, {"required": True}))
    contact = service.contact
    values = {"hotline": contact.hotline, "email": contact.email, "website": contact.website}
    if any(values.values()):
        extensions.append(
            _extension(v.EXT_CONTACT, False, {k: value for k, value in values.items() if value})
        )
    if service.policies:
        extensions.append(_extension(v.EXT_POLICIES, True, {"accepted": list(service.policies)}))
    if service.algorithms:
        rows = [row.as_dict() for row in service.algorithms]
        extensions.append(_extension(v.EXT_ALGORITHMS, True, {"accepted": rows}))
    if service.service_level is not None:
        extensions.append(_extension(v.EXT_SERVICE_LEVEL, False, service.service_level.as_dict()))
    extensions += _terms(history[-1])
    return {
        "ServiceInformation": {
            "ServiceTypeIdentifier": SERVICE_TYPES[service.service_type],
            "ServiceName": _texts(service.name),
            "ServiceDigitalIdentity": {
                "X509Certificates": [{"val": _base64_der(pem)} for pem in service.certificates_pem],
                "OtherIds": [service.id],
            },
            **_status(history[-1]),
            "ServiceSupplyPoints": [
                {"ServiceType": kind.uri, "uriValue": url} for kind, url in service.supply_points
            ],
            "ServiceInformationExtensions": extensions,
        },
        "ServiceHistory": [_entry(entry) for entry in reversed(history[:-1])],
    }


def _status(entry: StatusEntry) -> dict[str, str]:
    return {"ServiceStatus": entry.status.uri, "StatusStartingTime": format_time(entry.start)}


def _entry(entry: StatusEntry) -> dict[str, Any]:
    terms = _terms(entry)
    return {**_status(entry), **({"ServiceInformationExtensions": terms} if terms else {})}


def _terms(entry: StatusEntry) -> list[dict[str, Any]]:
    terms: dict[str, Any] = {}
    if entry.accept_existing:
        terms["on_suspend"] = "accept_existing"
    if entry.existing_until is not None:
        terms["existing_until"] = format_time(entry.existing_until)
    if entry.taken_over_by is not None:
        terms["taken_over_by"] = entry.taken_over_by
    return [_extension(v.EXT_STATUS_TERMS, True, terms)] if terms else []


def _extension(name: str, critical: bool, value: Any) -> dict[str, Any]:
    return {"Type": name, "Critical": critical, "Value": value}


def _texts(text: LocalText) -> list[dict[str, str]]:
    return [{"lang": "zh", "value": text.zh}, {"lang": "en", "value": text.en}]


def _base64_der(pem: str) -> str:
    try:
        return base64.b64encode(decode_pem(pem.encode("ascii"), "CERTIFICATE")).decode("ascii")
    except VerifyError as exc:
        raise DraftRefusedError(exc) from exc

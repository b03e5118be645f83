"""The kit's signed trust list: ETSI TS 119 602 names in JSON, signed by two officers.

Source of the signatures: RFC 7515, section 7.2.1.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from importlib import resources
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from onecert.testkit.authority import DAY, MARK, Authority
from onecert.testkit.documents import sign_document
from onecert.testkit.recipes import AUTHORITIES, AuthorityRow
from onecert.testkit.trust_roles import public_row
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list import vocabulary as v

__all__ = ["list_keys_json", "read_profile", "sign_list", "trust_list_payload"]


def read_profile(name: str) -> dict[str, Any]:
    """The identity profile of this name."""
    profile: dict[str, Any] = json.loads(
        resources.files(__package__).joinpath("profiles", f"{name}.json").read_text(encoding="utf-8")
    )
    return profile


def trust_list_payload(
    authorities: Mapping[str, Authority], *, at: datetime, lasts: timedelta
) -> dict[str, Any]:
    """The list over all CAs that are listed, issued at ``at``."""
    rows = [row for row in AUTHORITIES if row.listed]
    return {
        "LoTE": {
            "ListAndSchemeInformation": {
                "LoTEVersionIdentifier": v.LOTE_VERSION,
                "LoTEType": v.LOTE_TYPE,
                "LoTESequenceNumber": 1,
                "SchemeOperatorName": _texts(f"{MARK} 管理局", f"{MARK} office"),
                "HistoricalInformationPeriod": 65535,
                "ListIssueDateTime": format_time(at),
                "NextUpdate": format_time(at + lasts),
            },
            "TrustedEntitiesList": [
                {
                    "TrustedEntityInformation": {"TEName": _texts(f"{row.zh}公司", f"{row.en} Ltd")},
                    "TrustedEntityServices": [_service(row, authorities[row.id], at, lasts)],
                }
                for row in rows
            ],
        }
    }


def _service(row: AuthorityRow, authority: Authority, at: datetime, lasts: timedelta) -> dict[str, Any]:
    granted = {"ServiceStatus": v.Status.GRANTED.uri, "StatusStartingTime": format_time(at - 1000 * DAY)}
    now = {"ServiceStatus": row.status.uri, "StatusStartingTime": format_time(at + row.since * DAY)}
    extensions = [_extension(v.EXT_IDENTITY_PROFILE, read_profile(row.profile))]
    if row.keeps_existing:
        extensions.append(_extension(v.EXT_STATUS_TERMS, {"existing_until": format_time(at + lasts)}))
    return {
        "ServiceInformation": {
            "ServiceTypeIdentifier": v.SERVICE_TYPE_CA,
            "ServiceName": _texts(row.zh, row.en),
            "ServiceDigitalIdentity": {
                "X509Certificates": [{"val": base64.b64encode(authority.certificate_der).decode("ascii")}],
                "OtherIds": [row.id],
            },
            **now,
            "ServiceSupplyPoints": [{"ServiceType": v.SupplyKind.CRL.uri, "uriValue": authority.crl_url}],
            "ServiceInformationExtensions": extensions,
        },
        "ServiceHistory": [] if row.status is v.Status.GRANTED else [granted],
    }


def sign_list(payload: dict[str, Any], officers: Iterable[ec.EllipticCurvePrivateKey]) -> bytes:
    """The signed document; the officers have P-256 keys."""
    return sign_document(payload, typ=v.TYP, keys=officers)


def list_keys_json(officers: Sequence[ec.EllipticCurvePrivateKey]) -> bytes:
    """What a department is handed: the officers' keys, all of which must sign."""
    keys = [public_row(key) for key in officers]
    return json.dumps({"threshold": len(officers), "keys": keys}, indent=1).encode("ascii")


def _extension(name: str, value: Any) -> dict[str, Any]:
    return {"Type": name, "Critical": True, "Value": value}


def _texts(zh: str, en: str) -> list[dict[str, str]]:
    return [{"lang": "zh", "value": zh}, {"lang": "en", "value": en}]

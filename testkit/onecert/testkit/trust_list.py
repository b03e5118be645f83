"""What the kit's trust list says: ETSI TS 119 602 names in JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib import resources
from typing import Any

from onecert.testkit.authority import DAY, MARK, Authority
from onecert.testkit.kept import Withdrawal
from onecert.testkit.recipes import AUTHORITIES, AuthorityRow
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list import vocabulary as v

__all__ = ["read_profile", "trust_list_payload"]


def read_profile(name: str) -> dict[str, Any]:
    """The identity profile of this name."""
    profile: dict[str, Any] = json.loads(
        resources.files(__package__).joinpath("profiles", f"{name}.json").read_text(encoding="utf-8")
    )
    return profile


def trust_list_payload(
    authorities: Mapping[str, Authority],
    *,
    at: datetime,
    lasts: timedelta,
    issued: datetime | None = None,
    sequence: int = 1,
    withdrawn: Mapping[str, Withdrawal] | None = None,
) -> dict[str, Any]:
    """The list over all CAs that are listed.

    Args:
        at: from when the days of ``AUTHORITIES`` are counted.
        lasts: how long the list may be used after ``issued``, which is ``at`` by default.
        withdrawn: CAs that have lost their licence since the kit was made.
    """
    issued = issued or at
    rows = [row for row in AUTHORITIES if row.listed]
    return {
        "LoTE": {
            "ListAndSchemeInformation": {
                "LoTEVersionIdentifier": v.LOTE_VERSION,
                "LoTEType": v.LOTE_TYPE,
                "LoTESequenceNumber": sequence,
                "SchemeOperatorName": _texts(f"{MARK} 管理局", f"{MARK} office"),
                "HistoricalInformationPeriod": 65535,
                "ListIssueDateTime": format_time(issued),
                "NextUpdate": format_time(issued + lasts),
            },
            "TrustedEntitiesList": [
                {
                    "TrustedEntityInformation": {"TEName": _texts(f"{row.zh}公司", f"{row.en} Ltd")},
                    "TrustedEntityServices": [
                        _service(row, authorities[row.id], at, issued + lasts, (withdrawn or {}).get(row.id))
                    ],
                }
                for row in rows
            ],
        }
    }


def _service(
    row: AuthorityRow, authority: Authority, at: datetime, until: datetime, withdrawal: Withdrawal | None
) -> dict[str, Any]:
    status, since, keeps_existing = row.status, at + row.since * DAY, row.keeps_existing
    if withdrawal is not None:
        status, since, keeps_existing = v.Status.WITHDRAWN, withdrawal.since, withdrawal.keeps_existing
    granted = {"ServiceStatus": v.Status.GRANTED.uri, "StatusStartingTime": format_time(at - 1000 * DAY)}
    now = {"ServiceStatus": status.uri, "StatusStartingTime": format_time(since)}
    extensions = [_extension(v.EXT_IDENTITY_PROFILE, read_profile(row.profile))]
    if keeps_existing:
        extensions.append(_extension(v.EXT_STATUS_TERMS, {"existing_until": format_time(until)}))
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
        "ServiceHistory": [] if status is v.Status.GRANTED else [granted],
    }


def _extension(name: str, value: Any) -> dict[str, Any]:
    return {"Type": name, "Critical": True, "Value": value}


def _texts(zh: str, en: str) -> list[dict[str, str]]:
    return [{"lang": "zh", "value": zh}, {"lang": "en", "value": en}]

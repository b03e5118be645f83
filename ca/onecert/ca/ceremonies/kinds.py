"""The kinds of ceremonies: which tables each has, and what they may say.

- `root-and-issuing`: an offline root and an issuing authority below it; what format 1 says.
- `root`: a further root; with `rekeys`, the same name with a new key, and the two key roll-over certificates.
- `issuing`: a further issuing authority below a root of ours; with `rekeys`, the same name with a new key.
- `request`: a root or issuing authority of ours that an outside authority certifies.
- `subordinate`, `cross`: an authority of others that a root of ours certifies.
- `received`: certificates that others gave an authority of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from onecert.ca.authorities.terms_file import read_certified, read_policies
from onecert.ca.ceremonies.plans import AuthorityPlan, OutsidePlan, is_name, read_plan, read_profiles
from onecert.ca.certificates.outside import read_certificates
from onecert.ca.errors import CeremonyFileError
from onecert.ca.lists.names import looks_like_list

__all__ = ["KINDS", "PLACES", "ROOT_AND_ISSUING", "read_kind"]

ROOT_AND_ISSUING = "root-and-issuing"
KINDS: Mapping[str, tuple[str, ...]] = {
    ROOT_AND_ISSUING: ("root", "issuing", "profiles"),
    "root": ("root",),
    "issuing": ("issuing", "profiles"),
    "request": ("root", "issuing", "profiles", "outside"),
    "subordinate": ("certified",),
    "cross": ("certified",),
    "received": ("received",),
}
PLACES = frozenset(place for places in KINDS.values() for place in places) | {"kind"}
ROOT_HOURS, ISSUING_HOURS = 24 * 365, 24


def read_kind(kind: str, data: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    """Read the tables of one kind; faults are added to the others.

    Returns:
        fields of `CeremonyFile`.
    """
    made: dict[str, Any] = {"profiles": ()}
    if kind in {"subordinate", "cross"}:
        made["certified"] = read_certified(kind, data.get("certified", {}), faults)
        return made
    if kind == "received":
        made["outside"] = _received(data.get("received", {}), faults)
        return made
    if kind == "request":
        made["outside"] = _outside(data.get("outside", {}), faults)
        if ("root" in data) == ("issuing" in data):
            faults.append("a request is for “root” or “issuing”: one of them")
    wanted = [place for place in ("root", "issuing") if place in KINDS[kind]]
    if kind == "request":
        wanted = [place for place in wanted if place in data]
    for place in wanted:
        hours = ROOT_HOURS if place == "root" else ISSUING_HOURS
        made[place] = _plan(kind, place, data.get(place, {}), hours, faults)
    if "issuing" in wanted:
        made["profiles"] = read_profiles(data.get("profiles", []), faults)
    elif "profiles" in data and "profiles" in KINDS[kind]:
        faults.append("“profiles” are of an issuing authority")
    if kind == ROOT_AND_ISSUING:
        _check_pair(made["root"], made["issuing"], faults)
    return made


def _plan(kind: str, place: str, data: Any, crl_hours: int, faults: list[str]) -> AuthorityPlan | None:
    more: frozenset[str] = frozenset()
    if kind in {"root", "issuing"}:
        more = frozenset({"rekeys"}) | (
            frozenset({"issuer", "line", "orders_from", "policies"}) if kind == "issuing" else frozenset()
        )
    plan = read_plan(place, data, faults, crl_hours=crl_hours, more_keys=more)
    if not isinstance(data, dict) or not more:
        return plan
    before = len(faults)
    for key in ("issuer", "rekeys", "line"):
        is_needed = key in data or (key == "issuer" and "rekeys" not in data)
        if key in more and is_needed and not is_name(data.get(key)):
            faults.append(f"{place}: “{key}” names an authority")
    moment = data.get("orders_from") if "orders_from" in more else None
    if moment is not None and not (isinstance(moment, datetime) and moment.tzinfo is not None):
        faults.append(f"{place}: “orders_from” is a moment with offset: 2027-01-04T00:00:00+08:00")
    if "line" in data and moment is None:
        faults.append(f"{place}: “line” needs “orders_from”")
    if moment is not None and "line" not in data and "rekeys" not in data:
        faults.append(f"{place}: “orders_from” needs “line”, the name that orders are made by")
    if data.get("rekeys") is not None and data.get("rekeys") == data.get("name"):
        faults.append(f"{place}: the re-keyed authority needs a name of its own beside its subject")
    policies = read_policies(place, data, faults) if "policies" in data and "policies" in more else ()
    if plan is None or len(faults) > before:
        return None
    return replace(
        plan,
        profile=replace(plan.profile, policies=policies),
        issuer=data.get("issuer", ""),
        rekeys=data.get("rekeys", ""),
        line=data.get("line", "") if moment is not None else "",
        orders_from=moment,
    )


def _check_pair(root: AuthorityPlan | None, issuing: AuthorityPlan | None, faults: list[str]) -> None:
    if root is None or issuing is None:
        return
    if root.name == issuing.name:
        faults.append("root and issuing authority need different names")
    if looks_like_list(root.name, issuing.name):
        faults.append(f"“{root.name}” is the name of a list of “{issuing.name}”")
    if root.profile.validity_days <= issuing.profile.validity_days:
        faults.append("the root must outlive the issuing authority")


def _outside(data: Any, faults: list[str]) -> OutsidePlan | None:
    """The outside authority that is expected to certify ours: its certificate is reviewed beforehand."""
    if not isinstance(data, dict) or set(data) != {"certificates"}:
        faults.append("outside: has “certificates”, of the outside authority first and of those above it")
        return None
    return OutsidePlan(authority="", certificates_der=_certificates("outside", data, faults))


def _received(data: Any, faults: list[str]) -> OutsidePlan | None:
    if not isinstance(data, dict) or set(data) != {"authority", "certificates"}:
        faults.append("received: has “authority” and “certificates”")
        return None
    if not is_name(data["authority"]):
        faults.append("received: “authority” names an authority of ours")
    return OutsidePlan(
        authority=str(data["authority"]), certificates_der=_certificates("received", data, faults)
    )


def _certificates(table: str, data: Mapping[str, Any], faults: list[str]) -> tuple[bytes, ...]:
    text = data["certificates"]
    try:
        found = read_certificates(text.encode() if isinstance(text, str) else b"")
    except CeremonyFileError as exc:
        faults += [f"{table}: {fault}" for fault in exc.faults]
        return ()
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in found)

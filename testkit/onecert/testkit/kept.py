"""The keys of a kit whose CAs go on working, and what has happened since the kit was made.

``keys/`` lies beside ``site/`` and is served by nobody: the key of each issuing CA, the officers' keys, and
``state.json``. A kit without it cannot change.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.testkit.authority import Authority
from onecert.testkit.errors import KitError
from onecert.testkit.keys import SoftKey, load_key
from onecert.testkit.recipes import AUTHORITIES
from onecert.verifier.strict_json import format_time, parse_time

__all__ = ["Kept", "Withdrawal", "load_kept", "replace_file", "save_kept"]

_SCHEMA = 1
# One per kit: who makes two changes at once would lose one of them.
_FOLDER = "keys"


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """A CA has lost its licence; ``keeps_existing``: what it had issued stays good."""

    since: datetime
    keeps_existing: bool = False


@dataclass
class Kept:
    """What a change needs. ``cases`` are the original verdicts of cases whose certificate has changed."""

    authorities: dict[str, Authority]
    officers: list[ec.EllipticCurvePrivateKey]
    sequence: int = 1
    crl_number: int = 1
    last_change: datetime | None = None
    withdrawn: dict[str, Withdrawal] = field(default_factory=dict)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that who reads it meanwhile gets the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    os.replace(beside, path)


def save_kept(folder: Path, kept: Kept) -> None:
    """Write ``keys/``; readable by its owner only, though nothing is behind these keys."""
    place = folder / _FOLDER
    place.mkdir(mode=0o700, exist_ok=True)
    for authority in kept.authorities.values():
        replace_file(place / f"ca-{authority.id}.key", authority.key.pem)
    for number, officer in enumerate(kept.officers, start=1):
        replace_file(place / f"officer-{number}.key", SoftKey(officer).pem)
    state = {
        "schema": _SCHEMA,
        "officers": len(kept.officers),
        "sequence": kept.sequence,
        "crl_number": kept.crl_number,
        "last_change": kept.last_change and format_time(kept.last_change),
        "revoked": {
            authority.id: {
                f"{serial:x}": {"reason": reason.value, "at": format_time(at)}
                for serial, (reason, at) in authority.revoked.items()
            }
            for authority in kept.authorities.values()
        },
        "withdrawn": {
            name: {"since": format_time(row.since), "keeps_existing": row.keeps_existing}
            for name, row in kept.withdrawn.items()
        },
    }
    replace_file(place / "state.json", json.dumps(state, indent=1).encode("ascii"))


def load_kept(folder: Path, base_url: str) -> Kept:
    """Read ``keys/``.

    Raises:
        KitError: ``KEYS_NOT_KEPT``: the kit was made without them, or they cannot be read.
    """
    place = folder / _FOLDER
    try:
        state: dict[str, Any] = json.loads((place / "state.json").read_bytes())
        if state["schema"] != _SCHEMA:
            raise KitError("KEYS_NOT_KEPT", folder=folder)
        officers = [_officer(place / f"officer-{number + 1}.key") for number in range(state["officers"])]
        return Kept(
            authorities={row.id: _authority(folder, row.id, base_url, state) for row in AUTHORITIES},
            officers=officers,
            sequence=int(state["sequence"]),
            crl_number=int(state["crl_number"]),
            last_change=state["last_change"] and _time(state["last_change"]),
            withdrawn={
                name: Withdrawal(since=_time(row["since"]), keeps_existing=bool(row["keeps_existing"]))
                for name, row in state["withdrawn"].items()
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise KitError("KEYS_NOT_KEPT", folder=folder) from exc


def _authority(folder: Path, name: str, base_url: str, state: dict[str, Any]) -> Authority:
    certificates, crls = folder / "site" / "certificates", folder / "site" / "crls"
    der = (certificates / f"{name}.crt").read_bytes()
    return Authority(
        id=name,
        name=x509.load_der_x509_certificate(der).subject,
        key=load_key((folder / _FOLDER / f"ca-{name}.key").read_bytes()),
        certificate_der=der,
        crl_url=f"{base_url}/crls/{name}.crl",
        root_der=(certificates / f"{name}-root.crt").read_bytes(),
        root_crl_der=(crls / f"{name}-root.crl").read_bytes(),
        revoked={
            int(serial, 16): (x509.ReasonFlags(row["reason"]), _time(row["at"]))
            for serial, row in state["revoked"][name].items()
        },
    )


def _officer(path: Path) -> ec.EllipticCurvePrivateKey:
    key = load_key(path.read_bytes())
    if not isinstance(key, SoftKey) or not isinstance(key.private, ec.EllipticCurvePrivateKey):
        raise ValueError(path.name)
    return key.private


def _time(text: str) -> datetime:
    return parse_time(text, "state.json")

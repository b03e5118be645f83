"""Signed documents: JWS, the trust list, the officers' keys, identity profiles.

The first octet says what the rest is. A list is tried as it is, and its payload also signed anew, so that
what is behind the signatures is reached.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from fuzz.material import T, hierarchy, key
from fuzz.officers import officers_keys, signed, trust_root
from fuzz.rules import answer, check_json, check_texts, require
from onecert.verifier import (
    MemoryState,
    load_trust_list,
    load_trust_root,
    load_trust_timestamp,
    next_trust_root,
    verify_document,
)
from onecert.verifier.identity import load_profile
from onecert.verifier.jws import key_id, load_json
from onecert.verifier.strict_json import Node
from onecert.verifier.trust_list import TrustList
from onecert.verifier.trust_list.parse import MEMORY
from onecert.verifier.trust_list.pointers import merge
from onecert.verifier.trust_list.root import ROOT_TYP
from onecert.verifier.trust_list.timestamp import TIMESTAMP_TYP

IS_DER = False

_TYP = "onecert-trust-list+json"
_KINDS = ("list", "payload", "root", "profile", "json")


@cache
def _profiles() -> list[bytes]:
    folder = Path(__file__).parents[2] / "demo" / "profiles"
    return [path.read_bytes() for path in sorted(folder.glob("*.json"))]


def _text(text: str) -> list[dict[str, str]]:
    return [{"lang": "zh", "value": text}, {"lang": "en", "value": text}]


def _service(name: str, certificate: bytes, profile: bytes) -> dict[str, Any]:
    extensions = [
        {"Type": "urn:onecert:extension:identity-profile", "Critical": True, "Value": json.loads(profile)},
        {"Type": "urn:onecert:extension:contact", "Critical": False, "Value": {"hotline": "0755-1"}},
    ]
    points = [{"ServiceType": "urn:onecert:supply-point:crl", "uriValue": "http://127.0.0.1/1.crl"}]
    return {
        "ServiceInformation": {
            "ServiceTypeIdentifier": "urn:onecert:service-type:ca",
            "ServiceName": _text(name),
            "ServiceDigitalIdentity": {
                "X509Certificates": [{"val": base64.b64encode(certificate).decode()}],
                "OtherIds": [name],
            },
            "ServiceStatus": "urn:onecert:service-status:granted",
            "StatusStartingTime": "2025-01-01T00:00:00Z",
            "ServiceSupplyPoints": points,
            "ServiceInformationExtensions": extensions,
        }
    }


def _payload() -> dict[str, Any]:
    services = [
        _service(name, party.der, profile)
        for name, party, profile in zip(
            ("pearl", "harbour"), (hierarchy().root_a, hierarchy().root_b), _profiles(), strict=False
        )
    ]
    past = copy.deepcopy(services[1]["ServiceInformation"])
    past["ServiceStatus"] = "urn:onecert:service-status:withdrawn"
    past.pop("ServiceSupplyPoints"), past.pop("ServiceInformationExtensions")
    return {
        "LoTE": {
            "ListAndSchemeInformation": {
                "LoTEVersionIdentifier": 1,
                "LoTEType": "urn:onecert:lote:licensed-certification-authorities",
                "LoTESequenceNumber": 5,
                "SchemeOperatorName": _text("Office"),
                "SchemeTerritory": "CN-44",
                "HistoricalInformationPeriod": 65535,
                "ListIssueDateTime": "2026-11-21T08:00:00Z",
                "NextUpdate": "2026-12-21T08:00:00Z",
            },
            "TrustedEntitiesList": [
                {
                    "TrustedEntityInformation": {"TEName": _text("Pearl Ltd")},
                    "TrustedEntityServices": services,
                }
            ],
        }
    }


_HERE = "http://127.0.0.1/trust-list.json"


def _pointer(name: str) -> dict[str, Any]:
    status = {"ServiceStatus": "urn:onecert:service-status:granted"}
    terms = {
        "id": name,
        "root": base64.b64encode(signed(json.dumps(root_payload(1)).encode(), ROOT_TYP)).decode(),
        "history": [{**status, "StatusStartingTime": "2025-01-01T00:00:00Z"}],
        "services": ["harbour"],
        "id_types": ["uscc"],
        "classes": ["organisation"],
        "policies": ["1.2.3.1"],
    }
    extension = {"Type": "urn:onecert:extension:pointer-terms", "Critical": True, "Value": terms}
    return {"LoTELocation": _HERE, "SchemeOperatorName": _text("Province"), "PointerExtensions": [extension]}


def list_payload() -> bytes:
    """What the seeds' list says, as JSON."""
    return json.dumps(_payload()).encode()


def seeds() -> Iterable[bytes]:
    """A list, its payload, the keys, the profiles that ship, a root, a timestamp."""
    payload = json.dumps(_payload()).encode()
    yield b"\x00" + signed(payload)
    yield b"\x01" + payload
    small = _payload()
    small["LoTE"]["TrustedEntitiesList"] = []
    yield b"\x01" + json.dumps(small).encode()
    small["LoTE"]["ListAndSchemeInformation"]["PointersToOtherLoTE"] = [
        _pointer("gd"),
        {"LoTELocation": _HERE},
    ]
    yield b"\x01" + json.dumps(small).encode()
    publics = [{"kid": kid, "spki_pem": _pem(public)} for kid, public in officers_keys().keys.items()]
    yield b"\x02" + json.dumps({"threshold": 2, "keys": publics}).encode()
    yield b"\x02" + json.dumps(root_payload(2)).encode()
    named = {"root": {"version": 1, "sha256": "0" * 64}, "list": {"sequence": 5, "sha256": "0" * 64}}
    times = {"issued_at": "2026-11-21T08:00:00Z", "expires_at": "2026-11-22T08:00:00Z"}
    yield b"\x02" + json.dumps({"version": 128, **times, **named}).encode()
    yield from (b"\x03" + profile for profile in _profiles())
    yield b'\x04{"a": [1, "\\ud83d\\ude00", true, null, {"b": {}}]}'


def root_payload(version: int) -> dict[str, Any]:
    """A root that gives each role keys of its own; the officers keep the root and the list."""

    def row(numbers: tuple[int, ...], **more: Any) -> dict[str, Any]:
        keys = [key(number).public_key() for number in numbers]
        rows = [{"kid": key_id(public), "spki_pem": _pem(public)} for public in keys]
        return {"threshold": len(rows), **more, "keys": rows}

    return {
        "version": version,
        "issued_at": "2026-11-21T08:00:00Z",
        "expires_at": "2031-11-20T08:00:00Z",
        "roles": {
            "root": row((21, 22)),
            "list": row((23,), epoch=1),
            "timestamp": row((24,), epoch=1),
        },
    }


def _pem(public: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()  # type: ignore[no-any-return]


def run(data: bytes) -> None:
    """What the first octet says."""
    body = data[1:]
    kind = _KINDS[data[0] % len(_KINDS)] if data else "json"
    if kind == "list":
        _list(body)
        answer(lambda: verify_document(body, typ=_TYP, keys=officers_keys().keys))
    elif kind == "payload":
        _list(signed(body))
    elif kind == "root":
        _trust(body)
    elif kind == "profile":
        profile = answer(lambda: load_profile(body))
        require(profile is None or profile.sources, "a profile without sources")
    else:
        value = answer(lambda: load_json(body, max_bytes=1 << 20))
        check_json(value)
        if isinstance(value, dict):
            Node(value, "")


def _trust(body: bytes) -> None:
    for data in (body, signed(body, ROOT_TYP)):
        first = answer(partial(load_trust_root, data))
        later = answer(partial(next_trust_root, trust_root(), data))
        require(later is None or later.version == trust_root().version + 1, "a version was left out")
        for root in (first, later):
            if root is not None:
                check_json(root.as_dict())
                owners = [kid for keys in root.roles.values() for kid in keys.keys]
                require(len(set(owners)) == len(owners), "a key with two roles")
    stamped = answer(lambda: load_trust_timestamp(signed(body, TIMESTAMP_TYP), root=trust_root()))
    require(stamped is None or stamped.root.number <= trust_root().version, "a timestamp about a later root")


def _list(data: bytes) -> None:
    state = MemoryState()
    MEMORY.clear()  # what an earlier input left behind must not decide about this one
    found = answer(lambda: load_trust_list(data, keys=officers_keys(), at=T, state=state))
    if found is not None:
        _ask(found)
        again = answer(lambda: load_trust_list(data, keys=officers_keys(), at=T, state=state))
        require(again == found, "the same list is refused the second time")


def _ask(found: TrustList) -> None:
    require(found.issued_at <= T.replace(hour=10) and found.next_update > T, "a list outside its time")
    check_json(found.as_dict(T))
    ids = list(found.by_id)
    require(len(ids) == len(found.services), "two services have one id")
    check_texts(ids)
    for pointer in found.pointers:
        check_texts([pointer.location])
        if pointer.terms is not None:
            # Its own services, under its name: theirs are ours already, so that nothing of them may stay.
            merged = merge(found, [(pointer, found)])
            require(merged.services == found.services, "a list that is pointed to has keys of ours")
            alone = merge(replace(found, services=()), [(pointer, found)])
            limits = pointer.terms.id_types, pointer.terms.classes
            for service in alone.services:
                require(service.id.startswith(f"{pointer.terms.id}/"), "a service under another name")
                scope = service.identity_profile and service.identity_profile.scope
                within = not scope or (scope.id_types <= limits[0] and scope.classes <= limits[1])
                require(within, "more than the pointer grants")
    for anchor in found.anchors:
        check_texts([anchor.subject])
        require(anchor.label in found.by_id, "an anchor of no service")
        answer(getattr, anchor, "public_key")

"""Signed documents: JWS, the trust list, the officers' keys, identity profiles.

The first octet says what the rest is. A list is tried as it is, and its payload also signed anew, so that
what is behind the signatures is reached.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from fuzz.material import T, hierarchy, key, sign
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
from onecert.verifier.trust_list import Role, RoleKeys, TrustList, TrustRoot
from onecert.verifier.trust_list.parse import MEMORY
from onecert.verifier.trust_list.root import ROOT_TYP
from onecert.verifier.trust_list.timestamp import TIMESTAMP_TYP

IS_DER = False

_TYP = "onecert-trust-list+json"
_OFFICERS = (21, 22)
_KINDS = ("list", "payload", "root", "profile", "json")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signed(payload: bytes, typ: str = _TYP) -> bytes:
    text = _b64(payload)
    signatures = []
    for number in _OFFICERS:
        header = {"alg": "ES256", "kid": key_id(key(number).public_key()), "typ": typ}
        protected = _b64(json.dumps(header).encode())
        r, s = decode_dss_signature(sign(f"{protected}.{text}".encode(), number))
        signatures.append(
            {"protected": protected, "signature": _b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))}
        )
    return json.dumps({"payload": text, "signatures": signatures}).encode()


@cache
def _keys() -> RoleKeys:
    publics = [key(number).public_key() for number in _OFFICERS]
    return RoleKeys(2, {key_id(public): public for public in publics})


@cache
def _root() -> TrustRoot:
    """The officers hold all roles here, which no document may say."""
    roles = dict.fromkeys(Role, _keys())
    return TrustRoot(version=1, issued_at=T, expires_at=T, roles=roles, sha256="0" * 64)


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


def seeds() -> Iterable[bytes]:
    """A list, its payload, the keys, the profiles that ship."""
    payload = json.dumps(_payload()).encode()
    yield b"\x00" + _signed(payload)
    yield b"\x01" + payload
    small = _payload()
    small["LoTE"]["TrustedEntitiesList"] = []
    yield b"\x01" + json.dumps(small).encode()
    publics = [{"kid": kid, "spki_pem": _pem(public)} for kid, public in _keys().keys.items()]
    yield b"\x02" + json.dumps({"threshold": 2, "keys": publics}).encode()
    yield from (b"\x03" + profile for profile in _profiles())
    yield b'\x04{"a": [1, "\\ud83d\\ude00", true, null, {"b": {}}]}'


def _pem(public: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()  # type: ignore[no-any-return]


def run(data: bytes) -> None:
    """What the first octet says."""
    body = data[1:]
    kind = _KINDS[data[0] % len(_KINDS)] if data else "json"
    if kind == "list":
        _list(body)
        answer(lambda: verify_document(body, typ=_TYP, keys=_keys().keys))
    elif kind == "payload":
        _list(_signed(body))
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
    for data in (body, _signed(body, ROOT_TYP)):
        first = answer(partial(load_trust_root, data))
        later = answer(partial(next_trust_root, _root(), data))
        require(later is None or later.version == _root().version + 1, "a version was left out")
        for root in (first, later):
            if root is not None:
                check_json(root.as_dict())
                owners = [kid for keys in root.roles.values() for kid in keys.keys]
                require(len(set(owners)) == len(owners), "a key with two roles")
    stamped = answer(lambda: load_trust_timestamp(_signed(body, TIMESTAMP_TYP), root=_root()))
    require(stamped is None or stamped.root.number <= _root().version, "a timestamp about a later root")


def _list(data: bytes) -> None:
    state = MemoryState()
    MEMORY.clear()  # what an earlier input left behind must not decide about this one
    found = answer(lambda: load_trust_list(data, keys=_keys(), at=T, state=state))
    if found is not None:
        _ask(found)
        again = answer(lambda: load_trust_list(data, keys=_keys(), at=T, state=state))
        require(again == found, "the same list is refused the second time")


def _ask(found: TrustList) -> None:
    require(found.issued_at <= T.replace(hour=10) and found.next_update > T, "a list outside its time")
    check_json(found.as_dict(T))
    ids = list(found.by_id)
    require(len(ids) == len(found.services), "two services have one id")
    check_texts(ids)
    for anchor in found.anchors:
        check_texts([anchor.subject])
        require(anchor.label in found.by_id, "an anchor of no service")
        answer(getattr, anchor, "public_key")

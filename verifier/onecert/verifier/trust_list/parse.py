"""From the signed payload to the model, strictly: unknown keys and unknown critical extensions refuse.

Names follow ETSI TS 119 602 V1.1.1 (lists of trusted entities, JSON). We read the part that our scheme uses;
members of the standard that it does not use are unknown keys here, because a list is written for us.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from onecert.verifier.errors import MalformedError, VerifyError
from onecert.verifier.identity.errors import ProfileError
from onecert.verifier.jws import load_json
from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.errors import TrustListError
from onecert.verifier.trust_list.fields import (
    CriticalExtensionError,
    read_extensions,
    read_local_text,
)
from onecert.verifier.trust_list.model import LocalText, TrustedService, TrustList
from onecert.verifier.trust_list.parts import NotInPartsError, Part, PartMemory, PartReader
from onecert.verifier.trust_list.pointer import check_pointers, read_pointer
from onecert.verifier.trust_list.services import read_service, read_usual_services

# Of this process. What octets say depends on nothing else, so that all lists may share it.
MEMORY = PartMemory()


# ValueError has StrictJsonError and what is no UTF-8.
_NOT_IN_PARTS = (NotInPartsError, VerifyError, ValueError, CriticalExtensionError)


def read_trust_list(octets: bytes) -> TrustList:
    """Read the payload of a list, at most 16 MiB of UTF-8 JSON, like ``parse_trust_list``.

    Parts that were read before are not read again; ``TrustList.sha256`` is the digest of these octets.

    Raises:
        TrustListError: as ``parse_trust_list``, and TRUST_LIST_MALFORMED for what is no strict JSON.
    """
    sha256 = hashlib.sha256(octets).hexdigest()
    with contextlib.suppress(*_NOT_IN_PARTS):
        parts = PartReader(MEMORY)
        return _root(parts.open(octets), sha256, parts)
    try:
        payload = load_json(octets, max_bytes=v.MAX_BYTES)
    except MalformedError as exc:
        raise TrustListError("TRUST_LIST_MALFORMED", detail=exc.text("en")) from exc
    return parse_trust_list(payload, sha256=sha256)


def parse_trust_list(payload: Mapping[str, Any], *, sha256: str | None = None) -> TrustList:
    """Read the payload of a list. Signatures, freshness and sequence are *not* checked here.

    Args:
        payload: the decoded JSON.
        sha256: the digest of the octets it was read from; without it that of our own spelling.

    Raises:
        TrustListError: TRUST_LIST_MALFORMED, TRUST_LIST_CRITICAL_EXTENSION or TRUST_LIST_HISTORY.
    """
    try:
        return _root(payload, sha256 or digest(payload), None)
    except StrictJsonError as exc:
        raise TrustListError("TRUST_LIST_MALFORMED", detail=str(exc)[:300]) from exc
    except ProfileError as exc:
        raise TrustListError("TRUST_LIST_MALFORMED", detail=str(exc.facts.get("detail"))) from exc
    except CriticalExtensionError as exc:
        raise TrustListError("TRUST_LIST_CRITICAL_EXTENSION", extension=exc.name[:200]) from exc


def digest(payload: Mapping[str, Any]) -> str:
    """SHA-256 of the octets that ``sign_document`` would sign."""
    text = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _root(payload: object, sha256: str, parts: PartReader | None) -> TrustList:
    with Node(payload, "") as root, root.node("LoTE") as node:
        return _list(node, sha256, parts)


def _list(node: Node, sha256: str, parts: PartReader | None) -> TrustList:
    with node.node("ListAndSchemeInformation") as info:
        info.integer("LoTEVersionIdentifier", low=v.LOTE_VERSION, high=v.LOTE_VERSION)
        info.choice("LoTEType", {v.LOTE_TYPE})
        sequence = info.integer("LoTESequenceNumber", low=1, high=2**53 - 1)
        operator = read_local_text(info, "SchemeOperatorName")
        issued_at, next_update = info.time("ListIssueDateTime"), info.time("NextUpdate")
        if not timedelta(0) < next_update - issued_at <= timedelta(days=v.MAX_VALIDITY_DAYS):
            problem = f"must be after ListIssueDateTime by at most {v.MAX_VALIDITY_DAYS} days"
            raise StrictJsonError(info.place("NextUpdate"), problem)
        info.text("SchemeTerritory", default="", max_length=16)
        # 65535 means that history is never removed; anything else would forget who was trusted when.
        info.integer("HistoricalInformationPeriod", low=65535, high=65535)
        pointers = tuple(
            read_pointer(item) for item in info.nodes("PointersToOtherLoTE", high=32, default=[])
        )
        check_pointers(pointers, info.place("PointersToOtherLoTE"))
        read_extensions(info, "SchemeExtensions", known=())
    services = _services(node, parts)
    _check_unique(services)
    return TrustList(
        sequence=sequence,
        operator=operator,
        issued_at=issued_at,
        next_update=next_update,
        services=tuple(services),
        sha256=sha256,
        pointers=pointers,
    )


def _check_unique(services: list[TrustedService]) -> None:
    """One id, and one key under one name, belong to one service: otherwise its status is not defined."""
    if len({service.id for service in services}) != len(services):
        raise StrictJsonError("TrustedEntitiesList", "two services have one id")
    owner: dict[bytes, str] = {}
    for service in services:
        for certificate in service.certificates:
            if owner.setdefault(certificate.spki_der, service.id) != service.id:
                raise StrictJsonError("TrustedEntitiesList", f"{service.id}: another service has this key")


def _services(node: Node, parts: PartReader | None) -> list[TrustedService]:
    key = "TrustedEntitiesList"
    found = [row for entity in node.nodes(key, high=500) for row in _entity(entity)]
    if parts is None:
        return [read_service(Node(value, place, index), name, None) for value, place, index, name in found]
    return parts.read_all(
        [(_part(value), name) for value, _, _, name in found],
        lambda value, name: read_service(Node(value, key), name, parts),
        lambda rows: read_usual_services(rows, parts),
    )


def _entity(node: Node) -> list[tuple[object, str, int, LocalText]]:
    """Its services, not read yet, each with its place and the name of the entity."""
    with node:
        with node.node("TrustedEntityInformation") as info:
            name = read_local_text(info, "TEName")
        place = node.place("TrustedEntityServices")
        services = node.items("TrustedEntityServices", low=1, high=100)
        return [(value, place, index, name) for index, value in enumerate(services)]


def _part(value: object) -> Part:
    if not isinstance(value, Part):
        raise NotInPartsError("a service elsewhere")
    return value

"""From the signed payload to the model, strictly: unknown keys and unknown critical extensions refuse.

Names follow ETSI TS 119 602 V1.1.1 (lists of trusted entities, JSON). We read the part that our scheme uses;
members of the standard that it does not use are unknown keys here, because a list is written for us.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import MalformedError, VerifyError
from onecert.verifier.identity.errors import ProfileError
from onecert.verifier.identity.profile import IdentityProfile, parse_profile
from onecert.verifier.jws import load_json
from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.errors import TrustListError
from onecert.verifier.trust_list.model import (
    Contact,
    LocalText,
    Pointer,
    StatusEntry,
    SupplyPoint,
    TrustedService,
    TrustList,
)
from onecert.verifier.trust_list.parts import NotInPartsError, Part, PartMemory, PartReader

_SERVICE_ID = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_URL = re.compile(r"https?://[!-~]{1,2000}", re.ASCII)
# Values of extensions that nobody here knows. The deepest lies 11 levels down, and 32 is the end of all JSON.
_UNREAD_MAX_DEPTH = 16
# Of this process. What octets say depends on nothing else, so that all lists may share it.
MEMORY = PartMemory()


class _CriticalExtensionError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


# ValueError has StrictJsonError and what is no UTF-8.
_NOT_IN_PARTS = (NotInPartsError, VerifyError, ValueError, _CriticalExtensionError)


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
    except _CriticalExtensionError as exc:
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
        operator = _local_text(info, "SchemeOperatorName")
        issued_at, next_update = info.time("ListIssueDateTime"), info.time("NextUpdate")
        if not timedelta(0) < next_update - issued_at <= timedelta(days=v.MAX_VALIDITY_DAYS):
            problem = f"must be after ListIssueDateTime by at most {v.MAX_VALIDITY_DAYS} days"
            raise StrictJsonError(info.place("NextUpdate"), problem)
        info.text("SchemeTerritory", default="", max_length=16)
        # 65535 means that history is never removed; anything else would forget who was trusted when.
        info.integer("HistoricalInformationPeriod", low=65535, high=65535)
        pointers = tuple(_pointer(item) for item in info.nodes("PointersToOtherLoTE", high=32, default=[]))
        _extensions(info, "SchemeExtensions", known=())
    services: list[TrustedService] = []
    for entity in node.nodes("TrustedEntitiesList", high=500):
        services.extend(_entity(entity, parts))
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


def _pointer(node: Node) -> Pointer:
    with node:
        return Pointer(location=_url(node, "LoTELocation"))


def _entity(node: Node, parts: PartReader | None) -> list[TrustedService]:
    with node:
        with node.node("TrustedEntityInformation") as info:
            name = _local_text(info, "TEName")
        place = node.place("TrustedEntityServices")
        services = enumerate(node.items("TrustedEntityServices", low=1, high=100))
        if parts is None:
            return [_service(Node(item, place, index), name, None) for index, item in services]

        def read(value: Any) -> TrustedService:
            return _service(Node(value, place), name, parts)

        return [parts.read(_part(item), (name.zh, name.en), read) for _, item in services]


def _part(value: object) -> Part:
    if not isinstance(value, Part):
        raise NotInPartsError("a service elsewhere")
    return value


def _service(node: Node, entity: LocalText, parts: PartReader | None) -> TrustedService:
    with node:
        history = [_history_entry(item) for item in node.nodes("ServiceHistory", high=500, default=[])]
        with node.node("ServiceInformation") as info:
            service_type = info.choice("ServiceTypeIdentifier", {v.SERVICE_TYPE_CA})
            name = _local_text(info, "ServiceName")
            service_id, certificates = _digital_identity(info)
            described = _described(info, parts)
            history.append(_status_entry(info, described.terms_node()))
            # The standard lists history newest first; what counts is the starting time.
            history.sort(key=lambda entry: entry.start)
            check_history(service_id, history)
            return TrustedService(
                id=service_id,
                service_type=service_type,
                name=name,
                entity=entity,
                certificates=certificates,
                history=tuple(history),
                supply_points=tuple(_supply_point(p) for p in info.nodes("ServiceSupplyPoints", default=[])),
                identity_profile=described.identity_profile,
                issuance_log_required=described.issuance_log_required,
                contact=described.contact,
            )


@dataclass(frozen=True, kw_only=True)
class _Described:
    """What the extensions of a service say. The terms are read with the status that they belong to."""

    identity_profile: IdentityProfile | None
    issuance_log_required: bool
    contact: Contact
    terms: object
    terms_where: str

    def terms_node(self) -> Node | None:
        return None if self.terms is None else Node(self.terms, self.terms_where)


def _described(info: Node, parts: PartReader | None) -> _Described:
    key = "ServiceInformationExtensions"
    value = info.take(key, [])
    if parts is not None and isinstance(value, Part):
        return parts.read(value, key, lambda found: _describe(Node({key: found}, info.where), key))
    return _describe(info, key)


def _describe(node: Node, key: str) -> _Described:
    found = _extensions(
        node,
        key,
        known=(v.EXT_IDENTITY_PROFILE, v.EXT_STATUS_TERMS, v.EXT_ISSUANCE_LOG, v.EXT_CONTACT),
    )
    terms = found.get(v.EXT_STATUS_TERMS)
    return _Described(
        identity_profile=_profile(found.get(v.EXT_IDENTITY_PROFILE)),
        issuance_log_required=_issuance_log(found.get(v.EXT_ISSUANCE_LOG)),
        contact=_contact(found.get(v.EXT_CONTACT)),
        terms=None if terms is None else terms.raw,
        terms_where="" if terms is None else terms.where,
    )


def _history_entry(node: Node) -> StatusEntry:
    with node:
        extensions = _extensions(node, "ServiceInformationExtensions", known=(v.EXT_STATUS_TERMS,))
        return _status_entry(node, extensions.get(v.EXT_STATUS_TERMS))


def _status_entry(node: Node, terms: Node | None) -> StatusEntry:
    status = v.STATUS_BY_URI[node.choice("ServiceStatus", v.STATUS_BY_URI)]
    start = node.time("StatusStartingTime")
    if terms is None:
        return StatusEntry(status=status, start=start)
    with terms:
        entry = StatusEntry(
            status=status,
            start=start,
            accept_existing=terms.choice("on_suspend", {"refuse", "accept_existing"}, default="refuse")
            == "accept_existing",
            existing_until=terms.time("existing_until", default=None),
            taken_over_by=terms.text("taken_over_by", default=None, max_length=64),
        )
    if entry.accept_existing and status is not v.Status.SUSPENDED:
        raise StrictJsonError(terms.where, "on_suspend belongs to suspended")
    if entry.existing_until and status not in (v.Status.WITHDRAWN, v.Status.TERMINATED):
        raise StrictJsonError(terms.where, "existing_until belongs to withdrawn or terminated")
    return entry


def check_history(service_id: str, history: list[StatusEntry]) -> None:
    """The history begins with a grant, no two entries start together, and a compromised key stays so.

    Raises:
        TrustListError: TRUST_LIST_HISTORY.
    """
    problem = ""
    if history[0].status is not v.Status.GRANTED:
        problem = "the first status must be granted"
    for earlier, later in pairwise(history):
        if earlier.start == later.start:
            problem = "two statuses start at the same time"
        if earlier.status is v.Status.KEY_COMPROMISED:
            problem = "nothing can follow key_compromised"
    if problem:
        raise TrustListError("TRUST_LIST_HISTORY", service=service_id, detail=problem)


def _digital_identity(info: Node) -> tuple[str, tuple[ParsedCertificate, ...]]:
    with info.node("ServiceDigitalIdentity") as identity:
        (service_id,) = identity.texts("OtherIds", low=1, high=1)
        if _SERVICE_ID.fullmatch(service_id) is None:
            raise StrictJsonError(identity.place("OtherIds"), "an id has lower-case letters, digits and -")
        certificates: list[ParsedCertificate] = []
        for item in identity.nodes("X509Certificates", low=1, high=16):
            with item:
                text = item.text("val", max_length=100_000)
            try:
                certificates.append(parse_certificate(base64.b64decode(text, validate=True)))
            except (binascii.Error, ValueError) as exc:
                raise StrictJsonError(item.place("val"), "not base64") from exc
            except VerifyError as exc:
                raise StrictJsonError(item.place("val"), f"not a certificate ({exc.code})") from exc
        first, *others = certificates
        if any((c.spki_der, c.subject) != (first.spki_der, first.subject) for c in others):
            # TS 119 612, 5.5.3: all certificates of one service name the same key and subject.
            raise StrictJsonError(identity.where, "the certificates have different keys or names")
        if not first.is_ca:
            raise StrictJsonError(identity.where, "not a certificate of a CA")
        return service_id, tuple(certificates)


def _supply_point(node: Node) -> SupplyPoint:
    with node:
        kind = v.SUPPLY_BY_URI[node.choice("ServiceType", v.SUPPLY_BY_URI)]
        return SupplyPoint(kind=kind, url=_url(node, "uriValue"))


def _profile(value: Node | None) -> IdentityProfile | None:
    return None if value is None else parse_profile(value.raw, value.where)


def _issuance_log(value: Node | None) -> bool:
    if value is None:
        return False
    with value:
        return value.boolean("required")


def _contact(value: Node | None) -> Contact:
    if value is None:
        return Contact()
    with value:
        return Contact(
            hotline=value.text("hotline", default="", max_length=64),
            email=value.text("email", default="", max_length=128),
            website=_url(value, "website") if value.has("website") else "",
        )


def _extensions(node: Node, key: str, *, known: tuple[str, ...]) -> dict[str, Node]:
    """The known extensions by type. An unknown one refuses the list when it is critical."""
    found: dict[str, Node] = {}
    for item in node.nodes(key, high=32, default=[]):
        with item:
            name = item.text("Type", max_length=256)
            critical = item.boolean("Critical")
            value = item.take("Value")
        if name not in known:
            if critical:
                raise _CriticalExtensionError(name)
            _check_unread(value, item.place("Value"))
            continue
        if name in found:
            raise StrictJsonError(item.where, "the extension occurs twice")
        found[name] = Node(value, item.place("Value"))
    return found


def _check_unread(value: object, where: str, deepest: int = _UNREAD_MAX_DEPTH) -> None:
    """What nobody reads must still be JSON of a bounded depth, however the text was cut."""
    if isinstance(value, (dict, list)):
        if deepest == 0:
            raise StrictJsonError(where, "nested too deeply")
        for inner in value.values() if isinstance(value, dict) else value:
            _check_unread(inner, where, deepest - 1)
    elif value is not None and not isinstance(value, (str, int)):
        raise StrictJsonError(where, "not JSON")


def _local_text(node: Node, key: str) -> LocalText:
    texts: dict[str, str] = {}
    for item in node.nodes(key, low=2, high=2):
        with item:
            texts[item.choice("lang", {"zh", "en"})] = item.text("value", max_length=200)
    if len(texts) != 2:
        raise StrictJsonError(node.place(key), "needs zh and en")
    return LocalText(zh=texts["zh"], en=texts["en"])


def _url(node: Node, key: str) -> str:
    value = node.text(key)
    if _URL.fullmatch(value) is None:
        raise StrictJsonError(node.place(key), "not an http or https address")
    return value

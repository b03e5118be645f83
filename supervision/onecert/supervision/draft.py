"""A draft of the trust list: what officers edit, as frozen data and as a JSON file.

The file says the same as the published list, in shorter words, and has samples besides: certificates that the
identity profile of a service must resolve as expected before anybody signs. ``supervision/README.md`` shows
one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from onecert.supervision.draft_pointers import DraftPointer, parse_pointer, pointer_json
from onecert.supervision.errors import AuthorityUnknownError, DraftMalformedError
from onecert.verifier.strict_json import Node, StrictJsonError, format_time
from onecert.verifier.trust_list import Contact, LocalText, Status, StatusEntry, SupplyKind
from onecert.verifier.trust_list.description import read_algorithms, read_service_level
from onecert.verifier.trust_list.fields import read_oids
from onecert.verifier.trust_list.model import AllowedAlgorithm, ServiceLevel
from onecert.verifier.trust_list.vocabulary import SERVICE_TYPE_CA, SERVICE_TYPE_TSA

__all__ = ["SERVICE_TYPES", "Draft", "DraftService", "Sample", "add_status", "draft_json", "parse_draft"]

SERVICE_TYPES = {"ca": SERVICE_TYPE_CA, "tsa": SERVICE_TYPE_TSA}
PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]{1,100000}-----END CERTIFICATE-----")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A certificate and what the profile must make of it: an id and a class, or a refusal."""

    certificate_pem: str
    id: str = ""
    holder_class: str = ""
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class DraftService:
    """One service, of the type ``ca`` or ``tsa``; what it may sign and has promised is as in the list."""

    id: str
    name: LocalText
    entity: LocalText
    certificates_pem: tuple[str, ...]
    history: tuple[StatusEntry, ...]
    identity_profile: Mapping[str, Any] | None
    contact: Contact
    supply_points: tuple[tuple[SupplyKind, str], ...]
    issuance_log: bool
    samples: tuple[Sample, ...]
    service_type: str = "ca"
    policies: tuple[str, ...] = ()
    algorithms: tuple[AllowedAlgorithm, ...] = ()
    service_level: ServiceLevel | None = None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The whole list but for number, dates and signatures."""

    operator: LocalText
    territory: str
    services: tuple[DraftService, ...]
    pointers: tuple[DraftPointer, ...] = ()

    def service(self, authority: str) -> DraftService:
        """One service.

        Raises:
            AuthorityUnknownError: there is none of this id.
        """
        for service in self.services:
            if service.id == authority:
                return service
        raise AuthorityUnknownError(authority, tuple(service.id for service in self.services))

    def pointer(self, pointer: str) -> DraftPointer:
        """One pointer.

        Raises:
            AuthorityUnknownError: there is none of this id.
        """
        for each in self.pointers:
            if each.id == pointer:
                return each
        raise AuthorityUnknownError(pointer, tuple(each.id for each in self.pointers))


def add_status(draft: Draft, authority: str, entry: StatusEntry) -> Draft:
    """The draft with one more entry at the end of an authority's history."""
    service = draft.service(authority)
    changed = replace(service, history=(*service.history, entry))
    return replace(draft, services=tuple(changed if s is service else s for s in draft.services))


def parse_draft(value: object) -> Draft:
    """Read a draft from decoded JSON, strictly.

    Raises:
        DraftMalformedError: with the place and the fault.
    """
    try:
        with Node(value, "") as node:
            draft = Draft(
                operator=_text(node, "operator"),
                territory=node.text("territory", default="", max_length=16),
                services=tuple(_service(item) for item in node.nodes("services", low=1, high=500)),
                pointers=tuple(
                    parse_pointer(item, text=_text, entry=_entry)
                    for item in node.nodes("pointers", high=32, default=[])
                ),
            )
    except StrictJsonError as exc:
        raise DraftMalformedError(str(exc)[:300]) from exc
    ids = [service.id for service in draft.services]
    if len(set(ids)) != len(ids):
        raise DraftMalformedError("services: two services have one id")
    return draft


def _service(node: Node) -> DraftService:
    with node:
        name = _text(node, "name")
        profile = node.take("identity_profile", None)
        if profile is not None and not isinstance(profile, dict):
            raise StrictJsonError(node.place("identity_profile"), "must be an object")
        return DraftService(
            id=node.text("id", max_length=63),
            name=name,
            entity=_text(node, "entity") if node.has("entity") else name,
            certificates_pem=_certificates(node, "certificate_pem"),
            history=tuple(_entry(item) for item in node.nodes("history", low=1, high=500)),
            identity_profile=profile,
            contact=_contact(node),
            supply_points=_supply_points(node),
            issuance_log=node.boolean("issuance_log", default=False),
            samples=tuple(_sample(item) for item in node.nodes("samples", high=100, default=[])),
            service_type=node.choice("type", SERVICE_TYPES, default="ca"),
            policies=read_oids(node, "policies") if node.has("policies") else (),
            algorithms=read_algorithms(node, "algorithms", writing=True) if node.has("algorithms") else (),
            service_level=read_service_level(node.node("sla")) if node.has("sla") else None,
        )


def _certificates(node: Node, key: str) -> tuple[str, ...]:
    text = node.text(key, max_length=400_000)
    blocks = tuple(match.group().replace("\r", "") + "\n" for match in PEM.finditer(text))
    if not blocks:
        raise StrictJsonError(node.place(key), "no certificate in PEM form")
    return blocks


def _entry(node: Node) -> StatusEntry:
    with node:
        until, taken = node.time("existing_until", default=None), node.text("taken_over_by", default=None)
        accept = node.choice("on_suspend", {"refuse", "accept_existing"}, default="refuse")
        return StatusEntry(
            status=Status(node.choice("status", set(Status))),
            start=node.time("from"),
            accept_existing=accept == "accept_existing",
            existing_until=until,
            taken_over_by=taken,
        )


def _contact(node: Node) -> Contact:
    if not node.has("contact"):
        return Contact()
    with node.node("contact") as contact:
        return Contact(
            hotline=contact.text("hotline", default="", max_length=64),
            email=contact.text("email", default="", max_length=128),
            website=contact.text("website", default="", max_length=500),
        )


def _supply_points(node: Node) -> tuple[tuple[SupplyKind, str], ...]:
    if not node.has("supply_points"):
        return ()
    with node.node("supply_points") as points:
        return tuple((kind, url) for kind in SupplyKind for url in points.texts(kind.value, default=[]))


def _sample(node: Node) -> Sample:
    with node:
        sample = Sample(
            certificate_pem=_certificates(node, "certificate_pem")[0],
            id=node.text("id", default="", max_length=128),
            holder_class=node.text("class", default="", max_length=32),
            refused=node.text("refused", default="", max_length=64),
        )
        if bool(sample.id) == bool(sample.refused):
            raise StrictJsonError(node.where, "needs either id or refused")
        return sample


def _text(node: Node, key: str) -> LocalText:
    with node.node(key) as text:
        return LocalText(zh=text.text("zh", max_length=200), en=text.text("en", max_length=200))


def draft_json(draft: Draft) -> dict[str, Any]:
    """The draft as JSON; ``parse_draft`` reads it back."""
    return {
        "operator": {"zh": draft.operator.zh, "en": draft.operator.en},
        **({"territory": draft.territory} if draft.territory else {}),
        "services": [_service_json(service) for service in draft.services],
        **(
            {"pointers": [pointer_json(pointer, _entry_json) for pointer in draft.pointers]}
            if draft.pointers
            else {}
        ),
    }


def _service_json(service: DraftService) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": service.id,
        **({"type": service.service_type} if service.service_type != "ca" else {}),
        "name": {"zh": service.name.zh, "en": service.name.en},
        "entity": {"zh": service.entity.zh, "en": service.entity.en},
        "certificate_pem": "".join(service.certificates_pem),
        "history": [_entry_json(entry) for entry in service.history],
        "contact": _filled(
            hotline=service.contact.hotline, email=service.contact.email, website=service.contact.website
        ),
        "supply_points": {
            kind.value: [url for other, url in service.supply_points if other is kind]
            for kind in dict.fromkeys(kind for kind, _url in service.supply_points)
        },
        "issuance_log": service.issuance_log,
        "samples": [
            _filled(
                certificate_pem=sample.certificate_pem,
                id=sample.id,
                **{"class": sample.holder_class},
                refused=sample.refused,
            )
            for sample in service.samples
        ],
    }
    if service.identity_profile is not None:
        value["identity_profile"] = dict(service.identity_profile)
    if service.policies:
        value["policies"] = list(service.policies)
    if service.algorithms:
        value["algorithms"] = [row.as_dict() for row in service.algorithms]
    if service.service_level is not None:
        value["sla"] = service.service_level.as_dict()
    return value


def _entry_json(entry: StatusEntry) -> dict[str, str]:
    return _filled(
        status=entry.status.value,
        **{"from": format_time(entry.start)},
        on_suspend="accept_existing" if entry.accept_existing else "",
        existing_until=_optional_time(entry.existing_until),
        taken_over_by=entry.taken_over_by or "",
    )


def _optional_time(at: datetime | None) -> str:
    return format_time(at) if at is not None else ""


def _filled(**values: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}

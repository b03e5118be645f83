"""Changes of a draft, as functions from one draft to the next.

Each goes through the JSON form of the draft, so that what is typed meets the same strict reader as a file,
and fields that this module does not know stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onecert.server.languages import _
from onecert.supervision.draft import Draft, draft_json, parse_draft
from onecert.supervision.errors import UploadError

__all__ = [
    "add_certificates",
    "add_sample",
    "add_service",
    "change_head",
    "change_service",
    "filled",
    "remove_certificate",
    "remove_sample",
    "remove_service",
]


def change_head(draft: Draft, **values: Any) -> Draft:
    """With other ``operator`` or ``territory``; an empty value takes the key away."""
    return parse_draft(filled({**draft_json(draft), **values}))


def change_service(draft: Draft, authority: str, changes: Mapping[str, Any]) -> Draft:
    """With other values of one service, in the names of the draft file; an empty one takes the key away.

    Raises:
        AuthorityUnknownError: there is none of this id. DraftMalformedError: with the place and the fault.
    """
    draft.service(authority)
    value = draft_json(draft)
    value["services"] = [
        filled({**each, **changes}) if each["id"] == authority else each for each in value["services"]
    ]
    return parse_draft(value)


def add_service(draft: Draft, service: Mapping[str, Any]) -> Draft:
    """With one more service; as it is when the very same is there already."""
    value = draft_json(draft)
    wanted = draft_json(parse_draft({**value, "services": [filled(dict(service))]}))["services"][0]
    if wanted in value["services"]:
        return draft
    if any(each["id"] == wanted["id"] for each in value["services"]):
        raise UploadError(_("the list has a service of this id already"))
    return parse_draft({**value, "services": [*value["services"], wanted]})


def remove_service(draft: Draft, authority: str) -> Draft:
    """Without a service that was never published."""
    draft.service(authority)
    value = draft_json(draft)
    value["services"] = [each for each in value["services"] if each["id"] != authority]
    if not value["services"]:
        raise UploadError(_("the list would have no service left"))
    return parse_draft(value)


def add_certificates(draft: Draft, authority: str, pems: list[str]) -> Draft:
    """With further certificates of a service; those that it has already are left out."""
    present = draft.service(authority).certificates_pem
    further = [pem for pem in dict.fromkeys(pems) if _bare(pem) not in map(_bare, present)]
    if not further:
        return draft
    return change_service(draft, authority, {"certificate_pem": "".join((*present, *further))})


def remove_certificate(draft: Draft, authority: str, index: int) -> Draft:
    """Without one of the certificates of a service, counted from 0."""
    present = draft.service(authority).certificates_pem
    kept = [pem for number, pem in enumerate(present) if number != index]
    if not kept:
        raise UploadError(_("a service needs a certificate"))
    return change_service(draft, authority, {"certificate_pem": "".join(kept)})


def add_sample(draft: Draft, authority: str, sample: Mapping[str, str]) -> Draft:
    """With one more sample of a service's identity profile."""
    samples = _samples(draft, authority)
    wanted = filled(dict(sample))
    if wanted in samples:
        return draft
    return change_service(draft, authority, {"samples": [*samples, wanted]})


def remove_sample(draft: Draft, authority: str, index: int) -> Draft:
    """Without one of the samples, counted from 0."""
    samples = [each for number, each in enumerate(_samples(draft, authority)) if number != index]
    return change_service(draft, authority, {"samples": samples})


def _samples(draft: Draft, authority: str) -> list[dict[str, Any]]:
    draft.service(authority)
    service = next(each for each in draft_json(draft)["services"] if each["id"] == authority)
    return list(service.get("samples", []))


def _bare(pem: str) -> str:
    return "".join(pem.split())


def filled(value: dict[str, Any]) -> dict[str, Any]:
    """Without keys whose value is empty; false and numbers are values."""
    return {key: each for key, each in value.items() if each is not None and each not in ("", {}, [])}

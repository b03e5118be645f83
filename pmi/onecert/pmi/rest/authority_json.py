"""Authorities, surveys and outcomes as programs see them: the same for REST and commands."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from onecert.pmi.authorities.delegations import Held
from onecert.pmi.authorities.directory import Authority
from onecert.pmi.authorities.renewals import WARN_BEFORE
from onecert.pmi.authorities.states import Outcome
from onecert.pmi.authorities.survey import Survey, UnderOne
from onecert.pmi.parts import Parts

__all__ = ["authority_detail", "authority_json", "certificate_pem", "outcome_json", "survey_json"]


def authority_json(connection: Connection, parts: Parts, authority: Authority) -> dict[str, Any]:
    """One authority that has a certificate."""
    newest = parts.publisher.newest(connection, authority.name)
    certificate = authority.certificate
    return {
        "name": authority.name,
        "kind": authority.kind,
        "state": authority.state,
        "subject": certificate.subject_text,
        "serial": f"{certificate.serial:x}",
        "not_after": certificate.not_after.isoformat(),
        "ends_soon": certificate.not_after < parts.context.clock.now() + WARN_BEFORE,
        "generation": authority.generation,
        "acrl": authority.acrl_url,
        "acrl_number": newest.number if newest else None,
        "acrl_next_update": newest.next_update.isoformat() if newest else None,
    }


def authority_detail(connection: Connection, parts: Parts, name: str) -> dict[str, Any]:
    """One authority with its history, its keys and what it may give.

    Raises:
        AuthorityUnknownError, AuthorityNotReadyError
    """
    now = parts.context.clock.now()
    authority = parts.authorities.load(connection, name)
    held = parts.delegations.held(connection, authority, now)
    waiting = parts.authority_states.waiting(connection, name)
    history = parts.authority_states.history(connection, name)
    return {
        **authority_json(connection, parts, authority),
        "new_key_waits": parts.key_renewals.waiting(connection, name),
        "keys": [
            {"generation": each.generation, "acrl": each.acrl_url, "serial": f"{each.certificate.serial:x}"}
            for each in parts.authorities.every_key(connection)
            if each.name == name
        ],
        "history": [{**row, "since": row["since"].isoformat()} for row in map(dict, history)],
        "waits_for_second": None
        if waiting is None
        else {
            "act": waiting["act"],
            "reason": waiting["reason"],
            "each": waiting["each_certificate"],
            "content_sha256": waiting["content_sha256"],
            "requested_by": waiting["requested_by"],
            "requested_at": waiting["requested_at"].isoformat(),
        },
        "held": None if held is None else [_held_json(each) for each in held],
        "certificate_pem": certificate_pem(authority),
        "chain_pem": authority.chain_pem,
    }


def survey_json(survey: Survey) -> dict[str, Any]:
    """What an act would do."""
    return {
        "authority": survey.authority,
        "act": survey.act,
        "kind": survey.kind,
        "state": survey.state,
        "reason": survey.reason,
        "each": survey.each,
        "held": [_under_json(each) for each in survey.given_to],
        "below": [_under_json(each) for each in survey.below],
        "authorities": list(survey.authorities),
        "certificates": dict(survey.certificates),
        "holders": survey.holders,
        "needs_second": survey.needs_second,
        "waiting_for": survey.waiting_for,
        "content_sha256": survey.content_sha256,
    }


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """What came of an act."""
    return {
        **survey_json(outcome.survey),
        "is_done": outcome.is_done,
        "changed": outcome.changed,
        "acrls": outcome.published,
    }


def certificate_pem(authority: Authority) -> str:
    """The certificate of an authority, for `delegation grant` and for relying parties."""
    return authority.certificate.certificate.public_bytes(Encoding.PEM).decode("ascii")


def _held_json(held: Held) -> dict[str, Any]:
    return {
        "serial": held.serial,
        "giver": held.giver.name,
        "path": list(held.path),
        "depth": held.limits.depth,
        "not_before": held.limits.not_before.isoformat(),
        "not_after": held.limits.not_after.isoformat(),
    }


def _under_json(each: UnderOne) -> dict[str, Any]:
    return {
        "serial": each.serial,
        "authority": each.authority,
        "holder_name": each.holder_name,
        "state": each.state,
        "not_after": each.not_after.isoformat(),
    }

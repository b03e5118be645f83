"""The identity profile of a service: upload it, its samples, and try it on a certificate."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.server.errors import ServiceError
from onecert.server.languages import _, current_language, gettext
from onecert.server.web import notify, requires_role
from onecert.supervision.described_profile import class_name, id_type_name, profile_lines
from onecert.supervision.draft import Draft
from onecert.supervision.edits import add_sample, change_service, remove_sample
from onecert.supervision.effect import draft_list
from onecert.supervision.errors import SampleError, UploadError
from onecert.supervision.pages.common import (
    EDITORS,
    WORKERS,
    Attempt,
    edit_draft,
    open_draft,
    posted,
    the,
    uploaded,
    uploaded_text,
)
from onecert.supervision.samples import SampleResult, run_samples
from onecert.supervision.uploads import read_certificates, read_profile
from onecert.verifier.errors import VerifyError
from onecert.verifier.identity import Identity, PersonRule, identify
from onecert.verifier.messages import message

__all__ = ["add_to"]

PROFILE_MAX_BYTES = 64 * 1024
CERTIFICATE_MAX_BYTES = 64 * 1024
_TRY_KEY = os.urandom(32)


def add_to(pages: Blueprint) -> None:
    """Add the pages of a profile."""
    at = "/draft/services/<authority>/"
    pages.add_url_rule(at + "profile", "profile", _profile, methods=["GET", "POST"])
    pages.add_url_rule(at + "samples", "samples", _samples, methods=["GET", "POST"])
    pages.add_url_rule(at + "try", "try_profile", _try, methods=["GET", "POST"])


@requires_role(*EDITORS)
def _profile(authority: str) -> Any:
    failed: list[SampleResult] = []

    def page(refusal: dict[str, str] | None) -> str:
        record = open_draft()
        service = record.draft.service(authority)
        present = service.identity_profile
        text = json.dumps(present, ensure_ascii=False, indent=2) if present is not None else ""
        return render_template(
            "supervision/profile.html",
            record=record,
            service=service,
            lines=profile_lines(present) if present is not None else (),
            text=uploaded_text("profile", PROFILE_MAX_BYTES) if refusal else text,
            results=failed,
            refusal=refusal,
        )

    def act() -> None:
        profile = read_profile(uploaded("profile", PROFILE_MAX_BYTES))

        def change(draft: Draft) -> Draft:
            return change_service(draft, authority, {"identity_profile": profile})

        try:
            edit_draft(change, {"authority": authority, "part": "profile"})
        except SampleError:
            failed.extend(_results(change(open_draft().draft), authority))
            raise

    return _answer(authority, act, page)


@requires_role(*EDITORS)
def _samples(authority: str) -> Any:
    def page(refusal: dict[str, str] | None) -> str:
        record = open_draft()
        service = record.draft.service(authority)
        return render_template(
            "supervision/samples.html",
            record=record,
            service=service,
            results=_results(record.draft, authority),
            values=dict(request.form) if refusal else {},
            pasted=uploaded_text("certificate", CERTIFICATE_MAX_BYTES) if refusal else "",
            refusal=refusal,
        )

    def act() -> None:
        index = posted("remove", 4)
        number = int(index) if index.isascii() and index.isdigit() else -1
        sample = {} if index else _sample()
        edit_draft(
            lambda draft: (
                remove_sample(draft, authority, number) if index else add_sample(draft, authority, sample)
            ),
            {"authority": authority, "part": "samples"},
        )

    return _answer(authority, act, page, "draft.samples")


def _sample() -> dict[str, str]:
    pems = read_certificates(uploaded("certificate", CERTIFICATE_MAX_BYTES))
    if len(pems) != 1:
        raise UploadError(_("a sample is one certificate"))
    return {
        "certificate_pem": pems[0],
        "id": posted("id", 128),
        "class": posted("class", 32),
        "refused": posted("refused", 64),
    }


@dataclass(frozen=True)
class _Reading:
    """What the profile makes of the certificate that was pasted."""

    identity: Identity | None = None
    warnings: tuple[str, ...] = ()
    code: str = ""
    text: str = ""
    hint: str = ""


@requires_role(*WORKERS)
def _try(authority: str) -> Any:
    record = open_draft()
    service = record.draft.service(authority)
    reading, refusal, status = None, None, 200
    if request.method == "POST":
        try:
            pem = read_certificates(uploaded("certificate", CERTIFICATE_MAX_BYTES))[0]
            reading = _read(record.draft, authority, pem)
        except UploadError as exc:
            refusal, status = _told(exc), exc.status
    page = render_template(
        "supervision/try.html",
        record=record,
        service=service,
        reading=reading,
        pasted=uploaded_text("certificate", CERTIFICATE_MAX_BYTES) if request.method == "POST" else "",
        id_type_name=id_type_name,
        class_name=class_name,
        refusal=refusal,
    )
    return make_response(page, status)


def _read(draft: Draft, authority: str, pem: str) -> _Reading:
    now, language = the().editor.clock.now(), current_language()
    profile = draft_list(draft, at=now).by_id[authority].identity_profile
    if profile is None:
        return _Reading(code="CA_PROFILE_MISSING", text=message("CA_PROFILE_MISSING", language))
    persons = PersonRule(application="supervision", pairwise_key=_TRY_KEY)
    try:
        identity = identify(pem.encode("ascii"), profile, ca_service=authority, at=now, persons=persons)
    except VerifyError as exc:
        return _Reading(code=exc.code, text=exc.text(language), hint=exc.hint(language))
    return _Reading(identity, tuple(message(code, language) for code in identity.warnings))


def _results(draft: Draft, authority: str) -> list[SampleResult]:
    now = the().editor.clock.now()
    return run_samples(draft.service(authority), draft_list(draft, at=now).by_id[authority], at=now)


def _told(exc: ServiceError) -> dict[str, str]:
    return {"text": gettext(exc.text, **exc.facts), "hint": gettext(exc.hint, **exc.facts), "code": exc.code}


def _answer(authority: str, act: Any, page: Any, endpoint: str = "draft.service") -> Any:
    def done(_value: None) -> AnyResponse:
        notify(_("Saved. Signatures made before are void."))
        return redirect(url_for(endpoint, authority=authority), 303)

    return Attempt(act, page).answer(done)

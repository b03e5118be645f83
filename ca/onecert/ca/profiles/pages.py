"""Pages of profiles: versions and drafts, an editor with its faults, the sample, and what changes.

A draft that is opened here is signed with the officers' own tokens, by command (`onecert ca profile sign`).
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for

from onecert.ca.authorities.authorities import pem
from onecert.ca.errors.profiles import ProfileFileError
from onecert.ca.parts import Parts
from onecert.ca.profiles.difference import compare_profiles
from onecert.ca.profiles.words import describe_certificate
from onecert.ca.revocation.security_officers import PROFILE_OFFICER
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.web import NavItem, current_operator, notify, requires_role

__all__ = ["NAVIGATION", "profile_pages"]

READERS = (PROFILE_OFFICER, "ca.operator", "ca.security")
NAVIGATION = (NavItem(_("Profiles"), "profiles.index", READERS),)


def profile_pages(parts: Parts) -> Blueprint:
    """The pages under /ca/profiles."""
    pages = Blueprint("profiles", __name__)
    desk = parts.profile_desk

    @pages.get("/profiles")
    @requires_role(*READERS)
    def index() -> str:
        return render_template("ca/profiles.html", versions=desk.versions(), drafts=desk.drafts())

    @pages.route("/profiles/edit", methods=["GET", "POST"])
    @requires_role(PROFILE_OFFICER)
    def edit() -> Any:
        authority = request.values.get("authority", "")[:64]
        text = request.form.get("text", "").replace("\r\n", "\n")
        shown: dict[str, Any] = {"authority": authority, "text": text, "rows": [], "differences": []}
        if request.method == "GET":
            return _page(**shown)
        try:
            if request.form.get("act") == "draft":
                made = desk.draft(authority, text, in_force_from=None, actor=current_operator().actor)
                notify(
                    _("Draft %(draft)s is open. Two officers sign it now: onecert ca profile sign %(draft)s"),
                    draft=made.id,
                )
                return redirect(url_for("profiles.index"), 303)
            profile, sample = desk.check(authority, text)
        except ServiceError as exc:
            if not exc.is_refusal:
                raise
            return make_response(_page(**shown, faults=_faults(exc)), 422)
        before = parts.authorities.get(authority).profiles.get(profile.name)
        shown["rows"] = describe_certificate(sample.certificate_der, profile)
        shown["differences"] = compare_profiles(before, profile)
        return _page(**shown, profile=profile, before=before, sample_pem=pem(sample.certificate_der))

    def _page(**shown: Any) -> str:
        names = [(each.name, each.name) for each in parts.authorities.reload() if not each.is_root]
        return render_template("ca/profile_editor.html", authorities=names, **shown)

    return pages


def _faults(exc: ServiceError) -> list[str]:
    if isinstance(exc, ProfileFileError):
        return [gettext(fault.msgid, **fault.facts) for fault in exc.faults]
    return [gettext(exc.text, **exc.facts)]

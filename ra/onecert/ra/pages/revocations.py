"""Pages of the security officer: revoke, hold, release. One page says what it does; one click does it.

What is confirmed is what was shown: the form carries the hash of the certificates and their statuses. All of
one holder or all on one token can go together; then the number is typed, because it cannot be undone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Literal

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.records import load_application
from onecert.ra.certificates.records import Certificate
from onecert.ra.errors import NotFoundError
from onecert.ra.operators.roles import SECURITY
from onecert.ra.pages.common import new_key, the_operator, the_ra
from onecert.ra.revocation.reasons import EFFECTS, HOLD, NEED_NOTE, REASONS, RELEASE
from onecert.ra.revocation.several import MAX, Turn, hash_of
from onecert.server.languages import _, gettext
from onecert.server.web import notify, requires_role

__all__ = ["add_to", "read_since"]

_CHINA = timezone(timedelta(hours=8))
_ACTS: Mapping[str, str] = {"revoke": "", "hold": HOLD, "release": RELEASE}
_DONE = {
    "revoke": _("The certificate is revoked. Departments refuse it from now on."),
    "hold": _("The certificate is on hold. Departments refuse it until it is released."),
    "release": _("The certificate is released and valid again."),
}
_KINDS: Mapping[str, Literal["success", "warning", "danger"]] = {
    "done": "success",
    "pending": "warning",
    "refused": "danger",
}
_ONE, _HOLDER, _TOKEN = "one", "holder", "token"


def add_to(pages: Blueprint) -> None:
    """Add them to the pages of certificates. Only security officers come here."""
    pages.add_url_rule("/certificates/<authority>/<serial>/<act>", "change", _change, methods=["GET", "POST"])


@requires_role(SECURITY)
def _change(authority: str, serial: str, act: str) -> AnyResponse | str:
    if act not in _ACTS:
        raise NotFoundError(act[:32])
    ra, operator = the_ra(), the_operator()
    certificate = ra.reach.certificate(operator, authority, serial)
    if request.method == "GET" or request.form.get("confirmed") != "yes":
        return _page(certificate, act, request.form, {})
    key = request.form.get("form_key", "")[:64] or new_key()
    if (made := ra.certificates.made_before(operator, key)) is not None:
        # The second click of a double click, or the back button: the same request, and the same answer.
        return redirect(_watch(certificate, made), 303)
    chosen = _chosen(certificate, act)
    reason = _ACTS[act] or request.form.get("reason", "")
    note = request.form.get("note", "").strip()[:500]
    since, errors = read_since(request.form.get("since", ""), ra.clock.now())
    errors |= _faults(act, reason, note, len(chosen))
    if errors:
        return make_response(_page(certificate, act, request.form, errors), 422)
    turns = ra.several.change(
        operator,
        chosen,
        shown_sha256=request.form.get(f"shown_{_what(act)}") or hash_of(chosen),
        reason=reason,
        note=note,
        invalidity_date=since,
        request_key=key,
    )
    _tell(act, turns)
    if turns[0].state == "refused":
        return redirect(url_for("certificates.show", authority=authority, serial=certificate.serial_hex), 303)
    return redirect(_watch(certificate, turns[0].revocation_id), 303)


def _what(act: str) -> str:
    what = request.form.get("what", _ONE)
    return what if act != "release" and what in {_HOLDER, _TOKEN} else _ONE


def _chosen(certificate: Certificate, act: str) -> Sequence[Certificate]:
    ra, operator = the_ra(), the_operator()
    match _what(act):
        case "holder":
            return _able(ra.several.of_holder(operator, certificate), act)
        case "token":
            return _able(ra.several.on_token(operator, certificate), act)
    return [certificate]


def _able(found: Sequence[Certificate], act: str) -> list[Certificate]:
    """The first, and of the others those whose status would change."""
    return [*found[:1], *(each for each in found[1:] if act != "hold" or each.status == "good")]


def _faults(act: str, reason: str, note: str, count: int) -> dict[str, str]:
    errors = {}
    if act == "revoke" and reason not in REASONS:
        errors["reason"] = gettext(_("Choose a reason."))
    if reason in NEED_NOTE and len(note) < 2:
        errors["note"] = gettext(_("Say in a few words why."))
    if act == "revoke" and count > 1 and request.form.get("count", "").strip() != str(count):
        errors["count"] = gettext(
            _("Type how many certificates are revoked: %(count)s. This cannot be undone."), count=count
        )
    return errors


def _tell(act: str, turns: Sequence[Turn]) -> None:
    first = turns[0]
    if first.state == "done":
        notify(_DONE[act])
    elif first.state == "pending":
        notify(
            _(
                "The request is on record and signed, but the authority could not be reached. It is sent "
                "again until it is answered. Telephone the authority if it is urgent."
            ),
            "warning",
        )
    else:
        notify(_("The authority refused this change; see the life line."), "danger")
    for turn in turns[1:]:
        words = {
            "done": _("%(serial)s at %(authority)s: done."),
            "pending": _("%(serial)s at %(authority)s: on record, sent until it is answered."),
            "refused": _("%(serial)s at %(authority)s: refused; open it and look."),
        }[turn.state]
        certificate = turn.certificate
        title = the_ra().directory.listing().shown(certificate.authority)
        notify(gettext(words, serial=f"…{certificate.serial_hex[-10:]}", authority=title), _KINDS[turn.state])


def _watch(certificate: Certificate, revocation_id: str) -> str:
    return url_for(
        "certificates.watch",
        authority=certificate.authority,
        serial=certificate.serial_hex,
        revocation_id=revocation_id,
    )


def _page(certificate: Certificate, act: str, given: Mapping[str, str], errors: Mapping[str, str]) -> str:
    ra, operator = the_ra(), the_operator()
    with ra.database.reading() as connection:
        application = load_application(connection, certificate.application_id)
    now = ra.clock.now()
    sets: dict[str, list[Certificate]] = {}
    of_holder = ra.several.of_holder(operator, certificate)
    if act != "release":
        sets[_HOLDER] = _able(of_holder, act)
        on_token = _able(ra.several.on_token(operator, certificate), act)
        if hash_of(on_token) != hash_of(sets[_HOLDER]):
            sets[_TOKEN] = on_token
    if certificate.status == "revoked" or (act == "release") != (certificate.status == "hold"):
        # Revoking a held one is possible, holding it again is not.
        is_possible = act == "revoke" and certificate.status != "revoked"
    else:
        is_possible = True
    return render_template(
        "ra/revoke.html",
        certificate=certificate,
        application=application,
        status=certificate.shown_status(now),
        act=act,
        is_possible=is_possible,
        reasons=REASONS,
        effects=EFFECTS,
        given=given,
        errors=errors,
        key=given.get("form_key") or new_key(),
        sets={name: found for name, found in sets.items() if 1 < len(found) <= MAX},
        too_many=[name for name, found in sets.items() if len(found) > MAX],
        shown={_ONE: hash_of([certificate])} | {name: hash_of(found) for name, found in sets.items()},
        others=of_holder[1:],
        latest=now.astimezone(_CHINA).strftime("%Y-%m-%dT%H:%M"),
        at=now,
    )


def read_since(text: str, now: datetime) -> tuple[datetime | None, dict[str, str]]:
    """The time typed at the counter is China's time."""
    if not text.strip():
        return None, {}
    try:
        since = datetime.fromisoformat(text.strip()).replace(tzinfo=_CHINA)
    except ValueError:
        return None, {"since": gettext(_("This is not a date and time."))}
    if since > now:
        return None, {"since": gettext(_("This time lies in the future."))}
    return since, {}

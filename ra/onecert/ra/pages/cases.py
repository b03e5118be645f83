"""Cases: hold, release, revocation, unlocking and key recovery, asked for at the counter and decided by
others."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.records import list_events
from onecert.ra.cases.acts import CASES, content_of
from onecert.ra.cases.handover import find_handover
from onecert.ra.cases.records import Case, count_cases, list_cases, list_cases_of
from onecert.ra.certificates.records import Certificate, load_revocation
from onecert.ra.errors import CaseInvalidError, NotFoundError, ReasonMissingError
from onecert.ra.evidence import records as evidence
from onecert.ra.life.machine import BUSINESS_NAMES, STATUS, Act, Business, State, acts_possible, check_move
from onecert.ra.operators.roles import AUDITOR, ENTRY, MEDIA, REVIEW, SECURITY
from onecert.ra.pages.common import lifeline, new_key, shown_count, the_operator, the_ra
from onecert.ra.pages.revocations import read_since
from onecert.ra.revocation.reasons import REASONS
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.operators import Operator, SamePersonError
from onecert.server.web import notify, requires_role

__all__ = ["blueprint"]

COUNT_LIMIT = 1000
# Tabs: name -> (title, states, oldest first)
TABS: Mapping[str, tuple[str, tuple[State, ...], bool]] = {
    "decide": (_("To decide"), (State.SUBMITTED, State.REVIEWED), True),
    "work": (_("To carry out"), (State.APPROVED,), True),
    "sent": (_("With the authority"), (State.ORDERED,), True),
    "all": (_("All"), (), False),
}
# What a case is for, in the clerk's words.
HELP: Mapping[Business, str] = {
    Business.HOLD: _(
        "While it is checked whether the key is lost. Departments refuse the certificate until it is"
        " released."
    ),
    Business.RELEASE: _("The key was found and was never in wrong hands. The certificate is valid again."),
    Business.REVOKE: _("For good; it cannot be undone. The holder needs a new certificate afterwards."),
    Business.UNLOCK: _("The PIN is blocked or forgotten. The key stays, the holder sets a new PIN."),
    Business.RECOVERY: _(
        "The encryption key is wanted back, by the holder or by a legal instrument. The key centre does it."
    ),
}
_EVENTS = {
    Act.CONSENT: _("%(number)s: you have consented."),
    Act.WITHDRAW: _("%(number)s is withdrawn."),
    Act.REJECT: _("%(number)s is rejected."),
}


def blueprint() -> Blueprint:
    """The pages; `case_links(certificate)` is there for the certificate's own page."""
    pages = Blueprint("cases", __name__)
    pages.add_url_rule("/cases", "index", _list)
    pages.add_url_rule("/cases/new/<business>/<authority>/<serial>", "new", _new, methods=["GET", "POST"])
    pages.add_url_rule("/cases/<uuid:case_id>", "show", _show)
    pages.add_url_rule("/cases/<uuid:case_id>/act", "act", _act, methods=["POST"])
    pages.add_url_rule("/cases/<uuid:case_id>/handover", "handover", _handover)
    pages.add_app_template_global(_case_links, "case_links")
    return pages


def _list() -> str:
    ra, operator = the_ra(), the_operator()
    chosen = request.args.get("tab", "")
    business = request.args.get("business", "")
    business = business if business in CASES else ""
    with ra.database.reading() as connection:
        scope = ra.reach.scope(connection, operator)
        counts = {
            name: count_cases(connection, scope, states, at_most=COUNT_LIMIT)
            for name, (_title, states, _oldest) in TABS.items()
            if states
        }
        if chosen not in TABS:
            chosen = next((name for name, count in counts.items() if count), "all")
        _title, states, oldest_first = TABS[chosen]
        page = list_cases(
            connection,
            scope,
            states=states,
            business=Business(business) if business else None,
            cursor=request.args.get("cursor"),
            oldest_first=oldest_first,
        )
    return render_template(
        "ra/cases/list.html",
        page=page,
        title=gettext(TABS[chosen][0]),
        tab_items=[
            {
                "label": gettext(row[0]),
                "url": url_for("cases.index", tab=name, business=business or None),
                "is_here": name == chosen,
                "count": shown_count(counts[name], COUNT_LIMIT) if name in counts else None,
            }
            for name, row in TABS.items()
        ],
        chip_items=[
            {
                "label": gettext(BUSINESS_NAMES[each] if each else _("All")),
                "url": url_for("cases.index", tab=chosen, business=each.value if each else None),
                "is_on": (each.value if each else "") == business,
            }
            for each in (None, *(each for each in Business if each in CASES))
        ],
        is_empty=chosen == "all" and not business,
    )


@requires_role(ENTRY)
def _new(business: str, authority: str, serial: str) -> AnyResponse | str:
    if business not in CASES:
        raise NotFoundError(business[:32])
    ra, operator, wanted = the_ra(), the_operator(), Business(business)
    certificate = ra.reach.certificate(operator, authority, serial)
    if request.method == "GET":
        return _form(wanted, certificate, {}, {})
    since, errors = read_since(request.form.get("since", ""), ra.clock.now())
    reason, note = request.form.get("reason", "")[:32], request.form.get("note", "")[:2000]
    if wanted is Business.REVOKE and reason not in REASONS:
        errors["reason"] = gettext(_("Choose a reason."))
    if (wanted not in STATUS or reason == "unspecified") and len(note.strip()) < 2:
        errors["note"] = gettext(_("Say in a few words what was shown and by whom."))
    if len(note.strip()) > 500:
        errors["note"] = gettext(
            _("At most %(limit)s characters; this has %(length)s."), limit=500, length=len(note)
        )
    if not errors:
        try:
            case = ra.cases.open(
                operator,
                wanted,
                authority,
                certificate.serial_hex,
                reason=reason if wanted is Business.REVOKE else "",
                note=note,
                invalidity_date=since if wanted is Business.REVOKE else None,
                request_key=request.form.get("form_key", "")[:64] or new_key(),
            )
        except CaseInvalidError as exc:
            errors["note"] = gettext(exc.text, **exc.facts)
        else:
            notify(_("%(number)s is asked for; a second person decides."), number=case.number)
            return redirect(url_for("cases.show", case_id=case.id), 303)
    return make_response(_form(wanted, certificate, request.form, errors), 422)


def _form(
    business: Business, certificate: Certificate, given: Mapping[str, str], errors: Mapping[str, str]
) -> str:
    now = the_ra().clock.now()
    return render_template(
        "ra/cases/new.html",
        business=business,
        help=HELP[business],
        certificate=certificate,
        status=certificate.shown_status(now),
        links=_case_links(certificate),
        reasons=REASONS,
        given=given,
        errors=errors,
        key=given.get("form_key") or new_key(),
    )


def _show(case_id: Any) -> str:
    return _page(str(case_id), {}, None)


def _page(case_id: str, given: Mapping[str, str], refused: ServiceError | None) -> str:
    ra, operator = the_ra(), the_operator()
    case = ra.reach.case(operator, case_id)
    certificate = ra.reach.certificate(operator, case.authority, case.serial_hex)
    with ra.database.reading() as connection:
        events = list_events(connection, case.id)
        names = {account.id: account.name for account in ra.operators.all(connection)}
        revocation = load_revocation(connection, case.revocation_id) if case.revocation_id else None
        handover = find_handover(connection, case.id)
        shown_sha256 = content_of(case, certificate, evidence.frozen(connection, case.id))
    offered = acts_possible(case.business, case.state, operator.roles)
    possible = {act for act in offered if _same_person(operator, case, act) is None}
    return render_template(
        "ra/cases/show.html",
        case=case,
        certificate=certificate,
        status=certificate.shown_status(ra.clock.now()),
        # The hash of what this page shows, computed from it, and not read from the record.
        shown_sha256=shown_sha256,
        acts=possible,
        own=offered - possible,
        Act=Act,
        help=HELP[case.business],
        events=lifeline(events, names),
        names=names,
        revocation=revocation,
        handover=handover,
        may_fetch=operator.has_role(SECURITY, AUDITOR),
        given=given,
        refused=gettext(refused.text, **refused.facts) if refused else "",
        refused_hint=gettext(refused.hint, **refused.facts) if refused else "",
    )


@requires_role(ENTRY, REVIEW, MEDIA, SECURITY)
def _act(case_id: Any) -> AnyResponse | str:
    ra, operator, target = the_ra(), the_operator(), str(case_id)
    wanted = request.form.get("act", "")
    try:
        if wanted == "approve":
            case = ra.cases.approve(
                operator, target, content_sha256=request.form.get("content_sha256", "")[:64]
            )
            _tell_approved(case)
        elif wanted == "complete":
            case = ra.cases.complete(operator, target)
            if case.business is Business.RECOVERY:
                notify(_("%(number)s is signed and handed over to the key centre."), number=case.number)
            else:
                notify(_("%(number)s is carried out."), number=case.number)
        elif wanted == "reject":
            case = ra.cases.reject(operator, target, reason=request.form.get("reason", ""))
            notify(_EVENTS[Act.REJECT], number=case.number)
        elif wanted == "consent":
            case = ra.cases.consent(operator, target)
            notify(_EVENTS[Act.CONSENT], number=case.number)
        elif wanted == "withdraw":
            case = ra.cases.withdraw(operator, target)
            notify(_EVENTS[Act.WITHDRAW], number=case.number)
        else:
            raise NotFoundError(wanted[:32] or "-")
    except ReasonMissingError as exc:
        return make_response(_page(target, request.form, exc), exc.status)
    return redirect(url_for("cases.show", case_id=case.id), 303)


def _tell_approved(case: Case) -> None:
    """Carry a change of status to the authority at once, and say how far it went."""
    if case.revocation_id is None:
        if case.business is Business.RECOVERY:
            notify(_("%(number)s is approved; a security officer has to consent now."), number=case.number)
        else:
            notify(_("%(number)s is approved and can be carried out."), number=case.number)
        return
    outcome = the_ra().revoking.carry_out(case.revocation_id)
    if outcome == "done":
        notify(_("%(number)s is approved and carried out by the authority."), number=case.number)
    elif outcome == "pending":
        text = _("%(number)s is approved and signed; the authority does not answer yet and is asked again.")
        notify(text, "warning", number=case.number)
    else:
        notify(_("%(number)s was approved, but the authority refused it."), "danger", number=case.number)


@requires_role(SECURITY, AUDITOR)
def _handover(case_id: Any) -> Response:
    """The signed document for the key centre, as a file."""
    ra = the_ra()
    case = ra.reach.case(the_operator(), str(case_id))
    with ra.database.reading() as connection:
        document = find_handover(connection, case.id)
    if document is None:
        raise NotFoundError(case.number)
    answer = make_response(document)
    answer.content_type = "application/jose+json"
    answer.headers["Content-Disposition"] = f'attachment; filename="{case.number}.jws"'
    return answer


def _same_person(operator: Operator, case: Case, act: Act) -> SamePersonError | None:
    ra = the_ra()
    try:
        with ra.database.reading() as connection:
            ra.duties.check(connection, operator, case.id, act, ra.operators.load)
    except SamePersonError as exc:
        return exc
    return None


def _case_links(certificate: Certificate) -> dict[str, Any]:
    """What can be asked for about this certificate here and now, and the cases under way."""
    ra, operator = the_ra(), the_operator()
    place = (certificate.authority, certificate.serial_hex)
    with ra.database.reading() as connection:
        open_cases = list_cases_of(connection, [place]).get(place, [])
    status = certificate.shown_status(ra.clock.now())
    fitting = {
        "good": (Business.HOLD, Business.REVOKE, Business.UNLOCK, Business.RECOVERY),
        "hold": (Business.RELEASE, Business.REVOKE, Business.RECOVERY),
        "revoked": (Business.RECOVERY,),
        "expired": (Business.RECOVERY,),
    }[status]
    under_way = {case.business for case in open_cases}
    may_ask = operator.has_role(*check_move(Business.HOLD, State.DRAFT, Act.SUBMIT).roles)
    return {
        "cases": open_cases,
        "businesses": [each for each in fitting if each not in under_way] if may_ask else [],
    }

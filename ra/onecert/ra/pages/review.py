"""The review: a second person reads the application beside its evidence and approves, returns or rejects it.

Approving sends back the hash of what the page showed. Objections are chosen at the field they are about, or
for the application as a whole; when something is wrong with a decision, the page comes back with everything
that was chosen and typed.
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.duplicates import list_elsewhere
from onecert.ra.applications.records import Application, Frozen, list_events
from onecert.ra.content.fields import ALL_FIELDS, CERTIFICATE_FIELDS, FIELDS, GROUP_NAMES
from onecert.ra.errors import NotFoundError, ObjectionsError, ReasonMissingError, ReturnReasonError
from onecert.ra.life.machine import State
from onecert.ra.operators.roles import REVIEW
from onecert.ra.pages.common import lifeline, named_errors, the_operator, the_ra
from onecert.ra.pages.shown import entry_of, grouped_values
from onecert.ra.registry.answers import answer_of, sentence
from onecert.ra.review.picks import REVIEWS
from onecert.ra.review.reasons import WHOLE, Remark, reasons_at, remark_text
from onecert.ra.review.remarks import Return, last_return
from onecert.ra.review.thresholds import facts_of
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.operators import Operator, SamePersonError
from onecert.server.web import notify, requires_role

__all__ = ["add_to", "named_remarks", "remarks_shown"]


def add_to(pages: Blueprint) -> None:
    """Add the review clerk's page and its acts."""
    pages.add_url_rule("/applications/<uuid:application_id>/review", "review", _review)
    pages.add_url_rule("/applications/<uuid:application_id>/judge", "judge", _judge, methods=["POST"])


@requires_role(REVIEW)
def _review(application_id: Any) -> AnyResponse | str:
    return _page(str(application_id), {}, None)


def _page(application_id: str, given: Mapping[str, str], refused: ServiceError | None) -> AnyResponse | str:
    ra, operator = the_ra(), the_operator()
    frozen = ra.reach.frozen(operator, application_id)
    application = frozen.application
    if application.state not in REVIEWS:
        return redirect(url_for("applications.show", application_id=application.id), 303)
    with ra.database.reading() as connection:
        elsewhere = list_elsewhere(
            connection, application, ra.reach.scope(connection, operator), at=ra.clock.now()
        )
        names = {account.id: account.name for account in ra.operators.all(connection)}
        events = list_events(connection, application.id)
        returned = last_return(connection, application.id)
    same = same_person(operator, application)
    outcome = ra.entries.check(entry_of(frozen))
    return render_template(
        "ra/review.html",
        application=application,
        certified=grouped_values(frozen, operator, certified=True),
        kept=grouped_values(frozen, operator, certified=False),
        groups=GROUP_NAMES,
        before=_before(operator, frozen),
        # The hash of what this page shows, computed from it, and not read from the record.
        shown_sha256=frozen.sha256(outcome.content) if outcome.content else "",
        csr_preview=outcome.request,
        csr_pem=frozen.csr_pem,
        notes=[(note.field, gettext(note.text)) for note in outcome.notes],
        faults=named_errors(outcome.faults),
        elsewhere=elsewhere,
        same_person=same,
        other_reader=None if same else ra.picks.open(operator, application),
        names=names,
        events=lifeline(events, names),
        returned=returned,
        returned_remarks=remarks_shown(returned),
        reasons_at=reasons_at,
        due=ra.levels.due(
            {
                "authority": application.authority,
                "business": application.business.value,
                "point": application.point,
                "state": application.state.value,
                "type": application.kind.value,
            },
            application.state_since,
            ra.clock.now(),
        ),
        register=_register(frozen),
        is_second=application.state is State.SECOND_REVIEW,
        given=given,
        refused=gettext(refused.text, **refused.facts) if refused else "",
        refused_hint=gettext(refused.hint, **refused.facts) if refused else "",
        given_whole=request.form.getlist("whole") if refused else [],
        needs_second=ra.config.two_reviewers().needed(facts_of(application, frozen.values)),
    )


@requires_role(REVIEW)
def _judge(application_id: Any) -> AnyResponse | str:
    target, wanted = str(application_id), request.form.get("act", "")
    remarks = _remarks(target)
    try:
        if wanted == "approve":
            if remarks:
                raise ObjectionsError
            text, kind, done = _approve(target)
        elif wanted == "return":
            text, kind = _("%(number)s is returned for correction."), "success"
            done = the_ra().applications.send_back(the_operator(), target, remarks=remarks)
        elif wanted == "reject":
            text, kind = _("%(number)s is rejected."), "success"
            reason = request.form.get("reason", "")
            done = the_ra().applications.reject(the_operator(), target, reason=reason)
        else:
            raise NotFoundError(wanted[:32] or "-")
    except (ObjectionsError, ReasonMissingError, ReturnReasonError) as exc:
        return make_response(_page(target, request.form, exc), exc.status)
    notify(text, kind, number=done.number)  # type: ignore[arg-type] # one of the kinds above
    if request.form.get("next"):
        following = the_ra().picks.take_next(the_operator())
        if following is not None:
            return redirect(url_for("applications.review", application_id=following.id), 303)
        notify(_("Nothing else is waiting that you may review."), "info")
    return redirect(url_for("applications.show", application_id=done.id), 303)


def _approve(target: str) -> tuple[str, str, Application]:
    """Approve; how far that led, as text and kind of a notice."""
    ra = the_ra()
    shown = request.form.get("content_sha256", "")[:64]
    done = ra.applications.approve(the_operator(), target, content_sha256=shown)
    if done.state is State.SECOND_REVIEW:
        return _("%(number)s is approved by you; a second reviewer decides now."), "success", done
    done = ra.dispatch.carry_out(target)
    if done.state is State.ISSUED:
        return _("%(number)s is approved and the certificate is issued."), "success", done
    if done.state is State.REFUSED_BY_CA:
        return _("%(number)s was approved, but the authority refused it."), "danger", done
    text = _("%(number)s is approved. The authority could not be reached yet; the order goes out by itself.")
    return text, "warning", done


def _remarks(target: str) -> list[Remark]:
    """What the form objects to: a choice at each field, boxes for the whole, and free words."""
    application = the_ra().reach.application(the_operator(), target)
    found = []
    for name in (*(field.name for field in FIELDS[application.kind]), "csr"):
        if code := request.form.get(f"at-{name}", "")[:32]:
            found.append(Remark(code=code, field=name, words=request.form.get(f"words-{name}", "")))
        elif words := request.form.get(f"words-{name}", "").strip():
            found.append(Remark(code="OTHER", field=name, words=words))
    found += [Remark(code=code[:32], field=WHOLE) for code in request.form.getlist("whole")]
    if request.form.get("act") != "reject" and (words := request.form.get("reason", "").strip()):
        found.append(Remark(code="OTHER", words=words))
    return found


def remarks_shown(returned: Return | None) -> dict[str, list[str]]:
    """The texts of a return's remarks by field; `""` is the application as a whole."""
    by_field = returned.by_field() if returned else {}
    return {name: [remark_text(remark) for remark in remarks] for name, remarks in by_field.items()}


def named_remarks(returned: Return | None) -> list[str]:
    """The same as one list, each with its field's name in front."""
    found = []
    for name, texts in remarks_shown(returned).items():
        for text in texts:
            label = ALL_FIELDS[name].label if name in ALL_FIELDS else _("Certificate request (CSR)")
            found.append(gettext(_("%(field)s: %(text)s"), field=gettext(label), text=text) if name else text)
    return found


def _register(frozen: Frozen) -> tuple[str, str] | None:
    """What the register of legal entities said when it was submitted: kind of notice, sentence."""
    fact = (frozen.findings or {}).get("register")
    if fact is None:
        return None
    name = frozen.values.get("organization_name", "")
    return "success" if fact["verdict"] == "matches" else "warning", sentence(answer_of(fact), name)


def same_person(operator: Operator, application: Application) -> SamePersonError | None:
    """Why this person may not review it: the application was theirs before."""
    ra = the_ra()
    try:
        with ra.database.reading() as connection:
            ra.duties.check(
                connection, operator, application.id, REVIEWS[application.state], ra.operators.load
            )
    except SamePersonError as exc:
        return exc
    return None


def _before(operator: Operator, frozen: Frozen) -> dict[str, str]:
    """What the certificate that this follows says otherwise: field -> the old value."""
    application = frozen.application
    if application.follows_authority is None or application.follows_serial is None:
        return {}
    ra = the_ra()
    certificate = ra.reach.certificate(operator, application.follows_authority, application.follows_serial)
    values = ra.reach.frozen(operator, certificate.application_id).values
    names = [field.name for field in FIELDS[application.kind]]
    on_certificate = CERTIFICATE_FIELDS[application.kind]
    return {
        name: values.get(name, "")
        for name in names
        if values.get(name, "") != frozen.values.get(name, "") and (name in on_certificate or name in values)
    }

"""Pages of batches: list, upload, the report on each row with its progress, review, result."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.records import contributors, list_events
from onecert.ra.batches.acts import Upload
from onecert.ra.batches.downloads import Downloads
from onecert.ra.batches.records import ROW_STATE_NAMES, Batch, Phase, RowState, list_batches, list_rows
from onecert.ra.batches.sheets import template_csv, template_xlsx
from onecert.ra.content.fields import ALL_FIELDS, CONSENTS, KIND_NAMES, Kind
from onecert.ra.errors import BatchFileError, BatchRefusedError, NotFoundError
from onecert.ra.life.machine import Act, State, acts_possible
from onecert.ra.operators.roles import ENTRY, REVIEW
from onecert.ra.orders.together import standing_of
from onecert.ra.pages.common import find_idcard, lifeline, new_key, the_operator, the_ra
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.operators import SamePersonError, check_different_people, check_role
from onecert.server.web import notify, requires_role

__all__ = ["blueprint"]

ROW_STATE_KINDS: Mapping[str, str] = {
    RowState.GOOD: "success",
    RowState.WARNING: "warning",
    RowState.DUPLICATE: "danger",
    RowState.ERROR: "danger",
}
PHASE_NAMES: Mapping[str, str] = {
    Phase.READING: _("The file is being read"),
    Phase.CHECKING: _("Rows are being checked"),
    Phase.ENTERING: _("Rows are being entered"),
    Phase.ORDERING: _("Certificates are being ordered"),
}
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_ROWS_MAX = 5_000  # row numbers in one form
_UPLOADS = frozenset({"batches.new", "batches.replace"})


def blueprint() -> Blueprint:
    """The pages."""
    pages = Blueprint("batches", __name__)
    pages.app_url_value_preprocessor(_allow_large)
    pages.add_url_rule("/batches/", "index", _index)
    pages.add_url_rule("/batches/new", "new", _new, methods=["GET", "POST"])
    pages.add_url_rule("/batches/template/<kind>.<ending>", "template", _template)
    pages.add_url_rule("/batches/<uuid:batch_id>", "show", _show)
    pages.add_url_rule("/batches/<uuid:batch_id>/progress", "progress", _progress)
    pages.add_url_rule("/batches/<uuid:batch_id>/search", "search", _search, methods=["POST"])
    pages.add_url_rule("/batches/<uuid:batch_id>/act", "act", _act, methods=["POST"])
    pages.add_url_rule("/batches/<uuid:batch_id>/file", "replace", _replace, methods=["POST"])
    pages.add_url_rule("/batches/<uuid:batch_id>/review", "review", _review)
    pages.add_url_rule("/batches/<uuid:batch_id>/judge", "judge", _judge, methods=["POST"])
    pages.add_url_rule("/batches/<uuid:batch_id>/report.<ending>", "report", _report)
    pages.add_url_rule("/batches/<uuid:batch_id>/result.<ending>", "result", _result)
    return pages


def _allow_large(endpoint: str | None, _values: object) -> None:
    """Files are larger than forms; said before anything of the request is read."""
    if endpoint in _UPLOADS and request.method == "POST":
        request.max_content_length = 2 * the_ra().batches.max_octets + 1024 * 1024


def _index() -> str:
    ra, operator = the_ra(), the_operator()
    chosen = request.args.get("state", "")
    states = [State(chosen)] if chosen in set(State) else []
    with ra.database.reading() as connection:
        scope = ra.reach.scope(connection, operator)
        page = list_batches(connection, scope, states=states, cursor=request.args.get("cursor"))
        names = {account.id: account.name for account in ra.operators.all(connection)}
    return render_template(
        "ra/batches/list.html",
        page=page,
        chosen=chosen,
        states=(
            State.DRAFT,
            State.SUBMITTED,
            State.SECOND_REVIEW,
            State.RETURNED,
            State.APPROVED,
            State.DONE,
        ),
        phases=PHASE_NAMES,
        names=names,
        may_enter=operator.has_role(ENTRY),
    )


@requires_role(ENTRY)
def _new() -> AnyResponse | str:
    ra = the_ra()
    if request.method == "GET":
        return _form(new_key(), {})
    values = {name: request.form.get(name, "")[:128] for name in ("what", "title", "policy", "consent")}
    authority, _mark, kind = values["what"].partition("/")
    key = request.form.get("form_key", "")[:64] or new_key()
    try:
        if kind not in set(Kind):
            raise BatchRefusedError("BATCH_KIND", _("Choose the authority and the type of certificate."))
        made = ra.batches.upload(the_operator(), _upload(Kind(kind), authority, values), request_key=key)
    except (BatchFileError, BatchRefusedError) as refused:
        return make_response(_form(key, values, refused), 422)
    return redirect(url_for("batches.show", batch_id=made.id), 303)


def _form(key: str, values: Mapping[str, str], refused: ServiceError | None = None) -> str:
    listing = the_ra().directory.listing()
    offered = [
        (f"{authority.name}/{kind.value}", f"{gettext(KIND_NAMES[kind])} · {authority.shown()}")
        for authority in listing.authorities.values()
        for kind in Kind
        if kind.value in authority.profiles
    ]
    return render_template(
        "ra/batches/new.html",
        key=key,
        values=values,
        offered=offered,
        kinds=list(Kind),
        consents=[(value, gettext(label)) for value, label in CONSENTS.items()],
        limit=the_ra().batches.max_octets // 1_000_000,
        listing=listing,
        error=_said(refused) if refused else "",
        field={"BATCH_KIND": "what", "BATCH_POLICY": "policy", "BATCH_CONSENT": "consent"}.get(
            refused.code if refused else "", "file"
        ),
    )


def _upload(kind: Kind, authority: str, values: Mapping[str, str]) -> Upload:
    table, archive = request.files.get("file"), request.files.get("requests")
    limit = the_ra().batches.max_octets + 1
    return Upload(
        kind=kind,
        authority=authority,
        file=table.stream.read(limit) if table else b"",
        file_name=(table.filename or "") if table else "",
        requests=archive.stream.read(limit) if archive and archive.filename else b"",
        title=values.get("title", ""),
        policy=values.get("policy") or "good",
        consent=values.get("consent") or "paper",
    )


def _said(refused: ServiceError) -> str:
    text = gettext(refused.text, **refused.facts)
    return f"{text} {gettext(refused.hint, **refused.facts)}" if refused.hint else text


def _template(kind: str, ending: str) -> Response:
    the_operator()
    if kind not in set(Kind) or ending not in {"csv", "xlsx"}:
        raise NotFoundError(kind[:32])
    make = template_csv if ending == "csv" else template_xlsx
    return _file(make(Kind(kind)), f"{kind}.{ending}")


def _file(content: bytes, name: str) -> Response:
    endings = {"csv": "text/csv; charset=utf-8", "xlsx": _XLSX, "zip": "application/zip"}
    answer = make_response(content)
    answer.headers["Content-Type"] = endings[name.rpartition(".")[2]]
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _show(batch_id: Any) -> str:
    ra, operator = the_ra(), the_operator()
    batch = ra.batches.batch(operator, str(batch_id))
    search = request.args.get("q", "").strip()[:64]
    chosen = request.args.get("rows", "")
    if not chosen:
        # What has to be corrected comes first; without a fault, or while somebody searches, everything.
        waits = batch.state in {State.DRAFT, State.RETURNED} and batch.error + batch.duplicate > 0
        chosen = "bad" if waits and not search else "all"
    after = request.args.get("after", "0")
    with ra.database.reading() as connection:
        events = list_events(connection, batch.id)
        names = {account.id: account.name for account in ra.operators.all(connection)}
        page = list_rows(
            connection,
            batch.id,
            states=_states(chosen),
            outcome=chosen if chosen in {"entered", "refused"} else None,
            search=search,
            after=int(after) if after.isascii() and after.isdigit() and len(after) < 8 else 0,
        )
    acts = acts_possible(batch.business, batch.state, operator.roles)
    return render_template(
        "ra/batches/show.html",
        batch=batch,
        page=page,
        chosen=chosen,
        search=search,
        events=lifeline(events, names),
        names=names,
        acts=acts,
        Act=Act,
        Phase=Phase,
        fields=_fields(batch),
        failure=_failure(batch),
        may_download=operator.has_role(ENTRY) or operator.has_role(REVIEW),
        **_words(batch),
    )


def _states(chosen: str) -> tuple[str, ...]:
    if chosen == "bad":
        return (RowState.ERROR.value, RowState.DUPLICATE.value)
    return (chosen,) if chosen in set(RowState) else ()


def _words(batch: Batch) -> dict[str, Any]:
    """What every part of the page speaks of."""
    done, whole = batch.checked, batch.rows
    standing = None
    if batch.phase is Phase.ENTERING:
        done, whole = batch.entered + batch.refused, batch.accepted or 0
    elif batch.phase is Phase.ORDERING:
        with the_ra().database.reading() as connection:
            standing = standing_of(connection, batch.id)
        done, whole = standing.answered, batch.entered
    return {
        "standing": standing,
        "phases": PHASE_NAMES,
        "row_states": ROW_STATE_NAMES,
        "row_kinds": ROW_STATE_KINDS,
        "labels": {name: field.label for name, field in ALL_FIELDS.items()}
        | {"csr": _("Certificate request (CSR)")},
        "done": done,
        "whole": whole,
    }


def _fields(batch: Batch) -> list[tuple[str, str]]:
    """Each column as typed, and what it was understood as."""
    return [
        (title, gettext(ALL_FIELDS[field].label) if field and field in ALL_FIELDS else field or "")
        for title, field in zip(batch.titles, batch.fields, strict=False)
    ]


def _failure(batch: Batch) -> str:
    said = batch.failure
    if not said:
        return ""
    return f"{gettext(said['text'], **said['facts'])} {gettext(said['hint'], **said['facts'])}"


def _progress(batch_id: Any) -> Response:
    """The part of the page that says how far it is; the whole page again when it is done."""
    batch = the_ra().batches.batch(the_operator(), str(batch_id))
    answer = make_response(render_template("ra/batches/progress.html", batch=batch, **_words(batch)))
    if not batch.is_at_work or request.args.get("phase") != batch.phase.value:
        answer.headers["HX-Refresh"] = "true"
    return answer


def _search(batch_id: Any) -> AnyResponse:
    """A person's number never stands in an address; rows are found by name, code and number of the row."""
    search = request.form.get("q", "").strip()[:64]
    if find_idcard(search):
        notify(_("Look for the name or the row; identity numbers are not kept in the report."), "warning")
        search = ""
    return redirect(url_for("batches.show", batch_id=batch_id, q=search or None), 303)


@requires_role(ENTRY)
def _act(batch_id: Any) -> AnyResponse:
    ra, operator, target = the_ra(), the_operator(), str(batch_id)
    wanted = request.form.get("act", "")
    here = url_for("batches.show", batch_id=target, rows=request.form.get("rows") or None)
    if wanted == "submit":
        revision = request.form.get("revision", "")
        done = ra.batches.submit(
            operator, target, revision=int(revision) if revision.isascii() and revision.isdigit() else None
        )
        notify(_("%(number)s is submitted. A second person reviews it now."), number=done.number)
    elif wanted == "withdraw":
        done = ra.batches.withdraw(operator, target)
        notify(_("%(number)s is withdrawn."), number=done.number)
    elif wanted in {"exclude", "include"}:
        rows = read_numbers(" ".join([request.form.get("numbers", ""), *request.form.getlist("row")]))
        ra.batches.choose(operator, target, **{wanted: rows})
    elif wanted == "policy":
        ra.batches.set_policy(operator, target, request.form.get("policy", ""))
    else:
        raise NotFoundError(wanted[:32] or "-")
    return redirect(here, 303)


def read_numbers(text: str) -> list[int]:
    """Row numbers as people write them: `5, 7-9 12`.

    Raises:
        BatchRefusedError: something else stands there, or too many.
    """
    found: list[int] = []
    for word in text.replace(",", " ").replace("，", " ").replace("、", " ").split():
        first, _dash, last = word.partition("-")
        last = last or first
        if not all(part.isascii() and part.isdigit() and len(part) < 8 for part in (first, last)):
            raise BatchRefusedError(
                "BATCH_ROWS", _("“%(word)s” is not the number of a row."), _("Write 5, 7-9."), word=word[:20]
            )
        if int(last) - int(first) + len(found) > _ROWS_MAX:
            raise BatchRefusedError(
                "BATCH_ROWS",
                _("At most %(limit)s rows at a time."),
                _("Do it in several steps."),
                limit=_ROWS_MAX,
            )
        found += range(int(first), int(last) + 1)
    return found


@requires_role(ENTRY)
def _replace(batch_id: Any) -> AnyResponse:
    ra, operator = the_ra(), the_operator()
    batch = ra.batches.batch(operator, str(batch_id))
    values = {
        "title": batch.title,
        "policy": batch.policy,
        "consent": batch.defaults.get("consent", "paper"),
    }
    ra.batches.replace_file(operator, batch.id, _upload(batch.kind, batch.authority, values))
    return redirect(url_for("batches.show", batch_id=batch.id), 303)


@requires_role(REVIEW)
def _review(batch_id: Any) -> AnyResponse | str:
    ra, operator = the_ra(), the_operator()
    batch = ra.batches.batch(operator, str(batch_id))
    if batch.state not in {State.SUBMITTED, State.SECOND_REVIEW}:
        return redirect(url_for("batches.show", batch_id=batch.id), 303)
    downloads = _downloads()
    with ra.database.reading() as connection:
        shown, count = ra.batches.shown_hash(connection, batch)
        sample = downloads.sample(connection, batch)
        left_out = list_rows(connection, batch.id, states=_states("bad"), limit=10)
        others = [ra.operators.load(connection, name) for name in contributors(connection, batch.id)]
        names = {account.id: account.name for account in ra.operators.all(connection)}
    same_person = None
    try:
        for other in others:
            check_different_people(operator, other)
    except SamePersonError as exc:
        same_person = exc
    return render_template(
        "ra/batches/review.html",
        batch=batch,
        shown_sha256=shown,
        count=count,
        sample=sample,
        left_out=left_out,
        same_person=same_person,
        names=names,
        **_words(batch),
    )


@requires_role(REVIEW)
def _judge(batch_id: Any) -> AnyResponse:
    ra, operator, target = the_ra(), the_operator(), str(batch_id)
    wanted, reason = request.form.get("act", ""), request.form.get("reason", "")
    if wanted == "approve":
        done = ra.batches.approve(
            operator, target, content_sha256=request.form.get("content_sha256", "")[:64]
        )
        if done.state is State.SECOND_REVIEW:
            notify(_("%(number)s is approved by you. A second reviewer decides now."), number=done.number)
        else:
            notify(_("%(number)s is approved. Its rows are being entered and ordered."), number=done.number)
    elif wanted == "return":
        done = ra.batches.send_back(operator, target, reason=reason)
        notify(_("%(number)s is returned for correction."), number=done.number)
    elif wanted == "reject":
        done = ra.batches.reject(operator, target, reason=reason)
        notify(_("%(number)s is rejected."), number=done.number)
    else:
        raise NotFoundError(wanted[:32] or "-")
    return redirect(url_for("batches.show", batch_id=done.id), 303)


def _report(batch_id: Any, ending: str) -> Response:
    """The file back, with what is wrong beside each row."""
    ra, operator = the_ra(), the_operator()
    check_role(operator, ENTRY, REVIEW)
    batch = ra.batches.batch(operator, str(batch_id))
    only = _states(request.args.get("rows", ""))
    content = _downloads().report(operator, batch, ending, only=only)
    return _file(content, f"{batch.number}.{ending}")


def _result(batch_id: Any, ending: str) -> Response:
    """Row, application and certificate; `zip` has the certificates."""
    ra, operator = the_ra(), the_operator()
    batch = ra.batches.batch(operator, str(batch_id))
    return _file(_downloads().result(operator, batch, ending), f"{batch.number}-result.{ending}")


def _downloads() -> Downloads:
    ra = the_ra()
    return Downloads(ra.database, ra.vault, ra.batches)

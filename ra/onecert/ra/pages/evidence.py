"""Evidence on pages: the check list, sending files, the panel beside a review, and the files themselves.

Everything works without scripts: a form that sends several files, exclusive <details> that open one picture
at a time, links that turn it. A picture is loaded when it is opened, and only then is it in the audit trail.
Files are answered under a policy of their own: whatever is in them, nothing in them runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.records import Application
from onecert.ra.cases.records import Case
from onecert.ra.errors import EvidenceRefusedError
from onecert.ra.evidence.materials import Material, materials_of, required_materials, wanted_materials
from onecert.ra.evidence.records import Evidence
from onecert.ra.evidence.sniffing import in_megabytes
from onecert.ra.life.machine import Act, State, acts_possible
from onecert.ra.operators.roles import ARCHIVE, ENTRY, MEDIA, SECURITY
from onecert.ra.pages import scans
from onecert.ra.pages.common import the_operator, the_ra
from onecert.server.languages import _, gettext, ngettext
from onecert.server.web import notify

__all__ = ["answer_file", "blueprint", "install"]

# Nothing in a file runs, loads or is framed, and no other site reads it.
FILE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FILES_PER_REQUEST = 3  # of the largest size, together
_FORM_OCTETS = 1 << 20
_PIECE = 1 << 16
_UPLOADS = frozenset({"evidence.add", "evidence.add_to_case", "api.add_evidence"})
_FORMS = frozenset({"applications.new", "applications.edit", "applications.follow"})  # scans come with them


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What the templates show of a record's evidence."""

    items: Sequence[Evidence]
    checklist: Sequence[tuple[Material, bool, bool]]  # (material, is it there, must it be there)
    addable: Sequence[Material]
    may_remove: bool
    file_mb: int
    lost: frozenset[str]  # ids whose file is missing

    @property
    def choices(self) -> Sequence[tuple[str, str]]:
        """What may be added, for a field of a form."""
        return [(material.name, gettext(material.label)) for material in self.addable]


def blueprint() -> Blueprint:
    """The pages."""
    pages = Blueprint("evidence", __name__)
    pages.app_url_value_preprocessor(_allow_large)
    of = "/applications/<uuid:record_id>/evidence"
    pages.add_url_rule(of, "of_application", _show)
    pages.add_url_rule(of, "add", _add, methods=["POST"])
    of = "/cases/<uuid:record_id>/evidence"
    pages.add_url_rule(of, "of_case", _show)
    pages.add_url_rule(of, "add_to_case", _add, methods=["POST"])
    pages.add_url_rule("/evidence/<uuid:evidence_id>/remove", "remove", _remove, methods=["POST"])
    pages.add_url_rule("/evidence/<uuid:evidence_id>/view", "view", _view)
    pages.add_url_rule("/evidence/<uuid:evidence_id>/file", "file", _file)
    return pages


def install(app: Flask) -> None:
    """`evidence_of(application or case)` for templates that include `ra/evidence_panel.html`."""
    app.jinja_env.globals["evidence_of"] = panel_of


def _allow_large(endpoint: str | None, _values: object) -> None:
    """Files are larger than forms; said before anything of the request is read.

    Raises:
        EvidenceRefusedError: too large altogether. It is read to its end and forgotten: a browser that is cut
            off while it sends shows a lost connection and not the reason.
    """
    if endpoint not in _UPLOADS | _FORMS or request.method != "POST":
        return
    limits = the_ra().evidence.limits
    one, size = limits.file_octets, request.content_length or 0
    files = limits.record_octets if endpoint in _FORMS else FILES_PER_REQUEST * one
    request.max_content_length = files + _FORM_OCTETS
    if size > request.max_content_length:
        body = request.environ["wsgi.input"]
        while size > 0 and (piece := body.read(min(size, _PIECE))):
            size -= len(piece)
        sent = in_megabytes(request.content_length or 0)
        raise EvidenceRefusedError("EVIDENCE_TOO_LARGE", size=sent, limit=in_megabytes(one))


def panel_of(record: Application | Case) -> Panel:
    """The evidence of a record, and what this operator may do with it."""
    ra, operator = the_ra(), the_operator()
    items = ra.evidence.all_of(operator, record.id)
    there = {item.material for item in items if item.set_aside_at is None}
    required = required_materials(ra.config.materials_required, record.business, record.kind)
    offered = materials_of(record.business, record.kind)
    if isinstance(record, Application):
        open_now = Act.SAVE in acts_possible(record.business, record.state, operator.roles)
    else:
        open_now = record.state is State.SUBMITTED and operator.has_role(ENTRY, SECURITY)
    late_now = record.state in {State.ISSUED, State.DELIVERED} and operator.has_role(MEDIA, ARCHIVE)
    files = ra.evidence.files
    return Panel(
        items=items,
        checklist=[
            (material, material.name in there, material in required)
            for material in wanted_materials(record.business, record.kind)
        ],
        addable=[material for material in offered if (late_now if material.late else open_now)],
        may_remove=open_now and isinstance(record, Application),
        file_mb=ra.config.evidence_file_mb,
        lost=frozenset(item.id for item in items if not files.is_whole(item.id, is_image=item.is_image)),
    )


def _record(record_id: Any) -> Application | Case:
    ra, operator = the_ra(), the_operator()
    is_case = (request.endpoint or "").endswith("case")
    return (ra.reach.case if is_case else ra.reach.application)(operator, str(record_id))


def _show(record_id: Any) -> str:
    return _page(_record(record_id), [])


def _page(record: Application | Case, refused: Sequence[tuple[str, str, str]]) -> str:
    return render_template(
        "ra/evidence.html",
        record=record,
        is_case=isinstance(record, Case),
        refused=refused,
        chosen=request.form.get("material", ""),
    )


def _add(record_id: Any) -> AnyResponse:
    """Several files at once; what is refused is named with its reason, the others are kept."""
    record = _record(record_id)
    material = request.form.get("material", "")[:32]
    sent = [(material, file) for file in request.files.getlist("files") if file.filename]
    refused = scans.keep(record, sent)
    kept = len(sent) - len(refused)
    if isinstance(record, Application) and request.headers.get("X-Part") == "scans":
        return make_response(scans.part(record, refused), 422 if refused else 200)
    if not sent:
        refused.append(("", gettext(_("No file was chosen.")), gettext(_("Choose one or more files."))))
    if kept:
        notify(ngettext("%(count)s file is kept.", "%(count)s files are kept.", kept))
    if refused:
        return make_response(_page(record, refused), 422)
    back = "evidence.of_case" if isinstance(record, Case) else "evidence.of_application"
    return redirect(url_for(back, record_id=record.id), 303)


def _remove(evidence_id: Any) -> AnyResponse:
    ra, operator = the_ra(), the_operator()
    record_id = ra.evidence.load(operator, str(evidence_id)).record_id
    if ra.evidence.remove(operator, str(evidence_id)) is None:
        notify(_("The file is removed."))
    else:
        notify(_("The file is set aside: kept on record, and no longer part of the application."))
    return redirect(url_for("evidence.of_application", record_id=record_id), 303)


def _view(evidence_id: Any) -> Response:
    """The clean copy, turned as the link says."""
    turn = request.args.get("turn", "0")
    degrees = int(turn) % 360 if turn.isascii() and turn.isdigit() and len(turn) < 5 else 0
    opened = the_ra().evidence.open(the_operator(), str(evidence_id), preview=True, turn=degrees)
    answer = Response(opened.parts, mimetype=opened.media_type, headers=FILE_HEADERS)
    answer.headers["Content-Disposition"] = "inline"
    return answer


def _file(evidence_id: Any) -> Response:
    """What came, octet by octet; always as a download."""
    return answer_file(str(evidence_id))


def answer_file(evidence_id: str) -> Response:
    """The original as a download."""
    opened = the_ra().evidence.open(the_operator(), evidence_id, preview=False)
    answer = Response(opened.parts, mimetype=opened.media_type, headers=FILE_HEADERS)
    answer.content_length = opened.evidence.size
    answer.headers["Content-Disposition"] = f'attachment; filename="{opened.evidence.file_name}"'
    return answer

"""Who could do this then: an action, a resource and a time, answered by what was in force and on record.

The answer names holders; it comes by POST, stands in no address, and can be taken along as a CSV file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.decisions.who_can import Able
from onecert.pmi.errors import NoPolicyError, RequestWrongError
from onecert.pmi.pages.common import READERS, error_text, moment_of, titles_of
from onecert.pmi.parts import Parts
from onecert.server.languages import _, gettext
from onecert.server.web import requires_role
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.decision import Act, QuestionWrongError, read_plain, read_resource, read_text
from onecert.verifier.errors import VerifyError

__all__ = ["blueprint"]

PER_PAGE = 100
# A cell that begins with one of these is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass
class _Asked:
    """What was typed, and what is wrong with it."""

    action: str = ""
    resource_type: str = ""
    resource_id: str = ""
    attributes: str = ""
    target: str = ""
    at: str = ""
    errors: dict[str, str] = field(default_factory=dict)


def blueprint(parts: Parts) -> Blueprint:
    """The page of the question, its answer, and the answer as a file."""
    pages = Blueprint("who_can", __name__, url_prefix="/who-can")

    @pages.get("")
    @requires_role(*READERS)
    def index() -> str:
        return _show(parts, _Asked())

    @pages.post("")
    @requires_role(*READERS)
    def ask() -> AnyResponse | tuple[str, int]:
        asked = _read()
        try:
            act, at = _act(asked), moment_of(asked.at, "at")
            if request.form.get("form") == "csv":
                return _file(parts.who_can.stream(act, at=at))
            page = parts.who_can.page(act, at=at, after=request.form.get("after", "")[:64], per_page=PER_PAGE)
        except RequestWrongError as exc:
            asked.errors = {str(exc.facts["field"]): gettext(str(exc.facts["reason"]))}
            return _show(parts, asked), 422
        except (NoPolicyError, VerifyError) as exc:
            asked.errors = {"at" if isinstance(exc, NoPolicyError) else "target": error_text(exc)}
            return _show(parts, asked), 422
        answer = make_response(_show(parts, asked, page))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return pages


def _show(parts: Parts, asked: _Asked, page: Any = None) -> str:
    return render_template("who_can.html", asked=asked, page=page, titles=titles_of(parts))


def _read() -> _Asked:
    def given(name: str) -> str:
        return request.form.get(name, "").strip()[:4096]

    return _Asked(
        action=given("action"),
        resource_type=given("resource_type"),
        resource_id=given("resource_id"),
        attributes=given("attributes"),
        target=given("target"),
        at=given("at"),
    )


def _act(asked: _Asked) -> Act:
    """The act that was typed. Raises RequestWrongError."""
    try:
        name = "action"
        action = read_text(asked.action, name)
        name = "resource_id"
        resource = {"type": asked.resource_type, "id": asked.resource_id}
        if not asked.resource_type.isidentifier():
            name = "resource_type"
        read_resource(resource)
        name = "attributes"
        attributes = read_plain(_attributes(asked.attributes), name)
        return Act(
            action=action,
            resource=read_resource({**resource, "attributes": attributes}),
            target=TargetIdentity.from_uris(*asked.target.split()) if asked.target else None,
        )
    except QuestionWrongError as exc:
        raise RequestWrongError(
            name, _("this cannot be asked; letters and digits, and no more than fit")
        ) from exc


def _attributes(text: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for line in text.splitlines():
        name, separator, value = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if not separator:
            raise RequestWrongError("attributes", _("not in the form NAME=VALUE"))
        if value in {"true", "false"}:
            found[name] = value == "true"
        else:
            found[name] = int(value) if value.removeprefix("-").isdecimal() and len(value) < 19 else value
    return found


def _file(able: Iterator[Able]) -> Response:
    """The whole answer as CSV, written while it is found; cells are no formulas to a spreadsheet."""
    headings = ("name", "entity", "person", "holder_sha256", "roles", "certificates", "rules", "obligations")

    def lines() -> Iterator[str]:
        yield "\ufeff" + _line(headings)
        for each in able:
            row = each.as_dict()
            row["certificates"] = [one["serial"] for one in each.certificates]
            yield _line([_cell(row[name]) for name in headings])

    name = {"Content-Disposition": 'attachment; filename="who-can.csv"', "Cache-Control": "no-store"}
    return Response(lines(), mimetype="text/csv; charset=utf-8", headers=name)


def _line(cells: Any) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _cell(value: object) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text

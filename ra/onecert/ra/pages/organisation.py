"""Administrators' pages of acceptance points and projects; auditors read. Operators are in accounts.py."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.errors import NotFoundError, OrganisationInvalidError
from onecert.ra.operators.enrolment import count_waiting
from onecert.ra.operators.roles import ADMINISTRATOR, AUDITOR
from onecert.ra.operators.scopes import ANY, MAIN_POINT
from onecert.ra.pages import accounts
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.points.points import Point, Project, list_points, list_projects
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.web import notify, requires_role

__all__ = ["blueprint", "tabs"]


def blueprint() -> Blueprint:
    """Points, projects, operators and requests about operators."""
    pages = Blueprint("organisation", __name__)
    pages.add_url_rule("/organisation", "index", _points)
    pages.add_url_rule("/organisation/points/new", "new_point", _new_point, methods=["GET", "POST"])
    pages.add_url_rule("/organisation/points/<place>", "point", _edit_point, methods=["GET", "POST"])
    pages.add_url_rule("/organisation/points/<place>/close", "close_point", _close_point, methods=["POST"])
    pages.add_url_rule("/organisation/projects", "projects", _projects)
    pages.add_url_rule("/organisation/projects/new", "new_project", _new_project, methods=["GET", "POST"])
    pages.add_url_rule("/organisation/projects/<place>", "project", _edit_project, methods=["GET", "POST"])
    pages.add_url_rule(
        "/organisation/projects/<place>/close", "close_project", _close_project, methods=["POST"]
    )
    accounts.add_to(pages, tabs)
    return pages


def tabs(connection: Connection, here: str) -> list[dict[str, Any]]:
    """The four views; `here` is the endpoint of the one that is open."""
    waiting = count_waiting(connection)
    views = (
        ("index", _("Acceptance points"), None),
        ("projects", _("Projects"), None),
        ("accounts", _("Operators"), None),
        ("enrolments", _("Requests"), waiting or None),
    )
    return [
        {
            "label": gettext(label),
            "url": url_for(f"organisation.{name}"),
            "is_here": name == here,
            "count": count,
        }
        for name, label, count in views
    ]


@requires_role(ADMINISTRATOR, AUDITOR)
def _points() -> str:
    return _list("index", "ra/organisation/points.html")


@requires_role(ADMINISTRATOR, AUDITOR)
def _projects() -> str:
    return _list("projects", "ra/organisation/projects.html")


def _list(here: str, template: str) -> str:
    with the_ra().database.reading() as connection:
        points, projects = list_points(connection), list_projects(connection)
        shown = tabs(connection, here)
    return render_template(
        template,
        tabs=shown,
        points=points,
        projects=projects,
        names={point.id: point.name for point in points},
        may_change=the_operator().has_role(ADMINISTRATOR),
        main=MAIN_POINT,
    )


@requires_role(ADMINISTRATOR)
def _new_point() -> AnyResponse | str:
    if request.method == "GET":
        return _point_form(None, {})
    return _tried(_check_new("point", _save_point), lambda error: _point_form(None, request.form, error))


@requires_role(ADMINISTRATOR)
def _edit_point(place: str) -> AnyResponse | str:
    point = _found(list_points, place)
    if request.method == "GET":
        return _point_form(
            point, {"id": point.id, "name": point.name, "address": point.address, "phone": point.phone}
        )
    return _tried(lambda: _save_point(place), lambda error: _point_form(point, request.form, error))


@requires_role(ADMINISTRATOR)
def _close_point(place: str) -> AnyResponse:
    closed = the_ra().points.close_point(the_operator(), place)
    notify(_("%(name)s is closed. What is under way there goes on."), name=closed.name)
    return redirect(url_for("organisation.index"), 303)


@requires_role(ADMINISTRATOR)
def _new_project() -> AnyResponse | str:
    if request.method == "GET":
        return _project_form(None, {"point": ANY})
    return _tried(
        _check_new("project", _save_project), lambda error: _project_form(None, request.form, error)
    )


@requires_role(ADMINISTRATOR)
def _edit_project(place: str) -> AnyResponse | str:
    project = _found(list_projects, place)
    if request.method == "GET":
        return _project_form(project, {"id": project.id, "name": project.name, "point": project.point})
    return _tried(lambda: _save_project(place), lambda error: _project_form(project, request.form, error))


@requires_role(ADMINISTRATOR)
def _close_project(place: str) -> AnyResponse:
    closed = the_ra().points.close_project(the_operator(), place)
    notify(_("%(name)s is closed. What is under way there goes on."), name=closed.name)
    return redirect(url_for("organisation.projects"), 303)


def _save_point(place: str) -> str:
    opened = the_ra().points.open_point(
        the_operator(),
        place,
        name=request.form.get("name", ""),
        address=request.form.get("address", ""),
        phone=request.form.get("phone", ""),
    )
    notify(_("%(name)s is saved."), name=opened.name)
    return url_for("organisation.index")


def _save_project(place: str) -> str:
    opened = the_ra().points.open_project(
        the_operator(), place, name=request.form.get("name", ""), point=request.form.get("point", ANY)
    )
    notify(_("%(name)s is saved."), name=opened.name)
    return url_for("organisation.projects")


def _check_new(what: str, save: Callable[[str], str]) -> Callable[[], str]:
    """Opening an id that is there would rename it: a form for a new one refuses that."""

    def act() -> str:
        place = request.form.get("id", "").strip()
        with the_ra().database.reading() as connection:
            there = list_points(connection) if what == "point" else list_projects(connection)
        if any(each.id == place for each in there):
            raise OrganisationInvalidError(place)
        return save(place)

    return act


def _tried(act: Callable[[], str], form: Callable[[ServiceError], str]) -> AnyResponse:
    """Do it and go on, or show the form again with what was typed and the reason."""
    try:
        return redirect(act(), 303)
    except ServiceError as error:
        if not error.is_refusal:
            raise
        return make_response(form(error), error.status)


def _found(reading: Callable[[Connection], list[Any]], place: str) -> Any:
    with the_ra().database.reading() as connection:
        for each in reading(connection):
            if each.id == place:
                return each
    raise NotFoundError(place[:32])


def _point_form(point: Point | None, form: Mapping[str, str], error: ServiceError | None = None) -> str:
    return render_template("ra/organisation/point.html", point=point, form=form, error=error, main=MAIN_POINT)


def _project_form(project: Project | None, form: Mapping[str, str], error: ServiceError | None = None) -> str:
    with the_ra().database.reading() as connection:
        points = list_points(connection)
    return render_template(
        "ra/organisation/project.html",
        project=project,
        form=form,
        error=error,
        options=[(ANY, gettext(_("All acceptance points")))]
        + [
            (point.id, point.name)
            for point in points
            if point.closed_at is None or point.id == form.get("point")
        ],
    )

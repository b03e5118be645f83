"""REST for points, projects and operators: what administrators do, with four eyes where accounts change."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.ra.errors import BodyError
from onecert.ra.operators.enrolment import Ask, Enrolment, EnrolmentKind, list_enrolments, load_enrolment
from onecert.ra.operators.roles import ADMINISTRATOR, AUDITOR
from onecert.ra.operators.scopes import ANY, Grant, load_scope
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.points.points import Point, Project, list_points, list_projects
from onecert.ra.rest.common import moment, read_body, read_text
from onecert.server.operators import Operator, check_role

__all__ = ["add_to"]


def add_to(api: Blueprint) -> None:
    """Add the endpoints."""
    api.add_url_rule("/points", "list_points", _points)
    api.add_url_rule("/points/<place>", "open_point", _open_point, methods=["PUT"])
    api.add_url_rule("/points/<place>/close", "close_point", _close_point, methods=["POST"])
    api.add_url_rule("/projects/<place>", "open_project", _open_project, methods=["PUT"])
    api.add_url_rule("/projects/<place>/close", "close_project", _close_project, methods=["POST"])
    api.add_url_rule("/operators", "list_operators", _operators)
    api.add_url_rule("/operators/<account>/suspend", "suspend_operator", _suspend, methods=["POST"])
    api.add_url_rule("/enrolments", "list_enrolments", _enrolments)
    api.add_url_rule("/enrolments", "ask_enrolment", _ask, methods=["POST"])
    api.add_url_rule("/enrolments/<uuid:enrolment>", "get_enrolment", _enrolment)
    api.add_url_rule("/enrolments/<uuid:enrolment>/agree", "agree_enrolment", _agree, methods=["POST"])
    api.add_url_rule("/enrolments/<uuid:enrolment>/refuse", "refuse_enrolment", _refuse, methods=["POST"])


def _points() -> Response:
    """All points and projects, and the scope of who asks."""
    ra, operator = the_ra(), the_operator()
    with ra.database.reading() as connection:
        scope = ra.reach.scope(connection, operator)
        points, projects = list_points(connection), list_projects(connection)
    return jsonify(
        {
            "points": [_point(point) for point in points],
            "projects": [_project(project) for project in projects],
            "scope": [_grant(grant) for grant in scope.grants],
            "home": scope.home(),
        }
    )


def _open_point(place: str) -> Response:
    body = read_body()
    words = {name: read_text(body, name, default="") for name in ("address", "phone")}
    opened = the_ra().points.open_point(the_operator(), place, name=read_text(body, "name"), **words)
    return jsonify(_point(opened))


def _close_point(place: str) -> Response:
    return jsonify(_point(the_ra().points.close_point(the_operator(), place)))


def _open_project(place: str) -> Response:
    body = read_body()
    name, point = read_text(body, "name"), read_text(body, "point", default=ANY)
    return jsonify(_project(the_ra().points.open_project(the_operator(), place, name=name, point=point)))


def _close_project(place: str) -> Response:
    return jsonify(_project(the_ra().points.close_project(the_operator(), place)))


def _operators() -> Response:
    ra = the_ra()
    check_role(the_operator(), ADMINISTRATOR, AUDITOR)
    with ra.database.reading() as connection:
        items = [
            {**_account(account), "scope": [_grant(g) for g in load_scope(connection, account.id).grants]}
            for account in ra.operators.all(connection)
        ]
    return jsonify({"items": items})


def _suspend(account: str) -> Response:
    reason = read_text(read_body(), "reason", default="")
    return jsonify(_account(the_ra().enrolments.suspend(the_operator(), account, reason=reason)))


def _enrolments() -> Response:
    check_role(the_operator(), ADMINISTRATOR, AUDITOR)
    state = request.args.get("state")
    if state not in {None, "waiting", "done", "refused"}:
        raise BodyError("state")
    with the_ra().database.reading() as connection:
        found = list_enrolments(connection, state=state)
    return jsonify({"items": [_enrolment_json(each) for each in found]})


def _enrolment(enrolment: Any) -> Response:
    check_role(the_operator(), ADMINISTRATOR, AUDITOR)
    with the_ra().database.reading() as connection:
        return jsonify(_enrolment_json(load_enrolment(connection, str(enrolment))))


def _ask() -> tuple[Response, int]:
    body = read_body()
    try:
        kind = EnrolmentKind(read_text(body, "kind"))
        until = read_text(body, "valid_until", default="")
        valid_until = datetime.fromisoformat(until) if until else None
    except ValueError:
        raise BodyError("kind, valid_until") from None
    roles = body.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise BodyError("roles")
    ask = Ask(
        kind=kind,
        operator_id=read_text(body, "operator"),
        name=read_text(body, "name", default=""),
        roles=tuple(roles),
        valid_until=valid_until,
        scope=_read_scope(body.get("scope", [])),
        certificate_pem=read_text(body, "certificate_pem", default="")[:16384],
        person=read_text(body, "person", default="")[:64],
    )
    return jsonify(_enrolment_json(the_ra().enrolments.ask(the_operator(), ask))), 201


def _agree(enrolment: Any) -> Response:
    return jsonify(_enrolment_json(the_ra().enrolments.agree(the_operator(), str(enrolment))))


def _refuse(enrolment: Any) -> Response:
    reason = read_text(read_body(), "reason", default="")
    return jsonify(_enrolment_json(the_ra().enrolments.refuse(the_operator(), str(enrolment), reason=reason)))


def _read_scope(lines: Any) -> tuple[Grant, ...]:
    parts = ("point", "authority", "profile")
    if not isinstance(lines, list) or not all(
        isinstance(line, dict)
        and set(line) <= set(parts)
        and all(isinstance(value, str) and "\0" not in value for value in line.values())
        for line in lines
    ):
        raise BodyError("scope")
    return tuple(Grant(**line) for line in lines)


def _point(point: Point) -> dict[str, Any]:
    return {
        "id": point.id,
        "name": point.name,
        "address": point.address,
        "phone": point.phone,
        "opened_at": moment(point.opened_at),
        "closed_at": moment(point.closed_at),
    }


def _project(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "point": project.point,
        "opened_at": moment(project.opened_at),
        "closed_at": moment(project.closed_at),
    }


def _grant(grant: Grant) -> dict[str, str]:
    return {"point": grant.point, "authority": grant.authority, "profile": grant.profile}


def _account(account: Operator) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "roles": sorted(account.roles),
        "valid_until": moment(account.valid_until),
        "suspended_at": moment(account.suspended_at),
    }


def _enrolment_json(found: Enrolment) -> dict[str, Any]:
    return {
        "id": found.id,
        "kind": found.kind.value,
        "operator": found.operator_id,
        "state": found.state,
        **found.content,
        "asked_by": found.asked_by,
        "asked_at": moment(found.asked_at),
        "decided_by": found.decided_by,
        "decided_at": moment(found.decided_at),
        "reason": found.reason,
    }

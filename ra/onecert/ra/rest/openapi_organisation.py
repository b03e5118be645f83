"""The OpenAPI part of points, projects, operators and enrolments."""

from typing import Any

from onecert.ra.operators.enrolment import EnrolmentKind
from onecert.ra.operators.roles import ROLES
from onecert.ra.rest.openapi_parts import (
    MAYBE,
    MAYBE_MOMENT,
    MOMENT,
    TEXT,
    array,
    operation,
    parameter,
    query,
    record,
)

__all__ = ["paths", "schemas"]


def paths() -> dict[str, Any]:
    """Path -> method -> operation."""
    place, account, enrolment = [parameter("place")], [parameter("account")], [parameter("enrolment")]
    return {
        "/points": {"get": operation("Points, projects, and the caller's own scope", "Organisation")},
        "/points/{place}": {"put": operation("Open or rename a point", "Point", place, "PointWords")},
        "/points/{place}/close": {"post": operation("Take nothing new there", "Point", place)},
        "/projects/{place}": {"put": operation("Open or rename a project", "Project", place, "ProjectWords")},
        "/projects/{place}/close": {"post": operation("Take nothing new for it", "Project", place)},
        "/operators": {"get": operation("Accounts with their scopes", "Accounts")},
        "/operators/{account}/suspend": {
            "post": operation("Stop an account at once", "Account", account, "Reason")
        },
        "/enrolments": {
            "get": operation("Requests about accounts", "Enrolments", [query("state")]),
            "post": operation(
                "Ask for an account or a change of one", "Enrolment", None, "Ask", status="201"
            ),
        },
        "/enrolments/{enrolment}": {"get": operation("One request", "Enrolment", enrolment)},
        "/enrolments/{enrolment}/agree": {
            "post": operation("The second person's yes; it counts from now", "Enrolment", enrolment)
        },
        "/enrolments/{enrolment}/refuse": {"post": operation("No", "Enrolment", enrolment, "Reason")},
    }


def schemas() -> dict[str, Any]:
    """Name -> schema."""
    words = {"name": TEXT, "address": TEXT, "phone": TEXT}
    life = {"opened_at": MOMENT, "closed_at": MAYBE_MOMENT}
    roles = {"type": "array", "items": {"enum": list(ROLES)}}
    account = {
        "id": TEXT,
        "name": TEXT,
        "roles": roles,
        "valid_until": MOMENT,
        "suspended_at": MAYBE_MOMENT,
    }
    content = {
        "kind": {"enum": [kind.value for kind in EnrolmentKind]},
        "operator": TEXT,
        "name": TEXT,
        "roles": roles,
        "valid_until": MAYBE_MOMENT,
        "scope": array("Grant"),
        "certificate_pem": TEXT,
    }
    return {
        "Grant": record({"point": TEXT, "authority": TEXT, "profile": TEXT}, required=[]),
        "Point": record({"id": TEXT, **words, **life}),
        "PointWords": record(words, required=["name"]),
        "Project": record({"id": TEXT, "name": TEXT, "point": TEXT, **life}),
        "ProjectWords": record({"name": TEXT, "point": TEXT}, required=["name"]),
        "Organisation": record(
            {"points": array("Point"), "projects": array("Project"), "scope": array("Grant"), "home": MAYBE}
        ),
        "Account": record(account),
        "Accounts": record({"items": {"type": "array", "items": {"type": "object"}}}),
        "Ask": record({**content, "valid_until": MOMENT, "person": TEXT}, required=["kind", "operator"]),
        "Enrolment": record(
            {
                "id": TEXT,
                **content,
                "state": {"enum": ["waiting", "done", "refused"]},
                "asked_by": TEXT,
                "asked_at": MOMENT,
                "decided_by": MAYBE,
                "decided_at": MAYBE_MOMENT,
                "reason": MAYBE,
            }
        ),
        "Enrolments": record({"items": array("Enrolment")}),
    }

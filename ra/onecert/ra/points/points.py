"""Acceptance points and projects: open, rename, close. Reading for everybody, changing for administrators.

A point or project is never deleted: records name it. A closed one takes no new applications; what is under
way there goes on. The point `main` is there from the beginning and cannot be closed.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from onecert.ra.errors import OrganisationInvalidError, PointClosedError, PointUnknownError
from onecert.ra.models import points, projects
from onecert.ra.operators.acting import with_certificate
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import ADMINISTRATOR
from onecert.ra.operators.scopes import ANY, MAIN_POINT
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator

__all__ = ["Point", "Points", "Project", "check_place", "list_points", "list_projects"]

_ID = re.compile(r"[a-z][a-z0-9-]{1,31}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One acceptance point."""

    id: str
    name: str
    address: str
    phone: str
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Project:
    """One undertaking that certificates are made for, at one point or (`*`) at all."""

    id: str
    name: str
    point: str
    opened_at: datetime
    closed_at: datetime | None


class Points:
    """The acts on points and projects."""

    def __init__(self, *, database: Database, audit: AuditTrail, clock: Clock, reach: Reach) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._reach = reach

    def open_point(
        self, operator: Operator, point_id: str, *, name: str, address: str = "", phone: str = ""
    ) -> Point:
        """Open a point; opening it again changes its name, address and phone, and takes a closure back."""
        _check_words(point_id, name, address, phone)
        values = {"name": name.strip(), "address": address.strip(), "phone": phone.strip()}
        with self._database.transaction() as connection:
            acting = self._reach.account(connection, operator, ADMINISTRATOR)
            changed = connection.execute(
                update(points).where(points.c.id == point_id).values(**values, closed_at=None)
            )
            if not changed.rowcount:
                _insert(connection, insert(points).values(id=point_id, opened_at=self._clock.now(), **values))
            self._record(connection, acting, "point.opened", f"point:{point_id}", values)
            return _point(connection, point_id)

    def close_point(self, operator: Operator, point_id: str) -> Point:
        """Take no new applications there from now on."""
        if point_id == MAIN_POINT:
            raise OrganisationInvalidError(point_id)
        with self._database.transaction() as connection:
            acting = self._reach.account(connection, operator, ADMINISTRATOR)
            if _point(connection, point_id).closed_at is None:
                close = update(points).where(points.c.id == point_id).values(closed_at=self._clock.now())
                connection.execute(close)
                self._record(connection, acting, "point.closed", f"point:{point_id}", {})
            return _point(connection, point_id)

    def open_project(self, operator: Operator, project_id: str, *, name: str, point: str = ANY) -> Project:
        """Open a project at one point, or at all; opening it again renames it and takes a closure back."""
        _check_words(project_id, name)
        with self._database.transaction() as connection:
            acting = self._reach.account(connection, operator, ADMINISTRATOR)
            if point != ANY:
                _point(connection, point)
            values = {"name": name.strip(), "point": point}
            changed = connection.execute(
                update(projects).where(projects.c.id == project_id).values(**values, closed_at=None)
            )
            if not changed.rowcount:
                _insert(
                    connection, insert(projects).values(id=project_id, opened_at=self._clock.now(), **values)
                )
            self._record(connection, acting, "project.opened", f"project:{project_id}", values)
            return _project(connection, project_id)

    def close_project(self, operator: Operator, project_id: str) -> Project:
        """Take no new applications for it from now on."""
        with self._database.transaction() as connection:
            acting = self._reach.account(connection, operator, ADMINISTRATOR)
            if _project(connection, project_id).closed_at is None:
                close = (
                    update(projects).where(projects.c.id == project_id).values(closed_at=self._clock.now())
                )
                connection.execute(close)
                self._record(connection, acting, "project.closed", f"project:{project_id}", {})
            return _project(connection, project_id)

    def _record(
        self, connection: Connection, acting: Operator, event: str, subject: str, details: dict[str, str]
    ) -> None:
        details = {**details, **with_certificate(acting)}
        self._audit.record(connection, event=event, actor=acting.actor, subject=subject, details=details)


def list_points(connection: Connection) -> list[Point]:
    """Every point, closed ones too, by id."""
    return [Point(**row._mapping) for row in connection.execute(select(points).order_by(points.c.id))]


def list_projects(connection: Connection, point: str | None = None) -> list[Project]:
    """Every project, or those that one point works for, by id."""
    query = select(projects).order_by(projects.c.id)
    if point is not None:
        query = query.where(projects.c.point.in_([ANY, point]))
    return [Project(**row._mapping) for row in connection.execute(query)]


def check_place(connection: Connection, point: str, project: str | None) -> None:
    """Raise unless a new application may be entered at this point, for this project."""
    if _point(connection, point).closed_at is not None:
        raise PointClosedError(point)
    if project is not None:
        found = _project(connection, project)
        if found.point not in {ANY, point}:
            raise PointUnknownError(project)
        if found.closed_at is not None:
            raise PointClosedError(project)


def _point(connection: Connection, point_id: str) -> Point:
    if not _ID.fullmatch(point_id):
        raise PointUnknownError(point_id)
    row = connection.execute(select(points).where(points.c.id == point_id)).one_or_none()
    if row is None:
        raise PointUnknownError(point_id)
    return Point(**row._mapping)


def _project(connection: Connection, project_id: str) -> Project:
    if not _ID.fullmatch(project_id):
        raise PointUnknownError(project_id)
    row = connection.execute(select(projects).where(projects.c.id == project_id)).one_or_none()
    if row is None:
        raise PointUnknownError(project_id)
    return Project(**row._mapping)


def _insert(connection: Connection, statement: object) -> None:
    """Two administrators open the same one at once: the first one's words stand."""
    try:
        with connection.begin_nested():
            connection.execute(statement)  # type: ignore[call-overload] # any insert
    except IntegrityError:
        return


def _check_words(identifier: str, name: str, *others: str) -> None:
    if not _ID.fullmatch(identifier):
        raise OrganisationInvalidError(identifier[:64])
    for word, least in ((name, 1), *((other, 0) for other in others)):
        if not least <= len(word.strip()) <= 128 or (word and not word.isprintable()):
            raise OrganisationInvalidError(word[:64])

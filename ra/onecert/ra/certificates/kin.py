"""What belongs to a certificate: the one that it followed, the ones that follow it, the cases about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from onecert.ra.applications.records import Application, load_application
from onecert.ra.cases.records import Case, load_case
from onecert.ra.certificates.records import Certificate, find_by_application, load_certificate
from onecert.ra.errors import NotFoundError
from onecert.ra.models import applications, cases
from onecert.ra.operators.scopes import Scope

__all__ = ["Kin", "list_cases_about", "list_kin"]

_MOST = 20


@dataclass(frozen=True, kw_only=True)
class Kin:
    """`before` is what this one follows; `after` are the applications after it, with what they led to."""

    before: Certificate | None
    after: Sequence[tuple[Application, Certificate | None]]


def list_kin(
    connection: Connection, scope: Scope, certificate: Certificate, application: Application | None
) -> Kin:
    """What is in reach of them, newest first."""
    before = None
    if application is not None and application.follows_authority and application.follows_serial:
        try:
            before = load_certificate(connection, application.follows_authority, application.follows_serial)
        except NotFoundError:
            before = None
    if before is not None and not scope.covers(before.point, before.authority, before.kind.value):
        before = None
    ids = connection.scalars(
        select(applications.c.id)
        .where(
            applications.c.follows_serial == certificate.serial_hex,
            applications.c.follows_authority == certificate.authority,
            scope.condition(applications.c),
        )
        .order_by(applications.c.seq.desc())
        .limit(_MOST)
    ).all()
    after = [(load_application(connection, each), find_by_application(connection, each)) for each in ids]
    return Kin(before=before, after=after)


def list_cases_about(connection: Connection, authority: str, serial_hex: str) -> list[Case]:
    """The newest cases about a certificate, oldest first."""
    ids = connection.scalars(
        select(cases.c.id)
        .where(cases.c.authority == authority, cases.c.serial_hex == serial_hex)
        .order_by(cases.c.seq.desc())
        .limit(_MOST)
    ).all()
    return [load_case(connection, each) for each in reversed(ids)]

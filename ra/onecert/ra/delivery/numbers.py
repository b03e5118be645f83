"""From the number that people say to the application, which is found by its running part."""

from sqlalchemy import Connection, select

from onecert.ra.applications.records import Application, load_application
from onecert.ra.models import applications

__all__ = ["find_by_number", "running_part"]


def running_part(number: str) -> int | None:
    """The running part of `20261122-000007`; None: it is not a number of ours."""
    day, _dash, running = number.strip().partition("-")
    digits = day.isascii() and day.isdigit() and running.isascii() and running.isdigit()
    return int(running) if digits and len(day) == 8 and len(running) < 18 else None


def find_by_number(connection: Connection, number: str) -> Application | None:
    """The application of exactly this number, in whoever's reach it is."""
    running = running_part(number)
    if running is None:
        return None
    found = connection.scalar(select(applications.c.id).where(applications.c.seq == running))
    application = load_application(connection, found) if found else None
    return application if application is not None and application.number == number.strip() else None

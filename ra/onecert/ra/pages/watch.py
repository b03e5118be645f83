"""The watch page: the clock from a request until everybody refuses, and the record of it later."""

from flask import Blueprint, make_response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.certificates.records import load_revocation
from onecert.ra.certificates.watching import SOURCES
from onecert.ra.errors import NotFoundError
from onecert.ra.pages.common import the_operator, the_ra

__all__ = ["add_to"]


def add_to(pages: Blueprint) -> None:
    """Add it to the pages of certificates."""
    pages.add_url_rule("/certificates/<authority>/<serial>/watch/<revocation_id>", "watch", _watch)


def _watch(authority: str, serial: str, revocation_id: str) -> AnyResponse:
    """The page, or with `?part=1` the part that changes."""
    ra = the_ra()
    certificate = ra.reach.certificate(the_operator(), authority, serial)
    with ra.database.reading() as connection:
        revocation = load_revocation(connection, revocation_id)
        names = {account.id: account.name for account in ra.operators.all(connection)}
    if (revocation.authority, revocation.serial_hex) != (certificate.authority, certificate.serial_hex):
        raise NotFoundError(revocation_id[:64])
    watch = ra.watching.look(certificate, revocation)
    template = "ra/watch_part.html" if request.args.get("part") else "ra/watch.html"
    page = make_response(
        render_template(
            template,
            certificate=certificate,
            status=certificate.shown_status(ra.clock.now()),
            revocation=revocation,
            watch=watch,
            sources=SOURCES,
            seconds=max(0, int((watch.last - revocation.created_at).total_seconds())),
            by=names.get(revocation.requested_by, revocation.requested_by),
            is_verifier_configured=ra.relying.is_configured,
        )
    )
    page.headers["Cache-Control"] = "no-store"
    return page

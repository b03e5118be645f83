"""Authorities with their ceremonies and signed records, and batches with their progress."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template
from flask import url_for as url
from sqlalchemy import select

from onecert.ca.authorities.lines import NOTICE
from onecert.ca.console.common import EVERYONE, READERS, Console
from onecert.ca.console.overview import authority_row, open_batches
from onecert.ca.errors import UnknownAuthorityError
from onecert.ca.models import authorities as authorities_table
from onecert.ca.models import authority_records, ceremonies
from onecert.ca.revocation.security_officers import SECURITY_OFFICER
from onecert.server.languages import _
from onecert.server.web import current_operator, notify, requires_role

__all__ = ["authority_pages", "batch_pages"]

ACTS = ("retired", "destroyed")


def authority_pages(console: Console) -> Blueprint:
    """The pages under /ca/authorities."""
    pages = Blueprint("authorities", __name__)
    parts = console.parts

    @pages.get("/authorities")
    @requires_role(*EVERYONE)
    def index() -> str:
        at = parts.clock.now()
        holders = getattr(parts.token, "holders", None)
        splitting = holders.splitting() if holders is not None else None
        return render_template(
            "ca/console/authorities.html",
            rows=[authority_row(console, each, at) for each in parts.authorities.reload()],
            splitting=splitting,
            given=holders.given() if holders is not None and splitting is not None else (),
            is_active=holders is None or holders.is_active(),
            soon=at + NOTICE,
        )

    @pages.get("/authorities/<name>")
    @requires_role(*EVERYONE)
    def show(name: str) -> str:
        authority = parts.authorities.get(name)
        with parts.database.reading() as connection:
            ceremony = connection.scalar(
                select(authorities_table.c.ceremony).where(authorities_table.c.name == authority.name)
            )
            held = connection.execute(
                select(
                    ceremonies.c.name, ceremonies.c.begun_at, ceremonies.c.file_sha256, ceremonies.c.record
                )
                .where(ceremonies.c.name == ceremony)
                .limit(1)
            ).first()
            records = connection.execute(
                select(authority_records.c.act, authority_records.c.at)
                .where(authority_records.c.authority == authority.name)
                .order_by(authority_records.c.at)
            ).all()
        return render_template(
            "ca/console/authority.html",
            row=authority_row(console, authority, parts.clock.now()),
            authority=authority,
            chain=parts.authorities.chain(authority),
            held=held,
            records=records,
        )

    @pages.get("/authorities/<name>/chain.pem")
    @requires_role(*EVERYONE)
    def chain(name: str) -> Response:
        authority = parts.authorities.get(name)
        return _file(f"{authority.name}-chain.pem", "".join(parts.authorities.chain_pem(authority)).encode())

    @pages.get("/authorities/<name>/ceremony.json")
    @requires_role(*EVERYONE)
    def ceremony_record(name: str) -> Response:
        authority = parts.authorities.get(name)
        query = (
            select(ceremonies.c.record)
            .join(authorities_table, authorities_table.c.ceremony == ceremonies.c.name)
            .where(authorities_table.c.name == authority.name)
        )
        return _record(console, authority.name, f"{authority.name}-ceremony.json", query)

    @pages.get("/authorities/<name>/<act>.json")
    @requires_role(*EVERYONE)
    def end_record(name: str, act: str) -> Response:
        query = select(authority_records.c.record).where(
            authority_records.c.authority == name, authority_records.c.act == act
        )
        if act not in ACTS:
            raise UnknownAuthorityError(name[:64])
        return _record(console, name, f"{name}-{act}.json", query)

    return pages


def batch_pages(console: Console) -> Blueprint:
    """The pages under /ca/batches."""
    pages = Blueprint("batches", __name__)
    parts = console.parts

    @pages.get("/batches")
    @requires_role(*READERS)
    def index() -> str:
        return render_template("ca/console/batches.html", batches=open_batches(console), one=None)

    @pages.get("/batches/<number>")
    @requires_role(*READERS)
    def show(number: str) -> str:
        progress = parts.batches.progress(number[:64])
        may_cancel = current_operator().has_role(SECURITY_OFFICER)
        return render_template("ca/console/batches.html", batches=[], one=progress, may_cancel=may_cancel)

    @pages.post("/batches/<number>/cancel")
    @requires_role(SECURITY_OFFICER)
    def cancel(number: str) -> Any:
        parts.batches.cancel(number[:64], actor=current_operator().actor)
        notify(_("No more lines of this batch are begun; what is on record already is finished."))
        return redirect(url("batches.show", number=number), 303)

    return pages


def _record(console: Console, authority: str, name: str, query: Any) -> Response:
    with console.parts.database.reading() as connection:
        found = connection.execute(query).scalar()
    if found is None:
        raise UnknownAuthorityError(authority[:64])
    return _file(name, bytes(found))


def _file(name: str, content: bytes) -> Response:
    response = make_response(content)
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response

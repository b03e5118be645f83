"""The repository of attribute certificates: found by serial, holder, entity, authority, role and status."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, select

from onecert.pmi.errors import CertificateUnknownError
from onecert.pmi.models import certificate_attributes, certificates, grants
from onecert.server.languages import Message, _
from onecert.server.statements import Statement, Values

__all__ = ["STATUSES", "Record", "Search", "find_certificates", "load_certificate"]

# What people search by; "expired" is a matter of the clock and not stored.
STATUSES: dict[str, Message] = {
    "valid": _("valid"),
    "held": _("on hold"),
    "revoked": _("revoked"),
    "expired": _("expired"),
    "intended": _("being issued"),
    "abandoned": _("given up"),
}


_RECORDS = select(certificates, grants.c.attributes).join(grants, grants.c.id == certificates.c.grant_id)
_FIND = Statement(_RECORDS.where(certificates.c.serial == bindparam("wanted")))


@dataclass(frozen=True, kw_only=True)
class Record:
    """One attribute certificate as it is on record."""

    serial: str
    authority: str
    grant_id: str
    state: str
    holder_sha256: str
    holder_name: str
    entity: str
    attributes: Mapping[str, Sequence[Any]]
    certificate_der: bytes | None
    not_before: datetime
    not_after: datetime
    intended_at: datetime
    issued_at: datetime | None
    revoked_at: datetime | None
    reason: str | None
    revoked_by: str | None
    kind: str
    holder_form: str
    short_lived: bool
    under: str | None
    replaced_by: str | None

    @property
    def roles(self) -> tuple[str, ...]:
        """The URIs of the roles among the attributes."""
        return tuple(self.attributes.get("role", ()))

    def status(self, at: datetime) -> str:
        """Return one of STATUSES at this time."""
        if self.state == "issued":
            return "expired" if at > self.not_after else "valid"
        return self.state


@dataclass(frozen=True, kw_only=True)
class Search:
    """What to look for; an empty field does not matter. ``holder``: SHA-256 of a certificate, id or name."""

    holder: str = ""
    authority: str = ""
    role: str = ""
    status: str = ""
    page: int = 1
    per_page: int = 20


def find_certificates(connection: Connection, search: Search, at: datetime) -> tuple[Sequence[Record], int]:
    """Return one page of what was found, newest first, and how many there are."""
    chosen = _where(_RECORDS, search, at)
    total = connection.scalar(_where(select(func.count()).select_from(certificates), search, at)) or 0
    chosen = chosen.order_by(certificates.c.intended_at.desc(), certificates.c.serial)
    rows = connection.execute(chosen.limit(search.per_page).offset((search.page - 1) * search.per_page))
    return [_record(row) for row in rows.mappings()], total


def load_certificate(connection: Connection, serial: str) -> Record:
    """Return one attribute certificate. Raises CertificateUnknownError."""
    row = _FIND.first(connection, {"wanted": serial.lower().lstrip("0")})
    if row is None:
        raise CertificateUnknownError(serial)
    return _record(row)


def _where(chosen: Select[Any], search: Search, at: datetime) -> Select[Any]:
    if search.holder:
        pattern = "%" + search.holder.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
        chosen = chosen.where(
            (certificates.c.holder_sha256 == search.holder.lower())
            | (certificates.c.entity == search.holder)
            | (certificates.c.serial == search.holder.lower().lstrip("0"))
            | certificates.c.holder_name.like(pattern, escape="\\")
        )
    if search.authority:
        chosen = chosen.where(certificates.c.authority == search.authority)
    if search.role:
        with_role = select(certificate_attributes.c.serial).where(
            certificate_attributes.c.name == "role", certificate_attributes.c.value == search.role
        )
        chosen = chosen.where(certificates.c.serial.in_(with_role))
    if search.status in {"valid", "expired"}:
        chosen = chosen.where(certificates.c.state == "issued")
        is_past = certificates.c.not_after < at
        chosen = chosen.where(is_past if search.status == "expired" else ~is_past)
    elif search.status:
        chosen = chosen.where(certificates.c.state == search.status)
    return chosen


def _record(values: Values | RowMapping) -> Record:
    der = values["certificate_der"]
    kept = {name: values[name] for name in Record.__dataclass_fields__ if name in values}
    return Record(
        **{
            **kept,
            "attributes": json.loads(values["attributes"]),
            "certificate_der": None if der is None else bytes(der),
        }
    )

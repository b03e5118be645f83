"""The rows of a batch as people bring them: CSV with a header, or one JSON object a line.

Columns or members: ``holder`` (a certificate in PEM, the SHA-256 of one that was accepted before, or what the
caller's ``find`` knows), ``from``, ``until`` (a day in China, or a time with its zone), ``targets``,
``target_groups``, ``holder_form``, ``audit_identity``; every other name is an attribute of the catalogue. In
CSV several values stand in one field, separated by ``|``; values of attributes that are not texts are JSON.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, time
from typing import Any

from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.batch_rows import MAX_ROWS
from onecert.pmi.grants.request import GrantRequest
from onecert.server.errors import ServiceError
from onecert.server.languages import CHINA_TIME, _

__all__ = ["MAX_BYTES", "read_sheet", "request_of"]

MAX_BYTES = 64 * 1024 * 1024

_OWN = {
    "holder",
    "from",
    "until",
    "targets",
    "target_groups",
    "holder_form",
    "audit_identity",
    "short_lived",
}
_LISTS = {"targets", "target_groups"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

Find = Callable[[str], bytes]


def read_sheet(
    data: bytes, catalogue: Catalogue, find: Find, *, authority: str
) -> list[GrantRequest | ServiceError]:
    """Read the rows of a batch; what begins with a brace is JSON lines, everything else CSV, in UTF-8.

    Args:
        find: returns the certificate that ``holder`` means, DER or PEM; raises ServiceError.

    Returns:
        the rows in their order: what is asked for, or what is wrong with the row.

    Raises:
        RequestWrongError: the whole cannot be read, or has too many rows.
    """
    if len(data) > MAX_BYTES:
        raise RequestWrongError("rows", _("larger than 64 MiB"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise RequestWrongError("rows", _("not UTF-8")) from exc
    found: list[GrantRequest | ServiceError] = []
    for row in _json_lines(text) if text.lstrip().startswith("{") else _csv_rows(text, catalogue):
        if len(found) == MAX_ROWS:
            raise RequestWrongError("rows", _("none, or more than 100,000"))
        try:
            found.append(row if isinstance(row, ServiceError) else request_of(row, find, authority=authority))
        except ServiceError as exc:
            found.append(exc)
    if not found:
        raise RequestWrongError("rows", _("none, or more than 100,000"))
    return found


def request_of(row: Mapping[str, Any], find: Find, *, authority: str) -> GrantRequest:
    """Take over one row. Raises ServiceError: a field of it is wrong."""
    holder = row.get("holder")
    if not isinstance(holder, str) or not holder.strip():
        raise RequestWrongError("holder", _("missing"))
    short_lived = row.get("short_lived", False)
    if not isinstance(short_lived, bool):
        raise RequestWrongError("short_lived", _("not true or false"))
    attributes = {name: value for name, value in row.items() if name not in _OWN}
    for name, values in attributes.items():
        if not isinstance(values, list):
            raise RequestWrongError(str(name)[:64], _("not a list"))
    return GrantRequest(
        authority=authority,
        holder=find(holder.strip()),
        attributes=attributes,
        targets=_texts(row, "targets"),
        target_groups=_texts(row, "target_groups"),
        holder_form=_text(row, "holder_form") or "certificate",
        audit_identity=_text(row, "audit_identity"),
        short_lived=short_lived,
        not_before=_moment(row, "from", time(0, 0)),
        not_after=_moment(row, "until", time(23, 59, 59)),
    )


def _json_lines(text: str) -> Iterator[Mapping[str, Any] | ServiceError]:
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield row if isinstance(row, dict) else RequestWrongError("row", _("not a JSON object"))


def _csv_rows(text: str, catalogue: Catalogue) -> Iterator[Mapping[str, Any] | ServiceError]:
    try:
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [name.strip() for name in next(rows, [])]
        if "holder" not in header or len(set(header)) != len(header) or "" in header:
            raise RequestWrongError("rows", _("the first line does not name the columns, holder among them"))
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                yield RequestWrongError("row", _("it has more or fewer fields than the first line"))
                continue
            try:
                named = dict(zip(header, cells, strict=True))
                yield {name: _cell(name, cell, catalogue) for name, cell in named.items() if cell.strip()}
            except ServiceError as exc:
                yield exc
    except csv.Error as exc:
        raise RequestWrongError("rows", _("not CSV: a quotation mark is missing or stands alone")) from exc


def _cell(name: str, cell: str, catalogue: Catalogue) -> Any:
    if name == "short_lived":
        return {"true": True, "false": False}.get(cell.strip().lower(), cell)
    if name in _OWN - _LISTS:
        return cell.strip()
    entry = catalogue.attributes.get(name)
    parts = [part.strip() for part in cell.split("|")]
    if entry is None or not entry.takes_json:
        return parts
    try:
        return [json.loads(part) for part in parts]
    except (ValueError, RecursionError) as exc:
        raise RequestWrongError(name, _("a value is not JSON")) from exc


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name, "")
    if not isinstance(value, str):
        raise RequestWrongError(name, _("not a text"))
    return value


def _texts(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = row.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise RequestWrongError(name, _("not a list of texts"))
    return tuple(value)


def _moment(row: Mapping[str, Any], name: str, of_day: time) -> datetime | None:
    value = _text(row, name)
    if not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError as exc:
        raise RequestWrongError(name, _("not a day, nor a time such as 2026-11-21T09:00:00Z")) from exc
    if _DAY.fullmatch(value):
        return datetime.combine(found.date(), of_day, CHINA_TIME)
    if found.tzinfo is None:
        raise RequestWrongError(name, _("a time without its zone"))
    return found

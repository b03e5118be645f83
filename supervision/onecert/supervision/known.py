"""Certificates that the supervision knows: a collection to preview what a draft does to holders.

They come from authorities, from departments' refusals, from the registration authority. Each is kept once,
with where it came from first. No private keys, and nobody's verdict depends on them.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select

from onecert.server.languages import _
from onecert.supervision.draft import PEM
from onecert.supervision.errors import KnownFullError, UploadError
from onecert.supervision.models import known_certificates
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.errors import VerifyError

__all__ = [
    "KNOWN_MAX",
    "Known",
    "KnownSource",
    "ReadKnown",
    "add_known",
    "known_list",
    "known_sources",
    "known_version",
    "read_known",
    "remove_source",
]

KNOWN_MAX = 50_000
# Column of a CSV file that holds a certificate, in base64 of DER or in PEM.
_COLUMNS = ("certificate", "certificate_pem", "cert", "pem", "der", "证书")
_FIELD_MAX = 100_000
_AT_ONCE = 500


@dataclass(frozen=True)
class Known:
    """One known certificate, DER."""

    sha256: str
    der: bytes
    source: str


@dataclass(frozen=True, kw_only=True)
class KnownSource:
    """How many came from one place, and when the newest of them."""

    source: str
    count: int
    added_at: datetime


@dataclass(frozen=True)
class ReadKnown:
    """What a file holds: certificates in DER, and how many entries could not be read."""

    ders: tuple[bytes, ...]
    unreadable: int


def read_known(data: bytes) -> ReadKnown:
    """Read a file of certificates: one in DER, any number in PEM, or CSV with a column ``certificate``.

    Raises:
        UploadError: there is no certificate in it.
    """
    if data.lstrip()[:1] == b"<":
        raise UploadError(_("it is a web page (HTML), not the file itself"))
    if data[:1] == b"\x30":
        found = [data]
    elif b"-----BEGIN CERTIFICATE-----" in data and not _is_csv(data):
        text = data.decode("ascii", "replace").replace("\r", "")
        found = [block.encode("ascii", "replace") for block in PEM.findall(text)]
    else:
        found = list(_csv(data))
    ders, unreadable = [], 0
    for each in found:
        try:
            ders.append(parse_certificate(each).der)
        except VerifyError:
            unreadable += 1
    if not ders:
        hint = _("Bring PEM, DER, or CSV with a column called certificate (base64 of the DER).")
        raise UploadError(_("there is no certificate in it"), hint)
    return ReadKnown(tuple(dict.fromkeys(ders)), unreadable)


def add_known(connection: Connection, ders: Iterable[bytes], *, source: str, actor: str, at: datetime) -> int:
    """Keep certificates that are not kept yet; returns how many are new.

    Raises:
        KnownFullError: they would be more than ``KNOWN_MAX``; none is added.
    """
    wanted = {hashlib.sha256(der).hexdigest(): der for der in ders}
    table = known_certificates
    for some in _batches(list(wanted)):
        for (sha256,) in connection.execute(select(table.c.sha256).where(table.c.sha256.in_(some))):
            del wanted[sha256]
    if known_version(connection)[0] + len(wanted) > KNOWN_MAX:
        raise KnownFullError(KNOWN_MAX)
    rows = [
        {"sha256": sha256, "der": der, "source": source, "added_at": at, "added_by": actor}
        for sha256, der in wanted.items()
    ]
    if rows:
        connection.execute(insert(table), rows)
    return len(rows)


def known_list(connection: Connection) -> list[Known]:
    """All of them."""
    columns = known_certificates.c
    rows = connection.execute(select(columns.sha256, columns.der, columns.source).order_by(columns.sha256))
    return [Known(row.sha256, bytes(row.der), row.source) for row in rows]


def known_sources(connection: Connection) -> list[KnownSource]:
    """Where they came from, newest first."""
    columns = known_certificates.c
    newest = func.max(columns.added_at)
    query = select(columns.source, func.count().label("count"), newest.label("added_at"))
    rows = connection.execute(query.group_by(columns.source).order_by(newest.desc(), columns.source))
    return [KnownSource(source=row.source, count=row[1], added_at=row.added_at) for row in rows]


def known_version(connection: Connection) -> tuple[int, datetime | None]:
    """How many there are and when the last came: changes whenever the collection does."""
    columns = known_certificates.c
    row = connection.execute(select(func.count(), func.max(columns.added_at))).one()
    return int(row[0]), row[1]


def remove_source(connection: Connection, source: str) -> int:
    """Forget what came from one place; returns how many."""
    result = connection.execute(delete(known_certificates).where(known_certificates.c.source == source))
    return int(result.rowcount)


def _is_csv(data: bytes) -> bool:
    first = data.split(b"\n", 1)[0]
    return not first.startswith(b"-----") and b"," in first


def _csv(data: bytes) -> Iterable[bytes]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    csv.field_size_limit(_FIELD_MAX)
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
    except csv.Error as exc:
        raise UploadError(_("it is no CSV that can be read")) from exc
    for row in rows:
        value = next((row[key] for key in row if key is not None and key.strip().lower() in _COLUMNS), None)
        if not isinstance(value, str) or not value.strip():
            continue
        if value.lstrip().startswith("-----"):
            yield value.strip().encode("utf-8")
        else:
            try:
                yield base64.b64decode("".join(value.split()), validate=True)
            except (binascii.Error, ValueError):
                yield b""


def _batches(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))

"""Batches and mass revocations as they were signed: what an archive keeps of them, and when they may leave.

Each is evidence for the certificates it was about. It may leave when it ended so long ago that its month need
not be kept, and none of these certificates is on record any more: their archives come first.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy import ColumnElement, Connection, RowMapping, Table, delete, func, select

from onecert.ca.archive.record import Record, audited, octets, plain
from onecert.ca.batches.batches import CANCELLED, DONE
from onecert.ca.batches.documents import BATCH_TYPE, read_head
from onecert.ca.batches.models import batch_chunks, batches
from onecert.ca.errors import CaError
from onecert.ca.issuing.order_documents import payload_of
from onecert.ca.issuing.orders import content_sha256
from onecert.ca.models import certificates, orders
from onecert.ca.revocation.mass import ARRIVING, PROPOSED, STOPPED
from onecert.ca.revocation.mass import DONE as MASS_DONE
from onecert.ca.revocation.mass_documents import CONFIRMATION_TYPE, PROPOSAL_TYPE
from onecert.ca.revocation.mass_models import mass_revocation_chunks, mass_revocations

__all__ = [
    "KINDS",
    "ActKind",
    "act_documents",
    "act_faults",
    "act_index_line",
    "acts_of_month",
    "chunks_of",
    "gather_acts",
    "is_act",
    "remove_acts",
    "signers_of",
]

_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class ActKind:
    """One kind of act. Its name stands where an archive of certificates names the authority."""

    name: str
    table: Table
    chunks: Table
    states: tuple[str, ...]  # in which nothing more happens to it
    ended: ColumnElement[datetime]
    subject: Callable[[Mapping[Any, Any]], str]  # of its audit entries
    is_needed: Callable[[Connection, Mapping[Any, Any], Iterable[Mapping[Any, Any]]], bool]

    @property
    def chunk_of(self) -> Any:
        """The column of a chunk that names its act."""
        return next(iter(self.chunks.primary_key.columns))


def _batch_needed(
    connection: Connection, _row: Mapping[Any, Any], chunks: Iterable[Mapping[Any, Any]]
) -> bool:
    ids = (_order_of(line) for chunk in chunks for line in zlib.decompress(chunk["content"]).split(b"\n"))
    return _any_of(connection, select(orders.c.id).limit(1), orders.c.id, (each for each in ids if each))


def _mass_needed(connection: Connection, row: Mapping[Any, Any], chunks: Iterable[Mapping[Any, Any]]) -> bool:
    serials = (each for chunk in chunks for each in _serials(chunk["serials"]))
    query = select(certificates.c.serial).where(certificates.c.authority == row["authority"]).limit(1)
    return _any_of(connection, query, certificates.c.serial, serials)


def _any_of(connection: Connection, query: Any, column: Any, names: Iterator[str]) -> bool:
    while some := [name for name, _ in zip(names, range(_AT_ONCE), strict=False)]:
        if connection.execute(query.where(column.in_(some))).first() is not None:
            return True
    return False


def _order_of(line: bytes) -> str:
    try:
        return str(json.loads(line)["order"])
    except (ValueError, KeyError, TypeError):
        return ""


KINDS: Mapping[str, ActKind] = {
    kind.name: kind
    for kind in (
        ActKind(
            name="=batches",
            table=batches,
            chunks=batch_chunks,
            states=(DONE, CANCELLED),
            ended=func.coalesce(batches.c.finished_at, batches.c.received_at),
            subject=lambda row: f"batch/{row['id']}",
            is_needed=_batch_needed,
        ),
        ActKind(
            name="=mass-revocations",
            table=mass_revocations,
            chunks=mass_revocation_chunks,
            # A proposal that nobody confirmed ends with its day.
            states=(MASS_DONE, STOPPED, PROPOSED, ARRIVING),
            ended=func.coalesce(
                mass_revocations.c.finished_at, mass_revocations.c.stopped_at, mass_revocations.c.proposed_at
            ),
            subject=lambda row: f"{row['authority']}/{row['id']}",
            is_needed=_mass_needed,
        ),
    )
}


def is_act(name: str) -> bool:
    """Whether an archive is one of acts; no authority has such a name."""
    return name in KINDS


def chunks_of(connection: Connection, kind: ActKind, number: str) -> list[RowMapping]:
    query = select(kind.chunks).where(kind.chunk_of == number).order_by(*kind.chunks.primary_key.columns)
    return list(connection.execute(query).mappings())


def gather_acts(connection: Connection, kind: ActKind, rows: Sequence[RowMapping]) -> list[Record]:
    """Read what is on record about acts."""
    trail = audited(connection, [kind.subject(row) for row in rows])
    return [
        {
            "act": plain(row),
            "chunks": [plain(each) for each in chunks_of(connection, kind, row["id"])],
            "audit": trail[kind.subject(row)],
        }
        for row in rows
    ]


def remove_acts(connection: Connection, kind: ActKind, records: Iterable[Record]) -> int:
    """Remove the rows of acts; the audit trail stays. Tell how many acts these were."""
    ids = [each["act"]["id"] for each in records]
    connection.execute(delete(kind.chunks).where(kind.chunk_of.in_(ids)))
    return connection.execute(delete(kind.table).where(kind.table.c.id.in_(ids))).rowcount


def act_index_line(record: Record) -> Record:
    """What an archive of acts is searched by."""
    return {name: record["act"][name] for name in ("id", "state", "content_sha256")}


def signers_of(manifest: Mapping[Any, Any]) -> dict[str, Any]:
    """The keys of registration authorities and officers that an archive carries."""
    known = [*manifest["registration_authorities"], *manifest.get("officers", ())]
    return {each["kid"]: load_pem_public_key(each["pem"].encode()) for each in known}


def act_documents(record: Record, kind: ActKind) -> Iterator[tuple[str, bytes]]:
    """The signed documents of an act, each with its type."""
    act = record["act"]
    if kind.table is batches:
        yield BATCH_TYPE, octets(act["document"])
        return
    yield PROPOSAL_TYPE, octets(act["document"])
    if act["confirmation"]:
        yield CONFIRMATION_TYPE, octets(act["confirmation"])


def act_faults(record: Record, kind: ActKind) -> Iterator[str]:
    """Name in what an act on file is not what its documents say: content, lines, serials."""
    act = record["act"]
    document = octets(act["document"])
    if content_sha256(payload_of(document)) != act["content_sha256"]:
        yield "it does not have the content it was recorded with"
    if kind.table is batches:
        if act["state"] == DONE:
            yield from _lines_faults(document, record["chunks"])
        return
    serials = [each for chunk in record["chunks"] for each in _serials(octets(chunk["serials"]))]
    if act["state"] == MASS_DONE and len(serials) != act["certificates"]:
        yield f"{len(serials)} serials instead of {act['certificates']}"


def _serials(packed: bytes) -> list[str]:
    return zlib.decompress(packed).decode("ascii").split()


def _lines_faults(document: bytes, chunks: Sequence[Record]) -> Iterator[str]:
    try:
        head = read_head(payload_of(document), "", document)
    except CaError as exc:
        yield exc.code
        return
    lines = b"".join(zlib.decompress(octets(each["content"])) + b"\n" for each in chunks).split(b"\n")[:-1]
    for part in head.parts:
        some = lines[part.first_line - 1 : part.first_line - 1 + part.lines]
        if hashlib.sha256(b"".join(line + b"\n" for line in some)).hexdigest() != part.sha256:
            yield f"part {part.number} is not the one that was signed for"


def acts_of_month(
    connection: Connection, kind: ActKind, begin: datetime, end: datetime
) -> Iterator[RowMapping]:
    """The acts that were finished in a month and that no certificate on record needs."""
    query = select(kind.table).where(
        kind.table.c.state.in_(kind.states), kind.ended >= begin, kind.ended < end
    )
    for row in connection.execute(query.order_by(kind.ended, kind.table.c.id)).mappings().all():
        if not kind.is_needed(connection, row, chunks_of(connection, kind, row["id"])):
            yield row

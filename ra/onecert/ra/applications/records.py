"""Applications as the rest of the member reads them: rows of the database turned into values.

Reading only; what changes an application is in `acts.py`. Lists never touch the sealed part, so the
queue works while the token is away, and an id-card number appears there only masked.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, or_, select, true

from onecert.ra.applications.walk import NEWEST, Columns, Order, lanes_of, walk
from onecert.ra.content.checking import CheckedContent, Outcome
from onecert.ra.content.fields import ALL_FIELDS, Kind
from onecert.ra.errors import NotFoundError, RequestKeyReusedError
from onecert.ra.evidence import records as evidence
from onecert.ra.life.duties import Duty, people_of
from onecert.ra.life.machine import Business, State
from onecert.ra.models import application_events, applications
from onecert.ra.operators.scopes import Scope
from onecert.ra.search.names import find_names
from onecert.ra.vault.sealed import Vault

__all__ = [
    "FILTERED",
    "Application",
    "ApplicationPage",
    "Event",
    "Frozen",
    "application_columns",
    "application_of",
    "escaped_like",
    "find_by_request_key",
    "is_request_known",
    "list_applications",
    "list_events",
    "load_application",
    "load_applications",
    "load_frozen",
    "load_in_order",
    "split_personal",
]

# What people still change; findings of an earlier round say nothing of it.
UNJUDGED = frozenset({State.DRAFT, State.RETURNED, State.REFUSED_BY_CA})

_CHINA = timezone(timedelta(hours=8))
MAX_PAGE = 200
SEARCHED = 2000  # rows of which a search among applications reads the names, for one page
# What queues and lists are filtered by; their indexes have it, see models.py.
FILTERED = ("point", "state", "authority", "kind", "business", "project", "created_by")
NEWEST_FIRST = Order((applications.c.seq,), FILTERED, descending=True)


@dataclass(frozen=True, kw_only=True)
class Application:
    """One application without its personal data."""

    seq: int
    id: str
    kind: Kind
    authority: str
    profile: str
    profile_version: int
    state: State
    state_since: datetime
    revision: int
    name: str
    uscc: str | None
    idcard_masked: str | None
    idcard_hmac: str | None
    entity_key: str | None
    key_sha256: str | None
    content_sha256: str | None
    created_at: datetime
    created_by: str
    submitted_by: str | None
    reviewed_by: str | None
    passed_on_by: str | None
    reason: str | None
    order_id: str | None
    point: str
    project: str | None
    business: Business
    follows_authority: str | None
    follows_serial: str | None
    follows_reason: str | None
    follows_early: str | None = None
    batch_id: str | None = None  # it goes to the CA with this batch, while that is at work

    @property
    def details(self) -> dict[str, Any]:
        """For the audit entry of a step, besides what each has."""
        return {"order": self.order_id}

    @property
    def number(self) -> str:
        """What people call it: day of entry in China and a running number."""
        return f"{self.created_at.astimezone(_CHINA):%Y%m%d}-{self.seq:06d}"


@dataclass(frozen=True)
class Frozen:
    """Everything of one application, unsealed: for its own page, the review and the order."""

    application: Application
    values: Mapping[str, str]
    csr_pem: str
    salt: str
    findings: Mapping[str, Any] | None = None  # what submitting found out; None: not submitted, or long ago
    evidence: tuple[tuple[str, str], ...] = ()  # (material, SHA-256 of the file), sorted

    def sha256(self, checked: CheckedContent) -> str:
        """The content hash with this application's salt."""
        application = self.application
        more: dict[str, Any] = {}
        if application.follows_serial is not None:
            follows = (application.follows_authority, application.follows_serial, application.follows_reason)
            more |= {"business": application.business.value, "follows": "/".join(map(str, follows))}
        if application.follows_early is not None:
            more["early"] = application.follows_early
        if self.findings is not None:
            more["findings"] = self.findings
        if self.evidence:  # what was submitted before there was any has the same hash as then
            more["evidence"] = self.evidence
        return checked.sha256(self.salt, **more)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One step of an application's life line."""

    at: datetime
    actor: str
    event: str
    state: State
    note: str | None
    certificate_sha256: str | None = None


@dataclass(frozen=True)
class ApplicationPage:
    """One page of a list; `next` is the cursor of the following page.

    `is_cut`: so much was looked at without an end that the page is not full; more may follow.
    """

    items: Sequence[Application]
    next: str | None
    is_cut: bool = False


_COLUMNS = [
    column
    for column in applications.c
    if column.name not in {"request_key", "request_hmac", "fields", "findings", "personal_sealed", "csr_pem"}
]


def application_columns() -> Sequence[Column[Any]]:
    """What lists read: everything but the sealed and the long."""
    return _COLUMNS


def application_of(row: Mapping[str, Any]) -> Application:
    """A row with `application_columns` as a value."""
    values = dict(row)
    values["kind"] = Kind(values["kind"])
    values["state"] = State(values["state"])
    values["business"] = Business(values["business"])
    return Application(**values)


def load_application(connection: Connection, application_id: str, *, lock: bool = False) -> Application:
    """Raises `NotFoundError` when there is none; `lock` holds the row until the transaction ends."""
    query: Select[Any] = select(*_COLUMNS).where(applications.c.id == application_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(application_id)
    return application_of(row._asdict())


def find_by_request_key(connection: Connection, request_key: str, request_hmac: str) -> Application | None:
    """The application that this idempotency key already made.

    Raises:
        RequestKeyReusedError: the key came with another content.
    """
    columns = (*_COLUMNS, applications.c.request_hmac)
    row = connection.execute(select(*columns).where(applications.c.request_key == request_key)).one_or_none()
    if row is None:
        return None
    values = dict(row._mapping)
    before = values.pop("request_hmac")
    made = application_of(values)
    if before is not None and before != request_hmac:
        raise RequestKeyReusedError(made.number)
    return made


def find_last_entered(connection: Connection, operator_id: str) -> Application | None:
    """The newest application that this operator began, for the defaults of the next one."""
    query = select(*_COLUMNS).where(applications.c.created_by == operator_id)
    row = connection.execute(query.order_by(applications.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else application_of(row._asdict())


def find_last_place(connection: Connection, operator_id: str) -> dict[str, str]:
    """Province and city of the newest application that this operator began; neither is personal."""
    query = select(applications.c.fields).where(applications.c.created_by == operator_id)
    text = connection.scalar(query.order_by(applications.c.seq.desc()).limit(1))
    fields = json.loads(text) if text else {}
    return {name: fields[name] for name in ("state_or_province", "locality") if fields.get(name)}


def find_made_by(connection: Connection, request_key: str) -> Application | None:
    """The application that an idempotency key made, whatever it said."""
    row = connection.execute(select(*_COLUMNS).where(applications.c.request_key == request_key)).one_or_none()
    return None if row is None else application_of(row._asdict())


def is_request_known(connection: Connection, request_key: str) -> bool:
    """Whether this idempotency key already made an application."""
    query = select(applications.c.id).where(applications.c.request_key == request_key)
    return connection.scalar(query) is not None


def load_frozen(connection: Connection, vault: Vault, application_id: str) -> Frozen:
    """The application with its personal fields; needs the token."""
    application = load_application(connection, application_id)
    row = connection.execute(
        select(
            applications.c.fields,
            applications.c.findings,
            applications.c.personal_sealed,
            applications.c.csr_pem,
        ).where(applications.c.id == application_id)
    ).one()
    personal = vault.unseal_json(place_of(application_id), row.personal_sealed)
    salt = str(personal.pop("salt"))
    findings = json.loads(row.findings) if row.findings and application.state not in UNJUDGED else None
    return Frozen(
        application,
        {**json.loads(row.fields), **personal},
        row.csr_pem,
        salt,
        findings,
        evidence.frozen(connection, application_id),
    )


def place_of(application_id: str) -> str:
    """The name that the sealed part is bound to."""
    return f"application:{application_id}"


def split_personal(values: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Fields that may lie open, and fields that are sealed. A field nobody knows is sealed."""
    personal = {
        name: value for name, value in values.items() if name not in ALL_FIELDS or ALL_FIELDS[name].personal
    }
    return {name: value for name, value in values.items() if name not in personal}, personal


def list_events(connection: Connection, application_id: str) -> list[Event]:
    """The life line, oldest first."""
    rows = connection.execute(
        select(application_events)
        .where(application_events.c.application_id == application_id)
        .order_by(application_events.c.seq)
    )
    return [
        Event(
            at=row.at,
            actor=row.actor,
            event=row.event,
            state=State(row.state),
            note=row.note,
            certificate_sha256=row.certificate_sha256,
        )
        for row in rows
    ]


def contributors(connection: Connection, application_id: str) -> list[str]:
    """Ids of everyone who entered or changed the application, in any of its rounds."""
    return people_of(connection, application_id, [Duty.ENTER])


def list_applications(
    connection: Connection,
    scope: Scope,
    *,
    states: Sequence[State] = (),
    business: Business | None = None,
    authority: str | None = None,
    search: str = "",
    idcard_hmac: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
    fits: Callable[[Columns], ColumnElement[bool]] = lambda _columns: true(),
    point: str | None = None,
) -> ApplicationPage:
    """One page, newest first; work queues are in `review/queues.py`.

    Args:
        scope: whose records: an operator's, or `EVERYWHERE` for the service itself.
        search: beginning of a name, a credit code, or an application number.
        idcard_hmac: look for this person instead.
        cursor: `next` of the page before; anything else counts as the beginning.
        fits: more of a WHERE clause, told the columns of `walk.COVERED`.
        point: only of this acceptance point; also quicker than asking for it in `fits`.
    """
    limit = max(1, min(limit, MAX_PAGE))
    after = int(cursor) if cursor and cursor.isascii() and cursor.isdigit() and len(cursor) < 18 else None
    table, looked_at = applications.c, None
    lanes = lanes_of(scope, table.point, point=point)
    if idcard_hmac:
        lanes = [table.idcard_hmac == idcard_hmac]
    elif search:
        lanes, looked_at = [_matches(connection, search)], SEARCHED
    elif states:
        lanes = [table.state == state.value for state in dict.fromkeys(states)]

    def fits_all(columns: Columns) -> ColumnElement[bool]:
        asked = [scope.condition(columns), fits(columns)]
        if states:
            asked.append(columns["state"].in_([state.value for state in states]))
        if business is not None:
            asked.append(columns["business"] == business.value)
        if authority:
            asked.append(columns["authority"] == authority)
        if point:
            asked.append(columns["point"] == point)
        return and_(*asked)

    walked = walk(
        connection,
        NEWEST_FIRST,
        lanes,
        fits_all,
        after=NEWEST if after is None else (after,),
        limit=limit,
        looked_at=looked_at,
    )
    found = load_in_order(connection, [seq for (seq,) in walked.found])
    return ApplicationPage(found, str(walked.next[0]) if walked.next else None, walked.is_cut)


def load_in_order(connection: Connection, numbers: Sequence[int]) -> list[Application]:
    """The applications of these numbers (`seq`), in this order."""
    if not numbers:
        return []
    rows = connection.execute(select(*_COLUMNS).where(applications.c.seq.in_(numbers)))
    found = {row.seq: application_of(row._asdict()) for row in rows}
    return [found[number] for number in numbers if number in found]


def _matches(connection: Connection, search: str) -> ColumnElement[bool]:
    """What has this beginning of a name, this code or this number: by an index each, if there are not too
    many; otherwise by reading names from the newest on."""
    tail = search.rpartition("-")[2]
    table = applications.c
    numbers = select(table.seq).where(table.uscc == search.upper()).limit(SEARCHED)
    found = list(connection.scalars(numbers))
    if tail.isascii() and tail.isdigit() and len(tail) < 18:
        found.append(int(tail))
    names, further = find_names(connection, search)
    if further is not None:
        return or_(table.name.like(f"{escaped_like(search)}%", escape="\\"), table.seq.in_(found))
    wanted = [each.name for each in names]
    numbers = select(table.seq).where(table.name.in_(wanted)).order_by(table.seq.desc()).limit(SEARCHED)
    found += connection.scalars(numbers) if wanted else []
    return table.seq.in_(found)


def escaped_like(text: str) -> str:
    """Text for LIKE in which nothing is a wild card."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def faults_by_field(outcome: Outcome) -> dict[str, list[Any]]:
    """Faults of a check, for showing each one next to its field."""
    found: dict[str, list[Any]] = {}
    for fault in outcome.faults:
        found.setdefault(fault.field, []).append(fault)
    return found


def load_applications(connection: Connection, ids: Iterable[str]) -> list[Application]:
    """Those of these that there are, in no order; asked for hundreds at a time."""
    wanted, found = sorted(set(ids)), []
    for at in range(0, len(wanted), 400):
        query = select(*_COLUMNS).where(applications.c.id.in_(wanted[at : at + 400]))
        found += [application_of(row._asdict()) for row in connection.execute(query)]
    return found

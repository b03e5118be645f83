"""The lines of a chunk, checked, drafted and linted: all that needs no token and changes nothing.

It is most of the work of a batch and runs in processes of its own, each with its own view of the database;
what comes back is plain data. Nothing here is exact about what others do at the same moment: serial, order
and key numbers are claimed in the transaction that puts the intents on record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.authorities.lines import check_active, with_predecessor
from onecert.ca.batches.by_keys import ByKeys
from onecert.ca.certificates.checked_request import checked_request_of
from onecert.ca.certificates.csr import CertificateRequest, CheckedKey, load_request, proven_key
from onecert.ca.certificates.draft import CheckedRequest, Draft, random_serial
from onecert.ca.certificates.keys import check_key
from onecert.ca.certificates.lint import check_certificate
from onecert.ca.errors import (
    BlockedKeyError,
    CaError,
    OrderAlteredError,
    OrderMalformedError,
    OrderSignerError,
    RepeatedKeyError,
)
from onecert.ca.errors.renewals import OrderKindInBatchError
from onecert.ca.issuing.ledger import Intent, OrderRecord, intent_of
from onecert.ca.issuing.orders import Order, check_age, content_sha256, read_order
from onecert.ca.issuing.registration_authorities import Scope
from onecert.ca.issuing.signed_documents import DOCUMENT_MAX_BYTES
from onecert.ca.models import blocked_keys, key_numbers, keys, orders
from onecert.ca.profiles.profile import Profile
from onecert.ca.renewals.record import Renewals
from onecert.ca.renewals.renewal import FIRST
from onecert.ca.signatures.algorithms import ThrowAwayKeys
from onecert.server.database import Database
from onecert.server.statements import Act
from onecert.server.workers import begin_worker
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import load_json

__all__ = ["Chunk", "KnownOrder", "Line", "Preparer", "Refusal"]


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Lines of one batch that go through one transaction."""

    batch: str
    ordered_by: Scope  # with nothing in it when it is registered no longer
    received_at: datetime
    max_age: timedelta
    first_line: int
    lines: tuple[bytes, ...]
    authorities: bytes = b""  # the mark of the authorities as the service knows them


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a line is refused; texts are msgids with their facts."""

    code: str
    text: str
    hint: str
    facts: Mapping[str, str]

    @classmethod
    def of(cls, error: CaError) -> Refusal:
        facts = {name: _plain(value) for name, value in error.facts.items()}
        return cls(code=error.code, text=str(error.text), hint=str(error.hint), facts=facts)


def _plain(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@dataclass(frozen=True, kw_only=True)
class KnownOrder:
    """An order that is on record already, with this very content."""

    order: OrderRecord


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line and what became of it so far."""

    number: int
    order_id: str | None  # None: it could not be read
    outcome: Intent | KnownOrder | Refusal


@dataclass
class _Readable:
    """A line that is JSON and names its order."""

    number: int
    payload: dict[str, Any]
    text: bytes


@dataclass
class _Opened:
    """What an order says, and the profile that it is frozen to."""

    order: Order
    profile: Profile


@dataclass
class _Draftable:
    """A line whose order is allowed."""

    number: int
    order: Order
    request: CheckedRequest


@dataclass
class _Standing:
    """The key numbers of holders and the holders of keys, on record or given in this chunk."""

    numbers: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)

    def number(self, authority: str, request: CheckedRequest) -> int:
        key, entity = request.key.sha256, request.entity
        if key in self.blocked:
            raise BlockedKeyError
        if self.holders.setdefault(key, entity) != entity:
            raise RepeatedKeyError
        own = self.numbers.setdefault((authority, entity), {})
        return own.get(key) or max(own.values(), default=0) + 1

    def take(self, authority: str, request: CheckedRequest, number: int) -> None:
        self.numbers[authority, request.entity][request.key.sha256] = number


class Preparer:
    """Prepares chunks; reads the database and writes nothing."""

    def __init__(
        self,
        database: Database,
        authorities: Authorities,
        *,
        test_identities: bool = False,
        serials: Callable[[], int] = random_serial,
    ) -> None:
        self._database = database
        self._authorities = authorities
        self._renewals = Renewals(database)
        self._test_identities = test_identities
        self._serials = serials
        self._throw_away = ThrowAwayKeys()

    def prepare(self, chunk: Chunk, at: datetime, only: frozenset[int] | None = None) -> list[Line]:
        """Check, draft and lint the lines of a chunk.

        Args:
            at: the moment of issue.
            only: the numbers of the lines wanted; None: all of them.
        """
        if chunk.authorities and chunk.authorities != self._authorities.mark:
            # One was retired, rolled over or changed since this process began.
            self._authorities.reload()
        done: list[Line] = []
        read: list[_Readable] = []
        for number, text in enumerate(chunk.lines, start=chunk.first_line):
            if only is not None and number not in only:
                continue
            try:
                read.append(_Readable(number, _payload(text), text))
            except CaError as exc:
                done.append(Line(number=number, order_id=None, outcome=Refusal.of(exc)))
        contents = self._known({line.payload["order"] for line in read})
        draftable: list[_Draftable] = []
        for some in _with_numbers_once(read):
            for line, outcome in self._check(chunk, some, contents, at):
                if isinstance(outcome, _Draftable):
                    draftable.append(outcome)
                    # The same number once more in this chunk is the same order, or another content.
                    contents[outcome.order.id] = outcome.order.record.content_sha256
                else:
                    done.append(Line(number=line.number, order_id=line.payload["order"], outcome=outcome))
        done += self._draft(sorted(draftable, key=lambda line: line.number), at)
        return sorted(done, key=lambda line: line.number)

    # Each step goes over all lines before the next one begins, because the processor's caches hold the code
    # of one step and not that of all: line by line costs a fifth more.

    def _check(
        self, chunk: Chunk, lines: Sequence[_Readable], contents: Mapping[str, str], at: datetime
    ) -> Iterator[tuple[_Readable, _Draftable | KnownOrder | Refusal]]:
        opened = [(line, self._open(chunk, line, contents)) for line in lines]
        requests = [(line, found, _request(found)) for line, found in opened]
        with_keys = [
            (line, found, key if isinstance(key, Refusal) else _proven(key)) for line, found, key in requests
        ]
        for line, found, key in with_keys:
            if not isinstance(found, _Opened):
                yield line, found
            elif isinstance(key, Refusal):
                yield line, key
            elif key is not None:
                yield line, self._allow(line, found, key, at)

    def _open(
        self, chunk: Chunk, line: _Readable, contents: Mapping[str, str]
    ) -> _Opened | KnownOrder | Refusal:
        payload = line.payload
        try:
            if payload.get("registration_authority") != chunk.ordered_by.name:
                raise OrderSignerError(str(payload.get("registration_authority"))[:64])
            order_id = payload["order"]
            if order_id in contents:
                # What was ordered before is answered, whatever today's rules say about it.
                if contents[order_id] != content_sha256(payload):
                    raise OrderAlteredError(order_id)
                return KnownOrder(order=_record(chunk, payload, line.text))
            order = read_order(payload, chunk.ordered_by, line.text)
            check_age(order.created_at, chunk.received_at, chunk.max_age)
            filling = self._authorities.filling(order.authority, chunk.received_at)
            check_active(filling)
            if filling.name != order.authority:
                order = replace(order, authority=filling.name)
            order = with_predecessor(order, self._authorities, self._renewals)
            profile = self._authorities.profile(
                order.authority, order.profile, order.profile_version, order.profile_sha256
            )
        except CaError as exc:
            return _refused(exc)
        return _Opened(order, profile)

    def _allow(self, line: _Readable, found: _Opened, key: CheckedKey, at: datetime) -> _Draftable | Refusal:
        order = found.order
        try:
            request = checked_request_of(
                found.profile,
                key=key,
                subject=order.subject,
                identity=order.identity,
                not_after=order.not_after,
                at=at,
                test_identities=self._test_identities,
            )
            if order.record.succession is not None:
                follow = order.record.succession.follow
                if follow.when == FIRST:
                    raise OrderKindInBatchError(follow.kind)
                request = self._renewals.check(follow, request, order.id, at)
        except CaError as exc:
            return _refused(exc)
        return _Draftable(line.number, order, request)

    def _draft(self, lines: Sequence[_Draftable], at: datetime) -> Iterator[Line]:
        standing = self._standing(lines)
        written = [(line, self._write(line, standing, at)) for line in lines]
        linted = [(line, self._lint(draft)) for line, draft in written]
        for line, draft in linted:
            outcome = draft if isinstance(draft, Refusal) else intent_of(draft, line.order.record)
            yield Line(number=line.number, order_id=line.order.id, outcome=outcome)

    def _lint(self, draft: Draft | Refusal) -> Draft | Refusal:
        if isinstance(draft, Refusal):
            return draft
        try:
            check_certificate(self._throw_away.sign(draft.issuer.algorithm, draft.tbs_der), draft)
        except CaError as exc:
            return _refused(exc)
        return draft

    def _write(self, line: _Draftable, standing: _Standing, at: datetime) -> Draft | Refusal:
        authority, request = self._authorities.get(line.order.authority), line.request
        try:
            number = standing.number(authority.name, request)
            maker = authority.maker(request.profile)
            draft = maker.draft(request, serial=self._serials(), key_number=number, at=at)
        except CaError as exc:
            return _refused(exc)
        standing.take(authority.name, request, number)
        return draft

    def _known(self, ids: set[str]) -> dict[str, str]:
        """The hashes of the contents of those of these orders that are on record."""
        with self._database.reading() as connection:
            return {row["id"]: row["content_sha256"] for row in _CONTENTS.find(Act(connection), ids)}

    def _standing(self, lines: Sequence[_Draftable]) -> _Standing:
        standing = _Standing()
        with self._database.reading() as connection:
            act = Act(connection)
            for authority in {line.order.authority for line in lines}:
                entities = {line.request.entity for line in lines if line.order.authority == authority}
                for row in _NUMBERS.find(act, entities, authority=authority):
                    numbers = standing.numbers.setdefault((authority, row["entity"]), {})
                    numbers[row["key_sha256"]] = row["number"]
            wanted = {line.request.key.sha256 for line in lines}
            standing.holders = {row["key_sha256"]: row["entity"] for row in _HOLDERS.find(act, wanted)}
            standing.blocked = {row["key_sha256"] for row in _BLOCKED.find(act, wanted)}
        return standing


_CONTENTS = ByKeys(orders.c.id, orders.c.id, orders.c.content_sha256)
_NUMBERS, _HOLDERS = ByKeys(key_numbers.c.entity), ByKeys(keys.c.key_sha256)
_BLOCKED = ByKeys(blocked_keys.c.key_sha256, blocked_keys.c.key_sha256)


def _payload(text: bytes) -> dict[str, Any]:
    try:
        payload = load_json(text, max_bytes=DOCUMENT_MAX_BYTES)
    except VerifyError as exc:
        raise OrderMalformedError("line") from exc
    if not isinstance(payload, dict) or not isinstance(payload.get("order"), str):
        raise OrderMalformedError("order")
    return payload


def _with_numbers_once(lines: Sequence[_Readable]) -> list[list[_Readable]]:
    """Part the lines so that no part has a number of an order twice: what is known comes before."""
    parts: list[list[_Readable]] = []
    seen: Counter[str] = Counter()
    for line in lines:
        number = line.payload["order"]
        if seen[number] == len(parts):
            parts.append([])
        parts[seen[number]].append(line)
        seen[number] += 1
    return parts


def _request(found: _Opened | KnownOrder | Refusal) -> CertificateRequest | Refusal | None:
    """The request of an order that is allowed, its key within the rules; None: there is none to be read."""
    if not isinstance(found, _Opened):
        return None
    try:
        request = load_request(found.order.csr_pem)
        check_key(request.public_key, found.profile.key_kinds)
    except CaError as exc:
        return _refused(exc)
    return request


def _proven(request: CertificateRequest | None) -> CheckedKey | Refusal | None:
    try:
        return None if request is None else proven_key(request)
    except CaError as exc:
        return _refused(exc)


def _record(chunk: Chunk, payload: Mapping[str, Any], text: bytes) -> OrderRecord:
    """What is kept of an order whose form was checked when it was recorded with this content."""
    return OrderRecord(
        id=payload["order"],
        content_sha256=content_sha256(payload),
        ordered_by=f"ra:{chunk.ordered_by.name}",
        document=text,
        approved_by=tuple(payload.get("approved_by", ())),
        application_sha256=payload.get("application_sha256", ""),
    )


def _refused(error: CaError) -> Refusal:
    """A refusal of this line; whatever is not for now goes up and ends the chunk."""
    if not error.is_refusal:
        raise error
    return Refusal.of(error)


# ------------------------------------------------------------------ in a process of its own

_preparer: list[Preparer] = []


def start(database: Database, status_url: str, test_identities: bool) -> None:
    """Begin as a worker."""
    begin_worker()
    _preparer[:] = [Preparer(database, Authorities(database, status_url), test_identities=test_identities)]


def prepare(chunk: Chunk, at: datetime) -> list[Line]:
    """See `Preparer.prepare`; in a worker."""
    return _preparer[0].prepare(chunk, at)

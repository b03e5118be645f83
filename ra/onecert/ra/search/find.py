"""Finds anything by what somebody typed: certificates, and the applications and cases that have none yet.

    answer = search.find(operator, "海港 贸易")        answer.read, answer.others, answer.hits, answer.next

Each reading of the text is one look by an index; the first that finds something answers. What is found is cut
to the operator's scope in the statement itself. A page is as long as its limit, and goes on from a key, not
from a count of rows. Personal numbers are looked for by their keyed hash.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, tuple_

from onecert.ra.applications.records import Application, load_application
from onecert.ra.cases.records import Case, list_cases_of, load_case_by_number
from onecert.ra.certificates.records import Certificate, list_certificates
from onecert.ra.life.machine import State
from onecert.ra.models import applications, certificates
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.scopes import Scope
from onecert.ra.search.names import Place, find_names
from onecert.ra.search.tables import marks
from onecert.ra.search.terms import Read, Reading, mark_text, readings
from onecert.ra.vault.sealed import Vault
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator

__all__ = ["Answer", "Hit", "Search"]

LIMIT = 50
# Of one name or number that has many; a link leads to all of them.
EACH = 20
_MARKED = 500
_MARK_OF = {Read.EMAIL: "email", Read.MOBILE: "mobile", Read.IDCARD: "agent_idcard"}
_CERTIFIED = (State.ISSUED.value, State.DELIVERED.value, State.ARCHIVED.value)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One thing found; exactly one of the three. `cases` are the open ones about a certificate."""

    certificate: Certificate | None = None
    application: Application | None = None
    case: Case | None = None
    cases: Sequence[Case] = ()
    more_of: str = ""  # after this one, further certificates of this name are left out


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was found, and as what the text was read. `next` goes on; None: that was all.

    `read` is None when the text can be nothing at all. `is_cut`: so much was read without an end that more
    may be found further on.
    """

    read: Reading | None = None
    others: Sequence[Reading] = ()
    hits: Sequence[Hit] = ()
    next: str | None = None
    is_cut: bool = False

    @property
    def only(self) -> Hit | None:
        """The hit, if it is the only one."""
        return self.hits[0] if len(self.hits) == 1 and self.next is None else None


@dataclass(frozen=True)
class _Asked:
    """Whose question it is, and which page of the answer."""

    connection: Connection
    scope: Scope
    after: dict[str, Any]
    limit: int


@dataclass
class _Page:
    hits: list[Hit] = field(default_factory=list)
    next: str | None = None
    is_cut: bool = False


class Search:
    """The one box."""

    def __init__(self, *, database: Database, clock: Clock, vault: Vault, reach: Reach) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._reach = reach

    def find(
        self,
        operator: Operator,
        text: str,
        *,
        read_as: Read | None = None,
        cursor: str | None = None,
        limit: int = LIMIT,
    ) -> Answer:
        """Look for it.

        Args:
            text: as typed.
            read_as: only so; otherwise everything that it may be, until something is found.
            cursor: `next` of the answer before, with the same `read_as`; anything else is the beginning.
        """
        known = list(readings(text))
        if read_as is Read.HOLDER:
            known.insert(0, Reading(Read.HOLDER, text.strip()))
        wanted = [reading for reading in known if read_as in {None, reading.kind}]
        if not wanted:
            return Answer(others=known)
        # The token is asked outside the transaction: the first use may write the key of the hashes.
        hashes = {reading.kind: self._hashes(reading) for reading in wanted}
        limit = max(1, min(limit, 200))
        after = _read_cursor(cursor)
        with self._database.reading() as connection:
            asked = _Asked(connection, self._reach.scope(connection, operator), after, limit)
            for reading in wanted:
                page = self._look(asked, reading, hashes[reading.kind])
                if page.hits or page.next:
                    break
            self._add_cases(connection, page)
        others = [other for other in known if other.kind is not reading.kind]
        return Answer(read=reading, others=others, hits=page.hits, next=page.next, is_cut=page.is_cut)

    def _hashes(self, reading: Reading) -> dict[str, str]:
        kind = _MARK_OF.get(reading.kind)
        if kind is None:
            return {}
        found = {"mark": self._vault.search_hmac(mark_text(kind, reading.value))}
        if reading.kind is Read.IDCARD:
            found["idcard"] = self._vault.idcard_hmac(reading.value)
        return found

    def _look(self, asked: _Asked, reading: Reading, hashes: dict[str, str]) -> _Page:
        connection, scope, limit = asked.connection, asked.scope, asked.limit
        table, value = certificates.c, reading.value
        match reading.kind:
            case Read.NAME:
                return self._by_name(asked, value)
            case Read.HOLDER:
                return _by_number(asked, table.name == value, applications.c.name == value)
            case Read.USCC:
                return _by_number(asked, table.uscc == value, applications.c.uscc == value)
            case Read.IDCARD | Read.MOBILE | Read.EMAIL:
                return _by_person(asked, hashes)
            case Read.APPLICATION:
                return _by_applications(asked, applications.c.seq == int(value))
            case Read.CASE:
                case = load_case_by_number(connection, int(value), scope)
                return _Page([Hit(case=case)] if case else [])
            case Read.SERIAL | Read.DECIMAL:
                page = _by_number(asked, table.serial_hex == value)
                if page.hits or len(value) < 6 or reading.kind is Read.DECIMAL:
                    return page
                begins = (table.serial_hex >= value) & (table.serial_hex < value + "g")
                rows = list_certificates(connection, scope, begins, limit=limit, by_serial=True)
                return _Page([Hit(certificate=each) for each in rows[:limit]])
            case Read.SHA1 | Read.SHA256:
                column = table.sha1 if reading.kind is Read.SHA1 else table.sha256
                return _by_number(asked, column == value)
            case Read.TOKEN:
                spellings = {value, value.upper(), value.lower()}
                return _by_number(asked, table.token_number.in_(spellings))

    def _by_name(self, asked: _Asked, text: str) -> _Page:
        after, limit = asked.after, asked.limit
        page, place = _Page(), None
        if after.get("p"):
            place = Place(bool(after["i"]), str(after["p"]), int(after["n"]))
        elif after:
            place = Place(bool(after.get("i")))
        names, on = find_names(asked.connection, text, after=place)
        for number, found in enumerate(names):
            page.hits += self._of_name(asked.connection, asked.scope, found.name)
            if len(page.hits) >= limit and number + 1 < len(names):
                page.next = _cursor(found.after)
                return page
        if on is not None:
            page.next, page.is_cut = _cursor(on), len(page.hits) < limit
        return page

    def _of_name(self, connection: Connection, scope: Scope, name: str) -> list[Hit]:
        at = self._clock.now()
        rows = list_certificates(connection, scope, certificates.c.name == name, limit=EACH + 1)
        shown = sorted(rows[:EACH], key=lambda each: each.shown_status(at) not in {"good", "hold"})
        hits = [Hit(certificate=each) for each in shown]
        if len(rows) > EACH:
            hits[-1] = Hit(certificate=hits[-1].certificate, more_of=name)
        open_ones = (applications.c.name == name) & applications.c.state.not_in(_CERTIFIED)
        return hits + [
            Hit(application=each) for each in list_matching(connection, scope, open_ones, limit=EACH)
        ]

    @staticmethod
    def _add_cases(connection: Connection, page: _Page) -> None:
        places = [
            (hit.certificate.authority, hit.certificate.serial_hex) for hit in page.hits if hit.certificate
        ]
        found = list_cases_of(connection, places)
        for number, hit in enumerate(page.hits):
            certificate = hit.certificate
            if certificate and (cases := found.get((certificate.authority, certificate.serial_hex))):
                page.hits[number] = Hit(certificate=certificate, more_of=hit.more_of, cases=cases)


def list_matching(
    connection: Connection, scope: Scope, where: ColumnElement[bool], *, limit: int
) -> list[Application]:
    """The newest that fit a condition and are in scope; the condition has an index of its own."""
    query = select(applications.c.id).where(where, scope.condition(applications.c))
    found = connection.scalars(query.order_by(applications.c.seq.desc()).limit(limit)).all()
    return [load_application(connection, each) for each in found]


def _by_number(
    asked: _Asked, where: ColumnElement[bool], of_applications: ColumnElement[bool] | None = None
) -> _Page:
    """Certificates newest first; on the first page the applications that have none yet stand before them."""
    connection, scope, after, limit = asked.connection, asked.scope, asked.after, asked.limit
    page = _Page()
    if of_applications is not None and not after:
        open_ones = of_applications & applications.c.state.not_in(_CERTIFIED)
        page.hits += [
            Hit(application=each) for each in list_matching(connection, scope, open_ones, limit=EACH)
        ]
    if "at" in after:
        table = certificates.c
        since = datetime.fromisoformat(str(after["at"]))
        where = where & (tuple_(table.issued_at, table.serial_hex) < (since, str(after["s"])))
    rows = list_certificates(connection, scope, where, limit=limit + 1)
    page.hits += [Hit(certificate=each) for each in rows[:limit]]
    if len(rows) > limit:
        last = rows[limit - 1]
        page.next = json.dumps({"at": last.issued_at.isoformat(), "s": last.serial_hex})
    return page


def _by_person(asked: _Asked, hashes: dict[str, str]) -> _Page:
    """What a person holds, has applied for, or acts for."""
    of_mark = select(marks.c.application_id).where(marks.c.mark == hashes["mark"]).limit(_MARKED)
    ids = list(asked.connection.scalars(of_mark))
    page = _by_applications(asked, applications.c.id.in_(ids))
    if "idcard" in hashes:
        own = _by_number(
            asked,
            certificates.c.idcard_hmac == hashes["idcard"],
            applications.c.idcard_hmac == hashes["idcard"],
        )
        known = {
            (hit.certificate.authority, hit.certificate.serial_hex) for hit in own.hits if hit.certificate
        }
        page.hits = own.hits + [
            hit
            for hit in page.hits
            if not hit.certificate or (hit.certificate.authority, hit.certificate.serial_hex) not in known
        ]
    return page


def _by_applications(asked: _Asked, where: ColumnElement[bool]) -> _Page:
    """Each application, or the certificate that it led to."""
    connection, scope = asked.connection, asked.scope
    rows = list_matching(connection, scope, where, limit=asked.limit)
    ids = [each.id for each in rows if each.state.value in _CERTIFIED]
    made: dict[str, list[Certificate]] = {}
    if ids:
        for each in list_certificates(connection, scope, certificates.c.application_id.in_(ids), limit=200):
            made.setdefault(each.application_id, []).append(each)
    page = _Page()
    for application in rows:
        found = made.get(application.id)
        page.hits += [Hit(certificate=each) for each in found] if found else [Hit(application=application)]
    return page


def _cursor(place: Place) -> str:
    return json.dumps({"i": int(place.inside), "p": place.part, "n": place.name_id}, ensure_ascii=False)


def _read_cursor(cursor: str | None) -> dict[str, Any]:
    """A cursor that we did not write counts as none."""
    try:
        read = json.loads(cursor or "{}")
        if not isinstance(read, dict):
            return {}
        if "at" in read and datetime.fromisoformat(str(read["at"])).tzinfo is None:
            return {}
        if "p" in read and not (isinstance(read["p"], str) and "\0" not in read["p"]):
            return {}
        int(read.get("n", 0))
    except (ValueError, TypeError):
        return {}
    if "at" in read:
        return {"at": read["at"], "s": str(read.get("s", "")).replace("\0", "")}
    if "i" in read:
        return {"i": read["i"], "p": read.get("p", ""), "n": read.get("n", 0)}
    return {}

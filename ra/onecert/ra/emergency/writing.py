"""Writes down what a mass revocation has done: certificates and items, some hundred at a time.

What the CA froze is known by number. Where that is exactly what is not revoked here, all are alike; where the
CA had revoked some without our knowing, each is asked for, so that none gets a reason that is not its own.
"""

from collections.abc import Callable

from sqlalchemy import Connection, func, select, update

from onecert.ra.ca.errors import CaRefusedError, CaUnreachableError
from onecert.ra.certificates.records import Certificate
from onecert.ra.emergency.parts import DONE, Part, set_part
from onecert.ra.emergency.records import Emergency, Item, list_items
from onecert.ra.emergency.tables import emergency_items
from onecert.ra.models import certificates
from onecert.ra.revocation.reasons import HOLD
from onecert.server.audit import AuditEntry, AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["Writing", "count_revoked", "told"]

# Certificates in one transaction; where each has to be asked for, fewer.
WRITTEN = 500
ASKED = 20


class Writing:
    """Of parts that the CA has carried out.

    Args:
        learn: asks the CA for one certificate's status and keeps it.
    """

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        learn: Callable[[str, str], Certificate],
        name: str,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._learn = learn
        self._name = name

    def write_some(self, emergency: Emergency, part: Part) -> bool:
        """Some certificates of a part that the CA has done; always more to do until the part is."""
        with self._database.reading() as connection:
            items = list_items(
                connection,
                emergency.id,
                states=["waiting"],
                after=part.first_item - 1,
                upto=part.last_item,
                limit=WRITTEN if part.is_exact else ASKED,
            )
        if not items:
            self._set(emergency, part, state=DONE, gone_through=part.certificates, problem=None)
        elif part.is_exact:
            self._write_alike(emergency, part, items)
        else:
            return self._write_as_learned(emergency, part, items)
        return True

    def _write_alike(self, emergency: Emergency, part: Part, items: list[Item]) -> None:
        """What was not revoked here was frozen there, and is revoked now."""
        is_hold = emergency.reason == HOLD
        before = ("good",) if is_hold else ("good", "hold")
        table, serials = certificates.c, [item.serial_hex for item in items]
        mine = (table.authority == part.authority) & table.serial_hex.in_(serials) & table.status.in_(before)
        with self._database.transaction() as connection:
            changed = set(connection.scalars(select(table.serial_hex).where(mine).with_for_update()))
            connection.execute(
                update(certificates)
                .where(mine)
                .values(
                    status="hold" if is_hold else "revoked",
                    reason=emergency.reason,
                    status_since=part.finished_at,
                )
            )
            done = [item for item in items if item.serial_hex in changed]
            self._answer(connection, emergency, done, "done")
            others = [item for item in items if item.serial_hex not in changed]
            self._answer(connection, emergency, others, "already")
            details = {
                "emergency": emergency.id,
                "mass_revocation": part.mass_revocation,
                "reason": emergency.reason,
                "crl_number": part.crl_number,
            }
            self._audit.record_many(
                connection,
                [
                    AuditEntry(
                        event="certificate.held" if is_hold else "certificate.revoked",
                        actor="ra:" + self._name,
                        subject=f"certificate:{item.authority}/{item.serial_hex}",
                        details=details,
                    )
                    for item in done
                ],
            )

    def _write_as_learned(self, emergency: Emergency, part: Part, items: list[Item]) -> bool:
        """Some were revoked at the CA without our knowing: each is asked for, so that no reason is ours that
        is not."""
        states: dict[str, list[Item]] = {"done": [], "already": [], "refused": []}
        since = part.confirmed_at or emergency.began_at or emergency.proposed_at
        try:
            for item in items:
                now = self._learn(item.authority, item.serial_hex)
                is_ours = now.reason == emergency.reason and now.status_since >= since.replace(microsecond=0)
                state = "refused" if now.status == "good" else "done" if is_ours else "already"
                states[state].append(item)
        except (CaUnreachableError, CaRefusedError) as exc:
            self._set(emergency, part, problem=told(exc))
            return False
        with self._database.transaction() as connection:
            for state, some in states.items():
                self._answer(connection, emergency, some, state)
        return True

    def _answer(self, connection: Connection, emergency: Emergency, items: list[Item], state: str) -> None:
        if not items:
            return
        table = emergency_items.c
        connection.execute(
            update(emergency_items)
            .where(
                table.emergency_id == emergency.id,
                table.number.in_([item.number for item in items]),
                table.state == "waiting",
            )
            .values(state=state, answered_at=self._clock.now())
        )

    def _set(self, emergency: Emergency, part: Part, **values: object) -> None:
        with self._database.transaction() as connection:
            set_part(connection, emergency.id, part, **values)


def told(problem: CaUnreachableError | CaRefusedError) -> str:
    """For the page, in short."""
    if isinstance(problem, CaRefusedError):
        return f"{problem.detail} ({problem.ca_code})"[:200]
    return str(problem.facts["detail"])[:200]


def count_revoked(connection: Connection, emergency_id: str, part: Part) -> int:
    """How many certificates of a part are known to be revoked here."""
    items, table = emergency_items.c, certificates.c
    query = (
        select(func.count())
        .select_from(emergency_items)
        .join(certificates, (table.authority == items.authority) & (table.serial_hex == items.serial_hex))
        .where(
            items.emergency_id == emergency_id,
            items.number.between(part.first_item, part.last_item),
            table.status == "revoked",
        )
    )
    return int(connection.scalar(query) or 0)

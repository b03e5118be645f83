"""Any sequence of issue, renewal, hold, release, revocation, delivery and crash keeps the promises."""

from __future__ import annotations

import itertools
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_fakes import FaultyLedger, InterruptedActError
from ca_lists import revoke
from cryptography import x509
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select

from onecert.ca.errors import CaError
from onecert.ca.issuing.order_notices import DELIVERY_TYPE
from onecert.ca.models import certificates, orders
from onecert.ca.renewals.models import successions
from onecert.server.documents import sign_document

KINDS = st.sampled_from(["renew", "rekey", "change", "replace"])
WHEN = st.sampled_from(["issued", "delivered", "at"])
REASONS = st.sampled_from(
    ["keyCompromise", "superseded", "certificateHold", "removeFromCRL", "cessationOfOperation"]
)
POINTS = st.sampled_from(
    [(when, act) for act in ("record_intent", "record_issued") for when in ("before", "after")]
)
EXPECTED = frozenset({
    "PREDECESSOR_STATE", "SUCCESSOR_EXISTS", "RENEWAL_WINDOW", "ALREADY_REVOKED", "NOT_ON_HOLD",
    "ORDER_ABANDONED", "ORDER_UNKNOWN", "CERTIFICATE_TERM", "CERTIFICATE_UNKNOWN",
})  # fmt: skip


def expect(refusal: CaError) -> None:
    """What is refused is refused for a reason that has to do with the life of certificates."""
    assert refusal.code in EXPECTED, refusal


@pytest.mark.parametrize("steps", [25])
def test_life_of_a_certificate(copies: Any, steps: int) -> None:
    class Life(RuleBasedStateMachine):
        known = Bundle("known")

        def __init__(self) -> None:
            super().__init__()
            self.stack = ExitStack()
            folder = self.stack.enter_context(tempfile.TemporaryDirectory())
            self.world = self.stack.enter_context(copies(Path(folder)))
            self.revoked: dict[str, Any] = {}
            self.documents: list[bytes] = []
            self.numbers = itertools.count()

        def teardown(self) -> None:
            FaultyLedger.fault = None
            self.stack.close()

        def order(self, document: bytes) -> str | None:
            self.documents.append(document)
            try:
                return str(self.world.parts.issuance.issue(document).record.serial)
            except CaError as exc:
                expect(exc)
            except InterruptedActError:
                self.world.restart()
            return None

        @rule(target=known)
        def issue(self) -> str | None:
            return self.order(self.world.order())

        @rule(target=known, old=known, kind=KINDS, when=WHEN)
        def follow(self, old: str | None, kind: str, when: str) -> str | None:
            moment = (self.world.clock.now() + timedelta(hours=1)).isoformat() if when == "at" else when
            said = {"reason": "superseded"} | ({} if kind == "replace" else {"when": moment})
            replaces = {"authority": "harbour", "serial": old or "4f00"}
            return self.order(self.world.order(kind=kind, replaces=replaces, revoke_replaced=said))

        @rule(serial=known, reason=REASONS)
        def change_status(self, serial: str | None, reason: str) -> None:
            try:
                revoke(self.world, serial or "4f00", reason=reason)
            except CaError as exc:
                expect(exc)

        @rule(point=POINTS)
        def crash_in_the_next_order(self, point: tuple[str, str]) -> None:
            FaultyLedger.fault = point

        @rule()
        def recover(self) -> None:
            FaultyLedger.fault = None
            self.world.restart()
            self.world.parts.recovery.run(self.world.clock.now())
            self.world.parts.follow_ups.run()

        @rule()
        def post_everything_again(self) -> None:
            FaultyLedger.fault = None
            for document in list(self.documents):
                self.order(document)
                self.documents.pop()

        @rule()
        def deliver_everything(self) -> None:
            with self.world.context.database.reading() as connection:
                numbers = list(connection.scalars(select(orders.c.id)))
            for number in numbers:
                payload = {
                    "order": number,
                    "registration_authority": "ra",
                    "created_at": self.world.clock.now().isoformat(),
                    "delivered_by": ["clerk3"],
                }
                document = sign_document(payload, typ=DELIVERY_TYPE, keys=[self.world.ra_key])
                try:
                    self.world.parts.follow_ups.deliver(document)
                except CaError as exc:
                    expect(exc)

        @rule()
        def wait(self) -> None:
            self.world.clock.advance(timedelta(minutes=50))

        @invariant()
        def record_keeps_its_promises(self) -> None:
            with self.world.context.database.reading() as connection:
                rows = list(connection.execute(select(certificates)).mappings())
                links = list(connection.execute(select(successions)).mappings())
                count = connection.scalar(select(func.count()).select_from(orders))
            assert count == len(rows)
            by_serial = {row["serial"]: row for row in rows}
            for row in rows:
                if row["certificate_der"] is not None:
                    read = x509.load_der_x509_certificate(row["certificate_der"])
                    assert f"{read.serial_number:x}" == row["serial"]
                # Revoked stays revoked, as of the same moment.
                if row["serial"] in self.revoked:
                    assert (row["status"], row["revoked_at"]) == ("revoked", self.revoked[row["serial"]])
                if row["status"] == "revoked":
                    self.revoked[row["serial"]] = row["revoked_at"]
            standing = [
                link["serial"]
                for link in links
                if link["new_serial"] in by_serial and by_serial[link["new_serial"]]["status"] != "revoked"
            ]
            assert len(standing) == len(set(standing)), "one certificate has two standing successors"
            for link in links:
                old, new = by_serial[link["serial"]], by_serial.get(link["new_serial"])
                assert new is None or new["entity"] == old["entity"]
                if link["state"] == "done" or (link["kind"] == "replace" and new is not None):
                    assert old["status"] == "revoked"

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Life,
        settings=settings(
            max_examples=12,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )

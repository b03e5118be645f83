"""Many revocations at once while orders are filled: none lost, none twice, a complete list for who waits.

ONECERT_REVOCATIONS=10000 runs it at full size; pytest -s shows the rate.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from onecert.ca import models
from onecert.server.models import audit_entries

REVOCATIONS = int(os.environ.get("ONECERT_REVOCATIONS", "120"))
THREADS = 16


def put_certificates(world: Any, number: int) -> list[str]:
    """Rows like that of one issued certificate, each with a serial of its own."""
    serial = world.issue().record.serial
    with world.context.database.transaction() as connection:
        query = select(models.certificates).where(models.certificates.c.serial == serial)
        row = dict(connection.execute(query).mappings().one())
        rows = [row | {"serial": f"4{secrets.token_hex(16)}1", "order_id": f"o{at}"} for at in range(number)]
        connection.execute(insert(models.certificates), rows)
    return [each["serial"] for each in rows]


def lists_made(world: Any) -> int:
    with world.context.database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(models.crls)).scalar_one())


@pytest.mark.parametrize("partitions", [0, 2])
def test_many_revocations_at_once_while_orders_are_filled(world: Any, partitions: int) -> None:
    """Every certificate is revoked by two posts of one order, in many threads, beside threads that order."""
    app = world.service.app
    if partitions:
        world.parts.publisher.open_partitions("harbour", partitions, actor="command:test")
    serials = put_certificates(world, REVOCATIONS)
    documents = {serial: world.revocation(serial, revocation=str(uuid.uuid4())) for serial in serials}
    before, stopping, issued = lists_made(world), threading.Event(), []

    def order() -> None:
        client = app.test_client()
        while not stopping.is_set() or not issued:
            answer = client.post("/v1/orders", data=world.order())
            assert answer.status_code == 201, answer.json
            issued.append(answer.json["serial"])

    def revoke(serial: str) -> Any:
        answer = app.test_client().post("/v1/revocations", data=documents[serial])
        assert answer.status_code == 200, answer.json
        return answer.json

    with ThreadPoolExecutor(THREADS + 1) as threads:
        ordering = threads.submit(order)
        begun = time.perf_counter()
        try:
            answers = list(threads.map(revoke, [serial for serial in serials for _twice in range(2)]))
        finally:
            stopping.set()
        took = time.perf_counter() - begun
        ordering.result()
    made = lists_made(world) - before
    print(
        f"\n{REVOCATIONS} revocations, each posted twice: {len(answers) / took:.0f} answers/s,"
        f" {REVOCATIONS / took:.0f} revocations/s, {made} lists, {len(issued)} certificates issued beside"
    )

    # None lost: status, entry, audit entry and list agree, whoever posted first.
    assert world.serials_on_list() == set(serials)
    assert all(answer["revoked_at"] for answer in answers)
    newest = world.parts.publisher.latest("harbour").number
    assert {answer["crl_number"] is None or answer["crl_number"] <= newest for answer in answers} == {True}
    with world.context.database.reading() as connection:
        revoked = select(models.certificates.c.serial).where(models.certificates.c.status == "revoked")
        assert set(connection.execute(revoked).scalars()) == set(serials)
        entries = connection.execute(
            select(audit_entries.c.subject).where(audit_entries.c.event == "certificate.revoked")
        ).scalars()
        assert sorted(entries) == sorted(f"harbour/{serial}" for serial in serials)
        # None twice: the version grew once for each.
        version = select(models.authorities.c.status_version).where(models.authorities.c.name == "harbour")
        assert connection.execute(version).scalar_one() == REVOCATIONS
    # And orders went on: nothing of theirs was lost either.
    assert len(set(issued)) == len(issued) > 0
    assert all(world.parts.ledger.certificate("harbour", serial).status == "good" for serial in issued)

"""Interrupted at every commit point of issue and revoke, then restarted; nothing is lost or doubled."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_fakes import FaultyLedger, InterruptedActError
from cryptography import x509
from sqlalchemy import func, select

from onecert.ca import models
from onecert.ca.errors import OrderAbandonedError, SignatureFaultError
from onecert.ca.issuing.order_notices import open_revocation
from onecert.ca.lists.publishing import CrlPublisher
from onecert.ca.signatures.signer import Signer

POINTS = [(when, act) for act in ("record_intent", "record_issued") for when in ("before", "after")]


def rows(world: Any, order: str) -> list[Any]:
    with world.context.database.reading() as connection:
        return list(
            connection.execute(
                select(models.certificates).where(models.certificates.c.order_id == order)
            ).mappings()
        )


def order_id(world: Any, document: bytes) -> str:
    return world.parts.desk.open_order(document).id


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("posted_again", [True, False])
def test_issue_interrupted_at_each_commit(faulty: Any, point: tuple[str, str], posted_again: bool) -> None:
    """Interrupted, restarted; then recovery alone, or the RA that posts again, finds one certificate."""
    document = faulty.order()
    FaultyLedger.fault = point
    with pytest.raises(InterruptedActError):
        faulty.parts.issuance.issue(document)

    faulty.restart()
    number = order_id(faulty, document)
    if posted_again:
        issued = faulty.parts.issuance.issue(document)
        assert issued.record.state == "issued"
    faulty.parts.recovery.run(faulty.clock.now())

    found = rows(faulty, number)
    expected = 0 if point == ("before", "record_intent") and not posted_again else 1
    assert len(found) == expected
    assert all(row["state"] == "issued" and row["certificate_der"] for row in found)
    assert faulty.parts.ledger.unfinished() == []
    if found:
        certificate = x509.load_der_x509_certificate(found[0]["certificate_der"])
        assert f"{certificate.serial_number:x}" == found[0]["serial"]
        again = faulty.parts.issuance.issue(document)
        assert not again.is_new
        assert again.record.certificate_der == found[0]["certificate_der"]


def test_interrupted_in_the_key_is_finished(faulty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    document = faulty.order()
    with monkeypatch.context() as patch:
        patch.setattr(Signer, "sign", _interrupted)
        with pytest.raises(InterruptedActError):
            faulty.parts.issuance.issue(document)
    faulty.restart()
    report = faulty.parts.recovery.run(faulty.clock.now())
    assert len(report.finished) == 1
    assert rows(faulty, order_id(faulty, document))[0]["state"] == "issued"


def _interrupted(*_args: Any, **_kwargs: Any) -> None:
    raise InterruptedActError


def test_intent_that_is_too_old_is_given_up_and_revoked(faulty: Any) -> None:
    """Restart a day later: the serial counts as revoked, is on the list, and the order says so."""
    document = faulty.order()
    FaultyLedger.fault = ("after", "record_intent")
    with pytest.raises(InterruptedActError):
        faulty.parts.issuance.issue(document)
    faulty.clock.advance(timedelta(days=1))
    faulty.restart()

    report = faulty.parts.recovery.run(faulty.clock.now())

    (row,) = rows(faulty, order_id(faulty, document))
    assert report.abandoned == [row["serial"]]
    assert (row["state"], row["status"]) == ("abandoned", "revoked")
    faulty.parts.publisher.publish("harbour")
    assert faulty.serials_on_list() == {row["serial"]}
    with pytest.raises(OrderAbandonedError):
        faulty.parts.issuance.issue(document)
    # A second recovery changes nothing.
    assert faulty.parts.recovery.run(faulty.clock.now()).abandoned == []


def test_what_may_have_been_signed_can_be_revoked_by_serial(faulty: Any) -> None:
    """Interrupted between signature and record: the serial alone is enough to revoke."""
    document = faulty.order()
    FaultyLedger.fault = ("before", "record_issued")
    with pytest.raises(InterruptedActError):
        faulty.parts.issuance.issue(document)
    (row,) = rows(faulty, order_id(faulty, document))
    assert row["state"] == "intended"

    order = open_revocation(faulty.parts.desk, faulty.revocation(row["serial"]))
    faulty.parts.revocation.revoke(order)

    assert faulty.serials_on_list() == {row["serial"]}


def test_wrong_signature_never_leaves(lite: Any) -> None:
    """The token signs something else: refused, and the intent waits."""
    lite.issue()
    key = lite.token.keys["ca-harbour"]
    real = key.inner.sign
    key.sign = lambda data, algorithm: real(data + b"x", algorithm)
    with pytest.raises(SignatureFaultError):
        lite.issue()
    del key.sign
    assert len(lite.parts.recovery.run(lite.clock.now()).finished) == 1


@pytest.mark.parametrize("step", ["_draft", "_record_intent", "_sign"])
def test_revocation_interrupted_while_making_the_list(
    faulty: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Status is committed, then the process dies at a step of the list: the restart makes the list."""
    serial = faulty.issue().record.serial
    before = faulty.crl().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    with monkeypatch.context() as patch:
        patch.setattr(CrlPublisher, step, _interrupted)
        with pytest.raises(InterruptedActError):
            faulty.parts.revocation.revoke(open_revocation(faulty.parts.desk, faulty.revocation(serial)))
    assert faulty.parts.ledger.certificate("harbour", serial).status == "revoked"

    faulty.restart()
    faulty.parts.publisher.publish("harbour", at_least=1)

    assert faulty.serials_on_list() == {serial}
    assert faulty.crl().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > before


def test_revocation_interrupted_before_its_commit_changed_nothing(
    faulty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit entry fails: the whole act fails."""
    serial = faulty.issue().record.serial
    with monkeypatch.context() as patch:
        patch.setattr(type(faulty.context.audit), "record_many", _interrupted)
        with pytest.raises(InterruptedActError):
            faulty.parts.revocation.revoke(open_revocation(faulty.parts.desk, faulty.revocation(serial)))
    assert faulty.parts.ledger.certificate("harbour", serial).status == "good"
    with faulty.context.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(models.revocations)).scalar_one() == 0
        assert connection.execute(select(func.count()).select_from(models.crl_entries)).scalar_one() == 0


def test_interrupted_before_the_file_is_written(faulty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is recorded but the file is not: the start writes it."""
    serial = faulty.issue().record.serial
    with monkeypatch.context() as patch:
        patch.setattr(type(faulty.parts.files), "write_crl", _interrupted)
        with pytest.raises(InterruptedActError):
            faulty.parts.revocation.revoke(open_revocation(faulty.parts.desk, faulty.revocation(serial)))
    assert faulty.serials_on_list() == set()
    faulty.restart()
    assert faulty.service is not None
    assert faulty.serials_on_list() == {serial}


# ------------------------------------------------------------------ a real process that dies

CHILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
from ca_child import run
run(*sys.argv[2:])
"""


@pytest.mark.parametrize("point", [f"{when}:{act}" for when, act in POINTS])
def test_process_that_dies_at_each_commit(tmp_path: Path, point: str) -> None:
    """A process makes a CA on files, a second dies with os._exit at a point of an order, a third looks."""
    here = Path(__file__).parent

    def child(*arguments: str) -> int:
        command = [sys.executable, "-c", CHILD, str(here), str(tmp_path), *arguments]
        return subprocess.run(command, check=False, env=dict(os.environ), timeout=60).returncode

    assert child("set-up", "-") == 0
    assert child("order", point) == 77
    assert child("check", point) == 0

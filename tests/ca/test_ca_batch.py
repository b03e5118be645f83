"""Batches: accepted durably, filled chunk by chunk, each line once, through any interruption."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from ca_batches import Sender, part
from ca_fakes import make_csr
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select

from onecert.ca import models
from onecert.ca.batches import batches as batches_module
from onecert.ca.batches.batches import Batches
from onecert.ca.batches.documents import CANCELLATION_TYPE, RESULTS_TYPE
from onecert.ca.batches.ledger import BatchLedger
from onecert.ca.errors import (
    BatchAlteredError,
    BatchClosedError,
    BatchMalformedError,
    BatchPartError,
    OrderSignatureError,
    OrderTimeError,
    SignatureFaultError,
    TokenGoneError,
    UnknownBatchError,
)
from onecert.server.documents import sign_document


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "CHUNK_LINES", 3)


class StoppedError(Exception):
    """Stands for a crash at one point."""


def count(world: Any, table: Any) -> int:
    with world.context.database.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(table)))


def check_each_order_has_one_certificate(world: Any, lines: Sequence[dict[str, Any]]) -> None:
    for line in lines:
        record = world.parts.ledger.order(line["order"])
        assert record.state == "issued"
        assert record.serial == line["serial"]
        certificate = x509.load_pem_x509_certificate(line["certificate_pem"].encode())
        assert f"{certificate.serial_number:x}" == line["serial"]
    assert world.parts.ledger.unfinished() == []


def test_a_batch_becomes_certificates(world: Any) -> None:
    """Seven orders of one holder in three chunks: seven certificates, keys numbered in order, audited."""
    sender, before = Sender(world), count(world, models.certificates)
    batch = sender.send(*(world.order_payload() for _ in range(7)))
    assert world.parts.batches.progress(batch).issued == 0

    world.parts.batch_work.run()

    progress = world.parts.batches.progress(batch)
    assert (progress.state, progress.issued, progress.refused) == ("done", 7, 0)
    lines = sender.results(batch)
    assert [line["line"] for line in lines] == list(range(1, 8))
    assert count(world, models.certificates) == before + 7
    check_each_order_has_one_certificate(world, lines)
    with world.context.database.reading() as connection:
        numbers = connection.scalars(
            select(models.key_numbers.c.number).order_by(models.key_numbers.c.number)
        )
        assert list(numbers)[-7:] == list(range(1, 8))
        from onecert.server.models import audit_entries  # noqa: PLC0415

        events = list(connection.scalars(select(audit_entries.c.event).order_by(audit_entries.c.seq)))
    assert events.count("certificate.issued") >= 7
    assert events[-1] == "batch.finished"


def test_good_and_bad_lines(world: Any) -> None:
    """Each line is judged by itself: codes for the bad ones, certificates for the good ones."""
    sender = Sender(world)
    single = world.order_payload()
    issued = world.parts.issuance.issue(sign_order(world, single))
    key, other = ec.generate_private_key(ec.SECP256R1()), "91440300MA5DEM0A63"
    mine = world.order_payload(csr_pem=make_csr(key))
    twice = world.order_payload()
    orders: list[dict[str, Any] | bytes] = [
        world.order_payload(),
        b"not JSON",
        world.order_payload(profile="nonsense"),
        world.order_payload(authority="nowhere"),
        world.order_payload(approved_by=["clerk1", "clerk1"]),
        world.order_payload(registration_authority="another"),
        world.order_payload(profile_version=9),
        single,
        {**single, "application_sha256": "cd" * 32},
        mine,
        {**world.order_payload(csr_pem=make_csr(key)), "identity": {**mine["identity"], "uscc": other}},
        twice,
        twice,
        world.order_payload(created_at=(world.clock.now() - timedelta(days=30)).isoformat()),
        b'{"order": "12345678", "order": "12345678"}',
        world.order_payload(csr_pem="-----BEGIN nothing"),
    ]
    batch = sender.send(*orders)
    world.parts.batch_work.run()

    lines = sender.results(batch)
    codes = [line.get("code", "issued") for line in lines]
    assert codes == [
        "issued",
        "ORDER_MALFORMED",
        "PROFILE_UNKNOWN",
        "ORDER_OUT_OF_SCOPE",
        "TWO_PEOPLE",
        "ORDER_SIGNER",
        "PROFILE_VERSION",
        "issued",
        "ORDER_ALTERED",
        "issued",
        "KEY_REPEATED",
        "issued",
        "issued",
        "ORDER_TIME",
        "ORDER_MALFORMED",
        "CSR_MALFORMED",
    ]
    assert lines[7]["serial"] == issued.record.serial
    assert lines[11]["serial"] == lines[12]["serial"]
    assert all(line["detail"] and "%(" not in line["detail"] for line in lines if "code" in line)
    assert world.parts.batches.progress(batch).refused == len(codes) - codes.count("issued")
    check_each_order_has_one_certificate(world, [line for line in lines if "serial" in line])


def test_the_same_number_again_in_a_chunk(lite: Any) -> None:
    """Refused, then good, then with another content: each line is judged after those before it."""
    good = lite.order_payload()
    orders = [{**good, "csr_pem": "-----BEGIN nothing"}, good, {**good, "application_sha256": "cd" * 32}]
    batch = Sender(lite).send(*orders)
    lite.parts.batch_work.run()
    codes = [line.get("code", "issued") for line in Sender(lite).results(batch)]
    assert codes == ["CSR_MALFORMED", "issued", "ORDER_ALTERED"]


def test_one_bad_signature_and_nothing_of_the_chunk_is_recorded(lite: Any) -> None:
    """The token's second signature of three does not fit: none is recorded, and all are the next time."""
    lite.issue()
    key = lite.token.keys["ca-harbour"]
    real, calls = key.inner.sign, iter(range(3))

    def sign(data: Any, algorithm: Any) -> bytes:
        return bytes(real(data + b"x" if next(calls) == 1 else data, algorithm))

    key.sign = sign
    batch = Sender(lite).send(*(lite.order_payload() for _ in range(3)))
    with pytest.raises(SignatureFaultError):
        lite.parts.batch_work.run()
    assert len(lite.parts.ledger.unfinished()) == 3
    del key.sign
    lite.parts.batch_work.run()
    check_each_order_has_one_certificate(lite, Sender(lite).results(batch))


def sign_order(world: Any, payload: dict[str, Any]) -> bytes:
    return sign_document(payload, typ="onecert-order+json", keys=[world.ra_key])


def test_an_order_is_the_same_whichever_way_it_comes(lite: Any) -> None:
    """Posted alone after its batch: the certificate of the batch, not another one."""
    payload = lite.order_payload()
    batch = Sender(lite).send(payload)
    lite.parts.batch_work.run()
    (line,) = Sender(lite).results(batch)
    again = lite.parts.issuance.issue(sign_order(lite, payload))
    assert not again.is_new
    assert again.record.serial == line["serial"]


def test_renewal_with_the_same_key_and_blocked_keys(world: Any) -> None:
    """The same key of the same holder keeps its number; a blocked key is refused, the others are issued."""
    key, blocked = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    first = world.issue(csr_pem=make_csr(key))
    bad = world.order_payload(csr_pem=make_csr(blocked))
    with world.context.database.transaction() as connection:
        from onecert.ca.certificates.keys import spki_sha256  # noqa: PLC0415

        row = {
            "key_sha256": spki_sha256(blocked.public_key()),
            "reason": "test",
            "added_at": world.clock.now(),
        }
        connection.execute(models.blocked_keys.insert().values(row | {"added_at": world.clock.now()}))
    batch = Sender(world).send(world.order_payload(csr_pem=make_csr(key)), bad, world.order_payload())
    world.parts.batch_work.run()
    lines = Sender(world).results(batch)
    assert [line.get("code", "issued") for line in lines] == ["issued", "KEY_BLOCKED", "issued"]
    assert lines[0]["serial"] != first.record.serial
    with world.context.database.reading() as connection:
        of_holder = select(models.key_numbers.c.number).where(models.key_numbers.c.entity.like("uscc:%"))
        assert sorted(connection.scalars(of_holder)) == [1, 2]


# ------------------------------------------------------------------ interrupted

Step = tuple[type, str]
STEPS: list[Step] = [
    (BatchLedger, "record_intents"),
    (BatchLedger, "record_results"),
    (Batches, "close_if_finished"),
]


def interrupt(monkeypatch: pytest.MonkeyPatch, step: Step, when: str, at_call: int) -> None:
    """Stop before or after a commit, at its n-th call."""
    owner, name = step
    act: Callable[..., Any] = getattr(owner, name)
    calls = iter(range(1, 1000))

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        is_it = next(calls) == at_call
        if is_it and when == "before":
            raise StoppedError
        result = act(*args, **kwargs)
        if is_it:
            raise StoppedError
        return result

    monkeypatch.setattr(owner, name, wrapped)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("recovered", ["by the batch", "by the start"])
def test_interrupted_at_each_commit(
    lite: Any, monkeypatch: pytest.MonkeyPatch, step: Step, when: str, recovered: str
) -> None:
    """Stopped in the second chunk, built anew: every line has exactly one certificate."""
    sender = Sender(lite)
    batch = sender.send(*(lite.order_payload() for _ in range(8)))
    with monkeypatch.context() as patch:
        interrupt(patch, step, when, 1 if step[1] == "close_if_finished" else 2)
        with pytest.raises(StoppedError):
            lite.parts.batch_work.run()
    lite.restart()
    if recovered == "by the start":
        lite.parts.recovery.run(lite.clock.now())
    lite.parts.batch_work.run()
    assert lite.parts.batches.progress(batch).state == "done"
    lines = sender.results(batch)
    assert len({line["serial"] for line in lines}) == 8
    assert count(lite, models.orders) - count(lite, models.certificates) <= 0
    check_each_order_has_one_certificate(lite, lines)


def test_token_that_goes_in_the_middle(lite: Any) -> None:
    """The token fails at the fifth signature: nothing is lost; when it is back, the rest follows."""
    sender = Sender(lite)
    lite.issue()
    batch = sender.send(*(lite.order_payload() for _ in range(8)))
    key = lite.token.keys["ca-harbour"]
    real, left = key.inner.sign, iter(range(5))

    def sign(data: Any, algorithm: Any) -> bytes:
        lite.token.gone = next(left, None) is None
        if lite.token.gone:
            lite.parts.token.key("ca-harbour")
        signature: bytes = real(data, algorithm)
        return signature

    key.sign = sign
    with pytest.raises(TokenGoneError):
        lite.parts.batch_work.run()
    assert lite.parts.batches.progress(batch).issued == 3
    del key.sign
    lite.token.gone = False
    lite.parts.batch_work.run()
    check_each_order_has_one_certificate(lite, sender.results(batch))


def test_intents_given_up_in_the_meantime_are_refused(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after the intents and started a day later: their serials are revoked and the lines say so."""
    sender = Sender(lite)
    batch = sender.send(*(lite.order_payload() for _ in range(4)))
    with monkeypatch.context() as patch:
        interrupt(patch, STEPS[0], "after", 1)
        with pytest.raises(StoppedError):
            lite.parts.batch_work.run()
    lite.clock.advance(timedelta(hours=23))
    lite.restart()
    lite.parts.recovery.run(lite.clock.now())
    lite.parts.batch_work.run()
    codes = [line.get("code", "issued") for line in sender.results(batch)]
    assert codes == ["ORDER_ABANDONED"] * 3 + ["issued"]


def test_somebody_else_takes_the_number_meanwhile(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between draft and record, a single order takes the holder's next number: the line is drafted again."""
    sender, ledger = Sender(lite), BatchLedger.record_intents
    batch = sender.send(lite.order_payload(), lite.order_payload())
    others = iter([lite.order(), None])

    def late(*args: Any) -> Any:
        other = next(others, None)
        if other is not None:
            lite.parts.issuance.issue(other)
        return ledger(*args)

    monkeypatch.setattr(BatchLedger, "record_intents", late)
    lite.parts.batch_work.run()
    check_each_order_has_one_certificate(lite, sender.results(batch))
    with lite.context.database.reading() as connection:
        numbers = connection.scalars(select(models.key_numbers.c.number))
        assert sorted(numbers)[-3:] == [1, 2, 3]


def test_the_same_order_alone_meanwhile(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between draft and record, the same order is posted alone: its certificate is the line's."""
    sender, ledger, payload = Sender(lite), BatchLedger.record_intents, lite.order_payload()
    batch = sender.send(payload, lite.order_payload())
    issued: list[Any] = []

    def late(*args: Any) -> Any:
        if not issued:
            issued.append(lite.parts.issuance.issue(sign_order(lite, payload)))
        return ledger(*args)

    monkeypatch.setattr(BatchLedger, "record_intents", late)
    lite.parts.batch_work.run()
    lines = sender.results(batch)
    assert lines[0]["serial"] == issued[0].record.serial
    check_each_order_has_one_certificate(lite, lines)


# ------------------------------------------------------------------ head, parts, cancellation


def test_parts_arrive_in_any_order_and_again(lite: Any) -> None:
    contents = [part(*(lite.order_payload() for _ in range(4))), part(lite.order_payload())]
    sender, desk = Sender(lite), lite.parts.batches
    batch, head = sender.head(contents)
    assert desk.open(head)[1]
    assert not desk.open(head)[1]
    assert desk.add_part(batch, 2, contents[1]).missing == (1,)
    lite.parts.batch_work.run()
    assert desk.progress(batch).issued == 0
    assert desk.add_part(batch, 2, contents[1]).state == "arriving"
    assert desk.add_part(batch, 1, contents[0]).state == "accepted"
    lite.parts.batch_work.run()
    assert desk.add_part(batch, 1, contents[0]).state == "done"
    check_each_order_has_one_certificate(lite, sender.results(batch))


def test_what_is_not_a_batch(lite: Any) -> None:
    sender, desk, content = Sender(lite), lite.parts.batches, part(lite.order_payload())
    batch, head = sender.head([content])
    desk.open(head)
    with pytest.raises(BatchPartError):
        desk.add_part(batch, 1, content + b"{}\n")
    with pytest.raises(BatchPartError):
        desk.add_part(batch, 2, content)
    with pytest.raises(UnknownBatchError):
        desk.add_part("12345678", 1, content)
    with pytest.raises(BatchAlteredError):
        desk.open(sender.head([content, content], batch=batch)[1])
    with pytest.raises(OrderSignatureError):
        desk.open(sender.head([content], key=ec.generate_private_key(ec.SECP256R1()))[1])
    with pytest.raises(OrderTimeError):
        desk.open(sender.head([content], created_at="2020-01-01T00:00:00+00:00")[1])
    too_many = [{"lines": 10_000, "sha256": "00" * 32}] * 11
    changes: list[dict[str, Any]] = [
        {"parts": []},
        {"parts": "many"},
        {"parts": [{"lines": True, "sha256": "00" * 32}]},
        {"parts": [{"lines": 0, "sha256": "00" * 32}]},
        {"parts": [{"lines": 1, "sha256": "zz"}]},
        {"parts": too_many},
        {"surplus": 1},
        {"batch": "short"},
        {"created_at": "yesterday"},
    ]
    for change in changes:
        with pytest.raises(BatchMalformedError):
            desk.open(sender.head([content], **change)[1])


def test_cancelled_before_and_in_the_middle(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on record is finished, the rest is not begun; nobody else may cancel or read."""
    sender = Sender(lite)
    batch = sender.send(*(lite.order_payload() for _ in range(5)))
    with monkeypatch.context() as patch:
        interrupt(patch, STEPS[0], "after", 1)
        with pytest.raises(StoppedError):
            lite.parts.batch_work.run()
    other = ec.generate_private_key(ec.SECP256R1())
    lite.register("harbour:*", name="other", key=other)
    for typ, act in ((CANCELLATION_TYPE, "cancel_as_ordered"), (RESULTS_TYPE, "results_as_asked")):
        document = sender.signed(typ, key=other, batch=batch, registration_authority="other")
        with pytest.raises(UnknownBatchError):
            getattr(lite.parts.batches, act)(document)
    assert sender.cancel(batch).cancelled == 2
    lite.parts.batch_work.run()
    lines = sender.results(batch)
    assert [line["status"] for line in lines] == ["issued"] * 3 + ["cancelled"] * 2
    assert lite.parts.batches.progress(batch).state == "cancelled"
    check_each_order_has_one_certificate(lite, lines[:3])

    content = part(lite.order_payload())
    empty, head = sender.head([content])
    lite.parts.batches.open(head)
    assert sender.cancel(empty).state == "cancelled"
    with pytest.raises(BatchClosedError):
        lite.parts.batches.add_part(empty, 1, content)


def test_cancelled_between_draft_and_record(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sender, ledger, before = Sender(lite), BatchLedger.record_intents, count(lite, models.orders)
    batch = sender.send(lite.order_payload())

    def late(*args: Any) -> Any:
        sender.cancel(batch)
        return ledger(*args)

    monkeypatch.setattr(BatchLedger, "record_intents", late)
    lite.parts.batch_work.run()
    assert [line["status"] for line in sender.results(batch)] == ["cancelled"]
    assert count(lite, models.orders) == before


def test_registration_authority_that_was_removed(lite: Any) -> None:
    """Removed while its batch waits: its lines are refused."""
    batch = Sender(lite).send(lite.order_payload())
    lite.parts.registration_authorities.remove("ra", actor="command:test")
    lite.parts.batch_work.run()
    (line, _last) = map(json.loads, lite.parts.batches.results(batch))
    assert line["code"] == "ORDER_OUT_OF_SCOPE"

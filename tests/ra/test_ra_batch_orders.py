"""The orders of a batch go to the CA together: each once, whatever is lost or killed on the way."""

import json
from datetime import timedelta

import pytest
from test_ra_batches import checked, desk, person, table

from onecert.ra.applications.many import ManyApplications
from onecert.ra.batches.records import Batch, Phase
from onecert.ra.life.machine import State
from onecert.ra.models import applications, certificates, claims, order_batches, orders
from onecert.ra.orders import together
from onecert.ra.orders.standing import find_order
from onecert.ra.orders.together import Together
from onecert.ra.search.tables import marks
from onecert.server.models import audit_entries

__all__ = ["desk"]


def approved(ra, *rows, **more: str) -> Batch:
    """A batch that a second person has approved; nothing is entered yet."""
    batch = checked(ra, table(*(rows or (person(1), person(2), person(3)))), **more)
    submitted = ra.service.batches.submit(ra.entry_clerk, batch.id)
    assert submitted.content_sha256
    return ra.service.batches.approve(ra.reviewer, batch.id, content_sha256=submitted.content_sha256)


def later(ra) -> None:
    """The jobs of an hour later, when everything is due again."""
    ra.clock.advance(timedelta(hours=1))
    ra.service.batch_work.run(ra.clock.now())
    ra.dispatch.run(ra.clock.now())


def standing(ra, batch: Batch) -> tuple[State, Phase, list[str]]:
    found = ra.service.batches.batch(ra.reviewer, batch.id)
    return found.state, found.phase, sorted(row["state"] for row in ra.rows(applications))


def test_orders_go_together(ra, desk, monkeypatch) -> None:
    """Three rows, two lines a batch: two heads, no single order, and every order knows its batch and line."""
    monkeypatch.setattr(together, "LINES", 2)
    batch = approved(ra)
    ra.service.batch_work.run(ra.clock.now())
    assert standing(ra, batch) == (State.DONE, Phase.FINISHED, ["issued"] * 3)
    assert "/v1/orders" not in ra.ca.posts
    numbers = {row["id"]: (row["batch_id"], row["lines"], row["answered"]) for row in ra.rows(order_batches)}
    assert sorted(numbers.values()) == [(batch.id, 1, 1), (batch.id, 2, 2)]
    assert {row["order_batch"] for row in ra.rows(orders)} == set(numbers) == set(ra.ca.batches.heads)
    assert len(ra.rows(certificates)) == len(ra.ca.orders) == 3


def test_while_the_ca_is_away_the_batch_waits_and_says_so(ra, desk) -> None:
    """The rows are entered and signed for; the page tells that the CA is away; the orders go out later."""
    batch = approved(ra)
    ra.ca.down = True
    ra.service.batch_work.run(ra.clock.now())
    ra.dispatch.run(ra.clock.now())
    assert standing(ra, batch) == (State.APPROVED, Phase.ORDERING, ["ordered"] * 3)
    clerk = ra.browser(ra.entry_clerk)
    clerk.get(f"/batches/{batch.id}")
    assert "Waiting for the certification authority" in clerk.text
    assert "HTTP 503" in clerk.text
    with ra.database.reading() as connection:
        order = find_order(connection, ra.rows(orders)[0]["id"])
    assert (order.attempts, order.last_error) == (1, "HTTP 503")
    ra.ca.down = False
    later(ra)
    assert standing(ra, batch) == (State.DONE, Phase.FINISHED, ["issued"] * 3)
    assert "/v1/orders" not in ra.ca.posts


def test_answers_lost_on_the_way_double_nothing(ra, desk) -> None:
    """The CA does its work and the answer is lost: to the part, and to the question for results."""
    batch = approved(ra)
    for _ in range(3):
        ra.ca.lose_answers = 1
        later(ra)
    later(ra)
    assert standing(ra, batch) == (State.DONE, Phase.FINISHED, ["issued"] * 3)
    assert len(ra.rows(certificates)) == len(ra.ca.orders) == 3
    assert len(ra.ca.batches.heads) == 1


@pytest.mark.parametrize(
    ("part", "step"),
    [(ManyApplications, "enter_approved"), (Together, "_keep"), (Together, "_post"), (Together, "_record")],
)
def test_killed_after_a_step(ra, desk, monkeypatch, part, step) -> None:
    """The process dies right after the step; the next one goes on with the same numbers."""
    batch = approved(ra)
    real = getattr(part, step)

    def dies(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(part, step, dies)
        with pytest.raises(KeyboardInterrupt):
            ra.service.batch_work.run(ra.clock.now())
    later(ra)
    assert standing(ra, batch) == (State.DONE, Phase.FINISHED, ["issued"] * 3)
    assert len(ra.rows(certificates)) == len(ra.ca.orders) == 3
    assert len(ra.ca.batches.heads) == 1


def test_the_ca_takes_its_time_and_refuses_one(ra, desk) -> None:
    """While the CA is at work the batch is not done; then one line is refused, with the CA's reason."""
    batch = approved(ra, person(1), person(2, 姓名="王五"))
    ra.ca.batches.at_work, ra.ca.batches.refused = True, {"王五"}
    ra.service.batch_work.run(ra.clock.now())
    assert standing(ra, batch) == (State.APPROVED, Phase.ORDERING, ["ordered"] * 2)
    ra.ca.batches.at_work = False
    ra.service.batch_work.run(ra.clock.now())
    assert standing(ra, batch) == (State.DONE, Phase.FINISHED, ["issued", "refused_by_ca"])
    reasons = {row["name"]: row["reason"] for row in ra.rows(applications)}
    assert reasons == {"李四": None, "王五": "because of the subject (SUBJECT)"}


def test_cancelled_at_the_authority(ra, desk) -> None:
    """Somebody at the CA cancels the batch: each application says so, and nothing is sent another way."""
    batch = approved(ra)
    ra.ca.batches.cancelled = True
    ra.service.batch_work.run(ra.clock.now())
    assert standing(ra, batch) == (State.DONE, Phase.FINISHED, ["refused_by_ca"] * 3)
    assert ra.ca.orders == {}


def test_too_old_is_signed_anew(ra, desk) -> None:
    """The CA was away for a day and finds the head too old: the same numbers, signed today."""
    batch = approved(ra)
    ra.ca.down = True
    ra.service.batch_work.run(ra.clock.now())
    before = {row["id"]: row["document"] for row in ra.rows(order_batches)}
    ra.ca.down, ra.ca.refuse_next = False, (409, "ORDER_TIME")
    later(ra)
    later(ra)
    assert standing(ra, batch) == (State.DONE, Phase.FINISHED, ["issued"] * 3)
    after = {row["id"]: row["document"] for row in ra.rows(order_batches)}
    assert before.keys() == after.keys() == set(ra.ca.batches.heads)
    assert before != after


def test_a_ca_without_batches_is_waited_for(ra, desk) -> None:
    """The CA refuses the head: the batch waits with the CA's words, and no order goes alone."""
    batch = approved(ra)
    ra.ca.refuse_next = (403, "BATCH_MALFORMED")
    ra.service.batch_work.run(ra.clock.now())
    ra.dispatch.run(ra.clock.now())
    assert standing(ra, batch)[1] is Phase.ORDERING
    assert "/v1/orders" not in ra.ca.posts
    with ra.database.reading() as connection:
        assert (
            together.standing_of(connection, batch.id).problem == "because BATCH_MALFORMED (BATCH_MALFORMED)"
        )
    later(ra)
    assert standing(ra, batch)[0] is State.DONE


def test_rows_entered_together_look_like_those_entered_one_by_one(ra, desk, monkeypatch) -> None:
    """The same row both ways: the same record, life line, audit entries and claims."""

    def looks(order: int) -> list[object]:
        batch = approved(ra, person(order), key=str(order))
        ra.ca.down = True
        ra.service.batch_work.run(ra.clock.now())
        (row,) = [each for each in ra.rows(applications) if each["batch_id"] == batch.id]
        frozen = ra.service.reach.frozen(ra.reviewer, row["id"])
        hashed = frozen.sha256(ra.service.entries.recheck(frozen))
        written = [each for each in ra.rows(audit_entries) if row["id"] in each["subject"]]
        claimed = [each for each in ra.rows(claims) if each["application_id"] == row["id"]]
        return [
            hashed == row["content_sha256"],
            {name: value is None for name, value in row.items()},
            [row[name] for name in ("state", "revision", "created_by", "submitted_by", "reviewed_by")],
            ra.events(row["id"]),
            [(each["event"], each["actor"], sorted(json.loads(each["details"]))) for each in written],
            sorted((each["kind"], each["authority"]) for each in claimed),
            [each["kind"] for each in ra.rows(marks) if each["application_id"] == row["id"]],
        ]

    both = looks(1)
    monkeypatch.setattr(ManyApplications, "enter_approved", lambda *_arguments: None)
    assert both == looks(2)
    assert both[0] is True

"""Operators on SQLite and PostgreSQL: what happens when two do the same thing at the same moment."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from onecert.server.errors import ServiceError

AT_ONCE = 6


@pytest.fixture
def desk(make_desk: Callable[..., Any], database_url: str) -> Any:
    """A desk on each engine."""
    return make_desk(url=database_url)


def at_once(acts: Sequence[Callable[[], object]]) -> list[str]:
    """Run the acts at the same moment; "done" or the code of the error of each, sorted."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], object]) -> str:
        barrier.wait()
        try:
            act()
        except ServiceError as exc:
            return exc.code
        return "done"

    with ThreadPoolExecutor(len(acts)) as pool:
        return sorted(pool.map(run, acts))


def test_one_link_opens_one_session(desk: Any) -> None:
    """Six browsers press the button of one link together; one gets in."""
    desk.operator()
    link = desk.link()
    clients = [desk.client() for _ in range(AT_ONCE)]

    def press(client: Any) -> int:
        return int(client.submit(link).status_code)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        codes = sorted(pool.map(press, clients))

    assert codes == [303] + [403] * (AT_ONCE - 1)
    with desk.context.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sessions").scalar_one() == 1


def test_one_person_gets_one_account(desk: Any) -> None:
    """Six administrators open six accounts for the same person together; one succeeds."""
    acts = [lambda n=n: desk.operator(f"wang{n}", number=1) for n in range(AT_ONCE)]

    assert at_once(acts) == ["OPERATOR_PERSON_EXISTS"] * (AT_ONCE - 1) + ["done"]


def test_refusals_are_all_counted(desk: Any) -> None:
    """Six wrong links together: six refusals on record, and the count agrees."""
    clients = [desk.client() for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda client: client.get("/sign-in/wrong").status_code, clients))

    with desk.context.database.reading() as connection:
        counted = connection.exec_driver_sql("SELECT failures FROM sign_in_failures").scalar_one()
    refused = [event for event, _ in desk.events() if event == "operator.sign_in_refused"]
    assert len(refused) == AT_ONCE
    assert counted == AT_ONCE


def test_a_day_of_an_operator(desk: Any, operators_ca: Any) -> None:
    """Opened, signed in by certificate, working, told a notice, suspended: on each engine the same."""
    certificate = operators_ca.issue()
    desk.trust(operators_ca, crl=operators_ca.crl())
    desk.operator(certificate=certificate)
    client, environ = desk.client(), desk.presenting(certificate)

    assert client.submit("/sign-in/certificate", environ_overrides=environ).status_code == 303
    desk.clock.advance(timedelta(minutes=5))
    assert client.submit("/things", {"name": "x"}, environ_overrides=environ).text == "made x"
    assert "下一页" in client.get("/things", environ_overrides=environ).text
    desk.suspend()
    assert client.get("/things", environ_overrides=environ).status_code == 303
    assert [event for event, _ in desk.events()] == [
        "operator.added",
        "operator.certificate_bound",
        "operator.signed_in",
        "operator.suspended",
    ]

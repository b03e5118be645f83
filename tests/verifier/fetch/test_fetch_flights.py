"""One thread fetches; the others wait for it, or go on with the copy at hand."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from fetch_network import EXACT, HOUR, MINUTE, PLACE, Network, down

from onecert.verifier import FetchCache


def test_one_thread_fetches(pki: Any, network: Network) -> None:
    """Eight threads want the same list at once: one request, eight answers."""
    arrived = threading.Barrier(8)
    network.gate = lambda: arrived.wait(60)  # opened by the seven that wait
    cache = FetchCache(network)
    flights = cache._flights._flights

    class Announcing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            threading.Thread(target=arrived.wait, args=(60,), daemon=True).start()
            return super().wait(timeout)

    class Flights(dict[str, Any]):
        def __setitem__(self, name: str, flight: Any) -> None:
            flight.done = Announcing()
            super().__setitem__(name, flight)

    cache._flights._flights = Flights(flights)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cache.get(PLACE, pki.T), range(8)))
    assert network.count == 1
    assert len({id(document) for document in found}) == 1


def test_the_old_copy_serves_while_the_new_one_comes(pki: Any, root: Any, network: Network) -> None:
    """One thread is held up by the server; the others go on with what is there."""
    cache = FetchCache(network, rules=EXACT)
    old = cache.get(PLACE, pki.T)
    asked, answer = threading.Event(), threading.Event()

    def gate() -> None:
        asked.set()
        answer.wait(60)

    network.gate = gate
    network.say = pki.crl(root, this_update=pki.T + HOUR)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(cache.get, PLACE, pki.T + HOUR + 30 * MINUTE)
        assert asked.wait(60)
        assert cache.get(PLACE, pki.T + HOUR + 30 * MINUTE) is old
        answer.set()
        assert waiting.result() is not old
    assert network.count == 2


def test_background(pki: Any, root: Any, network: Network) -> None:
    """With threads of its own no caller waits: the old copy now, the new one when it has come."""
    cache = FetchCache(network, rules=EXACT, background=True)
    old = cache.get(PLACE, pki.T)
    answer = threading.Event()
    network.gate = lambda: answer.wait(60)
    network.say = pki.crl(root, this_update=pki.T + HOUR)
    for _ in range(3):
        assert cache.get(PLACE, pki.T + HOUR + 30 * MINUTE) is old
        cache.keep_fresh(pki.T + HOUR + 30 * MINUTE)
    answer.set()
    cache.close()
    assert cache.held(PLACE) is not old
    assert network.count == 2
    assert cache.get(PLACE, pki.T + HOUR + 30 * MINUTE) is not old  # and without its threads it still serves


def test_what_is_overdue_is_waited_for(pki: Any, root: Any, network: Network) -> None:
    """The first login after a quiet night. Must not go by last night's list, also with threads of its own."""
    for ask in ("get", "keep_fresh"):
        network.say = pki.crl(root)
        cache = FetchCache(network, rules=EXACT, background=True)
        old = cache.get(PLACE, pki.T)
        network.say = pki.crl(root, this_update=pki.T + HOUR)
        getattr(cache, ask)(*([PLACE] if ask == "get" else []), pki.T + 8 * HOUR)
        assert cache.held(PLACE) is not old
        # A server that is away is not waited for at each login.
        network.say, asked = down(), network.count
        for minute in (0, 1):
            cache.keep_fresh(pki.T + 20 * HOUR + minute * timedelta(seconds=10))
        assert network.count == asked + 1
        cache.close()


def test_refresh_on_demand(pki: Any, network: Network) -> None:
    """For a timer of one's own: what is due is fetched now, what failed is returned."""
    cache = FetchCache(network, rules=EXACT)
    cache.get(PLACE, pki.T)
    assert cache.refresh(pki.T + MINUTE) == []
    assert network.count == 1
    assert cache.refresh(pki.T + HOUR) == []
    assert network.count == 2
    network.say = down()
    assert [error.code for error in cache.refresh(pki.T + 3 * HOUR)] == ["FETCH_TIMEOUT"]

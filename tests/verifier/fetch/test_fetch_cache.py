"""The cache: asked when due and not before; nothing good is given up for something worse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fetch_network import EXACT, HOUR, MINUTE, PLACE, URL, Network, down, refusal

from onecert.verifier import CouldNotCheckError, Crl, FetchCache, FetchRules, load_public_key
from onecert.verifier.fetch import FetchAnswer
from onecert.verifier.fetch.asking import Ask
from onecert.verifier.fetch.documents import Kind, Place
from onecert.verifier.fetch.rules import Allowance

# When it is asked.


def test_asked_again_after_an_hour(pki: Any, network: Network) -> None:
    cache = FetchCache(network, rules=EXACT)
    first = cache.get(PLACE, pki.T)
    assert cache.get(PLACE, pki.T + HOUR - MINUTE) is first
    assert network.count == 1
    assert cache.get(PLACE, pki.T + HOUR) is first  # the same list: nothing is read again
    assert network.count == 2


def test_ahead_of_the_end(pki: Any, root: Any, network: Network) -> None:
    """A list that ends in 40 minutes is fetched again when 30 of them have passed."""
    network.say = pki.crl(root, next_update=pki.T + 40 * MINUTE)
    cache = FetchCache(network, rules=EXACT)
    cache.get(PLACE, pki.T)
    cache.get(PLACE, pki.T + 29 * MINUTE)
    assert network.count == 1
    network.say = pki.crl(root, this_update=pki.T + 30 * MINUTE)
    new = cache.get(PLACE, pki.T + 30 * MINUTE)
    assert isinstance(new, Crl)
    assert new.this_update == pki.T + 30 * MINUTE
    assert cache.evidence.crls_of(new.issuer) == (new,)


def test_jitter_spreads_addresses(pki: Any) -> None:
    """Each address has a moment of its own between 90 % and 100 % of the hour."""
    rules = FetchRules()
    waits = {
        rules.due_at(Place(f"{URL}{number}", Kind.CRL).name, pki.T, None, None) - pki.T
        for number in range(50)
    }
    assert len(waits) == 50
    assert all(54 * MINUTE <= wait <= HOUR for wait in waits)


@pytest.mark.parametrize(
    ("max_age", "due"),
    [(timedelta(minutes=20), 20), (timedelta(0), 1), (timedelta(seconds=5), 1), (timedelta(days=9), 60)],
)
def test_max_age_within_bounds(pki: Any, network: Network, max_age: timedelta, due: int) -> None:
    """The server may ask for less than the hour, but not for more, and not for less than a minute."""
    network.say = FetchAnswer(data=network.say, max_age=max_age)
    cache = FetchCache(network, rules=EXACT)
    cache.get(PLACE, pki.T)
    cache.get(PLACE, pki.T + due * MINUTE - timedelta(seconds=1))
    assert network.count == 1
    cache.get(PLACE, pki.T + due * MINUTE)
    assert network.count == 2


def test_a_stale_list_is_not_asked_for_all_the_time(pki: Any, root: Any, network: Network) -> None:
    """A server that goes on with an old list is asked as often as any other."""
    network.say = pki.crl(root, this_update=pki.T - 2 * HOUR, next_update=pki.T - HOUR)
    cache = FetchCache(network, rules=EXACT)
    for minutes in range(0, 60, 5):
        cache.get(PLACE, pki.T + minutes * MINUTE)
    assert network.count == 1


def test_clock_that_goes_backwards(pki: Any, network: Network) -> None:
    """Nobody knows how old the copy is: asked again; a difference between threads is none."""
    cache = FetchCache(network, rules=EXACT)
    cache.get(PLACE, pki.T)
    cache.get(PLACE, pki.T - timedelta(seconds=30))
    assert network.count == 1
    cache.get(PLACE, pki.T - HOUR)
    assert network.count == 2
    # The wait after a failure ends as well when the clock shows a time before it.
    network.say = down()
    cache.get(PLACE, pki.T + 2 * HOUR)
    cache.get(PLACE, pki.T + HOUR)
    assert network.count == 4


def test_conditional_requests(pki: Any, network: Network) -> None:
    network.say = FetchAnswer(data=network.say, etag='"1"', last_modified="x", max_age=20 * MINUTE)
    cache = FetchCache(network, rules=EXACT)
    first = cache.get(PLACE, pki.T)
    network.say = FetchAnswer(data=None)
    assert cache.get(PLACE, pki.T + 20 * MINUTE) is first
    assert (network.requests[1].etag, network.requests[1].last_modified) == ('"1"', "x")
    # 304 without headers: what was said before still holds.
    cache.get(PLACE, pki.T + 39 * MINUTE)
    assert network.count == 2
    cache.get(PLACE, pki.T + 40 * MINUTE)
    assert network.requests[2].etag == '"1"'


def test_not_modified_without_a_copy(pki: Any) -> None:
    cache = FetchCache(Network(FetchAnswer(data=None)))
    assert refusal(cache, pki.T).code == "FETCH_UNREADABLE"


# Failures.


def test_a_dead_server_is_left_alone(pki: Any) -> None:
    """One try, then after 1, 2, 4 … minutes, at most an hour apart; each login in between fails at once."""
    network = Network(down())
    cache = FetchCache(network, rules=EXACT)
    tried = []
    for minutes in range(300):
        before = network.count
        error = refusal(cache, pki.T + minutes * MINUTE)
        if network.count > before:
            assert error.code == "FETCH_TIMEOUT"
            tried.append(minutes)
        else:
            assert error.code == "FETCH_LATER"
            assert "FETCH_TIMEOUT" in error.text("en")
    assert tried == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


def test_a_dead_server_concerns_all_it_has(pki: Any, network: Network) -> None:
    """Not reached: nothing else is asked there. An answer that says no concerns the one address."""
    other = Place("http://crl.example/other.crl", Kind.CRL)
    third = Place("http://third.example/a.crl", Kind.CRL)
    good, network.say = network.say, down()
    cache = FetchCache(network)
    refusal(cache, pki.T)
    with pytest.raises(CouldNotCheckError, match="FETCH_LATER"):
        cache.get(other, pki.T)
    network.say = good
    cache.get(third, pki.T)
    network.say = down("FETCH_STATUS")
    at = pki.T + 2 * MINUTE
    assert refusal(cache, at).code == "FETCH_STATUS"
    network.say = good
    cache.get(other, at)
    assert refusal(cache, at).code == "FETCH_LATER"


def test_the_old_copy_serves_during_an_outage(pki: Any, network: Network) -> None:
    """It serves, also past its end: whoever uses it decides. When the server is back, so is the new one."""
    cache = FetchCache(network, rules=EXACT)
    old = cache.get(PLACE, pki.T)
    good, network.say = network.say, down()
    assert cache.get(PLACE, pki.T + 3 * HOUR) is old
    assert cache.get(PLACE, pki.T + 30 * HOUR) is old
    assert network.count == 3
    network.say = good
    cache.get(PLACE, pki.T + 40 * HOUR)
    network.say = down()
    cache.get(PLACE, pki.T + 50 * HOUR)
    cache.get(PLACE, pki.T + 50 * HOUR + MINUTE)  # success has ended the doubling: again a minute
    assert network.count == 6


def test_another_fetch_may_raise_anything(pki: Any) -> None:
    """Only the library's errors leave."""
    assert refusal(FetchCache(Network(RuntimeError("oh"))), pki.T).code == "FETCH_FAILED"


# Nothing good is given up for something worse.


def test_unreadable_data_replaces_nothing(pki: Any, network: Network) -> None:
    """The login page of a proxy comes instead of the list."""
    cache = FetchCache(network)
    old = cache.get(PLACE, pki.T)
    network.say = FetchAnswer(data=b"<html>", content_type="text/html")
    assert cache.get(PLACE, pki.T + 2 * HOUR) is old
    error = refusal(FetchCache(network), pki.T)
    assert error.code == "FETCH_UNREADABLE"
    assert "text/html" in error.text("zh")


def test_an_older_list_replaces_nothing(pki: Any, root: Any, network: Network) -> None:
    """By number, or by this_update."""
    network.say = pki.crl(root, number=50)
    cache = FetchCache(network)
    at, known = pki.T, cache.get(PLACE, pki.T)
    for older in (
        pki.crl(root, number=49, this_update=pki.T),
        pki.crl(root, number=50, this_update=pki.T - 2 * HOUR),
    ):
        network.say = older
        at += 2 * HOUR
        assert cache.get(PLACE, at) is known
    network.say = pki.crl(root, number=51, this_update=at)
    assert cache.get(PLACE, at + 2 * HOUR) is not known
    # What is over keeps nothing out: perhaps its number was wrong.
    network.say = pki.crl(root, number=7, this_update=at)
    new = cache.get(PLACE, pki.T + 30 * HOUR)
    assert isinstance(new, Crl)
    assert new.number == 7


def test_a_list_from_the_future_is_not_taken(pki: Any, root: Any, network: Network) -> None:
    """It could keep all real ones out."""
    network.say = pki.crl(root, this_update=pki.T + HOUR, next_update=pki.T + 2 * HOUR)
    assert refusal(FetchCache(network), pki.T).code == "FETCH_OLDER"


def test_a_forged_list_does_not_push_out_a_signed_one(pki: Any, root: Any, network: Network) -> None:
    """Somebody on the line forges a list with a huge number. With the CA's key known it is not taken, and if
    it was there first it gives way."""
    forged = pki.crl(root, key=pki.key(), number=2**100, next_update=pki.T + 3650 * pki.DAY)
    ask = Ask(keys=[load_public_key(root.anchor.public_key_der)])
    real = network.say
    cache = FetchCache(network)
    known = cache.get(PLACE, pki.T, ask)
    network.say = forged
    assert cache.get(PLACE, pki.T + 2 * HOUR, ask) is known

    cache = FetchCache(network)
    first = cache.get(PLACE, pki.T, ask)
    network.say = real
    assert cache.get(PLACE, pki.T + 2 * HOUR, ask) is not first


def test_what_did_not_do_gives_way(pki: Any, root: Any, network: Network) -> None:
    """``again``: the copy at hand was of no use; it is fetched anew, but not more than once a minute."""
    network.say = pki.crl(root, number=50)
    cache = FetchCache(network)
    known = cache.get(PLACE, pki.T)
    network.say = pki.crl(root, number=49)
    assert cache.get(PLACE, pki.T + timedelta(seconds=59), Ask(again=True)) is known
    assert cache.get(PLACE, pki.T + MINUTE, Ask(again=True)) is not known


# Kept and given away.


def test_asking_once_keeps_nothing_but_failures(pki: Any, network: Network) -> None:
    """For questions with a nonce: each one goes out, unless the server is known to be dead."""
    cache = FetchCache(network)
    place = Place(URL, Kind.CRL, b"question")
    for body in (b"one", b"two"):
        cache.ask_once(place, body, pki.T, Ask())
    assert [request.body for request in network.requests] == [b"one", b"two"]
    assert cache.held(place) is None
    network.say = down()
    for code in ("FETCH_TIMEOUT", "FETCH_LATER"):
        with pytest.raises(CouldNotCheckError, match=code):
            cache.ask_once(place, b"three", pki.T, Ask())
    assert network.count == 3


def test_one_list_at_two_places(pki: Any, root: Any, network: Network) -> None:
    """It stays among the evidence until both have a newer one, or none."""
    cache = FetchCache(network)
    places = [PLACE, Place("http://mirror.example/a.crl", Kind.CRL)]
    for place in places:
        cache.get(place, pki.T)
    for place, left in zip(reversed(places), (1, 0), strict=True):
        cache.forget(place)
        assert len(cache.evidence.crls_of(root.anchor.name)) == left


# Bounds.


def test_memory_is_bounded(pki: Any, root: Any, network: Network) -> None:
    """Three documents are kept; the one used longest ago goes, out of the evidence too."""
    cache = FetchCache(network, rules=FetchRules(max_documents=3))
    places = [Place(f"{URL}{number}", Kind.CRL) for number in range(4)]
    for number, place in enumerate(places):
        network.say = pki.crl(root, number=number + 1)
        cache.get(place, pki.T)
        cache.get(places[0], pki.T)
    assert network.count == 4
    (one, *_) = cache.evidence.crls_of(root.anchor.name)
    assert sorted(crl.number or 0 for crl in cache.evidence.crls_of(one.issuer)) == [1, 3, 4]


def test_strangers_do_not_push_out_lists(pki: Any, root: Any, network: Network) -> None:
    """Anybody can make us fetch certificates, or try to: they go first."""
    cache = FetchCache(network, rules=FetchRules(max_documents=3))
    cache.get(PLACE, pki.T)
    network.say = root.der
    for number in range(5):
        cache.get(Place(f"http://maze.example/{number}", Kind.CERTIFICATES), pki.T)
    network.say = down("FETCH_STATUS")
    for number in range(5, 10):
        with pytest.raises(CouldNotCheckError):
            cache.get(Place(f"http://maze.example/{number}", Kind.CERTIFICATES), pki.T)
    assert cache.held(PLACE) is not None
    assert len(cache.evidence.crls_of(root.anchor.name)) == 1


def test_memory_is_bounded_in_bytes(pki: Any, root: Any, network: Network) -> None:
    cache = FetchCache(network, rules=FetchRules(max_bytes=2 * len(network.say) + 50))
    for number in range(4):
        network.say = pki.crl(root, number=number + 1)
        cache.get(Place(f"{URL}{number}", Kind.CRL), pki.T)
    assert len(cache.evidence.crls_of(root.anchor.name)) == 2


def test_allowance(pki: Any, network: Network) -> None:
    """Two fetches and no more; what is at hand costs nothing, and the limit of one is nobody else's."""
    allowance = Allowance(2, timedelta(seconds=10))
    cache = FetchCache(network)
    for number in (1, 2, 1, 2):
        cache.get(Place(f"{URL}{number}", Kind.CRL), pki.T, Ask(allowance=allowance))
    error = refusal(cache, pki.T, Ask(allowance=allowance))
    assert error.code == "FETCH_LIMIT"
    assert error.hint("zh")
    cache.get(PLACE, pki.T)
    assert network.count == 3
    assert network.requests[0].timeout is not None
    assert network.requests[0].timeout <= timedelta(seconds=10)


def test_no_time_left(pki: Any, network: Network) -> None:
    assert (
        refusal(FetchCache(network), pki.T, Ask(allowance=Allowance(9, timedelta(0)))).code == "FETCH_LIMIT"
    )
    assert network.count == 0


@pytest.mark.parametrize(
    "rules", [{"refresh_at": 0}, {"refresh_at": 1.5}, {"jitter": 1}, {"every": timedelta(0)}]
)
def test_rules_that_cannot_work(rules: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="refresh_at"):
        FetchRules(**rules)

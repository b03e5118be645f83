"""Challenges in a server of the Redis protocol: one winner, whatever the machine that answers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from fakeredis import TcpFakeServer
from redis.backoff import NoBackoff
from redis.retry import Retry

from onecert.verifier import RevocationEvidence, Verifier, load_trust_list
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.login import Login, LoginError
from onecert.verifier.login_store import KEEP, StoredChallenge
from onecert.verifier.redis_store import RedisStore

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
ID = "0" * 22


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = TcpFakeServer(("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(port: int) -> Iterator[redis.Redis]:
    with redis.Redis(port=port) as connected:
        connected.flushall()
        yield connected


def stored() -> StoredChallenge:
    return StoredChallenge(
        id=ID,
        application="tax",
        session_sha256="s",
        data=b"\x00data",
        expires_at=T + timedelta(minutes=5),
    )


def test_login_by_way_of_the_server(world: Any, client: redis.Redis) -> None:
    """Challenged by one machine, answered at another, tried again at the first."""
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=T)
    evidence = RevocationEvidence(crls=[world.crl("harbour")])
    verifier = Verifier(trust_list=trust_list, evidence=evidence, application="tax")
    one, two = (Login(verifier, store=RedisStore(client)) for _ in range(2))
    leaf = world.leaf()
    challenge = one.challenge(session="s", at=T)
    result = two.verify(challenge.id, leaf.der, leaf.sign(challenge.data), session="s", at=T)
    assert result.identity.id == "uscc:91440300MA5DEM004J"
    with pytest.raises(LoginError) as caught:
        one.verify(challenge.id, leaf.der, leaf.sign(challenge.data), session="s", at=T)
    assert caught.value.code == "LOGIN_CHALLENGE_USED"


def test_one_of_many_wins(client: redis.Redis, port: int) -> None:
    """Sixteen threads and another process with one answer. Must be exactly one first."""
    RedisStore(client).add(stored(), T)
    outcomes: list[bool] = []

    def use() -> None:
        with redis.Redis(port=port) as own:
            used = RedisStore(own).use(ID)
            assert used is not None
            assert used.challenge == stored()
            outcomes.append(used.again)

    threads = [threading.Thread(target=use) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] + [True] * 15
    program = (
        "import redis, sys; from onecert.verifier.redis_store import RedisStore;"
        "print(RedisStore(redis.Redis(port=int(sys.argv[1]))).use('0' * 22).again)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(port)], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "True"


def test_keys_end_by_themselves(client: redis.Redis) -> None:
    """The mark outlives what it marks, so that no answer counts twice."""
    store = RedisStore(client)
    store.add(stored(), T)
    store.use(ID)
    challenge_ms, mark_ms = client.pttl(f"onecert:login:{ID}"), client.pttl(f"onecert:login:{ID}:used")
    assert 0 < challenge_ms <= (timedelta(minutes=5) + KEEP).total_seconds() * 1000
    assert mark_ms > challenge_ms


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b'{"application": "tax"}', b"\xff", b'{"expires_at": 1e999}']
)
def test_somebody_elses_value(client: redis.Redis, value: bytes) -> None:
    """Another program writes under our names. Must be "could not check"."""
    client.set(f"onecert:login:{ID}", value)
    with pytest.raises(CouldNotCheckError) as caught:
        RedisStore(client).use(ID)
    assert caught.value.code == "LOGIN_STORE"


def test_server_is_away() -> None:
    """Nobody can say whether an answer was used before. Must let nobody in."""
    store = RedisStore(redis.Redis(port=1, retry=Retry(NoBackoff(), 0)))
    for act in (lambda: store.add(stored(), T), lambda: store.use(ID)):
        with pytest.raises(CouldNotCheckError):
            act()


def test_unknown_challenge(client: redis.Redis) -> None:
    """Never made here, or long over."""
    assert RedisStore(client).use(ID) is None

"""The record of issued certificates from its address.

head -> index of a service -> shard, each only when a question needs it
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from onecert.testkit.documents import sign_document
from onecert.testkit.trust_roles import TrustHolders
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.fetch import FetchAnswer, FetchRequest, IssuanceRecordUrl
from onecert.verifier.issuances import RECORD_TYP, IssuanceRecordError
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list import load_trust_root

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
HEAD = "issuance-record.json"


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


class City:
    """A supervision's files, and who asks for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.holders = TrustHolders()
        self.root = load_trust_root(self.holders.sign_root(1, at=T))
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.away = False
        self.publish(1, [1, 2])

    def publish(self, number: int, certificates: list[int], **changes: Any) -> None:
        """One shard for each first digit."""
        shards = []
        for digit in "0123456789abcdef":
            own = sorted(digest(each) for each in certificates if digest(each).startswith(digit))
            shards.append("".join(f"{each} {format_time(T)}\n" for each in own))
        index = "".join(f"{self.part(shard)}\n" if shard else "-\n" for shard in shards)
        payload = {
            "number": number,
            "issued_at": format_time(T),
            "next_update": format_time(T + DAY),
            "services": {"harbour": {"entries": len(certificates), "digits": 1, "index": self.part(index)}},
        }
        keys = self.holders.timestamp.keys
        self.files[HEAD] = sign_document(payload | changes, typ=RECORD_TYP, keys=keys)

    def part(self, content: str) -> str:
        name = hashlib.sha256(content.encode()).hexdigest()
        self.files[f"issuance-record/{name}.txt"] = content.encode()
        return name

    def fetch(self, request: FetchRequest) -> FetchAnswer:
        name = request.url.removeprefix("http://pki.example/s/")
        self.asked.append("part" if name.startswith("issuance-record/") else name)
        if self.away or name not in self.files:
            raise CouldNotCheckError("FETCH_TIMEOUT", url=request.url, seconds=1)
        return FetchAnswer(data=self.files[name])

    def source(self, address: str = "http://pki.example/s/trust-list.json") -> IssuanceRecordUrl:
        return IssuanceRecordUrl(address, root=lambda: self.root, folder=self.folder, fetch=self.fetch)


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "issuances")


def code(source: IssuanceRecordUrl, at: datetime = T, number: int = 1) -> str:
    with pytest.raises(IssuanceRecordError) as caught:
        source.issued_at("harbour", digest(number), at=at)
    return caught.value.code


@pytest.mark.parametrize("address", ["", "/", "/trust-list.json", "/another.json"])
def test_a_path_through_the_record(city: City, address: str) -> None:
    source = city.source(f"http://pki.example/s{address}")
    assert source.issued_at("harbour", digest(1), at=T) == T
    assert city.asked == [HEAD, "part", "part"]
    assert source.issued_at("harbour", digest(1), at=T + MINUTE) == T
    assert len(city.asked) == 3


def test_just_issued(city: City) -> None:
    """Not on the record at hand: it is asked for again, but not for each stranger."""
    source = city.source()
    assert source.issued_at("harbour", digest(3), at=T) is None
    city.publish(2, [1, 2, 3])
    assert source.issued_at("harbour", digest(3), at=T + 29 * SECOND) is None
    assert city.asked.count(HEAD) == 1
    assert source.issued_at("harbour", digest(3), at=T + 30 * SECOND) == T
    for second in range(30, 60):
        assert source.issued_at("harbour", digest(4), at=T + second * SECOND) is None
    assert city.asked.count(HEAD) == 2


def test_the_network_is_gone(city: City) -> None:
    """Copies serve, also after a restart, until the record is over."""
    assert city.source().issued_at("harbour", digest(1), at=T) == T
    city.away = True
    restarted = city.source()
    assert restarted.issued_at("harbour", digest(1), at=T + MINUTE) == T
    assert code(restarted, T + DAY) == "ISSUANCE_RECORD_EXPIRED"
    city.folder = city.folder / "other"
    assert code(city.source()) == "ISSUANCE_RECORD_MISSING"


def test_a_copy_that_was_altered_is_fetched_again(city: City) -> None:
    assert city.source().issued_at("harbour", digest(1), at=T) == T
    for path in (city.folder / "issuance-record").iterdir():
        path.write_bytes(b"altered")
    assert city.source().issued_at("harbour", digest(1), at=T) == T
    (city.folder / HEAD).write_bytes(b"altered")
    assert city.source().issued_at("harbour", digest(1), at=T) == T


def test_parts_that_are_published_no_longer(city: City) -> None:
    """The head at hand is ten minutes old; its shards are gone, and the newer head is asked for."""
    source = city.source()
    assert source.issued_at("harbour", digest(1), at=T) == T
    old = {name for name in city.files if name != HEAD}
    city.publish(2, [1, 2, 3])
    for name in old:
        city.files.pop(name, None)
    for each in (city.folder / "issuance-record").iterdir():
        each.unlink()
    city.publish(2, [1, 2, 3])
    assert source.issued_at("harbour", digest(2), at=T + MINUTE) == T


def test_an_older_record_is_not_taken(city: City) -> None:
    """What a mirror holds back is noticed: the newer copy stays in use, also after a restart."""
    old = dict(city.files)
    city.publish(2, [1, 2, 3])
    assert city.source().issued_at("harbour", digest(3), at=T) == T
    city.files = old
    for source in (city.source(), city.source()):
        assert source.issued_at("harbour", digest(3), at=T + 20 * MINUTE) == T


def test_a_key_that_lost_its_right(city: City) -> None:
    """The next root names another timestamp key: what the old one has signed counts no more."""
    source = city.source()
    assert source.issued_at("harbour", digest(1), at=T) == T
    city.holders = TrustHolders()
    city.root = load_trust_root(city.holders.sign_root(2, at=T))
    assert code(source, T + SECOND) == "ISSUANCE_RECORD_SIGNATURE"
    city.publish(1, [1])
    assert source.issued_at("harbour", digest(1), at=T + 31 * SECOND) == T


@pytest.mark.parametrize("answer", [b"", b"{}", b"<html>"])
def test_wrong_answers(city: City, answer: bytes) -> None:
    city.files[HEAD] = answer
    assert code(city.source()) == "ISSUANCE_RECORD_MISSING"
    city.publish(2, [1])
    for name in city.files:
        if name != HEAD:
            city.files[name] = answer
    city.folder = city.folder / "other"
    assert code(city.source()) == "ISSUANCE_RECORD_MALFORMED"


def test_copies_of_old_parts_go(city: City) -> None:
    source = city.source()
    for number in range(1, 6):
        city.publish(number, list(range(number)))
        at = T + number * 20 * MINUTE
        assert source.issued_at("harbour", digest(number - 1), at=at) == T
    assert len(list((city.folder / "issuance-record").iterdir())) <= 4

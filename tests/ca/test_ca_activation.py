"""Keys that k of n holders unlock together."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_ceremonies import T

from onecert.ca.activation import shares as activation_shares
from onecert.ca.activation.door import ActivationDoor, doors_of, say_to
from onecert.ca.activation.door import _short as short_name
from onecert.ca.activation.holders import Holders, HoldersMissingError, new_splitting, read_splitting
from onecert.ca.activation.secret_shares import combine, split
from onecert.ca.activation.shares import Share, open_share, seal_share
from onecert.ca.config import CaConfig
from onecert.ca.errors.activation import ActivationError, ShareError, TokenWaitsError
from onecert.ca.signatures.tokens import issuing_token, split_pin
from onecert.server.clock import FixedClock

PHRASES = {"何见证": "four words of one", "郑主持": "four words of two", "冯保管": "four words of three"}


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation_shares, "SCRYPT_LOG_N", 10)


# ------------------------------------------------------------------ Shamir


@pytest.mark.parametrize(("needed", "count"), [(2, 2), (2, 3), (3, 5), (5, 5), (4, 7)])
def test_any_so_many_shares_restore_the_secret_and_fewer_do_not(needed: int, count: int) -> None:
    secret = bytes(range(48))
    shares = split(secret, needed=needed, count=count)
    for numbers in itertools.combinations(shares, needed):
        assert combine({number: shares[number] for number in numbers}) == secret
    for numbers in itertools.combinations(shares, needed - 1):
        assert combine({number: shares[number] for number in numbers}) != secret
    assert combine(shares) == secret


def test_known_answer() -> None:
    """FIPS 197, section 4.2: {57} x {83} = {c1}. One byte, one coefficient: f(x) = s + a x."""
    shares = split(b"\x00", needed=2, count=0x83, draw=lambda _count: b"\x57")
    assert shares[0x83] == b"\xc1"
    assert shares[1] == b"\x57"


def test_fewer_shares_fit_every_secret() -> None:
    """With one of two shares, every byte is as likely: each comes from exactly one coefficient."""
    for secret in (b"\x00", b"\x07"):
        found = set()
        for coefficient in range(256):
            drawn = bytes((coefficient,))
            found.add(split(secret, needed=2, count=2, draw=lambda _count, drawn=drawn: drawn)[1])
        assert len(found) == 256


@pytest.mark.parametrize(
    ("secret", "needed", "count"), [(b"x", 1, 2), (b"x", 3, 2), (b"x", 2, 256), (b"", 2, 2), (b"x", 0, 0)]
)
def test_splits_that_make_no_sense(secret: bytes, needed: int, count: int) -> None:
    with pytest.raises(ValueError, match="needed"):
        split(secret, needed=needed, count=count)


@pytest.mark.parametrize("shares", [{}, {0: b"x"}, {256: b"x"}, {1: b"x", 2: b"xy"}])
def test_shares_that_make_no_sense(shares: Any) -> None:
    with pytest.raises(ValueError, match="shares"):
        combine(shares)


# ------------------------------------------------------------------ files of holders


SHARE = Share(token="ca", split="ab" * 16, holder="何见证", number=3, value=b"part of a PIN")


def test_a_share_opens_with_its_passphrase_alone() -> None:
    content = seal_share(SHARE, "a long passphrase")
    assert open_share(content, "a long passphrase") == SHARE
    assert b"part of a PIN" not in content
    with pytest.raises(ShareError) as caught:
        open_share(content, "another passphrase")
    assert caught.value.code == "SHARE_PASSPHRASE"
    assert "part of" not in repr(SHARE)


@pytest.mark.parametrize("key", ["token", "split", "holder", "number", "salt", "nonce", "sealed", "log_n"])
def test_an_altered_share_is_refused(key: str) -> None:
    data = json.loads(seal_share(SHARE, "a long passphrase"))
    old = data[key]
    data[key] = old + 1 if isinstance(old, int) else ("00" if old[:2] != "00" else "11") + old[2:]
    with pytest.raises(ShareError):
        open_share(json.dumps(data).encode(), "a long passphrase")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff\xfe", b"null", b'{"format": 1}', b"[" * 5000, b"x" * 5000,
     seal_share.__doc__.encode() if seal_share.__doc__ else b""],
)  # fmt: skip
def test_what_is_no_share_file_is_refused(content: bytes) -> None:
    with pytest.raises(ShareError) as caught:
        open_share(content, "a long passphrase")
    assert caught.value.code == "SHARE_MALFORMED"


@pytest.mark.parametrize(
    ("key", "value"),
    [("log_n", 40), ("log_n", True), ("number", 0), ("number", "1"), ("format", 2), ("salt", "zz"),
     ("nonce", "00"), ("sealed", "00" * 2000), ("holder", None)],
)  # fmt: skip
def test_share_files_with_wrong_values_are_refused(key: str, value: Any) -> None:
    data = json.loads(seal_share(SHARE, "a long passphrase")) | {key: value}
    with pytest.raises(ShareError):
        open_share(json.dumps(data).encode(), "a long passphrase")


def test_short_passphrases_are_refused() -> None:
    with pytest.raises(ActivationError):
        seal_share(SHARE, "short")


# ------------------------------------------------------------------ gathering


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(T)


@pytest.fixture
def gathered(tmp_path: Path, clock: FixedClock) -> tuple[Holders, str, dict[str, Share]]:
    """Holders of the token "ca", two of three needed; its PIN, and the shares, opened."""
    public, pin, files = new_splitting("ca", needed=2, holders=PHRASES)
    holders = Holders("ca", tmp_path / "activation", clock.now)
    holders.begin(public)
    holders.put_in_force()
    return holders, pin, {name: open_share(files[name], phrase) for name, phrase in PHRASES.items()}


def test_two_of_three_restore_the_pin(gathered: Any) -> None:
    holders, pin, shares = gathered
    with pytest.raises(HoldersMissingError) as caught:
        holders.pin()
    assert (caught.value.given, caught.value.needed) == (0, 2)
    assert holders.give(shares["冯保管"]) is False
    assert holders.given() == ("冯保管",)
    assert "1" in str(holders.missing())
    with pytest.raises(HoldersMissingError):
        holders.pin()
    assert holders.give(shares["何见证"]) is True
    assert holders.pin() == pin
    assert holders.is_active()
    assert holders.given() == ()


def test_the_same_holder_counts_once(gathered: Any) -> None:
    holders, _pin, shares = gathered
    holders.give(shares["何见证"])
    with pytest.raises(ShareError) as caught:
        holders.give(shares["何见证"])
    assert caught.value.code == "SHARE_TWICE"
    renamed = Share(**(vars(shares["何见证"]) | {"holder": "郑主持"}))
    with pytest.raises(ShareError):
        holders.give(renamed)
    assert not holders.is_active()


def test_shares_of_another_splitting_token_or_person_do_not_count(gathered: Any) -> None:
    holders, _pin, shares = gathered
    one = vars(shares["何见证"])
    for change in ({"split": "00" * 16}, {"token": "ca-root"}, {"holder": "nobody"}):
        with pytest.raises(ShareError) as caught:
            holders.give(Share(**(one | change)))
        assert caught.value.code == "SHARE_FOREIGN"


def test_a_wrong_share_gives_no_pin_and_all_begin_anew(gathered: Any) -> None:
    holders, pin, shares = gathered
    one = vars(shares["何见证"])
    holders.give(Share(**(one | {"value": bytes(len(one["value"]))})))
    with pytest.raises(ShareError) as caught:
        holders.give(shares["郑主持"])
    assert caught.value.code == "SHARE_WRONG"
    assert holders.given() == ()
    holders.give(shares["何见证"])
    holders.give(shares["郑主持"])
    assert holders.pin() == pin


def test_shares_are_forgotten_after_a_quarter_of_an_hour(gathered: Any, clock: FixedClock) -> None:
    holders, _pin, shares = gathered
    holders.give(shares["何见证"])
    clock.advance(timedelta(minutes=16))
    assert holders.given() == ()
    assert holders.give(shares["郑主持"]) is False


def test_a_new_splitting_ends_the_one_before(gathered: Any) -> None:
    holders, _pin, shares = gathered
    holders.give(shares["何见证"])
    holders.give(shares["郑主持"])
    public, _pin, _files = new_splitting("ca", needed=2, holders=PHRASES)
    holders.begin(public)
    assert holders.is_active()
    holders.put_in_force()
    assert not holders.is_active()
    with pytest.raises(ShareError):
        holders.give(shares["何见证"])


def test_nothing_on_disk_gives_the_pin(gathered: Any, tmp_path: Path) -> None:
    _holders, pin, shares = gathered
    text = (tmp_path / "activation" / "ca.json").read_text()
    assert pin not in text
    assert all(share.value.hex() not in text for share in shares.values())
    assert (tmp_path / "activation" / "ca.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 1}', "\x00"])
def test_a_broken_file_never_means_not_split(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ca.json"
    assert read_splitting(path) is None
    path.write_text(content)
    with pytest.raises(ActivationError):
        read_splitting(path)


@pytest.mark.parametrize(
    ("needed", "holders"),
    [
        (1, PHRASES),
        (4, PHRASES),
        (2, {"one": "the same passphrase", "two": "the same passphrase"}),
        (2, {"one": "short", "two": "the other passphrase"}),
        (2, {f"holder {number}": f"passphrase number {number}" for number in range(17)}),
    ],
)
def test_splittings_that_would_protect_nothing_are_refused(needed: int, holders: dict[str, str]) -> None:
    with pytest.raises(ActivationError):
        new_splitting("ca", needed=needed, holders=holders)


# ------------------------------------------------------------------ the door of a service


def test_holders_come_to_the_door_of_a_service(gathered: Any) -> None:
    holders, pin, shares = gathered
    door = ActivationDoor(holders)
    try:
        assert doors_of(holders.folder, "ca") == [door.path]
        assert door.path.stat().st_mode & 0o077 == 0
        standing = say_to(door.path)
        assert standing is not None
        assert (standing["active"], standing["given"], standing["needed"]) == (False, [], 2)
        assert (say_to(door.path, shares["何见证"]) or {})["given"] == ["何见证"]
        assert (say_to(door.path, shares["何见证"]) or {})["error"] == "SHARE_TWICE"
        assert (say_to(door.path, shares["冯保管"]) or {})["active"] is True
        assert holders.pin() == pin
    finally:
        door.close()
    assert doors_of(holders.folder, "ca") == []
    assert say_to(door.path) is None


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"{}\n", b"[]\n", b'{"value": 3}\n', b"[" * 4000 + b"\n", b"x" * 9000]
)
def test_the_door_survives_what_is_no_share(gathered: Any, line: bytes) -> None:
    holders, _pin, _shares = gathered
    door = ActivationDoor(holders)
    try:
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            with short_name(door.path) as name:
                connection.connect(name)
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)
        assert (say_to(door.path) or {})["needed"] == 2
    finally:
        door.close()


# ------------------------------------------------------------------ a token of SoftHSM


@pytest.mark.token
def test_a_token_whose_pin_is_split_waits_and_works_again(tmp_path: Path, softhsm_store: Path) -> None:
    (tmp_path / "softhsm").symlink_to(softhsm_store, target_is_directory=True)
    config = CaConfig(token_label="ca-of-holders")
    first = issuing_token(config, tmp_path / "ca", tmp_path)
    _key, made = first.find_or_make("audit", "p-256")
    assert made
    public, pin, files = new_splitting("ca-of-holders", needed=2, holders=PHRASES)
    split_pin(first, public, pin)
    first.close()
    assert not (tmp_path / "ca" / "token.pin").exists()
    token = issuing_token(config, tmp_path / "ca", tmp_path)
    try:
        with pytest.raises(TokenWaitsError, match="2 of 2"):
            token.check()
        with pytest.raises(HoldersMissingError):
            token.key("audit")
        token.holders.give(open_share(files["何见证"], PHRASES["何见证"]))
        with pytest.raises(TokenWaitsError, match="1 of 2"):
            token.check()
        token.holders.give(open_share(files["郑主持"], PHRASES["郑主持"]))
        token.check()
        assert token.find_or_make("audit", "p-256")[1] is False
        assert token.destroy("audit") is True
        assert token.destroy("audit") is False
    finally:
        token.close()

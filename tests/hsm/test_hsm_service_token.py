"""A service's token: opened at first use, made once, its keys found once, tried again after it was away."""

import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.hsm import (
    KeyAlgorithm,
    KeyExistsError,
    KeyNotFoundError,
    ModuleError,
    PinError,
    PinThrottledError,
    ServiceToken,
    Token,
    TokenConfigError,
    TokenNotFoundError,
    TokenUnavailableError,
    find_module,
    service_token,
)

pytestmark = pytest.mark.token

MakeServiceToken = Callable[..., ServiceToken]
T = datetime(2026, 11, 21, 9, tzinfo=UTC)
ECDSA = ec.ECDSA(hashes.SHA256())


@pytest.fixture
def make(softhsm_store: Path, tmp_path: Path) -> Iterator[MakeServiceToken]:
    """``make()`` is a service's token in the store, not yet opened; closed after the test."""
    made: list[ServiceToken] = []

    def make(label: str | None = None, **changes: Any) -> ServiceToken:
        label = label or f"service-{secrets.token_hex(4)}"
        made.append(ServiceToken(label, tmp_path / f"{label}.pin", **{"store": softhsm_store, **changes}))
        return made[-1]

    yield make
    for token in made:
        token.close()


def test_nothing_happens_before_the_first_use(make: MakeServiceToken, tmp_path: Path) -> None:
    token = make()
    pin_file = tmp_path / f"{token.label}.pin"
    assert not pin_file.exists()
    token.check()
    assert stat.S_IMODE(pin_file.stat().st_mode) == 0o600
    assert token.open() is token.open()


def test_a_key_is_made_once_and_found_once(make: MakeServiceToken, monkeypatch: pytest.MonkeyPatch) -> None:
    token = make()
    key, made = token.find_or_make("signing", "p-256")
    assert made
    again, made_again = token.find_or_make("signing", KeyAlgorithm.P_256)
    assert (again, made_again) == (key, False)

    def asked(*_args: object) -> None:
        raise AssertionError("the token was asked again")

    monkeypatch.setattr(Token, "find_key", asked)
    assert token.key("signing") is key


def test_a_key_that_is_not_there_is_said_and_not_remembered(make: MakeServiceToken) -> None:
    token = make()
    with pytest.raises(KeyNotFoundError):
        token.key("signing")
    token.open().generate_key("signing", KeyAlgorithm.P_256)
    assert token.key("signing") is token.find_or_make("signing", "p-256")[0]


def test_many_threads_open_one_token_and_make_one_key(
    make: MakeServiceToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Token] = []

    def open_and_count(*args: Any, **kwargs: Any) -> Token:
        opened.append(original(*args, **kwargs))
        return opened[-1]

    original = service_token.open_token
    monkeypatch.setattr(service_token, "open_token", open_and_count)
    token, together = make(), threading.Barrier(8)

    def work(_number: int) -> bool:
        together.wait()
        key, made = token.find_or_make("signing", "p-256")
        key.public_key().verify(key.sign(b"data", ECDSA), b"data", ECDSA)
        return made

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(work, range(8))) == [False] * 7 + [True]
    assert len(opened) == 1
    assert token.open().key_labels() == ["signing"]


def test_another_process_that_was_quicker_is_no_fault(
    make: MakeServiceToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make()
    key, _ = first.find_or_make("signing", "p-256")
    second = make(first.label)
    monkeypatch.setattr(Token, "find_key", _blind_once(Token.find_key))
    found, made = second.find_or_make("signing", "p-256")
    assert not made
    assert found.public_key() == key.public_key()


def _blind_once(find_key: Callable[..., Any]) -> Callable[..., Any]:
    """As if the other process made the key right after we had looked."""
    looked: list[str] = []

    def find(self: Token, label: str) -> Any:
        if not looked:
            looked.append(label)
            return None
        return find_key(self, label)

    return find


def test_a_taken_label_of_another_kind_is_refused(make: MakeServiceToken) -> None:
    token = make()
    token.sealing_key("personal-data")
    with pytest.raises(KeyNotFoundError) as caught:
        token.find_or_make("personal-data", "p-256")
    assert isinstance(caught.value.__context__, KeyExistsError)
    assert token.open().key_labels() == []


def test_sealing_keys_are_found_once_too(make: MakeServiceToken) -> None:
    token = make()
    sealed = token.sealing_key("personal-data").seal(b"440300190001010015", b"application 1")
    assert token.sealing_key("personal-data") is token.sealing_key("personal-data")
    assert token.sealing_key("personal-data").unseal(sealed, b"application 1") == b"440300190001010015"


def test_after_close_the_next_use_opens_it_again(make: MakeServiceToken) -> None:
    with make() as token:
        before, _ = token.find_or_make("signing", "p-256")
        first = token.open()
    token.close()  # twice is once
    after = token.key("signing")
    assert token.open() is not first
    assert after is not before
    assert after.public_key() == before.public_key()


def test_a_token_that_cannot_be_opened_is_tried_again(make: MakeServiceToken, tmp_path: Path) -> None:
    """The PIN file is away at the first use and back at the second; nothing was made in between."""
    token = make()
    token.find_or_make("signing", "p-256")
    token.close()
    pin_file = tmp_path / f"{token.label}.pin"
    pin_file.rename(tmp_path / "away")
    for use in (token.open, token.check, lambda: token.key("signing")):
        with pytest.raises(TokenUnavailableError):
            use()
    assert not pin_file.exists()
    (tmp_path / "away").rename(pin_file)
    assert token.key("signing") is not None


def test_a_lost_token_is_not_replaced_by_an_empty_one(make: MakeServiceToken, tmp_path: Path) -> None:
    (tmp_path / "lost.pin").write_text("1234\n")
    (tmp_path / "lost.pin").chmod(0o600)
    with pytest.raises(TokenNotFoundError):
        make("lost").find_or_make("signing", "p-256")


def test_no_empty_store_is_begun_in_place_of_a_lost_one(tmp_path: Path) -> None:
    """The PIN file is there and the store's folder is not: it is away, and must be able to come back."""
    (tmp_path / "ca.pin").write_text("1234\n")
    (tmp_path / "ca.pin").chmod(0o600)
    with pytest.raises(TokenNotFoundError) as caught:
        ServiceToken("ca", tmp_path / "ca.pin", store=tmp_path / "softhsm").check()
    assert caught.value.code == "TOKEN_LOST"
    assert "backup" in caught.value.hint("en")
    assert not (tmp_path / "softhsm").exists()


def test_a_folder_that_cannot_be_made_is_could_not(make: MakeServiceToken, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(TokenUnavailableError) as caught:
        ServiceToken("x", tmp_path / "x.pin", store=tmp_path / "file" / "softhsm").check()
    assert str(tmp_path / "file") in str(caught.value)


def test_an_error_of_the_system_is_translated(
    make: MakeServiceToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", "/secrets/pin")

    monkeypatch.setattr(service_token, "ensure_softhsm_token", refuse)
    with pytest.raises(TokenUnavailableError, match="/secrets/pin: Permission denied"):
        make().check()


def test_a_named_module_is_used_as_it_is(make: MakeServiceToken, softhsm_store: Path, tmp_path: Path) -> None:
    """With a module of one's own nothing is made: the token must be there."""
    ours = make()
    ours.check()
    module = find_module(softhsm_store)
    same = ServiceToken(ours.label, tmp_path / f"{ours.label}.pin", module=module)
    same.find_or_make("signing", "p-256")
    assert ours.key("signing").public_key() == same.key("signing").public_key()
    same.close()
    (tmp_path / "none.pin").write_text("1234\n")
    (tmp_path / "none.pin").chmod(0o600)
    with pytest.raises(TokenNotFoundError):
        ServiceToken("none-of-this-label", tmp_path / "none.pin", module=module).check()
    with pytest.raises(ModuleError):
        ServiceToken("x", tmp_path / "x.pin", module=tmp_path / "missing.so").check()


def test_wrong_settings_are_named_at_first_use(make: MakeServiceToken) -> None:
    with pytest.raises(TokenConfigError) as caught:
        make("x" * 40, sessions=0).check()
    assert len(caught.value.faults) == 2


def test_the_brake_on_wrong_pins_uses_the_given_time(make: MakeServiceToken, tmp_path: Path) -> None:
    label, at = f"brake-{os.urandom(3).hex()}", [T]
    with make(label) as right:
        right.check()
    (tmp_path / "wrong.pin").write_text("000000\n")
    (tmp_path / "wrong.pin").chmod(0o600)
    wrong = ServiceToken(label, tmp_path / "wrong.pin", module=find_module(), now=lambda: at[0])
    with pytest.raises(PinError):
        wrong.check()
    with pytest.raises(PinThrottledError):
        wrong.check()
    at[0] = T + timedelta(seconds=2)
    with pytest.raises(PinError) as caught:
        wrong.check()
    assert not isinstance(caught.value, PinThrottledError)
    right.check()

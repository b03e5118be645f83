"""A person's token: whose PIN is typed at each use, and what becomes of wrong ones."""

import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from onecert.hsm import (
    KeyAlgorithm,
    PersonalToken,
    PinError,
    PinFormError,
    PinsExhaustedError,
    PinThrottledError,
    find_module,
)
from onecert.hsm.personal import WRONG_PINS_MAX

pytestmark = pytest.mark.token
T = datetime(2026, 11, 21, 9, tzinfo=UTC)
PIN = "kettle 42"


@pytest.fixture
def at() -> list[datetime]:
    return [T]


@pytest.fixture
def token(softhsm_store: Path, tmp_path: Path, at: list[datetime]) -> PersonalToken:
    """A token in software with the PIN above."""
    label = f"person-{secrets.token_hex(4)}"
    made = PersonalToken(label, notes=tmp_path, store=softhsm_store, now=lambda: at[0])
    made.make(PIN)
    return made


def test_it_signs_with_its_pin_and_with_no_other(token: PersonalToken, at: list[datetime]) -> None:
    with token.open(PIN) as opened:
        key = opened.generate_key("signing", KeyAlgorithm.ED25519)
        key.public_key().verify(key.sign(b"data"), b"data")  # type: ignore[call-arg]
        with pytest.raises(PinError):  # also while somebody else has it open
            token.open("kettle 43")
    at[0] += timedelta(minutes=10)
    with pytest.raises(PinError):
        token.open("kettle 43")


def test_making_it_again_changes_nothing(token: PersonalToken, at: list[datetime]) -> None:
    token.make("another one")
    with pytest.raises(PinError):
        token.open("another one")
    at[0] += timedelta(minutes=10)
    token.open(PIN).close()


@pytest.mark.parametrize("typed", ["", "123", "1234\n", "x" * 256, "12\x0034"])
def test_what_cannot_be_a_pin_is_not_counted(token: PersonalToken, typed: str) -> None:
    for _ in range(WRONG_PINS_MAX + 1):
        with pytest.raises(PinFormError):
            token.open(typed)
    token.open(PIN).close()


@pytest.mark.parametrize("simple", ["12345", "111111", "123456", "987654", "abcdef"])
def test_a_pin_that_is_easy_to_guess_is_not_taken(token: PersonalToken, simple: str) -> None:
    with pytest.raises(PinFormError):
        token.change_pin(PIN, simple)
    token.open(PIN).close()


def test_its_owner_changes_the_pin(token: PersonalToken, at: list[datetime]) -> None:
    with pytest.raises(PinError):
        token.change_pin("kettle 43", "harbour 77")
    at[0] += timedelta(minutes=10)
    token.change_pin(PIN, "harbour 77")
    token.open("harbour 77").close()
    with pytest.raises(PinError):
        token.open(PIN)


def test_guessing_ends_until_somebody_clears_the_count(token: PersonalToken, at: list[datetime]) -> None:
    """Each wrong PIN doubles the wait; after the last one not even the right PIN is tried."""
    with pytest.raises(PinError) as caught:
        token.open("guess 00")
    assert caught.value.attempts_left == WRONG_PINS_MAX - 1
    with pytest.raises(PinThrottledError):
        token.open(PIN)
    for number in range(1, WRONG_PINS_MAX):
        at[0] += timedelta(minutes=10)
        with pytest.raises(PinError) as caught:
            token.open(f"guess {number:02d}")
    assert caught.value.attempts_left == 0
    at[0] += timedelta(days=10)
    for typed in ("guess 99", PIN):
        with pytest.raises(PinsExhaustedError):
            token.open(typed)
    token.forget_wrong_pins()
    token.open(PIN).close()
    with pytest.raises(PinError) as caught:
        token.open("guess 99")
    assert caught.value.attempts_left == WRONG_PINS_MAX - 1


def test_a_token_of_another_module_counts_in_its_own_folder(
    token: PersonalToken, tmp_path: Path, at: list[datetime], make_token: Callable[..., object]
) -> None:
    make_token()  # the process knows the store
    folder = tmp_path / "notes"
    folder.mkdir()
    same = PersonalToken(token.label, notes=folder, module=find_module(), now=lambda: at[0])
    same.make("123456")  # not ours to make
    with pytest.raises(PinError):
        same.open("guess 00")
    assert list(folder.glob(".pin-*.json"))
    at[0] += timedelta(minutes=1)
    same.forget_wrong_pins()
    same.open(PIN).close()


def test_no_pin_is_logged_or_left_on_the_disk(
    token: PersonalToken, softhsm_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(PinError) as caught:
        token.open("kettle 43")
    token.forget_wrong_pins()
    token.change_pin(PIN, "harbour 77")
    said = caplog.text + str(caught.value) + caught.value.text("zh") + caught.value.hint("en")
    files = [path.read_bytes() for path in softhsm_store.rglob("*") if path.is_file()]
    for pin in (PIN, "kettle 43", "harbour 77"):
        assert pin not in said
        assert not any(pin.encode() in content for content in files)

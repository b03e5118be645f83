"""`onecert ca activation …` on SoftHSM: split, changed, interrupted at every step, and run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ca_fakes import InterruptedActError
from click.testing import CliRunner, Result

from onecert.ca.activation import shares as activation_shares
from onecert.ca.activation.holders import Holders
from onecert.ca.cli import ca
from onecert.ca.commands import activation as cli_activation
from onecert.ca.config import CaConfig
from onecert.ca.errors.activation import ActivationError
from onecert.ca.signatures.tokens import CaToken, issuing_token
from onecert.hsm import ServiceToken
from onecert.server.languages import set_language

pytestmark = pytest.mark.token
NAMES = ("何见证", "郑主持", "冯保管")
OTHERS = ("金接任", "罗接任")
Run = Callable[..., Result]


def label_of(tmp_path: Path) -> str:
    return "ca-" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]


def share_file(tmp_path: Path, act: str, number: int) -> Path:
    return tmp_path / act / f"{label_of(tmp_path)}-{number}.share"


def phrase(name: str) -> str:
    return f"a long passphrase of {name}"


@pytest.fixture
def run(tmp_path: Path, softhsm_store: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on a data folder whose token has one key; what is typed is the argument `typed`."""
    (tmp_path / "data").mkdir()
    # A process has one SoftHSM store; the token is this test's own.
    (tmp_path / "data" / "softhsm").symlink_to(softhsm_store, target_is_directory=True)
    (tmp_path / "settings.toml").write_text(f'[ca]\ntoken_label = "{label_of(tmp_path)}"\n')
    monkeypatch.setattr(activation_shares, "SCRYPT_LOG_N", 10)

    def command(*arguments: str, typed: str = "") -> Result:
        said = [
            "activation",
            *arguments,
            "--data",
            str(tmp_path / "data"),
            "--config",
            str(tmp_path / "settings.toml"),
        ]
        return CliRunner().invoke(ca, said, input=typed, catch_exceptions=True)

    command("status")  # makes the database
    with opened(tmp_path) as token:
        assert token.find_or_make("audit", "p-256")[1]
    return command


class opened:  # noqa: N801 - a context manager
    """The token as a service has it, asking nobody."""

    def __init__(self, tmp_path: Path) -> None:
        self._folder = tmp_path / "data"

    def __enter__(self) -> CaToken:
        config = CaConfig(token_label=label_of(self._folder.parent))
        self._token = issuing_token(config, self._folder / "ca", self._folder)
        return self._token

    def __exit__(self, *_error: object) -> None:
        self._token.close()


def shares(tmp_path: Path, act: str) -> Path:
    folder = tmp_path / act
    folder.mkdir(exist_ok=True)
    return folder


def split(run: Run, tmp_path: Path, *more: str) -> Result:
    names = [part for name in NAMES for part in ("--holder", name)]
    out = ("--needed", "2", "--out", str(shares(tmp_path, "split")))
    typed = "".join(f"{phrase(name)}\n" * 2 for name in NAMES)
    return run("split", "--token", "issuing", *names, *out, *more, typed=typed + given(tmp_path, "split"))


def change(run: Run, tmp_path: Path, *more: str) -> Result:
    names = [part for name in OTHERS for part in ("--holder", name)]
    out = ("--needed", "2", "--out", str(shares(tmp_path, "change")))
    old, new = given(tmp_path, "split"), given(tmp_path, "change", OTHERS)
    typed = "".join(f"{phrase(name)}\n" * 2 for name in OTHERS)
    # The holders of now first; then, where the token has the new PIN already, those of the new splitting.
    half_done = (tmp_path / "new-pin").exists()
    typed = old + (new if half_done else typed)
    return run("change", "--token", "issuing", *names, *out, *more, typed=typed)


def given(tmp_path: Path, act: str, names: tuple[str, ...] = NAMES) -> str:
    """What two holders type who are asked for their shares."""
    files = [share_file(tmp_path, act, number) for number in (1, 2)]
    return "".join(f"{file}\n{phrase(name)}\n" for file, name in zip(files, names, strict=False))


def standing(run: Run) -> dict[str, Any]:
    first: dict[str, Any] = json.loads(run("status").stdout.splitlines()[0])
    return first


def opens_with(tmp_path: Path, act: str, names: tuple[str, ...]) -> bool:
    """Two of these holders open the token and find its key."""
    with opened(tmp_path) as token:
        for number in (1, 2):
            file = share_file(tmp_path, act, number)
            token.holders.give(activation_shares.open_share(file.read_bytes(), phrase(names[number - 1])))
        token.check()
        return token.find_or_make("audit", "p-256")[1] is False


def test_split_and_changed_by_command(run: Run, tmp_path: Path) -> None:
    before = standing(run)
    assert (before["split"], before["holders"], before["interrupted"]) == (False, [], False)
    assert split(run, tmp_path).exit_code == 0
    assert not list(shares(tmp_path, "split").iterdir())  # a dry run
    assert split(run, tmp_path, "--apply").exit_code == 0
    assert (standing(run)["split"], standing(run)["holders"]) == (True, list(NAMES))
    assert not (tmp_path / "data" / "ca" / "token.pin").exists()
    assert opens_with(tmp_path, "split", NAMES)
    assert isinstance(split(run, tmp_path, "--apply").exception, ActivationError)
    done = change(run, tmp_path, "--apply")
    assert done.exit_code == 0, done.output
    assert opens_with(tmp_path, "change", OTHERS)
    assert standing(run)["holders"] == list(OTHERS)


def test_nobody_waits_for_a_share(run: Run, tmp_path: Path) -> None:
    split(run, tmp_path, "--apply")
    file = share_file(tmp_path, "split", 1)
    with set_language("en", "onecert.ca"):
        alone = run("activate", "--token", "issuing", "--share", str(file), typed=f"{phrase(NAMES[0])}\n")
    assert "no service is waiting" in alone.stderr


@pytest.fixture
def interrupt(tmp_path: Path) -> Iterator[Callable[[str], pytest.MonkeyPatch]]:
    """Ends a command at one of its steps, as a power cut would."""
    made = pytest.MonkeyPatch()

    def stop(*_arguments: object, **_more: object) -> Any:
        raise InterruptedActError

    def at(step: str) -> pytest.MonkeyPatch:
        begin = Holders.begin
        write, change_pin = cli_activation.replace_file, ServiceToken.change_pin

        def second_share(path: Path, content: bytes) -> None:
            write(path, content)
            if path.name.endswith("-2.share"):
                raise InterruptedActError

        def begun(self: Holders, public: Any) -> None:
            begin(self, public)
            raise InterruptedActError

        def changed(self: ServiceToken, new: str) -> None:
            """The token has the new PIN; the file of the old one, if there is one, is still there."""
            file = self._pin_file.read_bytes() if self._pin_file.exists() else None
            change_pin(self, new)
            (tmp_path / "new-pin").touch()
            if file is not None and step == "new PIN":
                self._pin_file.touch(mode=0o600)
                self._pin_file.write_bytes(file)
            raise InterruptedActError

        patches: dict[str, tuple[object, str, Any]] = {
            "a share": (cli_activation, "replace_file", second_share),
            "shares": (Holders, "begin", stop),
            "begun": (Holders, "begin", begun),
            "old PIN": (ServiceToken, "change_pin", stop),
            "new PIN": (ServiceToken, "change_pin", changed),
            "no PIN file": (ServiceToken, "change_pin", changed),
        }
        made.setattr(*patches[step])
        return made

    yield at
    made.undo()


STEPS = ("a share", "shares", "begun", "old PIN", "new PIN", "no PIN file")


@pytest.mark.parametrize("step", STEPS)
def test_a_split_that_was_interrupted_is_finished_by_the_same_command(
    run: Run, tmp_path: Path, interrupt: Any, step: str
) -> None:
    patch = interrupt(step)
    assert isinstance(split(run, tmp_path, "--apply").exception, InterruptedActError)
    patch.undo()
    if step not in {"a share", "shares"}:
        assert standing(run)["interrupted"] is True
    if step == "new PIN":
        # The token has a new PIN, and a file still has the old one: its holders are asked, and nobody else.
        names = [part for name in NAMES for part in ("--holder", name)]
        out = ("--needed", "2", "--out", str(shares(tmp_path, "split")), "--apply")
        done = run("split", "--token", "issuing", *names, *out, typed=given(tmp_path, "split"))
    else:
        done = split(run, tmp_path, "--apply")
    assert done.exit_code == 0, done.output
    assert (standing(run)["split"], standing(run)["interrupted"]) == (True, False)
    assert not (tmp_path / "data" / "ca" / "token.pin").exists()
    forget_wrong_pins(tmp_path)
    assert opens_with(tmp_path, "split", NAMES)


@pytest.mark.parametrize("step", STEPS[:-1])  # there is no PIN file
def test_a_change_that_was_interrupted_is_finished_by_the_same_command(
    run: Run, tmp_path: Path, interrupt: Any, step: str
) -> None:
    assert split(run, tmp_path, "--apply").exit_code == 0
    patch = interrupt(step)
    assert isinstance(change(run, tmp_path, "--apply").exception, InterruptedActError)
    patch.undo()
    done = change(run, tmp_path, "--apply")
    assert done.exit_code == 0, done.output
    assert (standing(run)["holders"], standing(run)["interrupted"]) == (list(OTHERS), False)
    forget_wrong_pins(tmp_path)
    assert opens_with(tmp_path, "change", OTHERS)


def forget_wrong_pins(tmp_path: Path) -> None:
    """The brake waits a second after a wrong PIN; a test does not."""
    for note in (tmp_path / "data" / "softhsm").resolve().glob(".pin-*.json"):
        note.unlink()

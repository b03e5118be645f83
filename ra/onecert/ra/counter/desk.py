"""What is kept on the counter's PC, for its user only: the pass, SO PINs, and PINs until their letter is out.

A file for each token, named by its serial number. An SO PIN is random and written before the token gets it,
so that a crash in between loses nothing; a user PIN is forgotten once its letter is printed.
"""

import json
import os
import secrets
import stat
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from onecert.server.errors import ServiceError
from onecert.server.languages import _

__all__ = ["Desk", "DeskError", "Pass", "fresh_label", "label_of", "new_pin"]

PIN_DIGITS = 8
FILE_MODE, FOLDER_MODE = 0o600, 0o700


class DeskError(ServiceError):
    """Something that should be kept on this PC is missing, or others can read it."""

    def __init__(self, code: str, text: str, hint: str, **facts: object) -> None:
        super().__init__(code, status=409, text=text, hint=hint, **facts)


@dataclass(frozen=True)
class Pass:
    """Where the registration is, and the pass for it."""

    ra: str
    given: str
    until: str
    operator: str

    def is_valid(self, at: datetime) -> bool:
        """Whether it still counts."""
        try:
            return at < datetime.fromisoformat(self.until)
        except (ValueError, TypeError):
            return False


def new_pin() -> str:
    """Eight random digits, no run and no repetition: what people can type on any keypad."""
    while True:
        pin = "".join(secrets.choice("0123456789") for _place in range(PIN_DIGITS))
        steps = {ord(after) - ord(before) for before, after in pairwise(pin)}
        if len(steps) > 2 and len(set(pin)) > 4:
            return pin


def label_of(number: str) -> str:
    """How the label of every token for this number begins."""
    return f"OneCert {number} "


def fresh_label(number: str) -> str:
    """A label for a token, at most 32 bytes."""
    return f"{label_of(number)[:27]}{secrets.token_hex(2)}"


class Desk:
    """The folder of one user of the counter's PC."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # --- the pass ---------------------------------------------------------------------------------

    def keep_pass(self, given: Pass) -> None:
        """Keep the pass."""
        self._write("pass.json", json.dumps(asdict(given)))

    def the_pass(self) -> Pass | None:
        """The pass; None: not signed in."""
        text = self._read("pass.json")
        try:
            return Pass(**json.loads(text)) if text else None
        except (ValueError, TypeError):
            return None

    def forget_pass(self) -> None:
        """Sign out on this PC."""
        (self.folder / "pass.json").unlink(missing_ok=True)

    # --- PINs -------------------------------------------------------------------------------------

    def so_pin(self, serial: str) -> str:
        """The SO PIN of a token that was made ready here.

        Raises:
            DeskError: it was made ready elsewhere.
        """
        found = self._read(f"so-pins/{_plain(serial)}")
        if found is None:
            raise DeskError(
                "SO_PIN_UNKNOWN",
                _("This PC does not know the SO PIN of token %(token)s."),
                _("Use the PC on which the token was made ready, or give the SO PIN in a file."),
                token=serial,
            )
        return found

    def keep_so_pin(self, serial: str, so_pin: str) -> None:
        """The SO PIN of a token that came with one."""
        self._write(f"so-pins/{_plain(serial)}", so_pin)

    def begun(self, number: str) -> str | None:
        """The label of a token that is being made ready for this number; None: none is."""
        return self._read(f"making/{_plain(number)}.label")

    def begin(self, number: str) -> tuple[str, str, str]:
        """Label, SO PIN and user PIN for a token that is about to be made ready; the same after a crash.

        The label ends in something random: a token is opened by its label, and a number may come twice.
        """
        if self.begun(number) is None:
            self._write(f"making/{_plain(number)}.so", secrets.token_hex(12))
            self._write(f"making/{_plain(number)}.pin", new_pin())
            self._write(f"making/{_plain(number)}.label", fresh_label(number))
        found = [self._read(f"making/{_plain(number)}.{ending}") for ending in ("label", "so", "pin")]
        label, so_pin, pin = (text or "" for text in found)
        return label, so_pin, pin

    def made(self, number: str, serial: str) -> None:
        """The token is ready: its PINs are kept under its serial number."""
        _label, so_pin, pin = self.begin(number)
        self._write(f"so-pins/{_plain(serial)}", so_pin)
        self._write(f"pins/{_plain(serial)}", pin)
        for ending in ("label", "so", "pin"):
            (self.folder / f"making/{_plain(number)}.{ending}").unlink(missing_ok=True)

    def keep_pin(self, serial: str, pin: str) -> None:
        """A user PIN, until its letter is printed."""
        self._write(f"pins/{_plain(serial)}", pin)

    def pin(self, serial: str) -> str | None:
        """The user PIN of a token whose letter is still to come."""
        return self._read(f"pins/{_plain(serial)}")

    def forget_pin(self, serial: str) -> None:
        """The letter is out: nobody but the holder has it."""
        path = self.folder / f"pins/{_plain(serial)}"
        if path.exists():
            path.write_bytes(b"\0" * path.stat().st_size)
            path.unlink()

    # --- files ------------------------------------------------------------------------------------

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    def _read(self, name: str) -> str | None:
        path = self.folder / name
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        if mode & 0o077:
            raise DeskError(
                "DESK_OPEN",
                _("Others on this PC can read %(file)s."),
                _("Take their rights away (chmod 600), and count the PIN in it as known."),
                file=str(path),
            )
        return text


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


def _plain(text: str) -> str:
    """A serial number as the name of a file."""
    return "".join(char for char in text.upper() if char.isalnum() or char == "-")[:64] or "-"

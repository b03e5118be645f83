"""A token whose PIN nobody knows alone: k of n holders together unlock it (k at least 2).

The PIN is drawn at random when it is split, set on the token, and written nowhere: in the data folder lies
only who the holders are and a value by which the restored PIN is recognised. A service keeps the PIN in its
memory while it runs; a command while it runs. Shares that were given wait for the others a quarter of an
hour and are then forgotten.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from onecert.ca.activation.secret_shares import combine, split
from onecert.ca.activation.shares import Share, seal_share
from onecert.ca.errors.activation import ActivationError, ShareError, TokenWaitsError
from onecert.hsm import TokenUnavailableError
from onecert.hsm.store import replace_file
from onecert.server.languages import _

__all__ = ["Holders", "HoldersMissingError", "Splitting", "new_splitting", "read_splitting"]

HOLDERS_MAX = 16
SHARES_KEPT = timedelta(minutes=15)


class HoldersMissingError(TokenUnavailableError):
    """The token waits for its holders; hsm's error, for those who use keys."""

    def __init__(self, label: str, given: int, needed: int) -> None:
        self.given, self.needed = given, needed
        super().__init__(label=label, reason=f"waiting for {needed - given} of {needed} holders")


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """What is public about a split PIN."""

    token: str
    split: str
    needed: int
    holders: tuple[str, ...]
    check: str

    def is_pin(self, pin: bytes) -> bool:
        """Whether this is the PIN that was split."""
        return hmac.compare_digest(self.check, _check_value(self.split, pin))

    def as_json(self) -> bytes:
        content = {**vars(self), "format": 1, "holders": list(self.holders)}
        return (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _check_value(split_id: str, pin: bytes) -> str:
    # The PIN has 128 random bits: nobody finds it by trying values.
    return hmac.new(bytes.fromhex(split_id), b"onecert-activation" + pin, hashlib.sha256).hexdigest()


def read_splitting(path: Path) -> Splitting | None:
    """Read what is public about a split PIN; None when it is not split.

    Raises:
        ActivationError: the file is there and cannot be read. It is never taken for "not split".
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        del data["format"]
        return Splitting(**(data | {"holders": tuple(data["holders"])}))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ActivationError(_("The file %(file)s cannot be read."), file=str(path)) from exc


def new_splitting(
    token: str, *, needed: int, holders: Mapping[str, str]
) -> tuple[Splitting, str, dict[str, bytes]]:
    """Draw a PIN and split it.

    Args:
        holders: the passphrase of each.

    Returns:
        what is public, the PIN, and the share file of each holder.

    Raises:
        ActivationError: fewer than two needed, more than there are, or passphrases that are short or alike.
    """
    if not 2 <= needed <= len(holders) <= HOLDERS_MAX:
        raise ActivationError(
            _("At least 2 holders are needed, at most as many as there are, and there are at most %(most)s."),
            most=HOLDERS_MAX,
        )
    if len(set(holders.values())) != len(holders):
        raise ActivationError(_("Each holder needs a passphrase of their own."))
    pin, split_id = secrets.token_hex(16), secrets.token_hex(16)
    values = split(pin.encode(), needed=needed, count=len(holders))
    files = {
        holder: seal_share(
            Share(token=token, split=split_id, holder=holder, number=number, value=values[number]), passphrase
        )
        for number, (holder, passphrase) in enumerate(holders.items(), start=1)
    }
    public = Splitting(
        token=token,
        split=split_id,
        needed=needed,
        holders=tuple(holders),
        check=_check_value(split_id, pin.encode()),
    )
    return public, pin, files


class Holders:
    """The holders of one token: gathers their shares, keeps the PIN once it is restored. Thread-safe.

    Args:
        label: of the token.
        folder: `activation` in the data folder.
        now: the time in UTC.
        pin_file: of the token, while its PIN is not split.
    """

    def __init__(
        self, label: str, folder: Path, now: Callable[[], datetime], pin_file: Path | None = None
    ) -> None:
        self.label = label
        self.pin_file = pin_file
        self.folder = folder
        self.path = folder / f"{label}.json"
        self.pending_path = folder / f"{label}.pending.json"
        # A command asks the people at its terminal; a service waits for its door.
        self.ask: Callable[[Splitting], Sequence[Share]] | None = None
        self._now = now
        self._lock = threading.RLock()
        self._given: dict[str, tuple[datetime, Share]] = {}
        self._pin: tuple[str, str] | None = None  # of which splitting

    def splitting(self) -> Splitting | None:
        """What is public, when the PIN is split.

        A new splitting that was interrupted is not in force yet, but for the first one once the PIN file is
        gone: that goes after the token has the new PIN.
        """
        public = read_splitting(self.path)
        if public is None and self.pin_file is not None and not self.pin_file.exists():
            return self.pending()
        return public

    def pending(self) -> Splitting | None:
        """A splitting whose PIN the token has, or was to have, when the command was interrupted."""
        return read_splitting(self.pending_path)

    def pin(self) -> str | None:
        """The PIN, restored; None when it is not split and lies in its file.

        Raises:
            HoldersMissingError: too few have come.
            ShareError: of those who were asked.
        """
        with self._lock:
            public = self.splitting()
            if public is None:
                return None
            if (self._pin is None or self._pin[0] != public.split) and self.ask is not None:
                for share in self.ask(public):
                    self.give(share)
            if self._pin is None or self._pin[0] != public.split:
                raise HoldersMissingError(self.label, len(self.given()), public.needed)
            return self._pin[1]

    def given(self) -> tuple[str, ...]:
        """Who has come, while others are awaited."""
        with self._lock:
            since = self._now() - SHARES_KEPT
            self._given = {holder: entry for holder, entry in self._given.items() if entry[0] > since}
            return tuple(self._given)

    def is_active(self) -> bool:
        """Whether the PIN is at hand."""
        public = self.splitting()
        return public is None or (self._pin is not None and self._pin[0] == public.split)

    def give(self, share: Share) -> bool:
        """Take the share of one holder; tell whether the PIN is restored with it.

        Raises:
            ShareError: of another token or an older splitting, or of somebody who has come already.
        """
        with self._lock:
            public = self.splitting()
            if public is None or share.token != self.label or share.split != public.split:
                raise ShareError(
                    "SHARE_FOREIGN", _("This share is of another token, or of an earlier splitting.")
                )
            if share.holder not in public.holders:
                raise ShareError("SHARE_FOREIGN", _("Nobody of that name is a holder of this token."))
            if self.is_active():
                return True
            known = {entry[1].number for entry in self._given.values()}
            if share.holder in self.given() or share.number in known:
                text = _("%(holder)s has come already; another holder is needed.")
                raise ShareError("SHARE_TWICE", text, holder=share.holder)
            self._given[share.holder] = (self._now(), share)
            if len(self._given) < public.needed:
                return False
            shares = {entry[1].number: entry[1].value for entry in self._given.values()}
            self._given = {}
            self._pin = public.split, restored(public, shares)
            return True

    def missing(self) -> TokenWaitsError:
        """The error that says for how many holders this token waits."""
        public = self.splitting()
        return TokenWaitsError(self.label, len(self.given()), public.needed if public else 0)

    def begin(self, public: Splitting) -> None:
        """Put a new splitting on disk, before the token has its PIN."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self.pending_path, public.as_json())

    def give_up(self) -> None:
        """Forget a splitting whose PIN the token never had."""
        self.pending_path.unlink(missing_ok=True)

    def check_shares(self, public: Splitting) -> None:
        """Ask the holders of a splitting at the terminal, and check that their shares give its PIN.

        Raises:
            ShareError
        """
        asked = self.ask(public) if self.ask is not None else ()
        shares = {each.number: each.value for each in asked if each.split == public.split}
        if len(shares) < public.needed:
            raise ShareError(
                "SHARE_FOREIGN", _("This share is of another token, or of an earlier splitting.")
            )
        restored(public, shares)

    def put_in_force(self) -> None:
        """From now on the new splitting counts; the PIN file, if there still is one, is of the old PIN."""
        if self.pin_file is not None:
            self.pin_file.unlink(missing_ok=True)
        self.pending_path.replace(self.path)
        with self._lock:
            self._given, self._pin = {}, None


def restored(public: Splitting, shares: Mapping[int, bytes]) -> str:
    """Restore the PIN.

    Raises:
        ShareError: these shares, though each is whole, do not give it; all of them must be given anew.
    """
    try:
        pin = combine(shares)
    except ValueError:
        pin = b""
    if not public.is_pin(pin):
        raise ShareError("SHARE_WRONG", _("These shares do not give the PIN; all holders begin anew."))
    return pin.decode("ascii")

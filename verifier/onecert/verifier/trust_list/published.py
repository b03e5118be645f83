"""From the published files to the list in use: roots walked one by one, the timestamp, then the list.

Where the files come from is handed in: a function from a name to octets, over HTTP, from a folder, or out of
a bundle. What is accepted is remembered all together or not at all; a newer root alone is remembered at once,
because it may say that the key of the timestamp has been stolen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from onecert.verifier.arguments import check_kind
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.trust_list.errors import TrustListUnavailableError
from onecert.verifier.trust_list.load import check_current, load_trust_list, seen_list
from onecert.verifier.trust_list.model import TrustList
from onecert.verifier.trust_list.roles import Role
from onecert.verifier.trust_list.root import ROOT_MAX_BYTES, TrustRoot, check_root_current, next_trust_root
from onecert.verifier.trust_list.state import TrustState
from onecert.verifier.trust_list.timestamp import (
    TIMESTAMP_MAX_BYTES,
    TrustTimestamp,
    check_timestamp_current,
    load_trust_timestamp,
)
from onecert.verifier.trust_list.vocabulary import MAX_BYTES

__all__ = [
    "LIST_FILE",
    "ROOT_FILE",
    "TIMESTAMP_FILE",
    "GetFile",
    "KeepFile",
    "PublishedTrust",
    "TrustedParts",
    "load_trusted_list",
    "root_file",
]

ROOT_FILE = "trust-root.json"
TIMESTAMP_FILE = "trust-timestamp.json"
LIST_FILE = "trust-list.json"
# One update walks so many at most, and the next one goes on from there.
_ROOTS_MAX = 32

# The file of a name, of at most so many octets; CouldNotCheckError when it cannot be had.
GetFile = Callable[[str, int], bytes]
KeepFile = Callable[[str, bytes], None]
Files = dict[str, bytes]


def root_file(version: int) -> str:
    """The name under which each version of the root stays published."""
    return f"trust-roots/{version}.json"


@dataclass(frozen=True, kw_only=True)
class TrustedParts:
    """Parts that belong together."""

    root: TrustRoot
    timestamp: TrustTimestamp
    trust_list: TrustList


def load_trusted_list(
    data: bytes,
    *,
    root: TrustRoot,
    timestamp: bytes | None = None,
    at: datetime,
    state: TrustState | None = None,
    grace: timedelta = timedelta(0),
) -> TrustList:
    """Check and read a signed list that came by hand, together with its timestamp.

    Args:
        data: the signed list, at most 16 MiB.
        root: the newest root at hand.
        timestamp: the signed timestamp. Without it the list has the warning ``TRUST_LIST_NO_TIMESTAMP``: one
            that was replaced long ago is accepted until its own end.
        state: what was seen before; without it an older list is accepted.
        grace: so long after the end of the timestamp the list is accepted, with ``TRUST_TIMESTAMP_GRACE``.

    Raises:
        TrustListError: as ``load_trust_list`` and ``load_trust_timestamp``.
        TrustListUnavailableError: a part is over, or they do not belong together (TRUST_PARTS_MIXED).
    """
    check_root_current(root, at)
    seen = {Role.ROOT: root.seen}
    stamp = None
    warnings: tuple[str, ...] = ("TRUST_LIST_NO_TIMESTAMP",)
    if timestamp is not None:
        stamp = load_trust_timestamp(timestamp, root=root)
        warnings = check_timestamp_current(stamp, at, grace=grace)
        seen[Role.TIMESTAMP] = stamp.seen
    trust_list = load_trust_list(data, keys=root.list_keys, at=at, timestamp=stamp)
    if state is not None:
        state.advance({**seen, Role.LIST: seen_list(trust_list, root.list_keys)})
    return replace(trust_list, warnings=warnings)


class PublishedTrust:
    """The parts at hand, and how they are replaced. One thread updates at a time; all may ask.

    Args:
        root: the one that a person has compared with the printed fingerprint, or any later one.
        state: what was seen before, by this process and others.
        grace: so long after the end of the timestamp the list is still used, with a warning.
    """

    def __init__(self, root: TrustRoot, *, state: TrustState, grace: timedelta = timedelta(0)) -> None:
        check_kind(root, TrustRoot, "root")
        check_kind(grace, timedelta, "grace")
        self._root = root
        self._state = state
        self._grace = grace
        self._walked: tuple[bytes, ...] = ()
        self._parts: TrustedParts | None = None
        self._shown: TrustList | None = None
        self._failure: VerifyError | None = None

    @property
    def root(self) -> TrustRoot:
        """The newest root at hand; it may have expired."""
        return self._root

    def update(self, get: GetFile, at: datetime, *, keep: KeepFile | None = None) -> None:
        """Take what is published, if it is newer and may be used now; otherwise what is at hand stays.

        Args:
            keep: stores what was accepted, under the same names.

        Raises:
            VerifyError: what is published cannot be had, or is refused.
        """
        try:
            self._update(get, at, keep)
        except VerifyError as exc:
            # What was refused explains more than that something could not be had besides.
            if self._failure is None or _is_absence(self._failure) or not _is_absence(exc):
                self._failure = exc
            raise
        self._failure = None

    def _update(self, get: GetFile, at: datetime, keep: KeepFile | None) -> None:
        # 1. The timestamp is fetched first: what is published while we read is then not missing from it.
        stamped = get(TIMESTAMP_FILE, TIMESTAMP_MAX_BYTES)
        # 2. The newest root says who signs the rest.
        self._walk(get, keep)
        root = self._root
        check_root_current(root, at)
        # 3. The timestamp, and what it names. What was read under another root is read again.
        timestamp = load_trust_timestamp(stamped, root=root)
        check_timestamp_current(timestamp, at, grace=self._grace)
        parts, listed = self._parts, None
        if parts is not None and parts.timestamp.list == timestamp.list:
            trust_list = parts.trust_list
            check_current(trust_list, at)
        else:
            listed = get(LIST_FILE, MAX_BYTES)
            trust_list = replace(
                load_trust_list(listed, keys=root.list_keys, at=at, timestamp=timestamp), roots=self._walked
            )

        files = {TIMESTAMP_FILE: stamped} if listed is None else {LIST_FILE: listed, TIMESTAMP_FILE: stamped}
        # 4. Nothing of it goes back behind what was seen.
        seen = {
            Role.ROOT: root.seen,
            Role.TIMESTAMP: timestamp.seen,
            Role.LIST: seen_list(trust_list, root.list_keys),
        }
        self._state.advance(seen, keep=lambda: _keep_all(keep, files))
        self._parts = TrustedParts(root=root, timestamp=timestamp, trust_list=trust_list)

    def _walk(self, get: GetFile, keep: KeepFile | None) -> None:
        walked: Files = {}
        root = self._root
        try:
            while len(walked) < _ROOTS_MAX:
                name = root_file(root.version + 1)
                try:
                    data = get(name, ROOT_MAX_BYTES)
                except CouldNotCheckError:
                    break  # usually there is none; whether one is held back, the timestamp says
                root = next_trust_root(root, data)
                walked[name] = data
        finally:
            # One step for all: others may have gone further than our first steps. A walk that ends before
            # what they have seen is refused here.
            self._state.advance({Role.ROOT: root.seen}, keep=lambda: _keep_all(keep, walked))
            # Only now: one that is another than was seen leads nowhere, and what is at hand serves on.
            if walked:
                self._root, self._parts = root, None
                self._walked += tuple(walked.values())

    def parts(self, at: datetime) -> TrustedParts:
        """The parts at hand, if all of them may be used now; the grace is not looked at here.

        Raises:
            VerifyError: see ``current``.
        """
        parts = self._parts
        if parts is None:
            failure = self._failure
            if failure is None or _is_absence(failure):
                raise TrustListUnavailableError("TRUST_LIST_MISSING", detail=str(failure or "-")[:300])
            raise failure.with_traceback(None)
        check_root_current(parts.root, at)
        check_current(parts.trust_list, at)
        return parts

    def current(self, at: datetime) -> TrustList:
        """The list at hand, with ``warnings`` about its freshness.

        Raises:
            TrustListUnavailableError: it, its root or its timestamp is over: TRUST_LIST_EXPIRED,
                TRUST_ROOT_EXPIRED, TRUST_TIMESTAMP_EXPIRED; or there is none: TRUST_LIST_MISSING.
            VerifyError: there is none, because what came was refused.
        """
        parts = self.parts(at)
        warnings = check_timestamp_current(parts.timestamp, at, grace=self._grace)
        if not warnings:
            return parts.trust_list
        shown = self._shown
        # One object for as long as it is the same list: much is remembered for it elsewhere.
        if shown is None or (shown.sha256, shown.warnings) != (parts.trust_list.sha256, warnings):
            self._shown = shown = replace(parts.trust_list, warnings=warnings)
        return shown


def _keep_all(keep: KeepFile | None, files: Files) -> None:
    for name, data in files.items():
        if keep is not None:
            keep(name, data)


def _is_absence(error: VerifyError) -> bool:
    return error.code == "TRUST_LIST_MISSING" or error.code.startswith("FETCH_")

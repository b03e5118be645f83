"""Revocation lists of attribute authorities from their addresses, fetched when a certificate asks for one.

The address of a source of authority stands in the signed rules. That of a sub-authority is what the
repository says, but only below the same folder of addresses: a repository that lies cannot make us ask
elsewhere. A list counts for the authority whose key signed it, whatever address it came from.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from onecert.verifier.attribute_certificate.acrl import MAX_BYTES, RevocationList, load_revocation_list
from onecert.verifier.attribute_certificate.trust import AttributeTrust, TrustedAuthority
from onecert.verifier.enforce.online.refreshed import Refreshed
from onecert.verifier.errors import RefusedError, VerifyError
from onecert.verifier.fetch.transfer import Fetch

__all__ = ["OnlineLists"]

MAX_AUTHORITIES = 1000
_Key = tuple[bytes, bytes]


class OnlineLists:
    """A ``StatusSource`` with the lists of one city. Safe to share between threads.

    Args:
        every: how old a list may be before it is asked for again; so long a revocation may go unnoticed.
    """

    def __init__(self, fetch: Fetch, *, every: timedelta) -> None:
        self._fetch, self._every = fetch, every
        self._lists: dict[_Key, Refreshed[RevocationList]] = {}
        self._folders: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def learn_sources(self, sources: Iterable[tuple[TrustedAuthority, str]]) -> None:
        """Take the addresses of the sources of authority: from the signed rules."""
        known = list(sources)
        self._folders = frozenset(_folder(url) for _, url in known)
        for authority, url in known:
            self._learn(authority, url)

    def learn_delegates(self, delegates: Iterable[tuple[TrustedAuthority, str]]) -> None:
        """Take the addresses of sub-authorities: hints, asked only below the folders of the sources."""
        for authority, url in delegates:
            if _key(authority) in self._lists or len(self._lists) < MAX_AUTHORITIES:
                self._learn(authority, url)

    def find_list(self, authority: TrustedAuthority) -> RevocationList | None:
        """See ``StatusSource``: what is at hand, without asking anybody."""
        found = self._lists.get(_key(authority))
        return None if found is None else found.at_hand

    def find_lists(self, authority: TrustedAuthority, at: datetime) -> Sequence[RevocationList]:
        """See ``ListHistory``: the newest, asked for when it is due; none when its address is silent."""
        found = self._lists.get(_key(authority))
        if found is None or _folder(found.url) not in self._folders:
            return ()
        try:
            return (found.current(at),)
        except VerifyError:
            return ()

    def _learn(self, authority: TrustedAuthority, url: str) -> None:
        key = _key(authority)
        with self._lock:
            known = self._lists.get(key)
            if known is not None and known.url == url:
                return
            self._lists[key] = Refreshed(
                url,
                lambda data, before: _read(data, before, authority),
                fetch=self._fetch,
                every=self._every,
                max_bytes=MAX_BYTES,
            )


def _read(data: bytes, before: RevocationList | None, authority: TrustedAuthority) -> RevocationList:
    found = load_revocation_list(data, AttributeTrust(authorities=(authority,)))
    if before is not None and found.number < before.number:
        raise RefusedError("ACRL_BACKWARDS", number=found.number, known=before.number)
    return found


def _key(authority: TrustedAuthority) -> _Key:
    return authority.name_der, authority.public_key_der


def _folder(url: str) -> str:
    return url.rpartition("/")[0]

"""The lists that a draft points to, read from their addresses the way departments read them.

For previews of effects only. Copies lie in a folder of their own, one for each address and root.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from onecert.server.clock import Clock
from onecert.supervision.effect import PointedLists
from onecert.verifier.errors import VerifyError
from onecert.verifier.fetch import Fetch, follow_by_url
from onecert.verifier.trust_list import TrustList
from onecert.verifier.trust_list.pointer import Pointer

__all__ = ["pointed_lists"]


def pointed_lists(folder: Path, *, clock: Clock, fetch: Fetch) -> PointedLists:
    """What ``find_effect`` asks for lists; an error is the reason why one cannot be used now."""

    def find(pointer: Pointer) -> TrustList | VerifyError:
        assert pointer.terms is not None  # noqa: S101  only those are followed
        which = f"{pointer.location} {pointer.terms.root.sha256}".encode()
        place = folder / hashlib.sha256(which).hexdigest()[:16]
        try:
            follow = follow_by_url(place / "copies", state_folder=place / "state", fetch=fetch)
            return follow(pointer).current(clock.now())
        except VerifyError as exc:
            return exc

    return find

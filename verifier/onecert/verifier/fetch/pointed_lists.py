"""Other lists from the addresses that our own points to, each with a folder and a memory of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from onecert.verifier.fetch.transfer import Fetch
from onecert.verifier.fetch.trust_list_url import TrustListUrl
from onecert.verifier.trust_list.load import TrustListSource
from onecert.verifier.trust_list.pointer import Pointer
from onecert.verifier.trust_list.state import FileState

__all__ = ["follow_by_url"]


def follow_by_url(
    folder: Path | str,
    *,
    state_folder: Path | str,
    fetch: Fetch | None = None,
    every: timedelta = timedelta(hours=1),
) -> Callable[[Pointer], TrustListSource]:
    """For ``PointedTrustLists``: each list from its address, checked from the root that our list names.

    Args:
        folder: for the copies; each list has a folder of its name there.
        state_folder: for what was seen of each list, apart from the copies.
        fetch, every: as for ``TrustListUrl``.
    """

    def follow(pointer: Pointer) -> TrustListSource:
        terms = pointer.terms
        if terms is None:
            raise ValueError("a pointer without terms cannot be followed")
        return TrustListUrl(
            pointer.location,
            root=terms.root,
            folder=Path(folder) / terms.id,
            state=FileState(Path(state_folder) / f"{terms.id}.json"),
            fetch=fetch,
            every=every,
        )

    return follow

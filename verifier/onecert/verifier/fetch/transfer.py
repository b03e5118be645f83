"""What a transfer over the network is asked and what it answers; whoever has a network of its own kind
implements ``Fetch``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol

__all__ = ["Fetch", "FetchAnswer", "FetchRequest"]


@dataclass(frozen=True, kw_only=True)
class FetchRequest:
    """One GET, or a POST when there is a body.

    Args:
        max_bytes: a longer answer is refused, whatever the server says about its length.
        body: sent by POST, with its media type ``content_type``.
        etag, last_modified: of the copy at hand, as the server gave them; the answer may then be "not
            modified".
        timeout: for everything together; the fetcher's own limit holds besides.
        into: a file for the body, which is too large for memory. What has come stays in it when the transfer
            breaks off. A fetcher that cannot do so answers with ``data``.
        start: how much of the body the file has already; the server is asked for the rest, and the file
            begins anew when it sends everything.
    """

    url: str
    max_bytes: int
    body: bytes | None = None
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    timeout: timedelta | None = None
    into: BinaryIO | None = None
    start: int = 0


@dataclass(frozen=True, kw_only=True)
class FetchAnswer:
    """What came.

    Args:
        data: the whole body, or nothing when it went ``into`` a file; ``None`` says that the copy at hand is
            still the current one.
        content_type: as the server says; nothing is concluded from it.
        etag, last_modified: to be sent with the next request; empty when the server gave none.
        max_age: how long the server wants its answer to be kept (RFC 9111, section 5.2.2.1); zero for "do
            not keep it", ``None`` when it does not say.
        date: what the server's clock said, in whole seconds (RFC 9110, section 6.6.1); ``None`` when it does
            not say, or when a cache on the way has kept the answer.
    """

    data: bytes | None
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    max_age: timedelta | None = None
    date: datetime | None = None


class Fetch(Protocol):
    """Carries out one request; raises ``CouldNotCheckError`` (``FETCH_…``) for every failure."""

    def __call__(self, request: FetchRequest) -> FetchAnswer: ...

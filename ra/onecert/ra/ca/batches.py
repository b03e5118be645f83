"""The CA's batches over HTTP: many orders under one signature.

A signed head names the lines of its parts by number and hash; the parts follow, and the results are fetched
chunk by chunk. Each call may be repeated and changes nothing then. Outcomes are those of `client.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onecert.ra.ca.client import JOSE_JSON, CaClient
from onecert.ra.ca.errors import CaAnswerError
from onecert.ra.orders.documents import timestamp

__all__ = [
    "BATCH_TYP",
    "CANCELLED",
    "CLOSED",
    "DONE",
    "RESULTS_TYP",
    "BatchProgress",
    "BatchResults",
    "BatchWire",
    "head_payload",
    "question_payload",
]

BATCH_TYP = "onecert-batch+json"
RESULTS_TYP = "onecert-batch-results+json"
# States of a batch at the CA in which nothing more happens.
DONE, CANCELLED = "done", "cancelled"
CLOSED = "BATCH_CLOSED"


@dataclass(frozen=True, kw_only=True)
class BatchProgress:
    """How far the CA is; `missing` are the numbers of parts that have not arrived, from 1."""

    state: str
    missing: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class BatchResults:
    """The answers to the next lines, without a gap."""

    lines: Sequence[Mapping[str, Any]]
    state: str


class BatchWire:
    """Opens, fills and asks; on the wire of a `CaClient`."""

    def __init__(self, client: CaClient) -> None:
        self._client = client

    def open(self, document: bytes) -> BatchProgress:
        """Post a signed head."""
        return _progress(
            self._client.call("POST", "v1/batches", content=document, headers={"Content-Type": JOSE_JSON})
        )

    def add_part(self, number: str, part: int, lines: bytes) -> BatchProgress:
        """Bring the lines of a part, each with its line feed."""
        return _progress(self._client.call("PUT", f"v1/batches/{number}/parts/{part}", content=lines))

    def results(self, document: bytes) -> BatchResults:
        """Ask a signed question for the results after a line."""
        *lines, last = self._client.call_for_lines("v1/batches/results", document) or [{}]
        try:
            first = last["after"] - len(lines) + 1
            if [line["line"] for line in lines] != list(range(first, last["after"] + 1)):
                raise CaAnswerError("POST /ca/v1/batches/results")
            return BatchResults(lines=lines, state=str(last["state"]))
        except (KeyError, TypeError) as exc:
            raise CaAnswerError("POST /ca/v1/batches/results") from exc


def head_payload(
    number: str, parts: Sequence[Mapping[str, Any]], *, registration_authority: str, at: datetime
) -> dict[str, Any]:
    """The head of a batch; a part is `{"lines": N, "sha256": hex}`."""
    return {
        "batch": number,
        "registration_authority": registration_authority,
        "created_at": timestamp(at),
        "parts": list(parts),
    }


def question_payload(number: str, *, after: int, registration_authority: str, at: datetime) -> dict[str, Any]:
    """The question for the results of the lines after this one."""
    return {
        "batch": number,
        "registration_authority": registration_authority,
        "created_at": timestamp(at),
        "after": after,
    }


def _progress(body: Mapping[str, Any]) -> BatchProgress:
    try:
        return BatchProgress(state=str(body["state"]), missing=[int(part) for part in body["missing"]])
    except (KeyError, TypeError, ValueError) as exc:
        raise CaAnswerError("POST /ca/v1/batches") from exc

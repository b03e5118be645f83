"""The status of a service: entries of its history, each with its terms."""

from __future__ import annotations

from itertools import pairwise

from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.errors import TrustListError
from onecert.verifier.trust_list.fields import read_extensions
from onecert.verifier.trust_list.model import StatusEntry

__all__ = ["check_history", "read_history_entry", "read_status_entry"]


def read_history_entry(node: Node) -> StatusEntry:
    with node:
        extensions = read_extensions(node, "ServiceInformationExtensions", known=(v.EXT_STATUS_TERMS,))
        return read_status_entry(node, extensions.get(v.EXT_STATUS_TERMS))


def read_status_entry(node: Node, terms: Node | None) -> StatusEntry:
    status = v.STATUS_BY_URI[node.choice("ServiceStatus", v.STATUS_BY_URI)]
    start = node.time("StatusStartingTime")
    if terms is None:
        return StatusEntry(status=status, start=start)
    with terms:
        entry = StatusEntry(
            status=status,
            start=start,
            accept_existing=terms.choice("on_suspend", {"refuse", "accept_existing"}, default="refuse")
            == "accept_existing",
            existing_until=terms.time("existing_until", default=None),
            taken_over_by=terms.text("taken_over_by", default=None, max_length=64),
        )
    if entry.accept_existing and status is not v.Status.SUSPENDED:
        raise StrictJsonError(terms.where, "on_suspend belongs to suspended")
    if entry.existing_until and status not in (v.Status.WITHDRAWN, v.Status.TERMINATED):
        raise StrictJsonError(terms.where, "existing_until belongs to withdrawn or terminated")
    return entry


def check_history(service_id: str, history: list[StatusEntry]) -> None:
    """The history begins with a grant, no two entries start together, and a compromised key stays so.

    Raises:
        TrustListError: TRUST_LIST_HISTORY.
    """
    problem = ""
    if history[0].status is not v.Status.GRANTED:
        problem = "the first status must be granted"
    for earlier, later in pairwise(history):
        if earlier.start == later.start:
            problem = "two statuses start at the same time"
        if earlier.status is v.Status.KEY_COMPROMISED:
            problem = "nothing can follow key_compromised"
    if problem:
        raise TrustListError("TRUST_LIST_HISTORY", service=service_id, detail=problem)

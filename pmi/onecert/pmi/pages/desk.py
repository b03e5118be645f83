"""The desk: what waits for me, and what somebody should see to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from flask import Blueprint, render_template, url_for

from onecert.pmi.grants.acts import OFFICER
from onecert.pmi.pages.common import WATCHERS
from onecert.pmi.pages.waiting import COUNT_LIMIT, find_trouble, list_waiting
from onecert.pmi.parts import Parts
from onecert.server.web import current_operator, requires_role

__all__ = ["blueprint"]

# Where each number leads: the endpoint and what it is asked.
LINKS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "approve": ("grants.index", {"state": "waiting"}),
        "own": ("grants.index", {"state": "waiting"}),
        "ending": ("certificates.index", {"expiring_days": 30}),
        "delegations": ("grants.index", {"state": "waiting"}),
        "batches": ("batches.index", {"state": "waiting"}),
        "rebinding": ("rebinding.index", {}),
        "held": ("certificates.index", {"status": "held"}),
    }
)
LONG = timedelta(days=3)
ACCOUNT_ENDS_SOON = timedelta(days=30)


def blueprint(parts: Parts) -> Blueprint:
    """The home page of the service."""
    pages = Blueprint("home", __name__)
    database, clock = parts.context.database, parts.context.clock

    @pages.get("/")
    @requires_role(*WATCHERS)
    def index() -> str:
        operator, now = current_operator(), clock.now()
        with database.reading() as connection:
            waiting = list_waiting(connection, operator, now)
            trouble = find_trouble(parts, connection, now)
        tiles = [(each, _link(each.name), _kind(each.oldest, now)) for each in waiting]
        return render_template(
            "desk.html",
            tiles=tiles,
            at_most=COUNT_LIMIT,
            is_all_done=not any(each.count for each in waiting),
            trouble=trouble,
            may_request=operator.has_role(OFFICER),
            ends_soon=operator.valid_until - now < ACCOUNT_ENDS_SOON,
            operator=operator,
        )

    return pages


def _kind(oldest: datetime | None, now: datetime) -> str:
    return "warning" if oldest is not None and now - oldest > LONG else ""


def _link(name: str) -> str:
    endpoint, query = LINKS[name]
    return url_for(endpoint, **query)

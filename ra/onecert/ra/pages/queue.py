"""The work queue: what waits for whom, and the search for applications."""

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.records import count_by_state, list_applications
from onecert.ra.life.machine import State
from onecert.ra.operators.roles import ENTRY, REVIEW
from onecert.ra.pages.common import find_idcard, the_operator, the_ra
from onecert.server.operators import Operator

__all__ = ["TO_ENTER", "add_to"]

# What a role looks at first when it opens the queue.
TO_ENTER = (State.RETURNED, State.REFUSED_BY_CA, State.DRAFT)
_TO_REVIEW = (State.SUBMITTED,)


def add_to(pages: Blueprint) -> None:
    """Add the queue; it is the home page."""
    pages.add_url_rule("/", "index", _queue, methods=["GET", "POST"])


def _queue() -> AnyResponse | str:
    """The work queue; a search for an id-card number stays out of the address and so out of every log."""
    operator = the_operator()
    search = (request.form if request.method == "POST" else request.args).get("q", "").strip()[:128]
    idcard = find_idcard(search)
    if request.method == "POST" and idcard is None:
        return redirect(url_for("applications.index", q=search or None, state="all" if search else None), 303)
    chosen = "all" if idcard else request.args.get("state", "mine")
    ra = the_ra()
    hashed = ra.vault.idcard_hmac(idcard) if idcard and request.method == "POST" else None
    states = _states_of(chosen, operator)
    with ra.database.reading() as connection:
        scope = ra.reach.scope(connection, operator)
        page = list_applications(
            connection,
            scope,
            states=states,
            search="" if idcard else search,
            idcard_hmac=hashed,
            cursor=request.args.get("cursor"),
            oldest_first=chosen != "all" and not search,
        )
        counts = count_by_state(connection, scope)
    return render_template(
        "ra/queue.html",
        page=page,
        counts=counts,
        chosen=chosen,
        mine=sum(counts[state] for state in _states_of("mine", operator)),
        search="" if idcard else search,
        listing=ra.directory.listing(),
        may_enter=operator.has_role(ENTRY),
        states=list(State),
    )


def _states_of(chosen: str, operator: Operator) -> tuple[State, ...]:
    if chosen in set(State):
        return (State(chosen),)
    if chosen == "all":
        return ()
    states = (_TO_REVIEW if operator.has_role(REVIEW) else ()) + (
        TO_ENTER if operator.has_role(ENTRY) else ()
    )
    # Others read: show them what is under way.
    return states or (State.SUBMITTED, State.APPROVED, State.ORDERED)

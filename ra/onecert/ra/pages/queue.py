"""The work queue: what waits for whom and how long, and the search for applications."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.records import Application, list_applications
from onecert.ra.content.fields import KIND_NAMES
from onecert.ra.errors import NothingToReviewError
from onecert.ra.life.machine import BUSINESS_NAMES, CERTIFICATE, Business, State
from onecert.ra.operators.roles import ARCHIVE, ENTRY, MEDIA, REVIEW
from onecert.ra.operators.scopes import Scope
from onecert.ra.pages.common import find_idcard, shown_count, the_operator, the_ra
from onecert.ra.points.points import list_points, list_projects
from onecert.ra.review.picks import REVIEWS, Pick, find_picks
from onecert.ra.review.queues import COUNT_LIMIT, QUEUES, Filters, count_queues, list_queue
from onecert.ra.review.service_level import Due
from onecert.server.languages import _, gettext
from onecert.server.operators import Operator
from onecert.server.web import notify, requires_role

__all__ = ["TO_ENTER", "add_to"]

# What an entry clerk can still correct.
TO_ENTER = (State.RETURNED, State.REFUSED_BY_CA, State.DRAFT)
# A reviewer is waited for by others, so that comes first; what came back comes before what is new.
FIRST = ("review", "returned", "delivery", "filing", "entry")
FILTERS = ("point", "project", "authority", "kind", "business")


@dataclass(frozen=True)
class Row:
    """One line of a queue."""

    item: Application
    due: Due | None
    pick: Pick | None
    url: str


def add_to(pages: Blueprint) -> None:
    """Add the queue."""
    pages.add_url_rule("/applications", "index", _queue, methods=["GET", "POST"])
    pages.add_url_rule("/next", "take_next", _take_next, methods=["POST"])


def _queue() -> AnyResponse | str:
    """The work queue; a search for an id-card number stays out of the address and so out of every log."""
    operator = the_operator()
    search = (request.form if request.method == "POST" else request.args).get("q", "").strip()[:128]
    idcard = find_idcard(search)
    if request.method == "POST" and idcard is None:
        return redirect(url_for("applications.index", q=search or None), 303)
    ra = the_ra()
    hashed = ra.vault.idcard_hmac(idcard) if idcard and request.method == "POST" else None
    filters = _filters(operator)
    with ra.database.reading() as connection:
        scope = ra.reach.scope(connection, operator)
        counts = count_queues(connection, scope)
        chosen = "all" if search else _chosen(operator, counts)
        if chosen in QUEUES:
            page = list_queue(
                connection,
                scope,
                QUEUES[chosen].states,
                cursor=request.args.get("cursor"),
                filters=filters,
            )
        else:
            page = list_applications(
                connection,
                scope,
                states=(State(chosen),) if chosen in set(State) else (),
                search="" if idcard else search,
                idcard_hmac=hashed,
                cursor=request.args.get("cursor"),
                fits=filters.condition,
                point=filters.point,
            )
        rows = _rows(connection, operator, page.items)
        places = _places(connection, scope)
        names = {account.id: account.name for account in ra.operators.all(connection)}
    listing = ra.directory.listing()
    return render_template(
        "ra/queue.html",
        page=page,
        rows=rows,
        tab_items=_tabs(chosen, counts),
        queue=QUEUES.get(chosen),
        chosen=chosen,
        search="" if idcard else search,
        is_search=bool(search),
        filters=filters,
        filters_set=any(asdict(filters).values()),
        listing=listing,
        may_enter=operator.has_role(ENTRY),
        may_review=operator.has_role(REVIEW),
        business_options=[
            (business.value, gettext(BUSINESS_NAMES[business]))
            for business in Business
            if business in CERTIFICATE
        ],
        kind_options=[(kind.value, gettext(name)) for kind, name in KIND_NAMES.items()],
        authority_options=[(name, listing.shown(name)) for name in sorted(listing.authorities)],
        names=names,
        places=places,
    )


@requires_role(REVIEW)
def _take_next() -> AnyResponse:
    """Open the oldest application that this operator may review and nobody else is reading."""
    found = the_ra().picks.take_next(the_operator(), besides=request.form.get("besides"))
    if found is None:
        nothing = NothingToReviewError()
        notify(nothing.text, "info")
        return redirect(url_for("applications.index", queue="review"), 303)
    return redirect(url_for("applications.review", application_id=found.id), 303)


def _rows(connection: Connection, operator: Operator, items: Sequence[Application]) -> list[Row]:
    ra, now = the_ra(), the_ra().clock.now()
    picks = find_picks(connection, [item.id for item in items], at=now)
    rows = []
    for item in items:
        facts = {
            "authority": item.authority,
            "business": item.business.value,
            "point": item.point,
            "state": item.state.value,
            "type": item.kind.value,
        }
        pick = picks.get(item.id)
        rows.append(
            Row(
                item,
                ra.levels.due(facts, item.state_since, now),
                pick if pick and pick.operator_id != operator.id else None,
                _url(operator, item),
            )
        )
    return rows


def _tabs(chosen: str, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """The queues in the order of an application's way, then everything."""
    items = [
        {
            "label": gettext(queue.title),
            "url": url_for("applications.index", queue=queue.name),
            "is_here": chosen == queue.name,
            "count": shown_count(counts[queue.name], COUNT_LIMIT),
        }
        for queue in QUEUES.values()
    ]
    url = url_for("applications.index", queue="all")
    return [*items, {"label": gettext(_("All")), "url": url, "is_here": chosen == "all"}]


def _url(operator: Operator, item: Application) -> str:
    """Where the work on an application is done, for whoever does it; else its own page."""
    page = "applications.show"
    if item.state in REVIEWS and operator.has_role(REVIEW):
        page = "applications.review"
    elif item.state is State.ISSUED and operator.has_role(MEDIA):
        page = "delivery.show"
    elif item.state is State.DELIVERED and operator.has_role(ARCHIVE):
        page = "applications.filing"
    elif item.state in {State.DRAFT, State.RETURNED} and operator.has_role(ENTRY):
        page = "applications.edit"
    return url_for(page, application_id=item.id)


def _chosen(operator: Operator, counts: Mapping[str, int]) -> str:
    """Which queue is shown: the one asked for, or the first of the operator's own where something waits."""
    asked = request.args.get("queue") or request.args.get("state") or ""
    if asked == "all" or asked in QUEUES or asked in set(State):
        return asked
    own = [name for name in FIRST if operator.has_role(*QUEUES[name].roles)]
    return next((name for name in own if counts[name]), own[0] if own else "all")


def _filters(operator: Operator) -> Filters:
    given = {name: request.args.get(name, "")[:64] or None for name in FILTERS}
    return Filters(**given, mine=operator.id if request.args.get("mine") else None)


def _places(connection: Connection, scope: Scope) -> dict[str, list[tuple[str, str]]]:
    """Points and projects that this operator can choose from."""
    points = [(point.id, point.name) for point in list_points(connection) if scope.covers(point.id)]
    known = {name for name, _title in points}
    projects: list[Any] = [
        (project.id, project.name)
        for project in list_projects(connection)
        if project.point == "*" or project.point in known
    ]
    return {"points": points, "projects": projects}

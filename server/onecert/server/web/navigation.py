"""What stands in the navigation of a service, and what services are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onecert.server.languages import Message, _

__all__ = ["SERVICE_TEXTS", "SERVICE_TITLES", "NavItem", "SearchBox"]


@dataclass(frozen=True)
class NavItem:
    """One entry: a marked text, a Flask endpoint and, when it is not for everybody, the roles that see it.

    `key`: "g" and then this key go there.
    """

    label: str
    endpoint: str
    roles: tuple[str, ...] = ()
    key: str = ""


@dataclass(frozen=True)
class SearchBox:
    """The search on top of every page: a marked text, and the endpoint that takes POST with the field ``q``.

    POST, because a number of a person's document must stand in no address.
    """

    label: str
    endpoint: str


# Names of the members for people. A member that is not in the list shows the name it is mounted under.
SERVICE_TITLES: Mapping[str, Message] = {
    "ca": _("Certification authorities"),
    "ra": _("Registration"),
    "pmi": _("Roles and permissions"),
    "supervision": _("Trust list and supervision"),
}
SERVICE_TEXTS: Mapping[str, Message] = {
    "ca": _("Issues and revokes certificates, publishes revocation lists and answers status requests."),
    "ra": _("For clerks and security staff: applications, review, issuing, revoking."),
    "pmi": _("Roles of people and firms as attribute certificates, and decisions by them."),
    "supervision": _("The signed list of licensed certification authorities that every department trusts."),
}

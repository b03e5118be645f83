"""Lines of authorities: what registration authorities order by, while the authority behind it changes.

A line has the name of its first authority. A later one joins it in a reviewed ceremony, with the moment from
which it fills the orders of the line; the earlier ones go on with lists, answers and revocations. Scopes and
documents of registration authorities keep the name of the line: nothing changes for them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from onecert.ca.authorities.authorities import ACTIVE, Authorities, Authority
from onecert.ca.errors import UnknownCertificateError
from onecert.ca.errors.authorities import AuthorityRetiredError, SuccessorDueError
from onecert.ca.issuing.ledger import Ledger
from onecert.ca.issuing.order_notices import RevocationOrder
from onecert.ca.issuing.orders import Order
from onecert.ca.renewals.record import Renewals

__all__ = ["AuthorityLines", "check_active", "with_predecessor"]

# A ceremony needs people, a room and a review.
NOTICE = timedelta(days=60)


def check_active(authority: Authority) -> None:
    """Refuse new orders for an authority that is retired.

    Raises:
        AuthorityRetiredError
    """
    if authority.state != ACTIVE:
        raise AuthorityRetiredError(authority.name)


def with_predecessor(order: Order, authorities: Authorities, renewals: Renewals) -> Order:
    """Put the authority that issued the certificate that an order follows in the place of its line."""
    succession = order.record.succession
    line = authorities.line(succession.follow.authority) if succession is not None else ()
    if succession is None or not line:
        return order
    follow = succession.follow
    for name in (follow.authority, *line):
        if renewals.is_on_record(name, follow.serial):
            found = replace(succession, follow=replace(follow, authority=name))
            return replace(order, record=replace(order.record, succession=found))
    return order


class AuthorityLines:
    """Finds the authority behind the name in a document."""

    def __init__(self, authorities: Authorities, ledger: Ledger) -> None:
        self._authorities = authorities
        self._ledger = ledger

    def order(self, order: Order) -> Order:
        """Put the authority that fills an order in its place.

        An order that is on record stays where it is, however often it is posted.

        Raises:
            UnknownAuthorityError
            AuthorityRetiredError: a new order, and nobody fills it.
        """
        filling = self._authorities.filling(order.authority)
        if filling.name == order.authority and filling.state == ACTIVE:
            return order
        known = self._ledger.find_order(order.id, order.record.content_sha256)
        if known is not None:
            return replace(order, authority=known.authority)
        check_active(filling)
        return replace(order, authority=filling.name)

    def revocation(self, order: RevocationOrder) -> RevocationOrder:
        """Put the authority that issued a certificate in the place of its line."""
        return replace(order, authority=self.issuer(order.authority, order.serial))

    def issuer(self, name: str, serial: str) -> str:
        """Name the authority of a line that issued a certificate; the name itself when none did."""
        line = self._authorities.line(name)
        for authority in (name, *line) if line else ():
            try:
                return self._ledger.certificate(authority, serial).authority
            except UnknownCertificateError:
                continue
        return name

    def check_successors(self, at: datetime) -> None:
        """Readiness: every authority that fills orders can still do so for a while, or has its successor.

        Raises:
            SuccessorDueError
        """
        for authority in self._authorities.everyone():
            if authority.is_root or authority.state != ACTIVE or authority.line != authority.name:
                continue
            filling = self._authorities.filling(authority.line, at + NOTICE)
            if filling.state != ACTIVE:
                continue
            for profile in filling.profiles.values():
                # The system's own certificates are short and renewed; holders' have their whole term.
                last = filling.issuer.not_after - profile.validity
                if profile.holder != "system" and last < at + NOTICE:
                    raise SuccessorDueError(filling.name, profile.name, last.isoformat())

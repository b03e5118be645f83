"""What `onecert doctor` asks about the authorities: whether their certificates end soon."""

from __future__ import annotations

from collections.abc import Iterator

from onecert.pmi.authorities.directory import REVOKED, Authorities
from onecert.pmi.authorities.errors import AuthorityEndsError
from onecert.pmi.authorities.renewals import WARN_BEFORE
from onecert.pmi.config import PmiConfig
from onecert.server.doctor.finding import Finding, fault_of, sound
from onecert.server.members import Context

__all__ = ["examine"]


def examine(_config: PmiConfig, context: Context) -> Iterator[Finding]:
    """Look at the certificate of each authority in use; nothing is changed."""
    at = context.clock.now()
    authorities = Authorities(audit=context.audit, clock=context.clock, status_url=context.status_url)
    with context.database.reading() as connection:
        found = authorities.all(connection)
    for each in found:
        subject, end = f"authority {each.name}", each.certificate.not_after
        if each.state == REVOKED:
            continue
        if end < at + WARN_BEFORE:
            yield fault_of("pmi", subject, AuthorityEndsError(each.name, end))
        else:
            yield sound("pmi", subject)

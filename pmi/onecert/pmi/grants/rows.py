"""The row of a new grant: what was asked for, with what was left open filled in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from onecert.pmi.authorities.directory import Authority
from onecert.pmi.errors import ValidityWrongError
from onecert.pmi.grants.request import DRAWN, Wanted, content_sha256, draw_audit_identity
from onecert.pmi.grants.rules import Terms
from onecert.pmi.holders.identity import HolderIdentity
from onecert.pmi.issuing.lint import SHORT_LIFE
from onecert.server.operators import Operator
from onecert.verifier.certificate import ParsedCertificate

__all__ = ["row_of", "said_of"]


def row_of(
    wanted: Wanted,
    terms: Terms,
    authority: Authority,
    *,
    holder: HolderIdentity,
    operator: Operator,
    now: datetime,
) -> dict[str, Any]:
    """Return the row of a new grant, with what the request left open filled in."""
    start, end = _period(wanted, now, terms, (holder.certificate, authority.certificate))
    drawn = wanted.audit_identity == DRAWN
    row: dict[str, Any] = {
        **wanted.as_columns(),
        "state": "waiting" if terms.needs_approval else "approved",
        "holder_der": holder.certificate.der,
        "holder_name": (holder.name or holder.certificate.subject_text)[:512],
        "entity": holder.entity,
        "audit_identity": draw_audit_identity() if drawn else wanted.audit_identity,
        "batch_id": None,
        "not_before": start,
        "not_after": end,
        "needs_approval": terms.needs_approval,
        "requested_by": operator.id,
        "requested_at": now,
        "approved_by": None,
        "approved_at": None,
        "refused_by": None,
        "refused_at": None,
        "refused_why": "",
        "serial": None,
    }
    row["content_sha256"] = content_sha256(row)
    return row


def said_of(terms: Terms, wanted: Wanted) -> dict[str, Any]:
    """Return the attributes for the audit trail: of secret ones the name alone."""
    entries = terms.catalogue.attributes
    return {
        name: [] if name in entries and entries[name].encrypted else list(values)
        for name, values in wanted.attributes.items()
    }


def _period(
    wanted: Wanted, now: datetime, terms: Terms, limits: Sequence[ParsedCertificate]
) -> tuple[datetime, datetime]:
    """Choose the period: as asked, else from now for as long as all limits allow."""
    longest = min(terms.longest, SHORT_LIFE) if wanted.short_lived else terms.longest
    start = wanted.not_before or now.replace(microsecond=0)
    latest = min(start + longest, *(certificate.not_after for certificate in limits))
    end = wanted.not_after or min(latest, terms.latest or latest)
    # Never dated back: the order of the audit trail is the order of the certificates.
    is_good = now - timedelta(minutes=1) <= start < end <= latest
    if not is_good or any(start < certificate.not_before for certificate in limits):
        raise ValidityWrongError(start, end, longest)
    return start, end

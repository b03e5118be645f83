"""Grants and batches as programs see them."""

from __future__ import annotations

import hashlib
from typing import Any

from onecert.pmi.grants.batch_rows import BatchRow
from onecert.pmi.grants.batches import Batch
from onecert.pmi.grants.request import Grant
from onecert.server.errors import ServiceError
from onecert.server.languages import current_language, gettext
from onecert.verifier.errors import VerifyError

__all__ = ["batch_json", "error_json", "grant_json"]


def grant_json(grant: Grant) -> dict[str, Any]:
    """A grant for programs."""
    recipient = grant.recipient
    return {
        "id": grant.id,
        "kind": grant.kind,
        "state": grant.state,
        "authority": grant.authority,
        "holder_name": grant.holder_name,
        "holder_sha256": hashlib.sha256(grant.holder.der).hexdigest(),
        "entity": grant.entity,
        "holder_form": grant.holder_form,
        "attributes": dict(grant.attributes),
        "roles": list(grant.roles),
        "targets": list(grant.targets),
        "target_groups": list(grant.target_groups),
        "constraints": dict(grant.constraints),
        "short_lived": grant.short_lived,
        "audit_identity": grant.audit_identity,
        "recipient_sha256": None if recipient is None else hashlib.sha256(recipient.der).hexdigest(),
        "source": grant.source,
        "not_before": grant.not_before.isoformat(),
        "not_after": grant.not_after.isoformat(),
        "needs_approval": grant.needs_approval,
        "content_sha256": grant.content_sha256,
        "requested_by": grant.requested_by,
        "requested_at": grant.requested_at.isoformat(),
        "approved_by": grant.approved_by,
        "refused_by": grant.refused_by,
        "refused_why": grant.refused_why,
        "serial": grant.serial,
    }


def batch_json(batch: Batch) -> dict[str, Any]:
    """A batch for programs; with the report of its rows while it is asked for."""
    content: dict[str, Any] = {
        "id": batch.id,
        "state": batch.state or "not recorded",
        "authority": batch.authority,
        "rows": batch.row_count,
        "counts": batch.counts,
        "needs_approval": batch.needs_approval,
        "content_sha256": batch.content_sha256,
        "requested_by": batch.requested_by,
        "requested_at": batch.requested_at.isoformat(),
        "approved_by": batch.approved_by,
        "finished_at": batch.finished_at.isoformat() if batch.finished_at else None,
    }
    if batch.rows:
        content["wrong"] = [wrong_json(row) for row in batch.wrong]
    return content


def wrong_json(row: BatchRow) -> dict[str, Any]:
    """One row that cannot be granted."""
    return {"row": row.number, **({} if row.error is None else error_json(row.error))}


def error_json(error: ServiceError | VerifyError) -> dict[str, Any]:
    """An error by its code, in the language of the request."""
    language = current_language()
    if isinstance(error, VerifyError):
        return {"code": error.code, "text": error.text(language), "hint": error.hint(language)}
    hint = gettext(error.hint, **error.facts) if error.hint else ""
    return {"code": error.code, "text": gettext(error.text, **error.facts), "hint": hint}

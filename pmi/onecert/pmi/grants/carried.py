"""Whether a grant gives nothing new: the same to the same holder, who has another certificate now.

What a second person has approved is the content for this holder. Where a certificate of theirs is renewed and
everything else stays, to the second of its end, nobody approves it once more.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from onecert.pmi.grants.request import Wanted
from onecert.pmi.holders.identity import HolderIdentity
from onecert.pmi.holders.seen import find_holder
from onecert.pmi.models import certificates, grants
from onecert.server.statements import Statement, Values

__all__ = ["REBINDING", "carries_over", "find_source"]

REBINDING = "rebinding:"
_SOURCE = Statement(
    select(
        grants,
        certificates.c.serial.label("old_serial"),
        certificates.c.state.label("old_state"),
        certificates.c.holder_sha256,
    )
    .join(certificates, certificates.c.grant_id == grants.c.id)
    .where(certificates.c.serial == bindparam("wanted"))
)


def find_source(connection: Connection, source: str) -> Values | None:
    """Return the grant that the source of another one names by its certificate."""
    _kind, _colon, serial = source.partition(":")
    return _SOURCE.first(connection, {"wanted": serial})


def carries_over(connection: Connection, wanted: Wanted, holder: HolderIdentity, at: datetime) -> bool:
    """Tell whether this is what its source gave, for no longer, to the same holder by the trust list."""
    if not wanted.source.startswith(REBINDING):
        return False
    old = find_source(connection, wanted.source)
    if old is None or old["old_state"] != "issued" or not at <= old["not_after"]:
        return False
    known = find_holder(connection, old["holder_sha256"])
    if known is None or not known.is_same_holder(holder):
        return False
    columns = wanted.as_columns()
    same = all(columns[name] == old[name] for name in columns.keys() - {"id", "source"})
    return same and wanted.not_after is not None and wanted.not_after <= old["not_after"]

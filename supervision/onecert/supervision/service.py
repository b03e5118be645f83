"""Puts the member's parts together, for the service and for the commands alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from onecert.server.members import Context
from onecert.supervision.bundles import Bundles
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.editor import Editor
from onecert.supervision.effect import PointedLists
from onecert.supervision.issuance_publishing import IssuanceRecords
from onecert.supervision.issuance_reports import IssuanceReports
from onecert.supervision.officers import OfficerKeys, TokenOfficerKeys
from onecert.supervision.pointed import pointed_lists
from onecert.supervision.published import LIST_FILE, published_sequence
from onecert.supervision.publishing import publish_files
from onecert.supervision.register import Register
from onecert.supervision.roots import Roots
from onecert.supervision.timestamps import TimestampKeys, Timestamps
from onecert.verifier.fetch import listed_fetch

__all__ = ["Supervision", "make_keys", "make_supervision"]


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """What pages and commands work with."""

    editor: Editor
    timestamps: Timestamps
    roots: Roots
    register: Register
    bundles: Bundles
    issuance_reports: IssuanceReports
    issuance_records: IssuanceRecords
    published: Path  # folder of the published files
    pointed: PointedLists
    config: SupervisionConfig
    status_url: str

    def release(self, *, actor: str) -> None:
        """Give departments what is newest: sign a timestamp for it, and bring the files in line.

        Raises:
            TokenNotReadyError, TimestampKeyError, PublishedAheadError, CounterEndedError: what is on record
                goes out as soon as it can be signed; the files hold what they held.
        """
        try:
            self.timestamps.renew(actor=actor)
        finally:
            publish_files(self.editor, self.published)


class ServiceKeys(OfficerKeys, TimestampKeys, Protocol):
    """The officers' keys and the service's own."""


def make_keys(config: SupervisionConfig, context: Context) -> TokenOfficerKeys:
    """The officers' tokens and the service's own for its audit trail."""
    return TokenOfficerKeys(config, folder=context.data, store=context.shared / "softhsm")


def make_supervision(config: SupervisionConfig, context: Context, keys: ServiceKeys) -> Supervision:
    """Everything below the web layer."""
    published = context.data / "published"
    editor = Editor(
        database=context.database,
        audit=context.audit,
        clock=context.clock,
        operators=context.operators,
        keys=keys,
        config=config,
        sequence_floor=lambda: published_sequence(published / LIST_FILE),
    )
    register = Register(
        database=context.database,
        audit=context.audit,
        clock=context.clock,
        keys=keys,
        published=published,
        validity=config.registry_validity,
    )
    timestamps = Timestamps(
        database=context.database,
        audit=context.audit,
        clock=context.clock,
        keys=keys,
        config=config,
        published=published,
        registry=register.named,
    )
    bundles = Bundles(
        database=context.database,
        clock=context.clock,
        keys=keys,
        published=published,
        fetch=listed_fetch(),
        validity=config.bundle_validity,
    )
    roots = Roots(
        database=context.database,
        audit=context.audit,
        clock=context.clock,
        editor=editor,
        timestamps=timestamps,
    )
    return Supervision(
        editor=editor,
        timestamps=timestamps,
        roots=roots,
        register=register,
        bundles=bundles,
        issuance_reports=IssuanceReports(
            database=context.database,
            audit=context.audit,
            clock=context.clock,
            grace=config.issuance_grace,
        ),
        issuance_records=IssuanceRecords(
            database=context.database,
            audit=context.audit,
            clock=context.clock,
            keys=keys,
            config=config,
            published=published,
        ),
        published=published,
        pointed=pointed_lists(context.data / "pointed", clock=context.clock, fetch=listed_fetch()),
        config=config,
        status_url=context.status_url,
    )

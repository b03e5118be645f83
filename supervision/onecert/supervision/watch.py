"""Watches the age of the published list: figures, a warning from half life, not ready when it is over."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client import Gauge

from onecert.server import metrics
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.editor import Editor
from onecert.supervision.errors import TrustListOverdueError
from onecert.supervision.publishing import publish_files
from onecert.supervision.records import Publication, find_publication

__all__ = ["ListAge", "Watch", "list_age"]

log = logging.getLogger(__name__)

_sequence = Gauge(
    "onecert_trust_list_sequence", "Number of the published trust list", registry=metrics.registry
)
_next_update = Gauge(
    "onecert_trust_list_next_update_timestamp_seconds",
    "When the published trust list is over",
    registry=metrics.registry,
)
_alarm = Gauge(
    "onecert_trust_list_alarm",
    "1 from the time on when the next trust list should be signed",
    registry=metrics.registry,
)


@dataclass(frozen=True)
class ListAge:
    """How old the published list is at a moment."""

    sequence: int
    alarm_from: datetime
    next_update: datetime
    at: datetime

    @property
    def left(self) -> timedelta:
        """Time until verifiers refuse it."""
        return self.next_update - self.at

    @property
    def is_alarm(self) -> bool:
        """The next list should be signed now."""
        return self.at >= self.alarm_from

    @property
    def is_over(self) -> bool:
        """Verifiers refuse it."""
        return self.at >= self.next_update


def list_age(publication: Publication, config: SupervisionConfig, *, at: datetime) -> ListAge:
    """The age of a published list."""
    validity = publication.next_update - publication.issued_at
    return ListAge(
        sequence=publication.sequence,
        alarm_from=publication.issued_at + validity * config.alarm_after_percent / 100,
        next_update=publication.next_update,
        at=at,
    )


class Watch:
    """The periodic work and the readiness check of the service."""

    def __init__(self, editor: Editor, folder: Path) -> None:
        self._editor = editor
        self._folder = folder

    def run(self, at: datetime) -> None:
        """Keep the files in line with the database and tell how old the list is."""
        publish_files(self._editor, self._folder)
        age = self._age(at)
        if age is None:
            return
        _sequence.set(age.sequence)
        _next_update.set(age.next_update.timestamp())
        _alarm.set(1 if age.is_alarm else 0)
        if age.is_alarm:
            log.warning(
                "trust list needs its next issue",
                extra={"sequence": age.sequence, "next_update": age.next_update.isoformat()},
            )

    def check(self) -> None:
        """Readiness.

        Raises:
            TrustListOverdueError: a list was published and is over.
        """
        age = self._age(self._editor.clock.now())
        if age is not None and age.is_over:
            raise TrustListOverdueError(age.sequence)

    def _age(self, at: datetime) -> ListAge | None:
        with self._editor.database.reading() as connection:
            publication = find_publication(connection)
        return None if publication is None else list_age(publication, self._editor.config, at=at)

"""The list that would be published next: its number, its payload, and what must hold before it goes out.

Reads the record and writes nothing; the acts are in `editor.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from onecert.server.clock import Clock
from onecert.supervision import records
from onecert.supervision.compare import Change, check_forward
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.draft import Draft
from onecert.supervision.errors import DraftRefusedError
from onecert.supervision.officers import all_officers
from onecert.supervision.payload import build_payload, check_payload
from onecert.supervision.published import FLOOR_JUMP
from onecert.supervision.records import DraftRecord, Signature
from onecert.supervision.samples import check_samples
from onecert.verifier.errors import VerifyError
from onecert.verifier.trust_list import TrustList, load_trust_list
from onecert.verifier.trust_list.roles import RoleKeys
from onecert.verifier.trust_list.root import TrustRoot

__all__ = ["NextList", "Preview", "counting_signatures", "frozen_list", "sequence_of"]

# What was frozen for signing gets a new date when the second officer comes later than this.
FROZEN_FOR = timedelta(days=2)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What publishing would do."""

    sequence: int
    record: DraftRecord
    changes: tuple[Change, ...]
    signatures_needed: int  # by the root in force; before the first one, as the settings say
    counting: tuple[Signature, ...]  # of officers whom that root names
    is_frozen: bool = False  # number and dates are fixed for signing, and still hold

    @property
    def is_signed(self) -> bool:
        """Whether enough officers have signed."""
        return len(self.counting) >= self.signatures_needed


class NextList:
    """What the next list has to be.

    Args:
        sequence_floor: the highest number that departments may have seen, from outside the database.
    """

    def __init__(self, clock: Clock, config: SupervisionConfig, sequence_floor: Callable[[], int]) -> None:
        self._clock = clock
        self._config = config
        self._sequence_floor = sequence_floor

    def check(self, connection: Connection, draft: Draft) -> TrustList:
        """Everything that must hold before anybody signs, and again before anything is published."""
        at = self._clock.now()
        published = records.find_publication(connection)
        trust_list = check_payload(
            build_payload(draft, sequence=1, issued_at=at, next_update=at + self._config.list_validity)
        )
        check_samples(draft, trust_list, at=at)
        check_forward(published.draft if published else None, draft, at=at)
        return trust_list

    def new_payload(self, connection: Connection, draft: Draft) -> dict[str, Any]:
        """The draft as a list of the next number and of today, to be signed."""
        issued_at = self._clock.now().replace(microsecond=0)
        return build_payload(
            draft,
            sequence=self.next_sequence(connection),
            issued_at=issued_at,
            next_update=issued_at + self._config.list_validity,
        )

    def is_current(self, connection: Connection, record: DraftRecord) -> bool:
        """Whether what was frozen for signing may still be published."""
        if record.payload is None:
            return False
        frozen = check_payload(dict(record.payload))
        return (
            frozen.sequence == self.next_sequence(connection)
            and self._clock.now() < frozen.issued_at + FROZEN_FOR
        )

    def load(self, document: bytes, keys: RoleKeys) -> TrustList:
        """Read a signed list the way a department does that knows these keys."""
        try:
            return load_trust_list(document, keys=keys, at=self._clock.now())
        except VerifyError as exc:
            raise DraftRefusedError(exc) from exc

    def next_sequence(self, connection: Connection) -> int:
        """The number after every one that departments may have seen."""
        published = records.find_publication(connection)
        known, seen = published.sequence if published else 0, self._sequence_floor()
        # A number so far ahead is not ours: the next root begins a new epoch, which counts from here.
        return max(known, seen if seen <= known + FLOOR_JUMP else 0) + 1


def counting_signatures(
    connection: Connection, record: DraftRecord, root: TrustRoot | None
) -> tuple[Signature, ...]:
    """The signatures of officers whom the root names; all while there is no root."""
    kids = {each.id: each.kid for each in all_officers(connection, removed=True)}
    return tuple(
        each for each in record.signatures if root is None or kids.get(each.officer) in root.list_keys.keys
    )


def frozen_list(record: DraftRecord) -> TrustList:
    """What is being signed: number, dates, digest and services as verifiers will read them."""
    assert record.payload is not None  # noqa: S101  frozen before
    return check_payload(dict(record.payload))


def sequence_of(payload: Mapping[str, Any] | None) -> int:
    """The number that a payload carries."""
    assert payload is not None  # noqa: S101  frozen before it is signed
    value = payload["LoTE"]["ListAndSchemeInformation"]["LoTESequenceNumber"]
    return int(value)

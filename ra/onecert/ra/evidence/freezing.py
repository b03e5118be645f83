"""What submitting does with the evidence: looks whether it is complete, and keeps it from then on."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, update

from onecert.ra.content.fields import Kind
from onecert.ra.errors import EvidenceMissingError
from onecert.ra.evidence.materials import required_materials
from onecert.ra.evidence.records import list_evidence
from onecert.ra.evidence.tables import evidence
from onecert.ra.life.machine import Business
from onecert.server.languages import Message

__all__ = ["check_complete", "freeze"]


def check_complete(
    connection: Connection, policy: Iterable[str], application_id: str, business: Business, kind: Kind
) -> None:
    """Raise `EvidenceMissingError` when the policy (`materials_required`) wants what is not there."""
    wanted = required_materials(policy, business, kind)
    if not wanted:
        return
    there = {each.material for each in list_evidence(connection, application_id) if each.set_aside_at is None}
    missing = [Message(material.label) for material in wanted if material.name not in there]
    if missing:
        raise EvidenceMissingError(missing)


def freeze(connection: Connection, application_id: str, *, at: datetime) -> None:
    """From now on a reviewer has it: none of it is removed any more."""
    connection.execute(
        update(evidence)
        .where(evidence.c.record_id == application_id, evidence.c.frozen_at.is_(None))
        .values(frozen_at=at)
    )

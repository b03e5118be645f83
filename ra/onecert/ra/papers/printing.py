"""Prints the papers of an application on behalf of an operator: within reach, and each print is audited."""

from collections.abc import Sequence
from datetime import datetime

from onecert.ra.applications.records import Application, Frozen, list_events
from onecert.ra.ca.authorities import Directory
from onecert.ra.certificates.records import find_by_application
from onecert.ra.content.fields import FIELDS, GROUP_NAMES, KIND_NAMES
from onecert.ra.content.ids import masked_idcard
from onecert.ra.errors import PaperRefusedError
from onecert.ra.evidence.records import list_evidence
from onecert.ra.life.machine import BUSINESS_NAMES, STATE_NAMES
from onecert.ra.operators.acting import with_certificate
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import ENTRY, REVIEW
from onecert.ra.papers.papers import Business, Item, Papers, Point
from onecert.ra.points.points import list_points
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import Message, gettext
from onecert.server.operators import Operator, Operators

__all__ = ["Printing"]


class Printing:
    """Papers of applications. `public_url` is where the QR code of a receipt leads."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        reach: Reach,
        operators: Operators,
        directory: Directory,
        papers: Papers,
        public_url: str,
        receipt_days: int,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._reach = reach
        self._operators = operators
        self._directory = directory
        self._public_url = public_url
        self._receipt_days = receipt_days
        self.papers = papers

    def application_form(self, operator: Operator, application_id: str) -> bytes:
        """All fields as they are on record; people other than clerks get persons' numbers masked."""
        frozen = self._reach.frozen(operator, application_id)
        application = frozen.application
        is_clerk = operator.has_role(ENTRY, REVIEW)
        printed = self.papers.application_form(
            self._business(application),
            _groups(frozen, is_clerk=is_clerk),
            content_sha256=application.content_sha256,
            request_key=application.key_sha256 or "",
            agreement=frozen.values.get("consent_version", ""),
            materials=self._materials(application_id),
            entered_by=self._name(application.created_by),
            at=self._clock.now(),
        )
        self._note(operator, application, "form")
        return printed

    def receipt(self, operator: Operator, application_id: str) -> bytes:
        """For the applicant, once it is submitted. No personal number.

        Raises:
            PaperRefusedError: it was never submitted.
        """
        application = self._reach.application(operator, application_id)
        if application.submitted_by is None:
            raise _refused(application)
        printed = self.papers.receipt(
            self._business(application),
            submitted_at=self._submitted_at(application),
            materials=self._materials(application_id),
            taken_in_by=self._name(application.submitted_by),
            days=self._receipt_days,
            at=self._clock.now(),
        )
        self._note(operator, application, "receipt")
        return printed

    def hand_over_slip(self, operator: Operator, application_id: str) -> bytes:
        """To be signed by who fetches it. Raises `PaperRefusedError` without a certificate."""
        application = self._reach.application(operator, application_id)
        with self._database.reading() as connection:
            certificate = find_by_application(connection, application_id)
        if certificate is None:
            raise _refused(application)
        printed = self.papers.hand_over_slip(
            self._business(application),
            serial_hex=certificate.serial_hex,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            token_number=certificate.token_number or "",
            handed_over_by=operator.name,
            at=self._clock.now(),
        )
        self._note(operator, application, "hand-over-slip")
        return printed

    def point_of(self, point_id: str) -> Point:
        """The acceptance point as papers name it."""
        with self._database.reading() as connection:
            for found in list_points(connection):
                if found.id == point_id:
                    return Point(name=found.name, address=found.address, phone=found.phone)
        return Point(name=point_id)

    def _business(self, application: Application) -> Business:
        return Business(
            number=application.number,
            link=f"{self._public_url}/applications/{application.id}",
            business=gettext(BUSINESS_NAMES[application.business]),
            certificate=gettext(KIND_NAMES[application.kind]),
            authority=self._directory.listing().shown(application.authority),
            holder=application.name,
            point=self.point_of(application.point),
        )

    def _materials(self, application_id: str) -> Sequence[Item]:
        with self._database.reading() as connection:
            found = list_evidence(connection, application_id)
        return [
            Item(name=gettext(each.kind.label), mark=each.sha256[:16])
            for each in found
            if each.set_aside_at is None and not each.kind.late
        ]

    def _name(self, operator_id: str) -> str:
        with self._database.reading() as connection:
            return self._operators.load(connection, operator_id).name

    def _submitted_at(self, application: Application) -> datetime:
        with self._database.reading() as connection:
            times = [each.at for each in list_events(connection, application.id) if each.event == "submitted"]
        return times[-1] if times else application.created_at

    def _note(self, operator: Operator, application: Application, paper: str) -> None:
        with self._database.transaction() as connection:
            self._audit.record(
                connection,
                event="paper.printed",
                actor=operator.actor,
                subject=f"application:{application.id}",
                details={"number": application.number, "paper": paper, **with_certificate(operator)},
            )


def _groups(frozen: Frozen, *, is_clerk: bool) -> list[tuple[str, list[tuple[str, str]]]]:
    grouped: dict[str, list[tuple[str, str]]] = {}
    for field in FIELDS[frozen.application.kind]:
        value = frozen.values.get(field.name, "")
        if value:
            if field.check == "idcard" and not is_clerk:
                value = masked_idcard(value)
            if value in field.choices:
                value = gettext(field.choices[value])
            grouped.setdefault(field.group, []).append((gettext(field.label), value))
    return [(gettext(GROUP_NAMES[group]), pairs) for group, pairs in grouped.items()]


def _refused(application: Application) -> PaperRefusedError:
    return PaperRefusedError("PAPER_NOT_YET", state_name=Message(STATE_NAMES[application.state]))

"""What an order says, made of the application as it was approved; and what becomes of one that cannot be
signed."""

import logging
from typing import Any

from onecert.ra.applications.entries import Entries
from onecert.ra.applications.following import follow_payload
from onecert.ra.applications.records import Application, Frozen, load_application
from onecert.ra.applications.steps import ServiceSteps
from onecert.ra.ca.authorities import Directory
from onecert.ra.ca.errors import CaUnreachableError
from onecert.ra.errors import AuthorityUnknownError, ContentChangedError, ProfileMissingError
from onecert.ra.life.machine import Act, State
from onecert.ra.orders.documents import issuance_payload
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.languages import gettext

__all__ = ["Signing"]

log = logging.getLogger(__name__)


class Signing:
    """Makes payloads of approved applications, for orders that go alone and for those of a batch."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        directory: Directory,
        entries: Entries,
        steps: ServiceSteps[Application],
        registration_authority: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._entries = entries
        self._steps = steps
        self.name = registration_authority

    def payload(self, frozen: Frozen) -> dict[str, Any]:
        """The order for an approved application.

        Raises:
            ContentChangedError, InvalidApplicationError: the record is not what was approved.
        """
        application = frozen.application
        # What is signed is what was approved: the record is compared with the approved hash once more.
        content = self._entries.recheck(frozen)
        if frozen.sha256(content) != application.content_sha256:
            raise ContentChangedError
        try:
            profile = self._directory.profile(application.authority, application.profile)
        except (CaUnreachableError, AuthorityUnknownError, ProfileMissingError):
            profile = None
        payload = issuance_payload(
            application, content, profile, registration_authority=self.name, at=self._clock.now()
        )
        return follow_payload(payload, application)

    def return_unsigned(self, application_id: str, why: ServiceError) -> None:
        """approved -> returned: it cannot be signed as it was approved, so people look at it again."""
        log.error(
            "approved application cannot be signed", extra={"application": application_id, "code": why.code}
        )
        with self._database.transaction() as connection:
            current = load_application(connection, application_id, lock=True)
            if current.state is not State.APPROVED:
                return
            reason = f"{gettext(why.text, **why.facts)} ({why.code})"[:500]
            self._steps.move(
                connection,
                current,
                act=Act.RETURN_UNSIGNED,
                event="returned",
                at=self._clock.now(),
                changes={"reason": reason, "order_id": None, "reviewed_by": None, "passed_on_by": None},
                note=reason,
                details={"code": why.code},
            )

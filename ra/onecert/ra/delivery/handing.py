"""The certificate reaches its holder: over the counter, by post, or fetched with a one-time code.

At the counter a media clerk looks at the recipient's document; name, type and number are kept sealed, the
number is shown masked. Who fetches it with a code confirms that it is received, which is the same step as the
hand-over at the counter; the operator who gave the code out answers for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection, insert, select

from onecert.ra.applications.records import Application, load_application
from onecert.ra.applications.steps import OperatorSteps, ServiceSteps
from onecert.ra.certificates.records import Certificate, find_by_application
from onecert.ra.content import ids
from onecert.ra.content.fields import Kind
from onecert.ra.content.text import clean
from onecert.ra.delivery.codes import FETCH, KEY, Codes, Opened
from onecert.ra.delivery.tables import deliveries
from onecert.ra.errors import (
    BrowserKeyRefusedError,
    CodeRefusedError,
    RecipientInvalidError,
)
from onecert.ra.keys.making import KeyMaking
from onecert.ra.life.machine import Act, State, check_move
from onecert.ra.operators.acting import certificate_of
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import ENTRY, MEDIA
from onecert.ra.orders.standing import note_delivery
from onecert.ra.vault.sealed import Vault
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import _
from onecert.server.operators import Operator, check_role
from onecert.verifier.identity.errors import InvalidIdError

__all__ = ["DOCUMENTS", "Delivered", "Delivery", "GivenCode", "Recipient"]

DOCUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "idcard": _("Identity card"),
        "passport": _("Passport"),
        "permit": _("Mainland travel permit"),
        "residence": _("Foreigner's residence permit"),
        "officer": _("Military or police officer's card"),
    }
)
_NUMBER = re.compile(r"[0-9A-Z]{5,24}")
HOWS: Mapping[str, str] = MappingProxyType(
    {
        "counter": _("Over the counter"),
        "post": _("By post"),
        "fetched": _("Fetched with a one-time code"),
    }
)


@dataclass(frozen=True)
class Recipient:
    """Who received it, by the document that was looked at."""

    name: str
    document_type: str
    document_number: str


@dataclass(frozen=True)
class GivenCode:
    """A new code, for showing once."""

    application: Application
    code: str
    purpose: str
    until: datetime
    code_id: str


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """How it was handed over."""

    at: datetime
    how: str
    operator_id: str | None
    document_type: str | None
    document_masked: str | None
    certificate_sha256: str | None


class Delivery:
    """The acts of giving out; each is one transaction with its audit entry."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        vault: Vault,
        reach: Reach,
        codes: Codes,
        key_making: KeyMaking,
        steps: OperatorSteps[Application],
        own_steps: ServiceSteps[Application],
        browser_keys: tuple[str, ...],
        test_ids: bool,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._reach = reach
        self._codes = codes
        self._key_making = key_making
        self._steps = steps
        self._own_steps = own_steps
        self._browser_keys = frozenset(browser_keys)
        self._test_ids = test_ids

    # --- codes ------------------------------------------------------------------------------------

    def may_make_key_in_browser(self, kind: Kind) -> bool:
        """Whether the policy counts this certificate type as one of low assurance."""
        return kind.value in self._browser_keys

    def give_fetch_code(self, operator: Operator, application_id: str) -> GivenCode:
        """A code with which the applicant fetches the certificate; a new one ends the one before.

        Raises:
            WrongStateError: there is nothing to hand over. SamePersonError: as for the hand-over.
        """
        return self._give(operator, application_id, FETCH, Act.DELIVER)

    def give_key_code(self, operator: Operator, application_id: str) -> GivenCode:
        """A code with which the applicant makes a key in the browser.

        Raises:
            BrowserKeyRefusedError: not for this certificate type. WrongStateError: it is too late for a key.
        """
        kind = self._reach.application(operator, application_id).kind
        if not self.may_make_key_in_browser(kind):
            raise BrowserKeyRefusedError
        return self._give(operator, application_id, KEY, Act.BRING_KEY)

    def _give(self, operator: Operator, application_id: str, purpose: str, act: Act) -> GivenCode:
        self._reach.application(operator, application_id)
        prepared = self._codes.prepare(application_id, purpose)
        with self._database.transaction() as connection:
            if purpose == FETCH:
                current, operator, now = self._steps.begin(connection, operator, application_id, act)
            else:
                # An entry clerk gives it out while entering: the key is the applicant's work.
                now = self._clock.now()
                current = load_application(connection, application_id, lock=True)
                operator = self._reach.account(connection, operator, ENTRY, MEDIA, at=now)
                self._reach.check(connection, operator, current)
                check_move(current.business, current.state, act)
            until = self._codes.make(connection, prepared, by=operator.id, at=now)
            event = "code_given" if purpose == FETCH else "key_code_given"
            self._steps.write(connection, current, event=event, operator=operator, at=now)
        return GivenCode(current, prepared.code, purpose, until, prepared.id)

    # --- at the counter ---------------------------------------------------------------------------

    def hand_over(
        self, operator: Operator, application_id: str, recipient: Recipient, *, how: str = "counter"
    ) -> Application:
        """The media clerk gave it to this person, whose document was seen; call `tell_delivery` afterwards.

        Raises:
            RecipientInvalidError: name, type or number is missing or of the wrong form.
        """
        check_role(operator, MEDIA)
        if how not in {"counter", "post"}:
            raise RecipientInvalidError("how")
        recipient = self._checked(recipient)
        sealed = self._vault.seal_json(
            f"delivery:{application_id}",
            {
                "name": recipient.name,
                "document_type": recipient.document_type,
                "document_number": recipient.document_number,
            },
        )

        self._reach.application(operator, application_id)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, application_id, Act.DELIVER)
            if current.follows_serial is not None:
                note_delivery(connection, current.order_id, by=operator.id, at=now)
            connection.execute(
                insert(deliveries).values(
                    application_id=application_id,
                    at=now,
                    how=how,
                    operator_id=operator.id,
                    document_type=recipient.document_type,
                    document_masked=_masked(recipient.document_number),
                    recipient_sealed=sealed,
                    certificate_sha256=certificate_of(operator),
                )
            )
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=Act.DELIVER,
                event="delivered",
                at=now,
                changes={},
            )

    def recipient_of(self, operator: Operator, application_id: str) -> Recipient | None:
        """Who received it, in clear; for the application's page and for auditors. Needs the token."""
        self._reach.application(operator, application_id)
        with self._database.reading() as connection:
            sealed = connection.scalar(
                select(deliveries.c.recipient_sealed).where(deliveries.c.application_id == application_id)
            )
        if sealed is None:
            return None
        return Recipient(**self._vault.unseal_json(f"delivery:{application_id}", sealed))

    @staticmethod
    def find(connection: Connection, application_id: str) -> Delivered | None:
        """How it was handed over; None: not yet, or by a program without telling."""
        row = connection.execute(
            select(deliveries).where(deliveries.c.application_id == application_id)
        ).one_or_none()
        if row is None:
            return None
        values = row._asdict()
        del values["application_id"], values["recipient_sealed"]
        return Delivered(**values)

    # --- the applicant's own steps, with a code ---------------------------------------------------

    def open_fetch(self, number: str, code: str, *, source: str) -> tuple[Opened, Certificate]:
        """What a fetch code opens. Raises `CodeRefusedError` and `TooManyTriesError`."""
        opened = self._codes.check(number, code, purpose=FETCH, source=source)
        with self._database.reading() as connection:
            certificate = find_by_application(connection, opened.application.id)
        if certificate is None:
            raise CodeRefusedError
        return opened, certificate

    def confirm(self, opened: Opened) -> Application:
        """The applicant has it: the same step as the hand-over; call `tell_delivery` afterwards."""
        application_id = opened.application.id
        with self._database.transaction() as connection:
            current = load_application(connection, application_id, lock=True)
            if current.state is not State.ISSUED:
                return current  # confirmed already, or handed over at the counter in the meantime
            now = self._clock.now()
            if current.follows_serial is not None:
                note_delivery(connection, current.order_id, by=opened.made_by, at=now)
            connection.execute(
                insert(deliveries).values(
                    application_id=application_id, at=now, how="fetched", operator_id=opened.made_by
                )
            )
            self._codes.end(connection, opened.code_id, at=now)
            self._own_steps.move(
                connection,
                current,
                act=Act.DELIVER,
                event="fetched",
                at=now,
                details={"code_given_by": opened.made_by},
            )
            return load_application(connection, application_id)

    def open_key(self, number: str, code: str, *, source: str) -> Opened:
        """What a key code opens. Raises `CodeRefusedError`, `TooManyTriesError`, `BrowserKeyRefusedError`."""
        opened = self._codes.check(number, code, purpose=KEY, source=source)
        if not self.may_make_key_in_browser(opened.application.kind):
            raise BrowserKeyRefusedError
        return opened

    def bring_browser_key(self, opened: Opened, csr_der: bytes) -> Application:
        """Put the browser's request into the draft. Raises: as `KeyMaking.bring_from_browser`."""
        with self._database.transaction() as connection:
            current = load_application(connection, opened.application.id, lock=True)
            return self._key_making.bring_from_browser(connection, current, csr_der, at=self._clock.now())

    # --- helpers ----------------------------------------------------------------------------------

    def _checked(self, recipient: Recipient) -> Recipient:
        name = clean(recipient.name).value
        if not 1 <= len(name) <= 64:
            raise RecipientInvalidError("name")
        if recipient.document_type not in DOCUMENTS:
            raise RecipientInvalidError("document_type")
        number = "".join(clean(recipient.document_number).value.upper().split())
        if recipient.document_type == "idcard":
            try:
                number = ids.checked("idcard", number, at=self._clock.now().date(), test_ids=self._test_ids)
            except InvalidIdError as exc:
                raise RecipientInvalidError("document_number") from exc
        elif not _NUMBER.fullmatch(number):
            raise RecipientInvalidError("document_number")
        return Recipient(name, recipient.document_type, number)


def _masked(number: str) -> str:
    """The last two characters only, or an identity card number as everywhere."""
    return ids.masked_idcard(number) if len(number) == 18 else "*" * (len(number) - 2) + number[-2:]

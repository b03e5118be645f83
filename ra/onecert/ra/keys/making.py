"""A key that was made for an application: its request becomes part of the draft.

A media clerk brings one from a token at the counter, an applicant one from a browser. It must be a request
like any other: its signature proves the key, its key is strong and nobody's else. What a second person
approves contains it, so it comes while the application is a draft or was returned.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from onecert.ra.applications.duplicates import find_key_holder, key_error
from onecert.ra.applications.records import Application, load_application
from onecert.ra.applications.steps import OperatorSteps, ServiceSteps
from onecert.ra.content.csr import CertificateRequest, RequestFault, load_request
from onecert.ra.errors import InvalidApplicationError
from onecert.ra.keys.origins import BROWSER, TOKEN, KeyOrigin, find_origin, note_origin
from onecert.ra.life.machine import Act
from onecert.ra.media.stock import Stock
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.scopes import Scope
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator

__all__ = ["KeyMaking"]

APPLICANT = "applicant"


class KeyMaking:
    """The acts; each is one transaction with life line and audit entry."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        reach: Reach,
        steps: OperatorSteps[Application],
        own_steps: ServiceSteps[Application],
        stock: Stock,
    ) -> None:
        self._database = database
        self._clock = clock
        self._reach = reach
        self._steps = steps
        self._own_steps = own_steps
        self._stock = stock

    def bring(
        self, operator: Operator, application_id: str, csr: str | bytes, *, token_number: str
    ) -> Application:
        """A media clerk brings the request of a key on a token; the same one again changes nothing.

        Raises:
            InvalidApplicationError: the request cannot be used; one fault, at `csr`.
            KeyRepeatedError: another application has this key.
            MediumRefusedError: the token is spoiled, returned, at another point, or another holder's.
        """
        request = _checked(csr)
        self._reach.application(operator, application_id)
        with self._database.transaction() as connection:
            before = load_application(connection, application_id)
            if self._is_there(connection, before, request, token_number):
                self._reach.account(connection, operator, at=self._clock.now())
                return before
            current, operator, now = self._steps.begin(connection, operator, application_id, Act.BRING_KEY)
            scope = self._reach.scope(connection, operator)
            self._check_unused(connection, request, application_id, scope)
            self._stock.take(connection, operator, token_number, current, at=now)
            note_origin(connection, application_id, _origin(TOKEN, request, token_number, now, operator.id))
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=Act.BRING_KEY,
                event="key_brought",
                at=now,
                changes=_columns(request),
            )

    def bring_from_browser(
        self, connection: Connection, current: Application, csr: bytes, *, at: datetime
    ) -> Application:
        """The applicant's browser made the key; `current` is locked by the caller, who checked the code.

        Raises: as `bring`.
        """
        request = _checked(csr)
        if self._is_there(connection, current, request, None):
            return current
        self._check_unused(connection, request, current.id, Scope(()))  # an applicant reads no other's
        note_origin(connection, current.id, _origin(BROWSER, request, None, at, APPLICANT))
        self._own_steps.move(
            connection,
            current,
            act=Act.BRING_KEY,
            event="key_from_browser",
            at=at,
            changes=_columns(request),
            details={"key_sha256": request.key_sha256, "key_made": BROWSER},
        )
        return load_application(connection, current.id)

    @staticmethod
    def _is_there(
        connection: Connection, application: Application, request: CertificateRequest, token: str | None
    ) -> bool:
        """Whether the application has this very key already, made in this very place."""
        found = find_origin(connection, application.id, application.key_sha256)
        return found is not None and found.key_sha256 == request.key_sha256 and found.token_number == token

    @staticmethod
    def _check_unused(
        connection: Connection, request: CertificateRequest, application_id: str, scope: Scope
    ) -> None:
        holder = find_key_holder(connection, request.key_sha256, application_id)
        if holder is not None:
            raise key_error(holder, scope)


def _checked(csr: str | bytes) -> CertificateRequest:
    try:
        return load_request(csr)
    except RequestFault as refused:
        raise InvalidApplicationError((refused.fault,)) from refused


def _origin(
    origin: str, request: CertificateRequest, token_number: str | None, at: datetime, by: str
) -> KeyOrigin:
    return KeyOrigin(
        origin=origin, key_sha256=request.key_sha256, token_number=token_number, made_at=at, made_by=by
    )


def _columns(request: CertificateRequest) -> Mapping[str, Any]:
    return {"csr_pem": request.pem, "key_sha256": request.key_sha256}

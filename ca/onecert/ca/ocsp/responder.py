"""The OCSP responders: one per issuing authority, with a key and a short-lived certificate of its own.

An answer says what is recorded at this moment. Its bytes may have been signed earlier: most answers are
signed ahead (`answering_ahead.py`), and one that had to be signed when it was asked for is kept and used
again while status and time allow. A nonce is answered at once. Status processes ask here for what they have
no answer to.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select

from onecert.ca.archive.models import archived_certificates
from onecert.ca.authorities.authorities import Authorities, Authority
from onecert.ca.authorities.delegates import Delegate, Delegates
from onecert.ca.certificates.draft import serial_hex
from onecert.ca.der import DerError
from onecert.ca.errors import CaError
from onecert.ca.issuing.ledger import ABANDONED, GOOD
from onecert.ca.models import certificates
from onecert.ca.ocsp.answering_ahead import AnsweringAhead
from onecert.ca.ocsp.messages import (
    UNKNOWN,
    CertId,
    IssuerHashes,
    OcspRequest,
    ResponseStatus,
    Status,
    load_request,
    refusal,
)
from onecert.ca.ocsp.signing import SignedAnswer, encoded_answer, signed_answer
from onecert.ca.ocsp.stored_answers import OcspAnswer
from onecert.ca.signatures.algorithms import spki_der
from onecert.ca.signatures.signer import Signer
from onecert.hsm import TokenError
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.statements import Statement

__all__ = ["IssuerNames", "OcspAnswer", "Responders"]

log = logging.getLogger(__name__)

PROFILE = "ocsp"
KEPT_ANSWERS = 20_000

_STATUS = Statement(
    select(
        certificates.c.status, certificates.c.revoked_at, certificates.c.reason, certificates.c.state
    ).where(certificates.c.authority == bindparam("a"), certificates.c.serial == bindparam("s"))
)

_ARCHIVED = Statement(
    select(archived_certificates.c.revoked_at, archived_certificates.c.reason).where(
        archived_certificates.c.authority == bindparam("a"), archived_certificates.c.serial == bindparam("s")
    )
)


class IssuerNames:
    """How requests name the authorities of this service."""

    def __init__(self, authorities: Authorities) -> None:
        self._authorities = authorities
        self._hashes: dict[str, IssuerHashes] = {}

    def find(self, name: str) -> IssuerHashes | None:
        """The hashes of an authority; None when there is none, or nobody can tell now."""
        found = self._hashes.get(name)
        if found is None:
            try:
                found = self.of(self._authorities.get(name))
            except ServiceError:
                return None
        return found

    def of(self, authority: Authority) -> IssuerHashes:
        """The hashes of this authority."""
        found = self._hashes.get(authority.name)
        if found is None:
            issuer = authority.issuer
            found = IssuerHashes(issuer.subject_der, spki_der(issuer.public_key))
            self._hashes[authority.name] = found
        return found


class Responders:
    """Answers for all issuing authorities of this service."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        authorities: Authorities,
        delegates: Delegates,
        signer: Signer,
        ahead: AnsweringAhead,
        names: IssuerNames,
        lifetime: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._authorities = authorities
        self._delegates = delegates
        self._signer = signer
        self._ahead = ahead
        self._lifetime = lifetime
        self._names = names
        self._kept: OrderedDict[tuple[str, bytes, Status], SignedAnswer] = OrderedDict()
        self._kept_lock = threading.Lock()

    def answer(self, authority_name: str, request_der: bytes) -> OcspAnswer:
        """Answer one request; whatever goes wrong is an OCSP answer too.

        Raises:
            UnknownAuthorityError: no such authority here.
        """
        names = self._names.find(authority_name)
        # Most of what is not answered ahead asks about one certificate with a nonce.
        request = None if names is None else names.question(request_der)
        if request is None:
            prepared = self._ahead.find(authority_name, request_der)
            if prepared is not None:
                return prepared
        try:
            request = request or load_request(request_der)
        except DerError:
            return OcspAnswer(der=refusal(ResponseStatus.MALFORMED_REQUEST))
        try:
            authority = self._authorities.get(authority_name)
            at = self._clock.now()
            responder = self._delegates.current(authority, at)
            if responder is None:
                return OcspAnswer(der=refusal(ResponseStatus.TRY_LATER))
            return self._answer(authority, responder, request, at.replace(microsecond=0))
        except (TokenError, CaError, ServiceError) as exc:
            if isinstance(exc, CaError) and exc.status == 404:
                raise
            log.warning("no OCSP answer possible", extra={"authority": authority_name, "why": str(exc)})
            return OcspAnswer(der=refusal(ResponseStatus.TRY_LATER))

    def prepare(self) -> None:
        """Sign answers ahead, for all authorities.

        Raises:
            TokenError, ServiceError: not now.
        """
        for authority in self._authorities.reload():
            if self._delegates.serves(authority):
                self._ahead.prepare(authority, self._names.of(authority))
        self._ahead.drop_ended()

    def start_over(self, authority_name: str) -> None:
        """Forget every answer of an authority that was signed ahead: the record does not stand behind it.

        Raises:
            DatabaseUnavailableError
        """
        self._ahead.start_over(authority_name)

    def follow(self) -> None:
        """Sign answers about what was issued or changed a moment ago, for all authorities.

        Raises:
            TokenError, ServiceError: not now.
        """
        for authority in self._authorities.everyone():
            if self._delegates.serves(authority):
                self._ahead.follow(authority, self._names.of(authority))

    def _answer(
        self, authority: Authority, responder: Delegate, request: OcspRequest, at: datetime
    ) -> OcspAnswer:
        about = [(cert_id, self._status(authority, cert_id)) for cert_id in request.cert_ids]
        place = None
        if request.nonce_value_der is None and len(about) == 1:
            ((cert_id, status),) = about
            place = (responder.key_label, cert_id.raw, status)
            kept = self._kept.get(place)
            if kept is not None and at - kept.this_update < self._lifetime / 2:
                return _as_answer(responder, kept)
        answer = signed_answer(
            self._signer,
            responder,
            about,
            at=at,
            lifetime=self._lifetime,
            nonce_value_der=request.nonce_value_der,
        )
        if place is None:
            return OcspAnswer(der=encoded_answer(responder, answer.data_der, answer.signature))
        with self._kept_lock:
            self._kept[place] = answer
            while len(self._kept) > KEPT_ANSWERS:
                self._kept.popitem(last=False)
        return _as_answer(responder, answer)

    def _status(self, authority: Authority, cert_id: CertId) -> Status:
        if not self._names.of(authority).matches(cert_id):
            return UNKNOWN
        row = _STATUS.look_up(self._database, {"a": authority.name, "s": serial_hex(cert_id.serial)})
        if row is None:
            return self._archived(authority, cert_id)
        if row["status"] == GOOD and row["state"] != ABANDONED:
            return Status(known=True)
        return Status(known=True, revoked_at=row["revoked_at"], reason=row["reason"])

    def _archived(self, authority: Authority, cert_id: CertId) -> Status:
        """What is said of a certificate does not change when its records are removed."""
        names = {"a": authority.name, "s": serial_hex(cert_id.serial)}
        row = _ARCHIVED.look_up(self._database, names)
        if row is None:
            return UNKNOWN
        return Status(known=True, revoked_at=row["revoked_at"], reason=row["reason"])


def _as_answer(responder: Delegate, answer: SignedAnswer) -> OcspAnswer:
    return OcspAnswer(
        der=encoded_answer(responder, answer.data_der, answer.signature),
        next_update=int(answer.next_update.timestamp()),
        this_update=int(answer.this_update.timestamp()),
    )

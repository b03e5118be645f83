"""The OCSP responders: one per issuing authority, with a key and a short-lived certificate of its own.

An answer says what is recorded at this moment. Its bytes may have been signed a little earlier: an answer
without a nonce is kept and used again while status and time allow, so that a token that is gone stops only
what is new.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select

from onecert.ca.authorities import Authorities, Authority
from onecert.ca.delegates import Delegate, Delegates
from onecert.ca.der import DerError
from onecert.ca.draft import serial_hex
from onecert.ca.errors import CaError
from onecert.ca.ledger import ABANDONED, GOOD
from onecert.ca.models import certificates
from onecert.ca.ocsp import (
    UNKNOWN,
    CertId,
    IssuerHashes,
    OcspRequest,
    ResponseStatus,
    Status,
    check_answer,
    load_request,
    refusal,
    response_data,
    single_response,
    successful,
)
from onecert.ca.signer import Signer
from onecert.ca.signing import algorithm_of, is_signature_valid, sign, spki_der
from onecert.hsm import TokenError
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError

__all__ = ["OcspAnswer", "Responders"]

log = logging.getLogger(__name__)

PROFILE = "ocsp"
KEPT_ANSWERS = 20_000

_STATUS = select(
    certificates.c.status, certificates.c.revoked_at, certificates.c.reason, certificates.c.state
).where(certificates.c.authority == bindparam("a"), certificates.c.serial == bindparam("s"))


@dataclass(frozen=True, kw_only=True)
class OcspAnswer:
    """Bytes to send, and until when a cache may keep them; None: not at all."""

    der: bytes
    next_update: datetime | None = None
    this_update: datetime | None = None


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
        lifetime: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._authorities = authorities
        self._delegates = delegates
        self._signer = signer
        self._lifetime = lifetime
        self._hashes: dict[str, IssuerHashes] = {}
        self._kept: OrderedDict[tuple[str, bytes, Status], OcspAnswer] = OrderedDict()
        self._kept_lock = threading.Lock()

    def answer(self, authority_name: str, request_der: bytes) -> OcspAnswer:
        """Answer one request; whatever goes wrong is an OCSP answer too.

        Raises:
            UnknownAuthorityError: no such authority here.
        """
        try:
            request = load_request(request_der)
        except DerError:
            return OcspAnswer(der=refusal(ResponseStatus.MALFORMED_REQUEST))
        try:
            authority = self._authorities.get(authority_name)
            responder = self._delegates.current(authority)
            if responder is None:
                return OcspAnswer(der=refusal(ResponseStatus.TRY_LATER))
            return self._signed_answer(authority, responder, request)
        except (TokenError, CaError, ServiceError) as exc:
            if isinstance(exc, CaError) and exc.status == 404:
                raise
            log.warning("no OCSP answer possible", extra={"authority": authority_name, "why": str(exc)})
            return OcspAnswer(der=refusal(ResponseStatus.TRY_LATER))

    def _signed_answer(self, authority: Authority, responder: Delegate, request: OcspRequest) -> OcspAnswer:
        at = self._clock.now().replace(microsecond=0)
        statuses = [self._status(authority, cert_id) for cert_id in request.cert_ids]
        keep = request.nonce_value_der is None and len(statuses) == 1
        place = (responder.key_label, request.cert_ids[0].raw, statuses[0])
        if keep:
            kept = self._kept.get(place)
            if (
                kept is not None
                and kept.this_update is not None
                and at - kept.this_update < self._lifetime / 2
            ):
                return kept
        next_update = min(at + self._lifetime, responder.not_after)
        singles = [
            single_response(cert_id, status, this_update=at, next_update=next_update)
            for cert_id, status in zip(request.cert_ids, statuses, strict=True)
        ]
        data = response_data(
            responder.key_hash, singles, produced_at=at, nonce_value_der=request.nonce_value_der
        )
        signature = sign(self._signer.key(responder.key_label), data)
        if not is_signature_valid(responder.public_key, signature, data):
            return OcspAnswer(der=refusal(ResponseStatus.INTERNAL_ERROR))
        encoded = successful(data, algorithm_of(responder.public_key), signature, responder.certificate_der)
        check_answer(encoded, data, singles=len(singles), at=at, not_after=responder.not_after)
        if not keep:
            return OcspAnswer(der=encoded)
        answer = OcspAnswer(der=encoded, next_update=next_update, this_update=at)
        with self._kept_lock:
            self._kept[place] = answer
            while len(self._kept) > KEPT_ANSWERS:
                self._kept.popitem(last=False)
        return answer

    def _status(self, authority: Authority, cert_id: CertId) -> Status:
        if not self._hashes_of(authority).matches(cert_id):
            return UNKNOWN
        with self._database.reading() as connection:
            row = connection.execute(
                _STATUS, {"a": authority.name, "s": serial_hex(cert_id.serial)}
            ).one_or_none()
        if row is None:
            return UNKNOWN
        if row.status == GOOD and row.state != ABANDONED:
            return Status(known=True)
        return Status(known=True, revoked_at=row.revoked_at, reason=row.reason)

    def _hashes_of(self, authority: Authority) -> IssuerHashes:
        found = self._hashes.get(authority.name)
        if found is None:
            found = IssuerHashes(authority.issuer, spki_der(authority.issuer.public_key))
            self._hashes[authority.name] = found
        return found

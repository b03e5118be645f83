"""The OCSP responder for attribute certificates: answers are kept as signed, remade when a status changes.

An answer is signed by the authority's own key when it is first asked for, and kept with the status that it
tells. It is handed out while that is the status on record, and remade past half of its time. So a revocation
counts from the next question on; and while the token is away, what was signed stays good until its end. A
question with a nonce is signed for itself; without the token it is answered by what is kept, without nonce.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, select

from onecert.pmi.authorities.directory import Authorities, Authority
from onecert.pmi.issuing.signing import Signer
from onecert.pmi.models import certificates, ocsp_answers
from onecert.pmi.repository.search import Record
from onecert.pmi.status.ocsp_messages import (
    Answer,
    CertId,
    OcspRequest,
    ResponseStatus,
    is_about,
    read_request,
    successful,
    tbs_response,
    unsuccessful,
    write_cert_id,
)
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.statements import Statement, Values, insert_if_absent
from onecert.verifier.der import DerError

__all__ = ["OcspResponder"]

log = logging.getLogger(__name__)

_IN_MEMORY = 10_000
_AT_ONCE = 2000
_NOT_GOOD = ("held", "revoked", "abandoned")
_STATUS = Statement(
    select(
        certificates.c.authority, certificates.c.state, certificates.c.revoked_at, certificates.c.reason
    ).where(certificates.c.serial == bindparam("wanted"))
)
_KEPT = Statement(
    select(ocsp_answers).where(
        ocsp_answers.c.serial == bindparam("wanted"), ocsp_answers.c.hash_name == bindparam("name")
    )
)


class OcspResponder:
    """Answers for every authority of the service. Safe to share between threads.

    Args:
        lifetime: from this to next update.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        directory: Authorities,
        signer: Signer,
        lifetime: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._signer = signer
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._last: OrderedDict[tuple[str, bytes], tuple[bytes, datetime]] = OrderedDict()

    def answer(self, name: str, request_der: bytes) -> bytes:
        """Answer a request to the responder of this authority; DER in, DER out, whatever comes in."""
        try:
            request = read_request(request_der)
        except (DerError, ValueError):
            return unsuccessful(ResponseStatus.MALFORMED_REQUEST)
        try:
            answered = self._answer(name, request)
        except ServiceError:
            # The database does not answer: what was answered last counts until its end.
            log.exception("ocsp answered from memory", extra={"authority": name})
            return self._from_memory(name, request) or unsuccessful(ResponseStatus.TRY_LATER)
        return answered

    def remake(self, records: Iterable[Record]) -> None:
        """Sign anew what was kept about these, whose status has changed; what fails is signed when asked."""
        for record in records:
            try:
                with self._database.reading() as connection:
                    names = list(
                        connection.scalars(
                            select(ocsp_answers.c.hash_name).where(ocsp_answers.c.serial == record.serial)
                        )
                    )
                    if not names:
                        continue
                    authority = self._directory.load(connection, record.authority)
                for hash_name in names:
                    cert_id = write_cert_id(authority.certificate, int(record.serial, 16), hash_name)
                    self._single(authority, cert_id)
            except ServiceError:
                log.warning("ocsp answer not remade", extra={"serial": record.serial})
                return

    def renew(self, at: datetime) -> None:
        """Sign anew what is past half of its time, and forget what is over. The job of the timer."""
        with self._database.transaction() as connection:
            connection.execute(delete(ocsp_answers).where(ocsp_answers.c.next_update <= at - self._lifetime))
        with self._database.reading() as connection:
            due = (
                select(ocsp_answers.c.serial, ocsp_answers.c.hash_name, ocsp_answers.c.authority)
                .where(ocsp_answers.c.next_update > at, ocsp_answers.c.next_update <= at + self._lifetime / 2)
                .order_by(ocsp_answers.c.next_update)
                .limit(_AT_ONCE)
            )
            rows = connection.execute(due).all()
            known = {each.name: each for each in self._directory.all(connection)}
        for row in rows:
            authority = known.get(row.authority)
            if authority is not None:
                cert_id = write_cert_id(authority.certificate, int(row.serial, 16), row.hash_name)
                self._single(authority, cert_id)

    # ------------------------------------------------------------------ one request

    def _answer(self, name: str, request: OcspRequest) -> bytes:
        with self._database.reading() as connection:
            keys = [each for each in self._directory.every_key(connection) if each.name == name]
        first = request.cert_ids[0]
        authority = next((each for each in keys if is_about(first, each.certificate)), None)
        if authority is None:
            return unsuccessful(ResponseStatus.UNAUTHORIZED)
        is_plain = len(request.cert_ids) == 1 and not request.nonce_der
        try:
            if is_plain and first.hash_name in {"sha1", "sha256"}:
                return self._single(authority, first)
            with self._database.reading() as connection:
                answers = [self._look(connection, authority, each) for each in request.cert_ids]
            return self._sign(authority, answers, nonce_der=request.nonce_der)[0]
        except ServiceError:
            log.warning("ocsp answer not signed", extra={"authority": name})
            if len(request.cert_ids) > 1:
                return unsuccessful(ResponseStatus.TRY_LATER)
            return self._kept(authority, first) or unsuccessful(ResponseStatus.TRY_LATER)

    def _single(self, authority: Authority, cert_id: CertId) -> bytes:
        """The kept answer while it is true and young; else a new one, which is kept."""
        now = self._clock.now()
        with self._database.reading() as connection:
            answer = self._look(connection, authority, cert_id)
            kept = self._find(connection, authority, answer)
        # An answer about a certificate that was never issued is not kept: there is no end to them.
        if kept is not None and now < kept["this_update"] + self._lifetime / 2:
            return self._remember(authority, cert_id, bytes(kept["response_der"]), kept["next_update"])
        response, next_update = self._sign(authority, [answer])
        if answer.known:
            self._keep(authority, answer, response, next_update)
        return self._remember(authority, cert_id, response, next_update)

    def _kept(self, authority: Authority, cert_id: CertId) -> bytes | None:
        """What was signed about the status on record and is not over, while nothing can be signed."""
        with self._database.reading() as connection:
            kept = self._find(connection, authority, self._look(connection, authority, cert_id))
        if kept is None or self._clock.now() >= kept["next_update"]:
            return None
        return bytes(kept["response_der"])

    def _look(self, connection: Connection, authority: Authority, cert_id: CertId) -> Answer:
        row = None
        if cert_id.serial > 0 and is_about(cert_id, authority.certificate):
            row = _STATUS.first(connection, {"wanted": f"{cert_id.serial:x}"})
        if row is None or row["authority"] != authority.name:
            return Answer(cert_id, known=False)
        if row["state"] in _NOT_GOOD:
            return Answer(cert_id, known=True, revoked_at=row["revoked_at"], reason=row["reason"] or "")
        # What is only about to be signed is not issued yet.
        return Answer(cert_id, known=row["state"] == "issued")

    def _find(self, connection: Connection, authority: Authority, answer: Answer) -> Values | None:
        values = {"wanted": f"{answer.cert_id.serial:x}", "name": answer.cert_id.hash_name}
        row = _KEPT.first(connection, values) if answer.known and answer.cert_id.serial > 0 else None
        return row if row is not None and row["status"] == _text(authority, answer) else None

    def _sign(
        self, authority: Authority, answers: Sequence[Answer], *, nonce_der: bytes = b""
    ) -> tuple[bytes, datetime]:
        at = self._clock.now().replace(microsecond=0)
        certificate, next_update = authority.certificate, at + self._lifetime
        tbs = tbs_response(certificate, answers, this_update=at, next_update=next_update, nonce_der=nonce_der)
        signed = self._signer.sign(authority.name, authority.key_label, authority.public_key, tbs)
        return successful(signed, [certificate.der]), next_update

    def _keep(self, authority: Authority, answer: Answer, response: bytes, next_update: datetime) -> None:
        row = {
            "serial": f"{answer.cert_id.serial:x}",
            "hash_name": answer.cert_id.hash_name,
            "authority": authority.name,
            "status": _text(authority, answer),
            "this_update": next_update - self._lifetime,
            "next_update": next_update,
            "response_der": response,
        }
        with self._database.transaction() as connection:
            connection.execute(
                delete(ocsp_answers).where(
                    ocsp_answers.c.serial == row["serial"], ocsp_answers.c.hash_name == row["hash_name"]
                )
            )
            insert_if_absent(connection, ocsp_answers, row)

    # ------------------------------------------------------------------ while the database is away

    def _remember(self, authority: Authority, cert_id: CertId, response: bytes, end: datetime) -> bytes:
        with self._lock:
            self._last[authority.name, cert_id.raw] = response, end
            self._last.move_to_end((authority.name, cert_id.raw))
            if len(self._last) > _IN_MEMORY:
                self._last.popitem(last=False)
        return response

    def _from_memory(self, name: str, request: OcspRequest) -> bytes | None:
        if len(request.cert_ids) != 1:
            return None
        with self._lock:
            response, end = self._last.get((name, request.cert_ids[0].raw), (None, None))
        return response if end is not None and self._clock.now() < end else None


def _text(authority: Authority, answer: Answer) -> str:
    """What an answer tells, and by which key of the authority."""
    if answer.revoked_at is None:
        return f"{authority.generation} good"
    return f"{authority.generation} {answer.revoked_at.isoformat()} {answer.reason}"

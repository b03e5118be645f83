"""Live drills: a certificate made for it is revoked as any other; measured until verifiers refuse it.

    issued      from the profile `drill`, or another for the system's own certificates; named 演练 DRILL
    accepted    our own verifier accepts it over HTTP, by OCSP and by list; or nothing would be measured
    revoked     by the same order as any certificate; the clock starts with the request
    refused     the verifier is asked again and again, each way by itself, until it refuses

A drill that is slower than its limit, or that fails, is an alarm: a figure for Prometheus, and on record.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import Gauge
from sqlalchemy import insert, select, update

from onecert.ca.authorities.authorities import Authorities, Authority
from onecert.ca.certificates.checked_request import checked_request
from onecert.ca.drills.models import drills
from onecert.ca.drills.probe import Probe, Seen, Way
from onecert.ca.errors import DrillProfileError, UnknownDrillError
from onecert.ca.issuing.certifier import Certifier
from onecert.ca.issuing.ledger import CertificateRecord, OrderRecord
from onecert.ca.issuing.order_notices import RevocationOrder
from onecert.ca.issuing.orders import content_sha256
from onecert.ca.profiles.profile import Profile
from onecert.ca.revocation.revocation import Revocation
from onecert.server import metrics
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.verifier.fetch import Fetch

__all__ = ["Drill", "Drills"]

log = logging.getLogger(__name__)

ASKED, RUNNING, DONE, LATE, FAILED = "asked", "running", "done", "late", "failed"
LIVE, REHEARSAL = "live", "rehearsal"
POLL_S = 0.05
_PROFILES = ("drill", "tls-client", "operator")
_NOT_ACCEPTED = "the certificate was not accepted before it was revoked"
drill_seconds = Gauge(
    "onecert_ca_drill_refused_seconds",
    "From the request to revoke until verifiers refused, in the newest live drill",
    ["authority"],
    registry=metrics.registry,
)
drill_late = Gauge(
    "onecert_ca_drill_late",
    "1 when the newest live drill failed or was slower than its limit",
    ["authority"],
    registry=metrics.registry,
)


@dataclass(frozen=True, kw_only=True)
class Drill:
    """One drill on record; `result` is what was measured, milliseconds from the request on."""

    id: str
    kind: str
    authority: str
    state: str
    began_at: datetime
    finished_at: datetime | None
    actor: str
    refused_ms: int | None
    result: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
            for name, value in vars(self).items()
        }


class Drills:
    """Runs live drills and keeps what all drills found.

    Args:
        fetch: carries the verifier's requests out.
        limit: slower than this is late; a way that has not refused after it is no more waited for.
        pause: waits between two looks.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        authorities: Authorities,
        certifier: Certifier,
        revocation: Revocation,
        fetch: Fetch,
        limit: timedelta,
        pause: Callable[[float], object],
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._authorities = authorities
        self._certifier = certifier
        self._revocation = revocation
        self._fetch = fetch
        self._limit = limit
        self._pause = pause

    def run(self, authority_name: str, *, actor: str) -> Drill:
        """Issue, look, revoke, and look until it is refused.

        Raises:
            UnknownAuthorityError
            DrillProfileError: the authority has no profile that a drill may use; nothing was done.
        """
        drill_profile(self._authorities.get(authority_name))
        number = self.begin(LIVE, authority_name, actor=actor)
        return self.carry_out(number, authority_name, actor=actor)

    def carry_out(self, number: str, authority_name: str, *, actor: str) -> Drill:
        """Do the live drill that was begun under this number; whatever happens, it ends."""
        try:
            authority = self._authorities.get(authority_name)
            profile = drill_profile(authority)
            result = self._measure(authority, profile, number, actor)
        except (ServiceError, OSError) as exc:
            log.exception("drill failed", extra={"drill": number})
            result = {"failed": getattr(exc, "code", type(exc).__name__)}
        times = [result.get(f"refused_by_{way}") for way in Way]
        refused_ms = None if "failed" in result or None in times else max(int(ms or 0) for ms in times)
        state = FAILED
        if refused_ms is not None:
            state = DONE if refused_ms <= self._limit.total_seconds() * 1000 else LATE
        drill_late.labels(authority_name).set(state != DONE)
        if refused_ms is not None:
            drill_seconds.labels(authority_name).set(refused_ms / 1000)
        return self.end(number, state, result, refused_ms=refused_ms)

    def run_due(self, every: timedelta) -> list[Drill]:
        """Run a drill for each authority that can have one and had none for so long; for the timer."""
        found = []
        for authority in self._authorities.reload():
            try:
                drill_profile(authority)
            except DrillProfileError:
                continue
            query = select(drills.c.began_at).where(
                drills.c.authority == authority.name, drills.c.kind == LIVE
            )
            with self._database.reading() as connection:
                last = connection.execute(query.order_by(drills.c.began_at.desc()).limit(1)).scalar()
            if last is None or self._clock.now() >= last + every:
                found.append(self.run(authority.name, actor="job:ca.drills"))
        return found

    # ------------------------------------------------------------------ the record

    def begin(self, kind: str, authority: str, *, actor: str, state: str = RUNNING) -> str:
        """Put a drill on record; its number."""
        number = f"drill-{secrets.token_hex(8)}"
        values = {
            "id": number,
            "kind": kind,
            "authority": authority,
            "state": state,
            "began_at": self._clock.now(),
            "actor": actor,
        }
        with self._database.transaction() as connection:
            connection.execute(insert(drills).values(values))
        return number

    def note(self, number: str, step: str) -> None:
        """Keep how far a running drill has come, for whoever watches."""
        values = {"result": json.dumps({"step": step}, ensure_ascii=False)}
        with self._database.transaction() as connection:
            connection.execute(update(drills).where(drills.c.id == number).values(values))

    def end(
        self, number: str, state: str, result: Mapping[str, Any], *, refused_ms: int | None = None
    ) -> Drill:
        """Keep what a drill has found, with an audit entry."""
        with self._database.transaction() as connection:
            connection.execute(
                update(drills)
                .where(drills.c.id == number)
                .values(
                    state=state,
                    finished_at=self._clock.now(),
                    refused_ms=refused_ms,
                    result=json.dumps(result, ensure_ascii=False),
                )
            )
            row = connection.execute(select(drills).where(drills.c.id == number)).mappings().one()
            self._audit.record(
                connection,
                event="drill.finished",
                actor=row["actor"],
                subject=f"{row['authority']}/{number}",
                details={"kind": row["kind"], "state": state, "refused_ms": refused_ms},
            )
        return _drill(row)

    def show(self, number: str) -> Drill:
        """One drill.

        Raises:
            UnknownDrillError
        """
        with self._database.reading() as connection:
            row = connection.execute(select(drills).where(drills.c.id == number)).mappings().one_or_none()
        if row is None:
            raise UnknownDrillError(number[:64])
        return _drill(row)

    def latest(self, limit: int = 100) -> list[Drill]:
        """The newest, newest first."""
        query = select(drills).order_by(drills.c.began_at.desc(), drills.c.id).limit(limit)
        with self._database.reading() as connection:
            return [_drill(row) for row in connection.execute(query).mappings()]

    # ------------------------------------------------------------------ inside

    def _measure(self, authority: Authority, profile: Profile, number: str, actor: str) -> dict[str, Any]:
        # 1. A certificate whose name says what it is for; its key is forgotten at once.
        record = self._issue(authority, profile, number, actor)
        chain = [each.certificate_der for each in self._authorities.chain(authority)]
        probe = Probe(record.certificate_der or b"", chain, self._fetch)
        self.note(number, "issued")
        # 2. Accepted, each way by itself: otherwise a refusal would say nothing.
        before = {way: probe.look(way, self._clock.now()) for way in Way}
        result: dict[str, Any] = {
            "serial": record.serial,
            "before": {way: code or seen for way, (seen, code) in before.items()},
        }
        if any(seen is not Seen.ACCEPTED for seen, _code in before.values()):
            return result | {"failed": _NOT_ACCEPTED}
        self.note(number, "accepted")
        # 3. From the request on, both ways are asked until they refuse; the list is made in between.
        begun = monotonic()

        def passed_ms() -> int:
            return round((monotonic() - begun) * 1000)

        def watch(way: Way) -> None:
            result[f"looks_by_{way}"] = 0
            while passed_ms() <= 2 * self._limit.total_seconds() * 1000:
                seen, _code = probe.look(way, self._clock.now())
                result[f"looks_by_{way}"] += 1
                if seen is Seen.REFUSED:
                    result[f"refused_by_{way}"] = passed_ms()
                    return
                self._pause(POLL_S)

        watching = [threading.Thread(target=watch, args=(way,), daemon=True) for way in Way]
        for thread in watching:
            thread.start()
        done = self._revocation.revoke(
            _order(record, number, actor, self._clock.now()),
            on_recorded=lambda: result.update(recorded=passed_ms()),
        )
        if done.crl_number is not None:
            result.update(list_published=passed_ms(), crl_number=done.crl_number)
        for thread in watching:
            thread.join()
        # Nothing tells a department: it learns of it when it asks again.
        return result | {"refused_by_push": None}

    def _issue(self, authority: Authority, profile: Profile, number: str, actor: str) -> CertificateRecord:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "DRILL")])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        wanted = {
            "country": "CN",
            "organization": "演练 DRILL",
            "common_name": f"演练 DRILL {number}",
        }
        subject = {field: text for field, text in wanted.items() if field in profile.subject}
        checked = checked_request(
            profile,
            csr_pem=request.public_bytes(serialization.Encoding.PEM).decode("ascii"),
            subject=subject,
            identity={},
            at=self._clock.now(),
        )
        payload = {"drill": number, "authority": authority.name, "profile": profile.name}
        order = OrderRecord(
            id=f"drill.{number}",
            content_sha256=content_sha256(payload),
            ordered_by=actor,
            document=json.dumps(payload).encode(),
            approved_by=(actor,),
        )
        record, _is_new = self._certifier.certify(
            authority.maker(profile), authority.key_label, checked, order
        )
        return record


def drill_profile(authority: Authority) -> Profile:
    """The profile of drill certificates: one for the system's own, whose holder is nobody.

    Raises:
        DrillProfileError
    """
    for name in _PROFILES:
        profile = authority.profiles.get(name)
        if profile is not None and profile.holder == "system":
            return profile
    raise DrillProfileError(authority.name)


def _order(record: CertificateRecord, number: str, actor: str, at: datetime) -> RevocationOrder:
    payload = {"drill": number, "serial": record.serial}
    return RevocationOrder(
        id=f"drill.{number}",
        requested_by=actor,
        created_at=at,
        authority=record.authority,
        serial=record.serial,
        reason="cessationOfOperation",
        invalidity_date=None,
        people=(actor.partition(":")[2] or actor,),
        content_sha256=content_sha256(payload),
        document=json.dumps(payload).encode(),
    )


def _drill(row: Mapping[Any, Any]) -> Drill:
    values = {name: row[name] for name in Drill.__dataclass_fields__}
    return Drill(**values | {"result": json.loads(row["result"] or "{}")})

"""Puts the parts of the CA together: the same parts with the same checks for the service and each command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import sleep
from urllib.parse import urlsplit

from onecert.ca.archive.archives import Archives
from onecert.ca.archive.housekeeping import Housekeeping
from onecert.ca.archive.removal import ArchiveRemoval
from onecert.ca.archive.stamp import stamped
from onecert.ca.authorities.authorities import Authorities
from onecert.ca.authorities.delegates import Delegates
from onecert.ca.batches.batches import Batches
from onecert.ca.batches.claims import ChunkClaims
from onecert.ca.batches.ledger import BatchLedger
from onecert.ca.batches.work import BatchWork
from onecert.ca.checking.list_checker import ListChecker
from onecert.ca.checking.record_checker import RecordChecker
from onecert.ca.checking.rounds import CheckRounds
from onecert.ca.config import CaConfig
from onecert.ca.drills.asked import AskedDrills
from onecert.ca.drills.drills import Drills
from onecert.ca.drills.rehearsal import Rehearsal
from onecert.ca.issuing.certifier import Certifier
from onecert.ca.issuing.group_commit import GroupCommit
from onecert.ca.issuing.issuance import Issuance
from onecert.ca.issuing.ledger import Ledger
from onecert.ca.issuing.order_preparing import OrderHelpers
from onecert.ca.issuing.orders import OrderDesk
from onecert.ca.issuing.recovery import Recovery
from onecert.ca.issuing.registration_authorities import RegistrationAuthorities
from onecert.ca.lists.publishing import CrlPublisher
from onecert.ca.ocsp.answering_ahead import AnsweringAhead
from onecert.ca.ocsp.prepared_answers import FILE_NAME, PreparedAnswers
from onecert.ca.ocsp.responder import PROFILE as OCSP
from onecert.ca.ocsp.responder import IssuerNames, Responders
from onecert.ca.operation.clock_guard import ClockGuard
from onecert.ca.operation.record_guard import RecordGuard
from onecert.ca.profiles.desk import ProfileDesk
from onecert.ca.renewals.follow_up import FollowUps
from onecert.ca.renewals.record import Renewals
from onecert.ca.revocation.mass import MassRevocations
from onecert.ca.revocation.mass_people import Desk
from onecert.ca.revocation.mass_work import MassRevocationWork
from onecert.ca.revocation.revocation import Revocation
from onecert.ca.revocation.security_officers import OfficerTokens, SecurityOfficers
from onecert.ca.search.index import SearchIndex
from onecert.ca.search.questions import Enquiries
from onecert.ca.search.search import Search
from onecert.ca.signatures.signer import Signer
from onecert.ca.signatures.tokens import KeyToken, document_key, issuing_token
from onecert.ca.status.files import StatusFiles
from onecert.ca.timestamps.authority import PROFILE as TIMESTAMP
from onecert.ca.timestamps.authority import TimestampAuthorities
from onecert.server.audit import AuditTrail
from onecert.server.database import Database
from onecert.server.kernel_clock import KernelClock, kernel_clock
from onecert.server.members import Context
from onecert.verifier.fetch import HttpFetch

__all__ = ["Parts", "assemble"]

AUDIT_KEY = "audit"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything a CA consists of."""

    config: CaConfig
    database: Database
    audit: AuditTrail
    clock: ClockGuard
    token: KeyToken
    signer: Signer
    authorities: Authorities
    registration_authorities: RegistrationAuthorities
    desk: OrderDesk
    ledger: Ledger
    certifier: Certifier
    issuance: Issuance
    follow_ups: FollowUps
    enquiries: Enquiries
    search_index: SearchIndex
    batches: Batches
    batch_work: BatchWork
    files: StatusFiles
    publisher: CrlPublisher
    revocation: Revocation
    profile_desk: ProfileDesk
    security_officers: SecurityOfficers
    officer_tokens: OfficerTokens
    mass_revocations: MassRevocations
    mass_revocation_work: MassRevocationWork
    drills: Drills
    rehearsal: Rehearsal
    asked_drills: AskedDrills
    ocsp_delegates: Delegates
    responders: Responders
    timestamp_delegates: Delegates
    timestamps: TimestampAuthorities
    recovery: Recovery
    checker: RecordChecker
    list_checker: ListChecker
    check_rounds: CheckRounds
    housekeeping: Housekeeping
    archives: Archives
    archive_removal: ArchiveRemoval


def assemble(
    config: CaConfig,
    context: Context,
    *,
    token: KeyToken | None = None,
    ledger_type: type[Ledger] = Ledger,
    kernel: Callable[[], KernelClock | None] = kernel_clock,
) -> Parts:
    """Build the parts on one context. Nothing is opened, signed or changed yet.

    Args:
        token: where the keys are; default as the settings say.
        ledger_type: another record with the same promises; tests give one that fails at chosen moments.
        kernel: asks whether a time daemon keeps the clock.
    """
    database, audit = context.database, context.audit
    # Whatever is signed takes its time from here.
    clock = ClockGuard(context.clock, tolerance=config.clock_tolerance, kernel=kernel)
    token = token or issuing_token(config, context.data, context.shared)
    files = StatusFiles(context.data / "status")
    guard = RecordGuard(database, files, context.clock)
    signer = Signer(token.key, token=token.label, check=token.check, guard=guard.check)
    writer = GroupCommit(database, audit)
    ledger = ledger_type(database, writer, process=context.processes.own)
    authorities = Authorities(database, context.status_url, context.clock)
    registration_authorities = RegistrationAuthorities(database, audit, clock, authorities.line_of)
    desk = OrderDesk(registration_authorities, max_age=config.order_max_age)
    certifier = Certifier(ledger, signer, clock)
    publisher = CrlPublisher(database, audit, clock, authorities=authorities, signer=signer, files=files)
    delegates = partial(Delegates, database, clock, authorities=authorities, certifier=certifier, token=token)
    # A responder's certificate is short-lived; a timestamp must be checked for years after it was made.
    ocsp = delegates(profile=OCSP, label="ocsp", common_name="OCSP", used=2 / 3)
    timestamp = delegates(profile=TIMESTAMP, label="tsa", common_name="TSA", used=1 / 5)
    names = IssuerNames(authorities)
    ahead = AnsweringAhead(
        database,
        clock,
        PreparedAnswers(files.folder / FILE_NAME),
        delegates=ocsp,
        signer=signer,
        lifetime=config.ocsp_prepared_lifetime,
        hashes_of=names.find,
        hash_names=config.ocsp_prepared_hashes,
    )
    revocation = Revocation(ledger, writer, publisher, clock, forget_answer=ahead.forget)
    # Our own status service, whatever network it is in, and nobody else.
    status_host = [urlsplit(context.status_url).hostname or ""]
    drills = Drills(
        database,
        audit,
        clock,
        authorities=authorities,
        certifier=certifier,
        revocation=revocation,
        fetch=HttpFetch(allow=status_host, only=status_host),
        limit=config.drill_limit,
        pause=sleep,
    )
    rehearsal = Rehearsal(database, audit, clock, authorities=authorities, publisher=publisher, drills=drills)
    officers = SecurityOfficers(database, audit, clock, context.operators)
    officer_tokens = OfficerTokens(
        module=config.token_module, folder=context.data / "officers", store=context.shared / "softhsm"
    )
    exact_clock = ClockGuard(
        context.clock,
        tolerance=config.timestamp_accuracy,
        kernel=kernel,
        needs_kept=config.timestamp_needs_kept_clock,
    )
    batches = Batches(database, audit, clock, desk)
    follow_ups = FollowUps(database, audit, clock, desk=desk, revocation=revocation)
    checker = RecordChecker(database, authorities, clock)
    list_checker = ListChecker(database, publisher, files, clock)
    timestamps = TimestampAuthorities(
        authorities=authorities,
        delegates=timestamp,
        signer=signer,
        clock=exact_clock,
        accuracy=config.timestamp_accuracy,
        ordering=config.timestamp_ordering,
    )
    archives = Archives(
        database,
        audit,
        context.clock,
        authorities=authorities,
        registration_authorities=registration_authorities,
        keep_years=config.keep_years,
        folder=config.archive_folder or context.data / "archive",
        audit_key=lambda: document_key(token, AUDIT_KEY),
        key_folder=context.data / "audit-keys",
        stamp=partial(stamped, timestamps, config.archive_timestamps) if config.archive_timestamps else None,
    )
    return Parts(
        config=config,
        database=database,
        audit=audit,
        clock=clock,
        token=token,
        signer=signer,
        authorities=authorities,
        registration_authorities=registration_authorities,
        desk=desk,
        ledger=ledger,
        certifier=certifier,
        issuance=Issuance(
            desk,
            authorities,
            certifier,
            clock,
            renewals=Renewals(database),
            follow_ups=follow_ups,
            test_identities=config.test_identities,
            helpers=OrderHelpers(
                database,
                context.status_url,
                max_age=config.order_max_age,
                test_identities=config.test_identities,
                processes=config.batch_workers,
            ),
        ),
        follow_ups=follow_ups,
        enquiries=Enquiries(
            database, audit, clock, desk=desk, search=Search(database), authorities=authorities
        ),
        search_index=SearchIndex(database),
        batches=batches,
        batch_work=BatchWork(
            database,
            clock,
            batches=batches,
            ledger=BatchLedger(
                database, audit, desk, registration_authorities, process=context.processes.own
            ),
            claims=ChunkClaims(database, clock, context.processes),
            authorities=authorities,
            certifier=certifier,
            signer=signer,
            test_identities=config.test_identities,
            workers=config.batch_workers,
        ),
        files=files,
        publisher=publisher,
        revocation=revocation,
        profile_desk=ProfileDesk(
            database, audit, clock, authorities=authorities, officers=officers, tokens=officer_tokens
        ),
        security_officers=officers,
        officer_tokens=officer_tokens,
        mass_revocations=MassRevocations(
            database,
            audit,
            clock,
            desk=Desk(registration_authorities, officers),
            authorities=authorities,
            max_age=config.order_max_age,
            valid=config.mass_revocation_valid,
        ),
        drills=drills,
        rehearsal=rehearsal,
        asked_drills=AskedDrills(
            database, clock, authorities=authorities, drills=drills, rehearsal=rehearsal
        ),
        mass_revocation_work=MassRevocationWork(
            database, audit, clock, publisher=publisher, forget_answers=ahead.forget
        ),
        ocsp_delegates=ocsp,
        responders=Responders(
            database,
            clock,
            authorities=authorities,
            delegates=ocsp,
            signer=signer,
            ahead=ahead,
            names=names,
            lifetime=config.ocsp_lifetime,
        ),
        timestamp_delegates=timestamp,
        timestamps=timestamps,
        recovery=Recovery(database, authorities, certifier, revocation, context.processes),
        checker=checker,
        list_checker=list_checker,
        housekeeping=Housekeeping(database, audit, clock, keep_years=config.keep_years),
        check_rounds=CheckRounds(
            database,
            audit,
            clock,
            authorities=authorities,
            checker=checker,
            list_checker=list_checker,
            every=config.check_every,
            at_once=config.check_per_minute,
        ),
        archives=archives,
        archive_removal=ArchiveRemoval(database, audit, context.clock, archives=archives, officers=officers),
    )

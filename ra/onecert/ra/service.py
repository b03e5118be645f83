"""Puts the member together: one object with everything that pages, REST, import and commands act through."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from onecert.ra import models
from onecert.ra.applications.acts import APPLICATIONS, Applications
from onecert.ra.applications.entries import Entries
from onecert.ra.applications.findings import Findings
from onecert.ra.applications.many import ManyApplications
from onecert.ra.applications.steps import OperatorSteps, ServiceSteps, Store
from onecert.ra.auditing.handing import Auditing
from onecert.ra.batches.acts import Batches
from onecert.ra.batches.service import make_batches
from onecert.ra.batches.work import BatchWork
from onecert.ra.ca.authorities import Directory
from onecert.ra.ca.batches import BatchWire
from onecert.ra.ca.client import CaClient
from onecert.ra.ca.mass import MassWire
from onecert.ra.cases.acts import Cases
from onecert.ra.cases.handover import HandOvers
from onecert.ra.cases.records import load_case
from onecert.ra.certificates.relying import Relying
from onecert.ra.certificates.watching import Watching
from onecert.ra.certificates.world import World
from onecert.ra.config import RaConfig
from onecert.ra.content.consent import ConsentTexts
from onecert.ra.delivery.codes import Codes
from onecert.ra.delivery.handing import Delivery
from onecert.ra.delivery.mailing import CodeMails
from onecert.ra.delivery.tries import Tries
from onecert.ra.emergency.acts import Emergencies
from onecert.ra.emergency.mass import MassParts
from onecert.ra.emergency.work import EmergencyWork
from onecert.ra.emergency.writing import Writing
from onecert.ra.evidence.acts import EvidenceActs, Limits
from onecert.ra.evidence.examining import files_of
from onecert.ra.evidence.forgetting import ForgottenScans
from onecert.ra.evidence.keeping import EvidenceKeeping
from onecert.ra.keys.making import KeyMaking
from onecert.ra.life.duties import Duties
from onecert.ra.media.passes import Passes
from onecert.ra.media.stock import Stock
from onecert.ra.notices.due import Collector
from onecert.ra.notices.sending import Notices
from onecert.ra.notices.service import make_notices
from onecert.ra.operators.enrolment import Enrolments
from onecert.ra.operators.reach import Reach
from onecert.ra.orders.answers import Answers
from onecert.ra.orders.dispatch import Dispatch
from onecert.ra.orders.signing import Signing
from onecert.ra.orders.together import Together
from onecert.ra.papers.papers import Papers
from onecert.ra.papers.printing import Printing
from onecert.ra.points.points import Points
from onecert.ra.registry.snapshot import make_registry
from onecert.ra.reports.rolling import Figures
from onecert.ra.review.picks import Picks
from onecert.ra.review.service_level import ServiceLevels
from onecert.ra.revocation.requests import Certificates
from onecert.ra.revocation.revoking import Revoking
from onecert.ra.revocation.several import Several
from onecert.ra.search.backfill import Backfill
from onecert.ra.search.find import Search
from onecert.ra.vault.keys import Keys
from onecert.ra.vault.sealed import Vault
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.members import Context
from onecert.server.operators import Operators

__all__ = ["Ra", "make_ra"]


@dataclass(frozen=True, kw_only=True)
class Ra:
    """The registration authority below the web layer."""

    config: RaConfig
    clock: Clock
    database: Database
    keys: Keys
    vault: Vault
    directory: Directory
    entries: Entries
    applications: Applications
    dispatch: Dispatch
    together: Together
    certificates: Certificates
    revoking: Revoking
    world: World
    relying: Relying
    watching: Watching
    several: Several
    emergencies: Emergencies
    emergency_work: EmergencyWork
    operators: Operators
    reach: Reach
    points: Points
    cases: Cases
    handovers: HandOvers
    batches: Batches
    batch_work: BatchWork
    duties: Duties
    picks: Picks
    levels: ServiceLevels
    enrolments: Enrolments
    evidence: EvidenceActs
    evidence_keeping: EvidenceKeeping
    forgotten_scans: ForgottenScans
    printing: Printing
    search: Search
    backfill: Backfill
    stock: Stock
    passes: Passes
    key_making: KeyMaking
    delivery: Delivery
    code_mails: CodeMails
    tries: Tries
    notices: Notices
    notices_due: Collector
    figures: Figures
    auditing: Auditing
    close: Callable[[], None]


def make_ra(config: RaConfig, context: Context, keys: Keys, *, http: httpx.Client | None = None) -> Ra:
    """Build it on a context. `http` is the way to the CA; without it the context's client is used."""
    http = http or context.client("ca")
    database, audit, clock = context.database, context.audit, context.clock
    name = config.registration_authority
    client = CaClient(http, timeout_s=config.ca_timeout.total_seconds())
    vault = Vault(keys, database)
    directory = Directory(client, database, clock, keep=config.authorities_keep)
    findings = Findings(
        clock=clock,
        texts=ConsentTexts.load(config.consent_texts),
        register=make_registry(
            config.registry, config.trust_root, context.data / "registry", every=config.registry_every
        ),
        refused=config.registry_refused,
    )
    entries = Entries(
        database=database,
        clock=clock,
        vault=vault,
        findings=findings,
        test_ids=config.test_ids,
        required=config.fields_required,
        longest_months=directory.longest_months,
    )
    reach = Reach(
        database=database,
        audit=audit,
        clock=clock,
        vault=vault,
        load_operator=context.operators.load,
        certificate_required=config.certificate_required,
    )
    duties = Duties.from_settings(config.duties_apart)
    files = files_of(context)
    case_store = Store("case", models.cases, load_case)
    applications = Applications(
        database=database,
        audit=audit,
        clock=clock,
        directory=directory,
        load_operator=context.operators.load,
        reach=reach,
        entries=entries,
        duties=duties,
        materials_required=config.materials_required,
        two_reviewers=config.two_reviewers(),
    )
    steps = OperatorSteps(
        APPLICATIONS, audit, clock, reach=reach, load_operator=context.operators.load, duties=duties
    )
    own_steps = ServiceSteps(APPLICATIONS, audit, name)
    tries = Tries(database, vault, clock)
    stock = Stock(
        database=database,
        audit=audit,
        clock=clock,
        reach=reach,
        stock_required=config.media_stock_required,
    )
    key_making = KeyMaking(
        database=database, clock=clock, reach=reach, steps=steps, own_steps=own_steps, stock=stock
    )
    certificates = Certificates(
        database=database,
        audit=audit,
        clock=clock,
        keys=keys,
        reach=reach,
        registration_authority=name,
    )
    revoking = Revoking(
        database=database,
        audit=audit,
        clock=clock,
        client=client,
        sign=certificates.sign,
        registration_authority=name,
        case_steps=ServiceSteps(case_store, audit, name),
    )
    signing = Signing(
        database=database,
        clock=clock,
        directory=directory,
        entries=entries,
        steps=own_steps,
        registration_authority=name,
    )
    answers = Answers(database=database, clock=clock, directory=directory, steps=own_steps)
    dispatch = Dispatch(
        database=database,
        clock=clock,
        vault=vault,
        keys=keys,
        client=client,
        signing=signing,
        steps=own_steps,
        answers=answers,
        learn=revoking.refresh,
    )
    together = Together(
        database=database,
        clock=clock,
        vault=vault,
        keys=keys,
        wire=BatchWire(client),
        directory=directory,
        signing=signing,
        answers=answers,
        steps=own_steps,
    )
    batches, batch_work = make_batches(
        config,
        context,
        vault=vault,
        directory=directory,
        reach=reach,
        duties=duties,
        applications=applications,
        together=together,
        entries=entries,
        many=ManyApplications(
            database=database,
            clock=clock,
            directory=directory,
            reach=reach,
            entries=entries,
            steps=steps,
            two_reviewers=config.two_reviewers(),
            materials_required=config.materials_required,
        ),
    )
    handovers = HandOvers(
        database=database,
        clock=clock,
        keys=keys,
        outbox=config.key_centre_outbox or context.data / "key-centre",
        registration_authority=name,
    )
    search = Search(database=database, clock=clock, vault=vault, reach=reach)
    world = World(httpx.Client, timeout_s=config.status_timeout.total_seconds())
    relying = Relying(config.trust_list, config.trust_root, folder=context.data / "relying")
    notices = make_notices(config, context, vault=vault, directory=directory)
    return Ra(
        config=config,
        clock=clock,
        database=database,
        keys=keys,
        vault=vault,
        directory=directory,
        entries=entries,
        applications=applications,
        dispatch=dispatch,
        together=together,
        batches=batches,
        batch_work=batch_work,
        certificates=certificates,
        revoking=revoking,
        world=world,
        relying=relying,
        watching=Watching(database=database, clock=clock, world=world, relying=relying),
        emergencies=Emergencies(
            database=database,
            audit=audit,
            clock=clock,
            reach=reach,
            search=search,
            load_operator=context.operators.load,
        ),
        emergency_work=EmergencyWork(
            database=database,
            audit=audit,
            clock=clock,
            requests=certificates,
            revoking=revoking,
            mass=MassParts(
                database=database,
                clock=clock,
                keys=keys,
                wire=MassWire(client),
                writing=Writing(
                    database=database, audit=audit, clock=clock, learn=revoking.refresh, name=name
                ),
                name=name,
            ),
            load_operator=context.operators.load,
            name=name,
        ),
        several=Several(
            database=database, clock=clock, reach=reach, requests=certificates, revoking=revoking
        ),
        operators=context.operators,
        reach=reach,
        cases=Cases(
            database=database,
            clock=clock,
            reach=reach,
            steps=OperatorSteps(
                case_store, audit, clock, reach=reach, load_operator=context.operators.load, duties=duties
            ),
            certificates=certificates,
            handovers=handovers,
            unlock_limit=config.unlock_limit,
            unlock_window=config.unlock_window,
        ),
        handovers=handovers,
        duties=duties,
        picks=Picks(
            database=database,
            clock=clock,
            reach=reach,
            duties=duties,
            load_operator=context.operators.load,
            keep=config.pick_keep,
        ),
        levels=config.levels(),
        search=search,
        backfill=Backfill(database=database, vault=vault),
        points=Points(database=database, audit=audit, clock=clock, reach=reach),
        enrolments=Enrolments(
            database=database,
            audit=audit,
            clock=clock,
            vault=vault,
            reach=reach,
            operators=context.operators,
        ),
        stock=stock,
        passes=Passes(
            database=database,
            audit=audit,
            clock=clock,
            vault=vault,
            reach=reach,
            operators=context.operators,
            tries=tries,
        ),
        key_making=key_making,
        delivery=Delivery(
            database=database,
            clock=clock,
            vault=vault,
            reach=reach,
            codes=Codes(database=database, vault=vault, clock=clock, tries=tries, life=config.code_life),
            key_making=key_making,
            steps=steps,
            own_steps=own_steps,
            browser_keys=config.browser_keys,
            test_ids=config.test_ids,
        ),
        tries=tries,
        auditing=Auditing(
            database=database, audit=audit, keys=keys, reach=reach, folder=context.data / "exports"
        ),
        figures=Figures(database=database, clock=clock, zone=config.report_zone, levels=config.levels()),
        notices=notices,
        code_mails=CodeMails(database=database, reach=reach, notices=notices, public_url=context.public_url),
        notices_due=Collector(
            database=database,
            operators=context.operators,
            tells_accounts=config.office_mail is not None,
        ),
        evidence=EvidenceActs(
            database=database,
            audit=audit,
            clock=clock,
            vault=vault,
            reach=reach,
            files=files,
            limits=Limits.of(config),
        ),
        evidence_keeping=EvidenceKeeping(database, files, keys),
        forgotten_scans=ForgottenScans(
            database=database, audit=audit, name=name, days=config.evidence_draft_days
        ),
        printing=Printing(
            database=database,
            audit=audit,
            clock=clock,
            reach=reach,
            operators=context.operators,
            directory=directory,
            papers=Papers(config.papers_font),
            public_url=context.public_url,
            receipt_days=config.receipt_days,
        ),
        close=http.close,
    )

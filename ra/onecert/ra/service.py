"""Puts the member together: one object with everything that pages, REST, import and commands act through."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from onecert.ra import models
from onecert.ra.applications.acts import Applications
from onecert.ra.applications.entries import Entries
from onecert.ra.applications.steps import OperatorSteps, ServiceSteps, Store
from onecert.ra.ca.authorities import Directory
from onecert.ra.ca.client import CaClient
from onecert.ra.cases.acts import Cases
from onecert.ra.cases.records import load_case
from onecert.ra.certificates.world import World
from onecert.ra.config import RaConfig
from onecert.ra.evidence.acts import EvidenceActs, Limits
from onecert.ra.evidence.files import Files
from onecert.ra.evidence.keeping import EvidenceKeeping
from onecert.ra.life.duties import Duties
from onecert.ra.notices.due import Collector
from onecert.ra.notices.sending import Notices
from onecert.ra.notices.service import make_notices
from onecert.ra.operators.enrolment import Enrolments
from onecert.ra.operators.reach import Reach
from onecert.ra.orders.dispatch import Dispatch
from onecert.ra.points.points import Points
from onecert.ra.revocation.requests import Certificates
from onecert.ra.revocation.revoking import Revoking
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
    certificates: Certificates
    revoking: Revoking
    world: World
    operators: Operators
    reach: Reach
    points: Points
    cases: Cases
    enrolments: Enrolments
    evidence: EvidenceActs
    evidence_keeping: EvidenceKeeping
    search: Search
    backfill: Backfill
    notices: Notices
    notices_due: Collector
    close: Callable[[], None]


def make_ra(config: RaConfig, context: Context, keys: Keys, *, http: httpx.Client | None = None) -> Ra:
    """Build it on a context. `http` is the way to the CA; without it the context's client is used."""
    http = http or context.client("ca")
    database, audit, clock = context.database, context.audit, context.clock
    name = config.registration_authority
    client = CaClient(http, timeout_s=config.ca_timeout.total_seconds())
    vault = Vault(keys, database)
    directory = Directory(client, database, clock, keep=config.authorities_keep)
    entries = Entries(database=database, clock=clock, vault=vault, test_ids=config.test_ids)
    reach = Reach(
        database=database,
        audit=audit,
        clock=clock,
        vault=vault,
        load_operator=context.operators.load,
        certificate_required=config.certificate_required,
    )
    duties = Duties.from_settings(config.duties_apart)
    files = Files(context.data / "evidence")
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
    return Ra(
        config=config,
        clock=clock,
        database=database,
        keys=keys,
        vault=vault,
        directory=directory,
        entries=entries,
        applications=applications,
        dispatch=Dispatch(
            database=database,
            audit=audit,
            clock=clock,
            vault=vault,
            keys=keys,
            directory=directory,
            client=client,
            entries=entries,
            registration_authority=name,
            learn=revoking.refresh,
        ),
        certificates=certificates,
        revoking=revoking,
        world=World(httpx.Client, timeout_s=config.status_timeout.total_seconds()),
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
        ),
        search=Search(database=database, clock=clock, vault=vault, reach=reach),
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
        notices=make_notices(config, context, vault=vault, directory=directory),
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
        close=http.close,
    )

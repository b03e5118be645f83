"""Puts the feature together: what people do (`Batches`), and what the jobs do (`BatchWork`)."""

from onecert.ra.applications.acts import Applications
from onecert.ra.applications.entries import Entries
from onecert.ra.applications.many import ManyApplications
from onecert.ra.applications.steps import OperatorSteps, ServiceSteps
from onecert.ra.batches.acts import BATCHES, Batches
from onecert.ra.batches.checking import RowRules
from onecert.ra.batches.entering import Entering
from onecert.ra.batches.work import BatchWork
from onecert.ra.ca.authorities import Directory
from onecert.ra.config import RaConfig
from onecert.ra.content.fields import Kind
from onecert.ra.life.duties import Duties
from onecert.ra.operators.reach import Reach
from onecert.ra.orders.together import Together
from onecert.ra.vault.sealed import Vault
from onecert.server.members import Context

__all__ = ["make_batches"]


def make_batches(
    config: RaConfig,
    context: Context,
    *,
    vault: Vault,
    directory: Directory,
    reach: Reach,
    duties: Duties,
    applications: Applications,
    many: ManyApplications,
    entries: Entries,
    together: Together,
) -> tuple[Batches, BatchWork]:
    """Build both on a context. `together` takes approved applications to the CA."""
    database, audit, clock = context.database, context.audit, context.clock
    load_operator, name = context.operators.load, config.registration_authority
    steps = OperatorSteps(BATCHES, audit, clock, reach=reach, load_operator=load_operator, duties=duties)
    own_steps = ServiceSteps(BATCHES, audit, name)
    texts = entries.findings.texts
    required = {kind: entries.required(kind) for kind in Kind}
    rules = RowRules(test_ids=config.test_ids, required=required, texts=texts)
    batches = Batches(
        database=database,
        audit=audit,
        clock=clock,
        vault=vault,
        directory=directory,
        reach=reach,
        steps=steps,
        max_octets=config.batch_max_mb * 1_000_000,
        present_texts=texts.present,
        needs_two=config.two_reviewers().needed,
    )
    entering = Entering(
        database=database,
        audit=audit,
        clock=clock,
        vault=vault,
        applications=applications,
        many=many,
        steps=own_steps,
        load_operator=load_operator,
        together=together,
        rules=rules,
    )
    work = BatchWork(
        database=database,
        audit=audit,
        clock=clock,
        vault=vault,
        rules=rules,
        refusals=entries.refusals,
        workers=config.batch_workers,
        enter=entering.enter,
        order=entering.order,
    )
    return batches, work

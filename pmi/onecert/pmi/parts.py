"""Puts the PMI together: the same parts for the service, its commands and its tests."""

from __future__ import annotations

from dataclasses import dataclass

from onecert.pmi.authorities.delegations import Delegations
from onecert.pmi.authorities.directory import Authorities
from onecert.pmi.authorities.renewals import KeyRenewals
from onecert.pmi.authorities.states import AuthorityStates
from onecert.pmi.catalogue.store import Catalogues
from onecert.pmi.config import PmiConfig
from onecert.pmi.decisions.decide import Decider
from onecert.pmi.decisions.in_force import InForce
from onecert.pmi.decisions.policies import Policies
from onecert.pmi.decisions.replay import Memory
from onecert.pmi.decisions.rules_document import RulesDocument
from onecert.pmi.decisions.what_can import WhatCan
from onecert.pmi.decisions.who_can import WhoCan
from onecert.pmi.grants.acts import Grants
from onecert.pmi.grants.batches import Batches
from onecert.pmi.grants.rules import Rules
from onecert.pmi.holders.identity import HolderVerifier
from onecert.pmi.holders.listed import ListedHolders
from onecert.pmi.holders.seen import SeenHolders
from onecert.pmi.issuing.checking import SignatureChecks
from onecert.pmi.issuing.one import Issuing
from onecert.pmi.issuing.signing import Signer
from onecert.pmi.issuing.together import Together
from onecert.pmi.life.changes import Changes
from onecert.pmi.life.offices import Offices
from onecert.pmi.life.rebinding import Rebindings
from onecert.pmi.life.replacing import Renewals, Replacements
from onecert.pmi.life.revocation import Revocations
from onecert.pmi.repository.bundle import BundleMaker
from onecert.pmi.status.acrl import AcrlPublisher
from onecert.pmi.status.ocsp import OcspResponder
from onecert.pmi.tokens import POLICY_KEY, PmiToken, make_token
from onecert.server.members import Context
from onecert.verifier.decision import DecisionLog, DecisionRecords

__all__ = ["Parts", "assemble"]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything below the web layer."""

    config: PmiConfig
    context: Context
    token: PmiToken
    signer: Signer
    checks: SignatureChecks
    holders: HolderVerifier
    authorities: Authorities
    authority_states: AuthorityStates
    key_renewals: KeyRenewals
    delegations: Delegations
    catalogues: Catalogues
    publisher: AcrlPublisher
    responder: OcspResponder
    issuing: Issuing
    grants: Grants
    batches: Batches
    revocations: Revocations
    offices: Offices
    renewals: Renewals
    rebindings: Rebindings
    policies: Policies
    decision_log: DecisionLog
    decider: Decider
    in_force: InForce
    who_can: WhoCan
    what_can: WhatCan
    rules_document: RulesDocument
    bundles: BundleMaker
    memory: Memory

    def close(self) -> None:
        """Close what is open; the context belongs to whoever made it."""
        self.decision_log.close()
        self.checks.close()
        self.token.close()


def assemble(config: PmiConfig, context: Context, *, holders: HolderVerifier | None = None) -> Parts:
    """Build the parts. ``holders`` is for tests; in life it is our own verifier on the trust list."""
    database, audit, clock = context.database, context.audit, context.clock
    token = make_token(config, data=context.data, shared=context.shared)
    checks = SignatureChecks(config.batch_workers)
    signer = Signer(token.key, token=config.token, checks=checks)
    verifier = holders or ListedHolders(
        config, folder=context.data, shared=context.shared, status_url=context.status_url, clock=clock
    )
    holders = SeenHolders(verifier, database, clock)
    authorities = Authorities(audit=audit, clock=clock, status_url=context.status_url)
    delegations = Delegations(authorities)
    catalogues = Catalogues(audit=audit, clock=clock)
    publisher = AcrlPublisher(
        database=database,
        audit=audit,
        clock=clock,
        directory=authorities,
        signer=signer,
        lifetime=config.acrl_lifetime,
        every=config.acrl_every,
    )
    issuing = Issuing(
        database=database,
        audit=audit,
        clock=clock,
        signer=signer,
        publisher=publisher,
        intent_timeout=config.intent_timeout,
    )
    responder = OcspResponder(
        database=database,
        clock=clock,
        directory=authorities,
        signer=signer,
        lifetime=config.acrl_lifetime / 6,
    )
    changes = Changes(audit=audit, publisher=publisher, responder=responder)
    rules = Rules(catalogues=catalogues, delegations=delegations, lifetime_max=config.grant_lifetime_max)
    grants = Grants(
        database=database,
        audit=audit,
        clock=clock,
        operators=context.operators,
        authorities=authorities,
        holders=verifier,
        issuing=issuing,
        delegations=delegations,
        rules=rules,
    )
    together = Together(
        database=database,
        audit=audit,
        clock=clock,
        authorities=authorities,
        signer=signer,
        sessions=config.token_sessions,
    )
    issuing.listeners.append(Replacements(clock=clock, changes=changes).issued)
    policies = Policies(audit=audit, clock=clock, public_key=lambda: token.own_key(POLICY_KEY).public_key())
    log = DecisionLog(context.data / "decisions", masked=config.decisions_masked)
    in_force = InForce(database=database, authorities=authorities, catalogues=catalogues, policies=policies)
    rules_document = RulesDocument(
        database=database,
        clock=clock,
        policies=policies,
        catalogues=catalogues,
        authorities=authorities,
        key=lambda: token.own_key(POLICY_KEY),
    )
    return Parts(
        config=config,
        context=context,
        token=token,
        signer=signer,
        checks=checks,
        holders=holders,
        authorities=authorities,
        authority_states=AuthorityStates(
            database=database, audit=audit, clock=clock, operators=context.operators, publisher=publisher
        ),
        key_renewals=KeyRenewals(database=database, audit=audit, clock=clock, authorities=authorities),
        delegations=delegations,
        catalogues=catalogues,
        publisher=publisher,
        responder=responder,
        issuing=issuing,
        grants=grants,
        batches=Batches(
            database=database,
            audit=audit,
            clock=clock,
            operators=context.operators,
            authorities=authorities,
            grants=grants,
            rules=rules,
            together=together,
        ),
        revocations=Revocations(database=database, clock=clock, changes=changes),
        offices=Offices(database=database, audit=audit, clock=clock, changes=changes),
        renewals=Renewals(database=database, clock=clock, grants=grants, changes=changes),
        rebindings=Rebindings(
            database=database, clock=clock, holders=verifier, grants=grants, changes=changes
        ),
        policies=policies,
        decision_log=log,
        decider=Decider(
            database=database,
            clock=clock,
            holders=holders,
            in_force=in_force,
            log=log,
            max_certificates=config.decision_max_certificates,
        ),
        in_force=in_force,
        who_can=WhoCan(database=database, clock=clock, in_force=in_force),
        what_can=WhatCan(database=database, clock=clock, holders=holders, in_force=in_force),
        rules_document=rules_document,
        bundles=BundleMaker(
            database=database,
            clock=clock,
            directory=authorities,
            catalogues=catalogues,
            publisher=publisher,
            key=lambda: token.own_key(POLICY_KEY),
            rules=rules_document.newest,
        ),
        memory=Memory(
            database=database,
            audit=audit,
            records=DecisionRecords(context.data / "decisions"),
            in_force=in_force,
            policies=policies,
            catalogues=catalogues,
            keep=config.decisions_keep,
        ),
    )

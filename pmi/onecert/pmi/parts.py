"""Puts the PMI together: the same parts for the service, its commands and its tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from onecert.hsm import (
    KeyAlgorithm,
    KeyExistsError,
    PrivateKey,
    Token,
    TokenConfig,
    TokenError,
    ensure_softhsm_token,
    open_token,
)
from onecert.pmi.acrl import AcrlPublisher
from onecert.pmi.authorities import Authorities
from onecert.pmi.catalogue import Catalogues
from onecert.pmi.config import PmiConfig
from onecert.pmi.decide import Decider
from onecert.pmi.decision_log import DecisionLog
from onecert.pmi.errors import TokenGoneError
from onecert.pmi.grants import Grants
from onecert.pmi.holders import HolderVerifier
from onecert.pmi.issuing import Issuing
from onecert.pmi.listed_holders import ListedHolders
from onecert.pmi.policies import Policies
from onecert.pmi.revocation import Revocations
from onecert.pmi.signing import Signer
from onecert.server.members import Context

__all__ = ["AUDIT_KEY", "POLICY_KEY", "LazyToken", "Parts", "assemble"]

AUDIT_KEY = "audit"
POLICY_KEY = "policy"


class LazyToken:
    """A token that is opened when it is first needed: a service without its token still serves status."""

    def __init__(self, label: str, configure: Callable[[], TokenConfig]) -> None:
        self.label = label
        self._configure = configure
        self._lock = threading.Lock()
        self._token: Token | None = None

    def open(self) -> Token:
        """Return the open token. Raises TokenGoneError."""
        with self._lock:
            if self._token is None:
                try:
                    self._token = open_token(self._configure())
                except (TokenError, OSError) as exc:
                    raise TokenGoneError(self.label) from exc
            return self._token

    def load_key(self, label: str) -> PrivateKey:
        """Find a key. Raises hsm's TokenError, or TokenGoneError."""
        return self.open().load_key(label)

    def find_or_make(self, label: str) -> PrivateKey:
        """Find one of the service's own P-256 keys, or make it. Raises TokenGoneError."""
        token = self.open()
        try:
            found = token.find_key(label)
            if found is not None:
                return found
            try:
                return token.generate_key(label, KeyAlgorithm("p-256"))
            except KeyExistsError:  # another process was faster
                return token.load_key(label)
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc

    def check(self) -> None:
        """Readiness. Raises TokenGoneError."""
        try:
            self.open().check()
        except TokenError as exc:
            raise TokenGoneError(self.label) from exc

    def close(self) -> None:
        """Close the token, if it was opened."""
        with self._lock:
            if self._token is not None:
                self._token.close()
                self._token = None


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything below the web layer."""

    config: PmiConfig
    context: Context
    token: LazyToken
    signer: Signer
    holders: HolderVerifier
    authorities: Authorities
    catalogues: Catalogues
    publisher: AcrlPublisher
    issuing: Issuing
    grants: Grants
    revocations: Revocations
    policies: Policies
    decision_log: DecisionLog
    decider: Decider

    def close(self) -> None:
        """Close what is open; the context belongs to whoever made it."""
        self.decision_log.close()
        self.token.close()


def assemble(config: PmiConfig, context: Context, *, holders: HolderVerifier | None = None) -> Parts:
    """Build the parts. ``holders`` is for tests; in life it is our own verifier on the trust list."""
    database, audit, clock = context.database, context.audit, context.clock
    token = LazyToken(config.token, lambda: _token_config(config, context))
    signer = Signer(token.load_key, token=config.token)
    holders = holders or ListedHolders(
        config, folder=context.data, shared=context.shared, status_url=context.status_url, clock=clock
    )
    authorities = Authorities(audit=audit, clock=clock, status_url=context.status_url)
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
        authorities=authorities,
        signer=signer,
        publisher=publisher,
        intent_timeout=config.intent_timeout,
    )
    policies = Policies(
        audit=audit, clock=clock, public_key=lambda: token.find_or_make(POLICY_KEY).public_key()
    )
    log = DecisionLog(context.data / "decisions")
    return Parts(
        config=config,
        context=context,
        token=token,
        signer=signer,
        holders=holders,
        authorities=authorities,
        catalogues=catalogues,
        publisher=publisher,
        issuing=issuing,
        grants=Grants(
            database=database,
            audit=audit,
            clock=clock,
            operators=context.operators,
            catalogues=catalogues,
            authorities=authorities,
            holders=holders,
            issuing=issuing,
            lifetime_max=config.grant_lifetime_max,
        ),
        revocations=Revocations(database=database, audit=audit, clock=clock, publisher=publisher),
        policies=policies,
        decision_log=log,
        decider=Decider(
            database=database,
            clock=clock,
            holders=holders,
            authorities=authorities,
            catalogues=catalogues,
            policies=policies,
            log=log,
            max_certificates=config.decision_max_certificates,
        ),
    )


def _token_config(config: PmiConfig, context: Context) -> TokenConfig:
    pin_file = config.token_pin_file or context.data / "token.pin"
    if config.token_module is not None:
        return TokenConfig(
            label=config.token,
            pin_file=pin_file,
            module=config.token_module,
            sessions=config.token_sessions,
        )
    store = context.shared / "softhsm"
    return ensure_softhsm_token(store, label=config.token, pin_file=pin_file, sessions=config.token_sessions)

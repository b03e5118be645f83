"""A department's way to the privileges of its city: one address, one key.

    privileges = open_privileges(
        Path("/var/lib/onecert/privileges"),             # rules at hand, decision log
        repository="https://pmi.city.example/pmi",
        policy_keys=[policy_key],                        # compared with paper, like the trust root
        identities=open_verifier(folder, trust_list=address, application="tax-office"),
        target=TargetIdentity.from_uris("urn:onecert:app:tax-office"),
    )
    guard = Guard(privileges, source=privileges.source, obligations={…})

The policy key signs the rules: the policy in force, the catalogue, and the sources of authority with what
each of them may give. Everything else is verified under them: delegations, attribute certificates, lists. So
a repository, a network or a cache that lies can only keep something back, and then nothing is permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from onecert.verifier.attribute_certificate.credentials import Credentials, CredentialSource
from onecert.verifier.attribute_certificate.extensions import TargetIdentity
from onecert.verifier.attribute_certificate.pull import RepositoryClient
from onecert.verifier.attribute_certificate.trust import AttributeTrust, PathCheck, delegate_of
from onecert.verifier.attribute_certificate.verify import AttributeCertificateVerifier
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.decision.decider import Decider
from onecert.verifier.decision.deciding import Act, Decision
from onecert.verifier.decision.log import DecisionLog
from onecert.verifier.decision.published import MAX_BYTES, DecisionRules, read_rules
from onecert.verifier.enforce.online.lists import OnlineLists
from onecert.verifier.enforce.online.refreshed import Refreshed
from onecert.verifier.errors import VerifyError
from onecert.verifier.fetch.listed import listed_fetch
from onecert.verifier.fetch.transfer import Fetch
from onecert.verifier.files import read_regular_file, write_atomically
from onecert.verifier.signatures import PublicKey
from onecert.verifier.verified_certificate import VerifiedCertificate
from onecert.verifier.verifier import Verifier

__all__ = ["CityPrivileges", "open_privileges"]

RULES_FILE = "decision-rules.json"


def open_privileges(
    folder: Path,
    *,
    repository: str,
    policy_keys: Iterable[PublicKey],
    identities: Verifier,
    target: TargetIdentity | None = None,
    refresh: timedelta = timedelta(minutes=1),
    check_path: PathCheck | None = None,
    fetch: Fetch | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> CityPrivileges:
    """Open the privileges of a city for one department. Nothing is fetched yet.

    Args:
        folder: of this department; the newest rules stay there over restarts, and its decisions are logged
            in ``decisions/``.
        repository: address of the PMI service, http or https.
        policy_keys: that may sign the rules; the department has compared them with paper.
        identities: verifies holders' certificates.
        target: who this department is; without it a certificate that was made for certain targets counts
            for nobody.
        refresh: so old may rules, certificates and lists be before they are asked for again: so long a
            revocation may go unnoticed.
        check_path: of certificates of authorities, see ``AttributeTrust``; without it those of the signed
            rules count until they end, and sub-authorities only when their delegation names their key.

    Raises:
        OSError: the folder cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = tuple(policy_keys)
    asked = fetch or listed_fetch()

    def read(data: bytes, before: DecisionRules | None) -> DecisionRules:
        found = read_rules(data, keys=keys, before=before)
        write_atomically(folder / RULES_FILE, data)
        return found

    return CityPrivileges(
        rules=Refreshed(
            f"{repository.rstrip('/')}/v1/decision-rules",
            read,
            fetch=asked,
            every=refresh,
            max_bytes=MAX_BYTES,
            at_hand=_at_hand(folder / RULES_FILE, keys),
        ),
        client=RepositoryClient(repository, fetch=asked, every=refresh, now=clock),
        lists=OnlineLists(asked, every=refresh),
        identities=identities,
        target=target,
        check_path=check_path,
        log=DecisionLog(folder / "decisions"),
        clock=clock,
    )


@dataclass(frozen=True)
class _State:
    """What follows from one document of rules."""

    rules: DecisionRules
    decider: Decider


class CityPrivileges:
    """Decides by the rules of a city; see ``open_privileges``. Safe to share between threads.

    ``source`` finds the attribute certificates of a holder and where their status is published; give it to
    the ``Guard``.
    """

    def __init__(
        self,
        *,
        rules: Refreshed[DecisionRules],
        client: RepositoryClient,
        lists: OnlineLists,
        identities: Verifier,
        target: TargetIdentity | None,
        check_path: PathCheck | None,
        log: DecisionLog | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._rules, self._lists, self._identities = rules, lists, identities
        self._target, self._check_path, self._log = target, check_path, log
        self._state: _State | None = None
        self.source: CredentialSource = _Pulled(client, lists, identities, clock)

    @property
    def target(self) -> TargetIdentity | None:
        """Who this department is."""
        return self._target

    def decide(
        self,
        certificate: bytes | VerifiedCertificate,
        attribute_certificates: Sequence[bytes] | Credentials,
        act: Act,
        *,
        at: datetime,
    ) -> Decision:
        """See ``Decides``: identity, attribute certificates, policy, log.

        Raises:
            VerifyError: the holder is refused, or nobody can tell now.
        """
        state = self._current(at)
        return state.decider.decide(certificate, attribute_certificates, act, at=at)

    def rules(self, at: datetime) -> DecisionRules:
        """What is in force, as far as this department knows.

        Raises:
            VerifyError: there are no rules at hand, and none can be had.
        """
        return self._current(at).rules

    def _current(self, at: datetime) -> _State:
        rules = self._rules.current(at)
        state = self._state
        if state is None or state.rules is not rules:
            sources = [(each.trusted(), each.acrl_url) for each in rules.sources]
            self._lists.learn_sources(sources)
            trust = AttributeTrust(
                authorities=tuple(authority for authority, _ in sources), check_path=self._check_path
            )
            decider = Decider(
                rules=lambda _at: rules,
                attribute_certificates=AttributeCertificateVerifier(trust=trust, status=self._lists),
                identities=self._identities,
                log=self._log,
            )
            state = self._state = _State(rules, decider)
        return state


class _Pulled:
    """A ``CredentialSource`` that also learns where the status of sub-authorities is published."""

    def __init__(
        self,
        client: RepositoryClient,
        lists: OnlineLists,
        identities: Verifier,
        clock: Callable[[], datetime],
    ) -> None:
        self._client, self._lists = client, lists
        self._identities, self._clock = identities, clock

    def find(self, certificate: ParsedCertificate) -> Credentials:
        """See ``CredentialSource``; what names the legal entity itself is found too."""
        entity = self._identities.verify(certificate, at=self._clock()).identity.entity
        identity = None if entity is None else entity.id
        found = self._client.find(certificate, identity=identity)
        self._lists.learn_delegates(
            (delegate_of(parse_certificate(each.certificate)), each.acrl)
            for each in self._client.authorities(certificate, identity=identity)
            if each.kind != "soa"
        )
        return found


def _at_hand(path: Path, keys: tuple[PublicKey, ...]) -> DecisionRules | None:
    """What an earlier run left behind: checked like what comes over the network."""
    try:
        return read_rules(read_regular_file(path, MAX_BYTES), keys=keys)
    except (OSError, VerifyError):
        return None

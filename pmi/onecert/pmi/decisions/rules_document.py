"""What is in force, as one signed document for departments that decide in their own process.

Signed by the policy key when it is asked for; the same bytes until the policy or the catalogue moves, or half
of its time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from onecert.hsm import PrivateKey
from onecert.pmi.authorities.directory import ACTIVE, SOURCE, Authorities, Authority
from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.catalogue.store import Catalogues
from onecert.pmi.decisions.in_force import model_of
from onecert.pmi.decisions.policies import Policies
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.documents import sign_document
from onecert.verifier.decision.published import RULES_TYP, SourceOfAuthority, rules_payload

__all__ = ["RulesDocument"]


class RulesDocument:
    """Makes and keeps the newest document. Safe to share between threads.

    Args:
        key: the policy key; asked for when it is first needed.
        lifetime: how long a department may rely on one document.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        policies: Policies,
        catalogues: Catalogues,
        authorities: Authorities,
        key: Callable[[], PrivateKey],
        lifetime: timedelta = timedelta(hours=24),
    ) -> None:
        self._database = database
        self._clock = clock
        self._policies = policies
        self._catalogues = catalogues
        self._authorities = authorities
        self._key = key
        self._lifetime = lifetime
        self._kept: tuple[object, bytes] | None = None

    def newest(self) -> bytes:
        """Return the document.

        Raises:
            NoPolicyError: there is no policy in force.
            TokenGoneError: it cannot be signed now.
        """
        at = self._clock.now().replace(microsecond=0)
        with self._database.reading() as connection:
            policy = self._policies.load(connection)
            catalogue = self._catalogues.find(connection) or Catalogue()
            sources = _sources(self._authorities.every_key(connection), catalogue)
        model = model_of(catalogue)
        half = self._lifetime / 2
        span = int(at.timestamp() // half.total_seconds())
        state = (policy.sha256, policy.version, model.version, sources, span)
        kept = self._kept
        if kept is None or kept[0] != state:
            payload = rules_payload(
                policy.source,
                version=policy.version,
                model=model,
                issued_at=at,
                next_update=at + self._lifetime,
                sources=sources,
            )
            kept = self._kept = (state, sign_document(payload, typ=RULES_TYP, keys=[self._key()]))
        return kept[1]


def _sources(authorities: Iterable[Authority], catalogue: Catalogue) -> tuple[SourceOfAuthority, ...]:
    """Those of the active sources that may give anything, each key of them."""
    return tuple(
        SourceOfAuthority(
            name=each.name,
            certificate_der=each.certificate.der,
            acrl_url=each.acrl_url,
            roles=tuple(sorted(role.uri for role in catalogue.assignable_by(each.name))),
            attributes=tuple(sorted(one.oid for one in catalogue.attributes_of(each.name))),
        )
        for each in authorities
        if each.kind == SOURCE and each.state == ACTIVE
    )

"""Validation that fetches what it lacks from the addresses in the certificates, for use without a trust list.

It validates with what is at hand; when an issuer or an answer about revocation is missing it fetches for the
certificates concerned, and validates again, within limits. Addresses of revocation are followed only in
certificates whose signatures lead to an anchor; those of issuers must be followed before anybody can tell.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import VerifyError
from onecert.verifier.explanation import Explanation
from onecert.verifier.fetch.cache import FetchCache
from onecert.verifier.fetch.following_gathered import Gathered
from onecert.verifier.fetch.following_work import Work
from onecert.verifier.fetch.ocsp_request import OcspQuestion
from onecert.verifier.fetch.rules import Allowance, FollowRules
from onecert.verifier.names import CanonicalName
from onecert.verifier.path import PathParameters, PathValidator
from onecert.verifier.path.validator import AnyCertificate
from onecert.verifier.result import ValidatedPath
from onecert.verifier.revocation import Crl, OcspResponse

__all__ = ["FetchingValidator"]

_LEARNED_MAX = 1024
_QUESTIONS_MAX = 4096
_UP_MAX = 16


class FetchingValidator:
    """A ``PathValidator`` that fetches. Safe to share between threads.

    Args:
        candidates: as for ``PathValidator``.
        crls: lists at hand, DER or loaded.
        cache: keeps what is fetched; may be shared by several validators.
    """

    def __init__(
        self,
        *,
        anchors: Iterable[TrustAnchor],
        candidates: Iterable[AnyCertificate] = (),
        crls: Iterable[Crl | bytes] = (),
        parameters: PathParameters | None = None,
        cache: FetchCache | None = None,
        rules: FollowRules | None = None,
    ) -> None:
        self.cache = cache or FetchCache()
        self.rules = rules or FollowRules()
        for crl in crls:
            self.cache.evidence.add_crl(crl)
        self.validator = PathValidator(
            anchors=anchors, candidates=candidates, evidence=self.cache.evidence, parameters=parameters
        )
        # What served before: issuers that were fetched, by subject; and where OCSP was asked.
        self._learned: dict[CanonicalName, tuple[ParsedCertificate, ...]] = {}
        self._asked: OrderedDict[tuple[bytes, int], tuple[OcspQuestion, str]] = OrderedDict()

    def validate(
        self,
        target: AnyCertificate,
        *,
        at: datetime,
        now: datetime | None = None,
        candidates: Iterable[AnyCertificate] = (),
        ocsp: Sequence[OcspResponse | bytes] = (),
    ) -> ValidatedPath:
        """Validate, fetching what is missing.

        Args:
            at: the moment that is asked about.
            now: the time of day, by which what was fetched grows old; ``at`` unless it is given.
            candidates, ocsp: what came along, as for ``PathValidator.validate``.

        Raises:
            RefusedError, CouldNotCheckError: as ``PathValidator.validate``; what could not be fetched stands
                among the ``attempts`` too, and its codes in the fact ``not_fetched``.
        """
        return self._search(self._begin(target, now or at, candidates, ocsp), at)

    def explain(
        self,
        target: AnyCertificate,
        *,
        at: datetime,
        now: datetime | None = None,
        candidates: Iterable[AnyCertificate] = (),
        ocsp: Sequence[OcspResponse | bytes] = (),
    ) -> Explanation:
        """Fetch what ``validate`` would, and explain every candidate path that there is then.

        Raises:
            MalformedError: ``target`` or an answer of ``ocsp`` cannot be read.
        """
        work = self._begin(target, now or at, candidates, ocsp)
        with suppress(VerifyError):
            self._search(work, at)
        gathered = work.gathered
        found = self.validator.explain(
            gathered.target, at=at, candidates=gathered.candidates.values(), ocsp=gathered.answers
        )
        if isinstance(found.answer, VerifyError):
            gathered.tell(found.answer)
        return found

    def _begin(
        self,
        target: AnyCertificate,
        now: datetime,
        candidates: Iterable[AnyCertificate],
        ocsp: Sequence[OcspResponse | bytes],
    ) -> Work:
        parsed = as_parsed(target)
        self.cache.keep_fresh(now)
        allowance = Allowance(self.rules.fetches, self.rules.time)
        gathered = Gathered(self.validator, self.cache, parsed, now, allowance)
        gathered.take(candidates, ocsp)
        gathered.add_candidates(self._learned_above(parsed))
        work = Work(gathered, self.rules)
        self._ask_as_before(work)
        return work

    def _search(self, work: Work, at: datetime) -> ValidatedPath:
        for _ in range(self.rules.rounds):
            try:
                path = work.gathered.validate(at)
            except VerifyError as error:
                if work.supply_for_error(error):
                    continue
                work.gathered.tell(error)
                raise
            if not work.supply_for_warnings(path):
                self._learn(work, path)
                return path
        try:
            return work.gathered.validate(at)
        except VerifyError as error:
            work.gathered.tell(error)
            raise

    def _learned_above(self, target: ParsedCertificate) -> list[ParsedCertificate]:
        found: list[ParsedCertificate] = []
        name = target.issuer
        for _ in range(_UP_MAX):
            learned = self._learned.get(name)
            if not learned or learned[0] in found:
                break
            found += learned
            name = learned[0].issuer
        return found

    def _ask_as_before(self, work: Work) -> None:
        """An answer that is due is asked for again before the old one is used up."""
        target = work.gathered.target
        before = self._asked.get((target.issuer_der, target.serial))
        if before is not None:
            work.status.ask_ocsp(*before)

    def _learn(self, work: Work, path: ValidatedPath) -> None:
        for certificate in path.chain[1:]:
            if certificate in work.issuers.fetched:
                if len(self._learned) >= _LEARNED_MAX:
                    self._learned = {}
                others = self._learned.get(certificate.subject, ())
                if certificate not in others:
                    self._learned[certificate.subject] = (certificate, *others)[:4]
        target, served = work.gathered.target, work.status.served_by
        if served is not None and not self.rules.nonce:
            self._asked[target.issuer_der, target.serial] = served
            while len(self._asked) > _QUESTIONS_MAX:
                self._asked.popitem(last=False)

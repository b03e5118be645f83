"""The façade that a department uses: one certificate in, one identity or one refusal out.

    verifier = Verifier(trust_list=TrustListFolder(...), evidence=CrlFolder(Path("crls")), application="tax")
    result = verifier.verify(cert, at=datetime.now(UTC))
    print(result.identity.id)                                   # uscc:91440300MA5DEM004J

Nothing is asked of the network unless the sources that are handed in do so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from onecert.verifier.arguments import check_kind, check_offers
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import RefusedError, VerifyError
from onecert.verifier.evidence import EvidenceSource, FixedEvidence
from onecert.verifier.explanation import Explanation
from onecert.verifier.identity.errors import IdentityError
from onecert.verifier.identity.identity import PersonRule, identify
from onecert.verifier.identity.pairwise import KEY_OCTETS
from onecert.verifier.identity.registry import NoRegistry, Registry
from onecert.verifier.issuances import Issuances
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.path import PathParameters, PathValidator
from onecert.verifier.path.batch import AnyCertificate, answer_each
from onecert.verifier.purposes import LOGIN, Purpose
from onecert.verifier.revocation import RevocationEvidence, RevocationPolicy
from onecert.verifier.service_status import (
    ServiceStatusError,
    check_service,
    name_service,
    service_facts,
)
from onecert.verifier.service_terms import check_terms
from onecert.verifier.signatures import DEFAULT_ALGORITHMS, AlgorithmPolicy
from onecert.verifier.trust_list.load import FixedTrustList, TrustListSource
from onecert.verifier.trust_list.model import TrustedService, TrustList
from onecert.verifier.trust_list.pointers import check_missing
from onecert.verifier.trust_list.published import TrustedParts
from onecert.verifier.validators import ValidatorMemory
from onecert.verifier.verified_certificate import VerifiedCertificate, moments_of

__all__ = ["VerifiedCertificate", "Verifier"]


class Verifier:
    """Accepts the certificates of every CA service on the trust list. Safe to share between threads.

    Args:
        trust_list: where the list comes from, or one list.
        evidence: where revocation lists and answers come from.
        application: the name of this application; ids of natural persons differ from one to the next.
        pairwise_key: the department's secret for those ids, see ``load_pairwise_key``.
        raw_person_numbers: also give the numbers of natural persons; only for who has the right to them.
        registry: a mirror of the register of legal entities.
        candidates: CA certificates below the listed ones, if a CA has any.
        revocation: how strict, for all purposes or for each; the default, also for purposes that are not
            named, refuses when nothing fresh is known.
        issuances: the record of what CAs have issued, such as ``IssuanceRecordFile``; without it, the
            certificates of a service that must report them are refused.
    """

    def __init__(
        self,
        *,
        trust_list: TrustListSource | TrustList,
        evidence: EvidenceSource | RevocationEvidence | None = None,
        application: str,
        pairwise_key: bytes | None = None,
        raw_person_numbers: bool = False,
        registry: Registry | None = None,
        candidates: Iterable[AnyCertificate] = (),
        revocation: RevocationPolicy | Mapping[Purpose, RevocationPolicy] | None = None,
        algorithms: AlgorithmPolicy = DEFAULT_ALGORITHMS,
        limits: Limits = DEFAULT_LIMITS,
        issuances: Issuances | None = None,
    ) -> None:
        check_kind(application, str, "application")
        if pairwise_key is not None:
            _check_pairwise_key(pairwise_key)
        self.application = application
        if not isinstance(trust_list, TrustList):
            check_offers(
                trust_list,
                ("current",),
                "trust_list",
                "a TrustList, or a source of one such as TrustListFolder",
            )
        self._lists = FixedTrustList(trust_list) if isinstance(trust_list, TrustList) else trust_list
        if evidence is None or isinstance(evidence, RevocationEvidence):
            evidence = FixedEvidence(evidence or RevocationEvidence())
        check_offers(
            evidence, ("lists", "answers"), "evidence", "RevocationEvidence, or a source such as CrlFolder"
        )
        self._evidence = evidence
        self._persons = PersonRule(
            application=application, pairwise_key=pairwise_key, raw_numbers=raw_person_numbers
        )
        self._registry: Registry = registry or NoRegistry()
        if issuances is not None:
            check_offers(issuances, ("issued_at",), "issuances", "a record such as IssuanceRecordFile")
        self._issuances = issuances
        self._candidates = tuple(as_parsed(candidate) for candidate in candidates)
        if revocation is None or isinstance(revocation, RevocationPolicy):
            self._policies: dict[Purpose, RevocationPolicy] = {}
            self._otherwise = revocation or RevocationPolicy()
        else:
            check_kind(revocation, Mapping, "revocation")
            self._policies, self._otherwise = dict(revocation), RevocationPolicy()
            for policy in self._policies.values():
                check_kind(policy, RevocationPolicy, "revocation for a purpose")
        check_kind(algorithms, AlgorithmPolicy, "algorithms")
        check_kind(limits, Limits, "limits")
        self.algorithms = algorithms
        self._limits = limits
        self._validators = ValidatorMemory(self._make_validator)

    def trust_list(self, at: datetime) -> TrustList:
        """The list in use.

        Raises:
            VerifyError: there is none that may be used at this time.
        """
        return self._lists.current(at)

    def evidence(self, at: datetime) -> RevocationEvidence:
        """What is known about revocation now, for who watches its age.

        Raises:
            VerifyError: there is no list that may be used at this time.
        """
        return self._evidence.lists(self._lists.current(at), at)

    def parts(self, at: datetime) -> TrustedParts | None:
        """Root, timestamp and list in use, for who watches their ages; ``None`` where nobody knows them.

        Raises:
            VerifyError: there are none that may be used at this time.
        """
        parts = getattr(self._lists, "parts", None)
        found: TrustedParts | None = None if parts is None else parts(at)
        return found

    @property
    def registry(self) -> Registry:
        """The register that is asked, also for ``aliases_of`` where it has that."""
        return self._registry

    def revocation_policy(self, purpose: Purpose) -> RevocationPolicy:
        """How revocation is judged for this purpose."""
        return self._policies.get(purpose, self._otherwise)

    def verify(
        self,
        certificate: AnyCertificate,
        *,
        at: datetime,
        purpose: Purpose = LOGIN,
        candidates: Iterable[bytes] = (),
        issued_at: datetime | None = None,
    ) -> VerifiedCertificate:
        """Check a certificate and name its holder.

        Args:
            certificate: DER, PEM or an object; at most 64 KiB.
            at: the moment of the check, aware.
            purpose: what it is used for; one of ``onecert.verifier.purposes``.
            candidates: further CA certificates that came along; unreadable ones are ignored.
            issued_at: when the certificate was issued, from the supervision's record, if that is known.

        Raises:
            RefusedError: the answer is no; ``code`` says why, ``text`` tells a person.
            CouldNotCheckError: the list or the revocation answers are missing or stale.
        """
        # 1. The signed list that holds now.
        trust_list = self._lists.current(at)
        return self._verify(
            as_parsed(certificate),
            trust_list,
            purpose=purpose,
            at=at,
            candidates=candidates,
            issued_at=issued_at,
        )

    def verify_many(
        self,
        certificates: Iterable[AnyCertificate],
        *,
        at: datetime,
        purpose: Purpose = LOGIN,
        candidates: Iterable[bytes] = (),
        threads: int = 1,
    ) -> Iterator[VerifiedCertificate | VerifyError]:
        """Check many certificates over threads: one answer for each, in their order, as they become known.

        An answer is what ``verify`` would have returned or raised, all by the list that holds now, so that a
        bad certificate does not stop the batch. Some hundred are held at a time, however many there are.

        Args:
            certificates: taken in the caller's thread, some hundred ahead of the answers.
            candidates: as for ``verify``, for all certificates.
            threads: how many; see ``PathValidator.validate_many`` for when more than one gains.

        Raises:
            VerifyError: there is no list that may be used.
        """
        trust_list = self._lists.current(at)
        further = tuple(candidates)
        return answer_each(
            lambda target: self._verify(target, trust_list, purpose=purpose, at=at, candidates=further),
            certificates,
            threads=threads,
        )

    def _verify(
        self,
        target: ParsedCertificate,
        trust_list: TrustList,
        *,
        purpose: Purpose,
        at: datetime,
        candidates: Iterable[bytes],
        issued_at: datetime | None = None,
    ) -> VerifiedCertificate:
        # 2. A path to one of its services, with dates, constraints, usage and revocation.
        try:
            path = self._validator(trust_list, purpose, at).validate(
                target,
                at=at,
                candidates=candidates,
                ocsp=self._evidence.answers(target, trust_list, at),
            )
        except RefusedError as exc:
            check_missing(exc, trust_list)
            name_service(exc, target, trust_list)
            raise
        service = trust_list.by_id.get(path.anchor.label)
        if service is None:
            raise RefusedError("CERT_ISSUER_NOT_LISTED", certificate=target.certificate)
        if issued_at is None:
            issued_at = self.recorded_issue(service, target, at)
        # 3. The service's state when the certificate was issued and now, and what it may sign at all.
        verdict = check_service(service, moments_of(path, issued_at, at))
        check_terms(service, path, at)
        # 4. Who the holder is, read as this service writes it.
        profile = service.identity_profile
        if profile is None:
            raise IdentityError("CA_PROFILE_MISSING", **service_facts(service))
        if purpose is LOGIN and not profile.login_without_key_usage:
            purpose.check(target)
        identity = identify(
            target,
            profile,
            ca_service=service.id,
            at=at,
            persons=self._persons,
            registry=self._registry,
        )
        codes = [
            *trust_list.warnings,
            *(warning.code for warning in path.warnings),
            *verdict.warnings,
            *identity.warnings,
        ]
        return VerifiedCertificate(
            identity=identity,
            path=path,
            service=service,
            service_verdict=verdict,
            list_sequence=trust_list.sequence,
            warnings=tuple(dict.fromkeys(codes)),
        )

    def recorded_issue(
        self, service: TrustedService, certificate: AnyCertificate, at: datetime
    ) -> datetime | None:
        """When a certificate was issued by the record; ``None`` when its service need not report.

        Raises:
            ServiceStatusError: CA_ISSUE_NOT_ON_RECORD. Without any record, ``None`` is refused later as
                CA_ISSUE_TIME_UNKNOWN.
            CouldNotCheckError: the record cannot be had or is over.
        """
        if self._issuances is None or not service.issuance_log_required:
            return None
        parsed = as_parsed(certificate)
        sha256 = hashlib.sha256(parsed.der).hexdigest()
        issued_at = self._issuances.issued_at(service.id, sha256, at=at)
        if issued_at is None:
            raise ServiceStatusError(
                "CA_ISSUE_NOT_ON_RECORD", certificate=parsed.certificate, **service_facts(service)
            )
        return issued_at

    def explain(
        self,
        certificate: AnyCertificate,
        *,
        at: datetime,
        purpose: Purpose = LOGIN,
        candidates: Iterable[bytes] = (),
    ) -> Explanation:
        """Every candidate path to a service of the list and what became of it, with the answer of ``verify``.

        Where a path validates and ``verify`` refuses all the same, for the state of the service or for the
        identity, the path is ``chosen`` and the answer says why.

        Raises:
            VerifyError: the certificate cannot be read, or there is no list that may be used.
        """
        trust_list = self._lists.current(at)
        target = as_parsed(certificate)
        answers = self._evidence.answers(target, trust_list, at)
        further = tuple(candidates)
        found = self._validator(trust_list, purpose, at).explain(
            target, at=at, candidates=further, ocsp=answers
        )
        if not found.accepted and not trust_list.missing:
            if isinstance(found.answer, VerifyError):
                name_service(found.answer, target, trust_list)
            return found
        try:
            self.verify(target, at=at, purpose=purpose, candidates=further)
        except VerifyError as exc:
            return replace(found, answer=exc)
        return found

    def _validator(self, trust_list: TrustList, purpose: Purpose, at: datetime) -> PathValidator:
        return self._validators.find(trust_list, self._evidence.lists(trust_list, at), purpose)

    def _make_validator(
        self, trust_list: TrustList, evidence: RevocationEvidence, purpose: Purpose
    ) -> PathValidator:
        return PathValidator(
            anchors=trust_list.anchors,
            candidates=self._candidates,
            evidence=evidence,
            parameters=PathParameters(
                purpose=_widest(purpose, trust_list),
                revocation=self.revocation_policy(purpose),
                algorithms=self.algorithms,
                limits=self._limits,
            ),
        )


def _check_pairwise_key(key: bytes) -> None:
    check_kind(key, bytes, "pairwise_key")
    if len(key) < KEY_OCTETS:
        # Whoever has a table of ids and can try all keys has the numbers of the persons.
        raise ValueError(f"pairwise_key must have {KEY_OCTETS} octets or more; see load_pairwise_key")


def _widest(purpose: Purpose, trust_list: TrustList) -> Purpose:
    """A login without keyUsage is allowed by some profiles; which one applies is known after the path."""
    if purpose is LOGIN and trust_list.login_without_key_usage:
        return replace(purpose, allow_no_key_usage=True)
    return purpose

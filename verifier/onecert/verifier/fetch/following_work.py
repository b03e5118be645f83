"""One validation that fetches: what has been asked, what came, what is still missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import (
    CouldNotCheckError,
    MalformedError,
    RefusedError,
    RevokedError,
    VerifyError,
)
from onecert.verifier.extensions import DistributionPoint
from onecert.verifier.fetch.asking import Ask
from onecert.verifier.fetch.cache import FetchCache
from onecert.verifier.fetch.documents import Kind, Place
from onecert.verifier.fetch.ocsp_request import OcspQuestion
from onecert.verifier.fetch.pointers import (
    crl_points,
    delta_points,
    issuer_urls,
    issuer_urls_of_crl,
    ocsp_urls,
)
from onecert.verifier.fetch.rules import Allowance
from onecert.verifier.names import CanonicalName
from onecert.verifier.path import PathValidator
from onecert.verifier.path.order import key_id_fits
from onecert.verifier.path.validator import AnyCertificate
from onecert.verifier.result import Attempt, ValidatedPath
from onecert.verifier.revocation import Crl, OcspResponse, RevocationSources, load_ocsp
from onecert.verifier.signatures import PublicKey, load_public_key

if TYPE_CHECKING:
    from onecert.verifier.fetch.following import FollowRules

__all__ = ["Work"]

_NO_CHECK = "1.3.6.1.5.5.7.48.1.5"
_UNKNOWN_STATUS = "REVOCATION_UNKNOWN"
_LACKS = frozenset({"REVOCATION_NOT_CHECKED", "REVOCATION_STALE"})
# Another certificate of an issuer may help; other refusals of the target itself stand.
_ISSUER_CODES = frozenset({"ISSUER_UNKNOWN", "CERT_SIGNATURE_INVALID"})
_FAILURES_MAX = 32


@dataclass
class Work:
    """Not for several threads."""

    validator: PathValidator
    cache: FetchCache
    rules: FollowRules
    target: ParsedCertificate
    now: datetime
    allowance: Allowance

    def __post_init__(self) -> None:
        self.candidates: dict[bytes, ParsedCertificate] = {}
        self.answers: list[OcspResponse] = []
        self.fetched_certificates: set[ParsedCertificate] = set()
        self.served_by: tuple[OcspQuestion, str] | None = None
        self._seen_lists: set[int] = set()
        self._ladders: dict[bytes, Iterator[Callable[[], bool]]] = {}
        self._issuers_asked: set[bytes] = set()
        self._signers_asked: set[bytes] = set()
        self._failures: list[Attempt] = []

    def take(self, candidates: Iterable[AnyCertificate], answers: Sequence[OcspResponse | bytes]) -> None:
        """What came along with the target.

        Raises:
            MalformedError: an answer cannot be read; unreadable certificates are ignored.
        """
        for candidate in candidates:
            try:
                self.add_candidates([as_parsed(candidate)])
            except MalformedError:
                continue
        self.answers += [
            answer if isinstance(answer, OcspResponse) else load_ocsp(answer) for answer in answers
        ]

    def add_candidates(self, certificates: Iterable[ParsedCertificate]) -> bool:
        """Tell whether there was a new one."""
        before = len(self.candidates)
        for certificate in certificates:
            self.candidates.setdefault(certificate.der, certificate)
        return len(self.candidates) > before

    def validate(self, at: datetime) -> ValidatedPath:
        """With what is at hand now."""
        return self.validator.validate(
            self.target, at=at, candidates=self.candidates.values(), ocsp=self.answers
        )

    def tell(self, error: VerifyError) -> None:
        """Write into an error what could not be fetched."""
        if not self._failures:
            return
        told = [str(attempt.error) for attempt in self._failures]
        facts = {"not_fetched": tuple(attempt.error.code for attempt in self._failures)}
        error.attempts = (*error.attempts, *self._failures)
        if "detail" in error.facts:
            error.facts = {**error.facts, **facts, "detail": "; ".join([str(error.facts["detail"]), *told])}
        else:
            error.facts = {**error.facts, **facts}

    # What is missing.

    def supply_for_error(self, error: VerifyError) -> bool:
        """Fetch what may turn this error away; False when there is nothing more to be had."""
        found = False
        for certificate, issuer in _without_status(error):
            found |= self._supply_status(certificate, issuer)
        if not found and self.rules.issuers and self._another_issuer_may_help(error):
            found = self._supply_issuers(stop_at_anchors=error.code == "ISSUER_UNKNOWN")
        return found

    def supply_for_warnings(self, path: ValidatedPath) -> bool:
        """What is missing or over may be only a warning (``prefer``, ``allow_offline``); worth a try."""
        if not any(warning.code in _LACKS for warning in path.warnings):
            return False
        answered = {
            source.certificate.der
            for source in path.sources
            if source.next_update is None or path.at < source.next_update
        }
        found = False
        for certificate, issuer in _with_issuers(path.chain, path.anchor):
            if certificate.der not in answered:
                found |= self._supply_status(certificate, issuer)
        return found

    def _another_issuer_may_help(self, error: VerifyError) -> bool:
        if error.code in _ISSUER_CODES:
            return True
        return (
            isinstance(error, RefusedError)
            and not isinstance(error, RevokedError)
            and error.certificate is not None
            and error.certificate != self.target.certificate
        )

    # Revocation.

    def _supply_status(self, certificate: ParsedCertificate, issuer: ParsedCertificate | TrustAnchor) -> bool:
        """Go on with the ways to learn about one certificate until one brings something new."""
        ladder = self._ladders.get(certificate.der)
        if ladder is None:
            ladder = self._ladders[certificate.der] = self._ways(certificate, issuer)
        return any(way() for way in ladder)

    def _ways(
        self, certificate: ParsedCertificate, issuer: ParsedCertificate | TrustAnchor
    ) -> Iterator[Callable[[], bool]]:
        spki_der = issuer.public_key_der if isinstance(issuer, TrustAnchor) else issuer.spki_der
        sources = self.validator.parameters.revocation.sources_for(is_ca=certificate.is_ca)
        for again in (False, True):
            ways: list[Callable[[], bool]] = []
            if self.rules.ocsp and sources is not RevocationSources.CRL:
                ways.append(partial(self._supply_answer, certificate, spki_der, again=again))
            if self.rules.crls and sources is not RevocationSources.OCSP:
                ways.append(partial(self._supply_lists, certificate, spki_der, again=again))
            # One list serves for all certificates of a CA; an answer is smaller than a list.
            lists_first = sources is RevocationSources.PREFER_CRL or (
                certificate.is_ca and sources is not RevocationSources.PREFER_OCSP
            )
            yield from reversed(ways) if lists_first else ways
        if self.rules.issuers:  # the signer of the list may be among the issuer's certificates
            yield partial(self._ask_issuers, certificate)

    def _supply_answer(self, certificate: ParsedCertificate, spki_der: bytes, *, again: bool) -> bool:
        for url in ocsp_urls(certificate):
            try:
                question = OcspQuestion.about(certificate, spki_der)
            except CouldNotCheckError as exc:
                self._note(certificate, exc)
                return False
            if self.ask_ocsp(question, url, certificate=certificate, again=again):
                return True
        return False

    def ask_ocsp(
        self,
        question: OcspQuestion,
        url: str,
        *,
        certificate: ParsedCertificate | None = None,
        again: bool = False,
    ) -> bool:
        """Ask one responder; tell whether a new answer came."""
        certificate = certificate or self.target
        try:
            answer = question.ask(
                self.cache,
                url,
                self.now,
                allowance=self.allowance,
                again=again,
                nonce=self.rules.nonce,
                by_get=self.rules.ocsp_by_get,
            )
        except CouldNotCheckError as exc:
            self._note(certificate, exc)
            return False
        if any(known.der == answer.der for known in self.answers):
            return False
        self.answers.append(answer)
        if certificate.der == self.target.der:
            self.served_by = question, url
        for responder in answer.certificates:
            if _NO_CHECK not in responder.extensions:
                self._supply_lists_of_signer(responder)
        return True

    def _supply_lists(self, certificate: ParsedCertificate, spki_der: bytes, *, again: bool) -> bool:
        if not self.rules.crls:
            return False
        keys = _keys(spki_der)
        found = False
        points = crl_points(certificate)
        if self.validator.parameters.revocation.use_deltas:
            points += delta_points(certificate)
        for point, urls in points:
            crl = self._fetch_list(certificate, point, urls, keys, again=again)
            if crl is None:
                continue
            if id(crl) not in self._seen_lists:
                self._seen_lists.add(id(crl))
                found = True
            self._follow_signer(crl, certificate, spki_der)
        return found

    def _fetch_list(
        self,
        certificate: ParsedCertificate,
        point: DistributionPoint,
        urls: list[str],
        keys: list[PublicKey],
        *,
        again: bool,
    ) -> Crl | None:
        # A list of another issuer is signed with another key.
        ask = Ask(keys=() if point.crl_issuer else keys, allowance=self.allowance, again=again)
        for url in urls:
            try:
                crl = self.cache.get(Place(url, Kind.CRL), self.now, ask)
            except CouldNotCheckError as exc:
                self._note(certificate, exc)
                continue
            assert isinstance(crl, Crl)  # noqa: S101  the place is one of lists
            return crl
        return None

    def _follow_signer(self, crl: Crl, certificate: ParsedCertificate, spki_der: bytes) -> None:
        """The signer of a list has a status as well, and perhaps its certificate is not at hand."""
        if crl.issuer in self.validator.anchors:
            return
        signers = [signer for signer in self._known(crl.issuer) if signer.spki_der != spki_der]
        if not signers and crl.issuer != certificate.issuer and self.rules.issuers:
            for url in issuer_urls_of_crl(crl):
                self._fetch_certificates(certificate, url)
            signers = self._known(crl.issuer)
        for signer in signers:
            self._supply_lists_of_signer(signer)

    def _supply_lists_of_signer(self, signer: ParsedCertificate) -> None:
        if signer.der in self._signers_asked:
            return
        self._signers_asked.add(signer.der)
        for issuer in self._known(signer.issuer):
            self._supply_lists(signer, issuer.spki_der, again=False)
            return
        for anchor in self.validator.anchors.get(signer.issuer, ()):
            self._supply_lists(signer, anchor.public_key_der, again=False)
            return

    # Issuers.

    def _supply_issuers(self, *, stop_at_anchors: bool) -> bool:
        """Ask for issuers that nobody knows; when there are none, for others than those at hand."""
        return any(
            self._ask_upwards(stop_at_anchors=stop_at_anchors, known_too=known_too)
            for known_too in (False, True)
        )

    def _ask_upwards(self, *, stop_at_anchors: bool, known_too: bool) -> bool:
        """From the target through certificates at hand and those that come."""
        found = False
        waiting, met = [self.target], {self.target.der}
        while waiting:
            certificate = waiting.pop(0)
            if stop_at_anchors and certificate.issuer in self.validator.anchors:
                continue
            issuers = self._known(certificate.issuer)
            if known_too or not any(key_id_fits(certificate, issuer.subject_key_id) for issuer in issuers):
                found |= self._ask_issuers(certificate)
                issuers = self._known(certificate.issuer)
            for issuer in issuers:
                if issuer.der not in met:
                    met.add(issuer.der)
                    waiting.append(issuer)
        return found

    def _ask_issuers(self, certificate: ParsedCertificate) -> bool:
        if certificate.der in self._issuers_asked:
            return False
        self._issuers_asked.add(certificate.der)
        return any(self._fetch_certificates(certificate, url) for url in issuer_urls(certificate))

    def _fetch_certificates(self, certificate: ParsedCertificate, url: str) -> bool:
        try:
            found = self.cache.get(Place(url, Kind.CERTIFICATES), self.now, Ask(allowance=self.allowance))
        except CouldNotCheckError as exc:
            self._note(certificate, exc)
            return False
        assert isinstance(found, tuple)  # noqa: S101  the place is one of certificates
        self.fetched_certificates.update(found)
        return self.add_candidates(found)

    def _known(self, name: CanonicalName) -> list[ParsedCertificate]:
        own = [candidate for candidate in self.candidates.values() if candidate.subject == name]
        return [*own, *self.validator.candidates_for(name)]

    def _note(self, certificate: ParsedCertificate, error: CouldNotCheckError) -> None:
        error.certificate = error.certificate or certificate.certificate
        if len(self._failures) < _FAILURES_MAX:
            self._failures.append(Attempt((certificate,), None, error))


def _without_status(
    error: VerifyError,
) -> list[tuple[ParsedCertificate, ParsedCertificate | TrustAnchor]]:
    """The certificates whose revocation nobody could tell, each with its issuer on the path."""
    found: dict[bytes, tuple[ParsedCertificate, ParsedCertificate | TrustAnchor]] = {}
    for attempt in error.attempts:
        if attempt.error.code != _UNKNOWN_STATUS or attempt.anchor is None:
            continue
        for certificate, issuer in _with_issuers(attempt.path, attempt.anchor):
            if certificate.certificate == attempt.error.certificate:
                found.setdefault(certificate.der, (certificate, issuer))
    return list(found.values())


def _with_issuers(
    path: Sequence[ParsedCertificate], anchor: TrustAnchor
) -> Iterator[tuple[ParsedCertificate, ParsedCertificate | TrustAnchor]]:
    for place, certificate in enumerate(path):
        yield certificate, path[place + 1] if place + 1 < len(path) else anchor


def _keys(spki_der: bytes) -> list[PublicKey]:
    try:
        return [load_public_key(spki_der)]
    except RefusedError:
        return []

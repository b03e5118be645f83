"""Lists and answers about revocation from the addresses in certificates (RFC 5280, 4.2.1.13 and 4.2.2.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, RefusedError
from onecert.verifier.extensions import DistributionPoint
from onecert.verifier.fetch.documents import Kind, Place
from onecert.verifier.fetch.following_gathered import Gathered
from onecert.verifier.fetch.following_issuers import IssuerSearch
from onecert.verifier.fetch.ocsp_request import OcspQuestion
from onecert.verifier.fetch.pointers import crl_points, delta_points, issuer_urls_of_crl, ocsp_urls
from onecert.verifier.fetch.rules import FollowRules
from onecert.verifier.revocation import Crl, RevocationSources
from onecert.verifier.signatures import PublicKey, load_public_key

__all__ = ["StatusSearch"]

_NO_CHECK = "1.3.6.1.5.5.7.48.1.5"


class StatusSearch:
    """Of one validation; no way to learn about a certificate is gone twice.

    ``served_by`` is the question about the target that was answered, and where.
    """

    def __init__(self, gathered: Gathered, issuers: IssuerSearch, rules: FollowRules) -> None:
        self._gathered = gathered
        self._issuers = issuers
        self._rules = rules
        self.served_by: tuple[OcspQuestion, str] | None = None
        self._seen_lists: set[int] = set()
        self._ladders: dict[bytes, Iterator[Callable[[], bool]]] = {}
        self._signers_asked: set[bytes] = set()

    def supply(self, certificate: ParsedCertificate, issuer: ParsedCertificate | TrustAnchor) -> bool:
        """Go on with the ways to learn about one certificate until one brings something new."""
        ladder = self._ladders.get(certificate.der)
        if ladder is None:
            ladder = self._ladders[certificate.der] = self._ways(certificate, issuer)
        return any(way() for way in ladder)

    def _ways(
        self, certificate: ParsedCertificate, issuer: ParsedCertificate | TrustAnchor
    ) -> Iterator[Callable[[], bool]]:
        spki_der = issuer.public_key_der if isinstance(issuer, TrustAnchor) else issuer.spki_der
        sources = self._gathered.validator.parameters.revocation.sources_for(is_ca=certificate.is_ca)
        for again in (False, True):
            ways: list[Callable[[], bool]] = []
            if self._rules.ocsp and sources is not RevocationSources.CRL:
                ways.append(partial(self._supply_answer, certificate, spki_der, again=again))
            if self._rules.crls and sources is not RevocationSources.OCSP:
                ways.append(partial(self._supply_lists, certificate, spki_der, again=again))
            # One list serves for all certificates of a CA; an answer is smaller than a list.
            lists_first = sources is RevocationSources.PREFER_CRL or (
                certificate.is_ca and sources is not RevocationSources.PREFER_OCSP
            )
            yield from reversed(ways) if lists_first else ways
        if self._rules.issuers:  # the signer of the list may be among the issuer's certificates
            yield partial(self._issuers.ask, certificate)

    def _supply_answer(self, certificate: ParsedCertificate, spki_der: bytes, *, again: bool) -> bool:
        for url in ocsp_urls(certificate):
            try:
                question = OcspQuestion.about(certificate, spki_der)
            except CouldNotCheckError as exc:
                self._gathered.note(certificate, exc)
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
        certificate = certificate or self._gathered.target
        try:
            answer = question.ask(
                self._gathered.cache,
                url,
                self._gathered.now,
                allowance=self._gathered.allowance,
                again=again,
                nonce=self._rules.nonce,
                by_get=self._rules.ocsp_by_get,
            )
        except CouldNotCheckError as exc:
            self._gathered.note(certificate, exc)
            return False
        if any(known.der == answer.der for known in self._gathered.answers):
            return False
        self._gathered.answers.append(answer)
        if certificate.der == self._gathered.target.der:
            self.served_by = question, url
        for responder in answer.certificates:
            if _NO_CHECK not in responder.extensions:
                self._supply_lists_of_signer(responder)
        return True

    def _supply_lists(self, certificate: ParsedCertificate, spki_der: bytes, *, again: bool) -> bool:
        if not self._rules.crls:
            return False
        keys = _keys(spki_der)
        found = False
        points = crl_points(certificate)
        if self._gathered.validator.parameters.revocation.use_deltas:
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
        keys = [] if point.crl_issuer else keys
        for url in urls:
            crl = self._gathered.fetch(certificate, Place(url, Kind.CRL), keys=keys, again=again)
            if crl is not None:
                assert isinstance(crl, Crl)  # noqa: S101  the place is one of lists
                return crl
        return None

    def _follow_signer(self, crl: Crl, certificate: ParsedCertificate, spki_der: bytes) -> None:
        """The signer of a list has a status as well, and perhaps its certificate is not at hand."""
        if crl.issuer in self._gathered.validator.anchors:
            return
        signers = [signer for signer in self._gathered.known(crl.issuer) if signer.spki_der != spki_der]
        if not signers and crl.issuer != certificate.issuer and self._rules.issuers:
            for url in issuer_urls_of_crl(crl):
                self._issuers.fetch(certificate, url)
            signers = self._gathered.known(crl.issuer)
        for signer in signers:
            self._supply_lists_of_signer(signer)

    def _supply_lists_of_signer(self, signer: ParsedCertificate) -> None:
        if signer.der in self._signers_asked:
            return
        self._signers_asked.add(signer.der)
        for issuer in self._gathered.known(signer.issuer):
            self._supply_lists(signer, issuer.spki_der, again=False)
            return
        for anchor in self._gathered.validator.anchors.get(signer.issuer, ()):
            self._supply_lists(signer, anchor.public_key_der, again=False)
            return


def _keys(spki_der: bytes) -> list[PublicKey]:
    try:
        return [load_public_key(spki_der)]
    except RefusedError:
        return []

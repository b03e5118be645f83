"""What one validation has at hand: certificates and answers that came along or were fetched, and failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.errors import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.fetch.asking import Ask
from onecert.verifier.fetch.cache import FetchCache
from onecert.verifier.fetch.documents import Document, Place
from onecert.verifier.fetch.rules import Allowance
from onecert.verifier.names import CanonicalName
from onecert.verifier.path import PathValidator
from onecert.verifier.path.validator import AnyCertificate
from onecert.verifier.result import Attempt, ValidatedPath
from onecert.verifier.revocation import OcspResponse, load_ocsp
from onecert.verifier.signatures import PublicKey

__all__ = ["Gathered"]

_FAILURES_MAX = 32


@dataclass
class Gathered:
    """Not for several threads.

    Args:
        now: the time of day, by which what was fetched grows old.
        allowance: what may still be fetched.
    """

    validator: PathValidator
    cache: FetchCache
    target: ParsedCertificate
    now: datetime
    allowance: Allowance

    def __post_init__(self) -> None:
        self.candidates: dict[bytes, ParsedCertificate] = {}
        self.answers: list[OcspResponse] = []
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

    def known(self, name: CanonicalName) -> list[ParsedCertificate]:
        """The certificates at hand with this subject."""
        own = [candidate for candidate in self.candidates.values() if candidate.subject == name]
        return [*own, *self.validator.candidates_for(name)]

    def fetch(
        self, about: ParsedCertificate, place: Place, *, keys: Sequence[PublicKey] = (), again: bool = False
    ) -> Document | None:
        """What is at a place, or ``None``; why not is noted."""
        try:
            return self.cache.get(place, self.now, Ask(keys=keys, allowance=self.allowance, again=again))
        except CouldNotCheckError as exc:
            self.note(about, exc)
            return None

    def validate(self, at: datetime) -> ValidatedPath:
        """With what is at hand now."""
        return self.validator.validate(
            self.target, at=at, candidates=self.candidates.values(), ocsp=self.answers
        )

    def note(self, certificate: ParsedCertificate, error: CouldNotCheckError) -> None:
        """Remember what could not be fetched, and for which certificate."""
        error.certificate = error.certificate or certificate.certificate
        if len(self._failures) < _FAILURES_MAX:
            self._failures.append(Attempt((certificate,), None, error))

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

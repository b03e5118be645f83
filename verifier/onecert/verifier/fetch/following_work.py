"""One validation that fetches: which error or warning asks for what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import RefusedError, RevokedError, VerifyError
from onecert.verifier.fetch.following_gathered import Gathered
from onecert.verifier.fetch.following_issuers import IssuerSearch
from onecert.verifier.fetch.following_status import StatusSearch
from onecert.verifier.fetch.rules import FollowRules
from onecert.verifier.result import ValidatedPath

__all__ = ["Work"]

_UNKNOWN_STATUS = "REVOCATION_UNKNOWN"
_LACKS = frozenset({"REVOCATION_NOT_CHECKED", "REVOCATION_STALE"})
# Another certificate of an issuer may help; other refusals of the target itself stand.
_ISSUER_CODES = frozenset({"ISSUER_UNKNOWN", "CERT_SIGNATURE_INVALID"})


class Work:
    """Not for several threads."""

    def __init__(self, gathered: Gathered, rules: FollowRules) -> None:
        self.gathered = gathered
        self.issuers = IssuerSearch(gathered)
        self.status = StatusSearch(gathered, self.issuers, rules)
        self._rules = rules

    def supply_for_error(self, error: VerifyError) -> bool:
        """Fetch what may turn this error away; False when there is nothing more to be had."""
        found = False
        for certificate, issuer in _without_status(error):
            found |= self.status.supply(certificate, issuer)
        if not found and self._rules.issuers and self._another_issuer_may_help(error):
            found = self.issuers.supply(stop_at_anchors=error.code == "ISSUER_UNKNOWN")
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
                found |= self.status.supply(certificate, issuer)
        return found

    def _another_issuer_may_help(self, error: VerifyError) -> bool:
        if error.code in _ISSUER_CODES:
            return True
        return (
            isinstance(error, RefusedError)
            and not isinstance(error, RevokedError)
            and error.certificate is not None
            and error.certificate != self.gathered.target.certificate
        )


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

"""May who is there do this? Asked, enforced, and with the reasons; the same for every framework.

guard = Guard(decider, source=folder, obligations={"notify-supervisor": notify})
granted = guard.check(certificate, Act(action="approve", resource=form), presented=values)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from onecert.verifier.attribute_certificate.credentials import Credentials, CredentialSource, Presented
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.decision.deciding import Act, Reason
from onecert.verifier.decision.question import Answer
from onecert.verifier.errors import CouldNotCheckError, RefusedError, VerifyError
from onecert.verifier.verified_certificate import VerifiedCertificate
from onecert.verifier.web.gate import now

__all__ = ["CREDENTIALS_HEADER", "Answered", "Decides", "DeniedError", "Granted", "Guard", "Obligation"]

CREDENTIALS_HEADER = "OneCert-Credentials"

log = logging.getLogger(__name__)


class Answered(Protocol):
    """What is needed of an answer; ``onecert.verifier.decision.Decision`` is one."""

    @property
    def id(self) -> str: ...

    @property
    def is_permitted(self) -> bool: ...

    @property
    def answer(self) -> Answer: ...

    @property
    def reasons(self) -> Sequence[Reason]: ...


class Decides(Protocol):
    """Answers questions; ``onecert.verifier.decision.Decider`` is one."""

    def decide(
        self,
        certificate: bytes | VerifiedCertificate,
        attribute_certificates: Credentials,
        act: Act,
        *,
        at: datetime,
    ) -> Answered:
        """Whether the holder may do this. Raises ``VerifyError`` when nobody can tell."""
        ...


Obligation = Callable[["Answered"], object]
"""Does what a policy demands beside its permission; ``False`` and exceptions say that it could not."""


class DeniedError(RefusedError):
    """The policy says no. ``decision`` has the reasons."""

    def __init__(self, decision: Answered, *, action: str) -> None:
        super().__init__("PRIVILEGE_DENIED", action=action)
        self.decision = decision


@dataclass(frozen=True, kw_only=True)
class Granted:
    """A permission. ``obligations`` are those that the view has promised to fulfil itself."""

    decision: Answered
    obligations: tuple[str, ...]


class Guard:
    """Asks before something is done. Safe to share between threads.

    Args:
        decides: gives the answer, and has verified the holder for it.
        source: where attribute certificates come from that were not presented; ``None``: only presented ones.
        ask_source_always: ask it beside what was presented too. Needed where a policy *forbids* by attribute,
            since a holder could keep such a certificate back.
        obligations: name -> what fulfils it, before the action. An obligation that nobody fulfils denies.
        clock: gives the time of a request; the machine's clock by default.
    """

    def __init__(
        self,
        decides: Decides,
        *,
        source: CredentialSource | None = None,
        ask_source_always: bool = False,
        obligations: Mapping[str, Obligation] | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._decides, self._source, self._always = decides, source, ask_source_always
        self._obligations = dict(obligations or {})
        self._clock = clock or now

    def check(
        self,
        certificate: bytes | VerifiedCertificate | None,
        act: Act,
        *,
        presented: Iterable[str] = (),
        handles: Collection[str] = (),
    ) -> Granted:
        """Return when it may be done.

        Args:
            certificate: of who is signed in, or whose key TLS has proved; ``None``: nobody.
            presented: values of ``OneCert-Credentials``, a header or a field of a form.
            handles: names of obligations that the caller fulfils itself, if it is let.

        Raises:
            DeniedError: the policy says no.
            VerifyError: nobody is there, nobody can tell, or an obligation was not fulfilled.
        """
        if certificate is None:
            raise RefusedError("PRIVILEGE_NOBODY")
        try:
            found = self._find(certificate, presented)
            decision = self._decides.decide(certificate, found, act, at=self._clock())
            permitted, obligations = decision.is_permitted is True, tuple(decision.answer.obligations)
        except VerifyError:
            raise
        except Exception as exc:
            # Whatever broke, it did not say yes.
            log.exception("privilege not decided")
            raise CouldNotCheckError("PRIVILEGE_NOT_DECIDED", reason=type(exc).__name__) from exc
        if not permitted:
            raise DeniedError(decision, action=act.action)
        # All of them are known before the first is done.
        for name in obligations:
            if name not in handles and name not in self._obligations:
                raise RefusedError("PRIVILEGE_OBLIGATION", obligation=name)
        for name in obligations:
            if name not in handles:
                self._fulfil(name, decision)
        return Granted(decision=decision, obligations=tuple(each for each in obligations if each in handles))

    def _find(self, certificate: bytes | VerifiedCertificate, presented: Iterable[str]) -> Credentials:
        found = Presented.from_texts(presented).credentials
        if self._source is not None and (self._always or not found):
            found |= self._source.find(_parsed(certificate))
        return found

    def _fulfil(self, name: str, decision: Answered) -> None:
        try:
            done = self._obligations[name](decision)
        except Exception as exc:
            log.exception("obligation failed", extra={"obligation": name})
            raise RefusedError("PRIVILEGE_OBLIGATION", obligation=name) from exc
        if done is False:
            raise RefusedError("PRIVILEGE_OBLIGATION", obligation=name)


def _parsed(certificate: bytes | VerifiedCertificate) -> ParsedCertificate:
    if isinstance(certificate, VerifiedCertificate):
        return certificate.path.target
    return as_parsed(certificate)

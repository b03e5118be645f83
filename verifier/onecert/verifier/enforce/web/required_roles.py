"""The smallest policy: an action needs one of these roles. For who has no rules of the city yet.

    RequiredRoles({"approve": {"urn:onecert:role:tax.approver"}}, prover=prover, verifier=verifier)

Default deny: an action that is not named is permitted to nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.attribute_certificate.credentials import Credentials, Presented
from onecert.verifier.decision.deciding import Act, Reason, new_decision_id
from onecert.verifier.decision.question import Answer, Result
from onecert.verifier.enforce.proof import Proved, Prover
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.messages import LANGUAGES, message
from onecert.verifier.verified_certificate import VerifiedCertificate
from onecert.verifier.verifier import Verifier

__all__ = ["RequiredRoles", "RoleAnswer"]


@dataclass(frozen=True, kw_only=True)
class RoleAnswer:
    """The answer, as a ``Guard`` wants it."""

    id: str
    answer: Answer
    reasons: tuple[Reason, ...]

    @property
    def is_permitted(self) -> bool:
        """Whether it may be done."""
        return self.answer.result is Result.PERMIT


class RequiredRoles:
    """Permits an action to who has proved one of its roles.

    Args:
        actions: name of the action -> URIs of roles.
        prover: of attribute certificates; its own source is asked by the ``Guard``, if at all.
        verifier: of the holder's certificate.
    """

    def __init__(self, actions: Mapping[str, Collection[str]], *, prover: Prover, verifier: Verifier) -> None:
        self._actions = {action: frozenset(roles) for action, roles in actions.items()}
        self._prover, self._verifier = prover, verifier

    def decide(
        self,
        certificate: bytes | VerifiedCertificate,
        attribute_certificates: Credentials,
        act: Act,
        *,
        at: datetime,
    ) -> RoleAnswer:
        """See ``Decides``.

        Raises:
            VerifyError: the holder is refused, or a certificate that would matter could not be checked.
        """
        if not isinstance(certificate, VerifiedCertificate):
            certificate = self._verifier.verify(certificate, at=at)
        entity = certificate.identity.entity
        proved = self._prover.prove(
            certificate.path.target,
            identity=certificate.identity.id,
            entity=entity.id if entity else None,
            at=at,
            source=Presented(attribute_certificates),
        )
        needed = self._actions.get(act.action, frozenset())
        granting = needed & proved.roles
        if not granting and needed and proved.unknown:
            raise CouldNotCheckError("PRIVILEGE_NOT_DECIDED", reason=proved.unknown[0].code)
        result = Result.PERMIT if granting else Result.NOT_APPLICABLE
        return RoleAnswer(
            id=new_decision_id(at),
            answer=Answer(result=result, rules=tuple(sorted(granting))),
            reasons=tuple(_reasons(proved, granting)),
        )


def _reasons(proved: Proved, granting: frozenset[str]) -> list[Reason]:
    if granting:
        return [Reason(kind="role", code=role) for role in sorted(granting)]
    texts = {language: message("DECISION_NO_RULE", language) for language in LANGUAGES}
    found = [Reason(kind="rule", code="NO_RULE", texts=texts)]
    for findings in proved.findings:
        found += [
            Reason(kind="certificate", code=each.code, texts={one: each.text(one) for one in LANGUAGES})
            for each in findings
        ]
    return found

"""What is refused about authorities and their delegations: code, sentence and next step of each."""

from __future__ import annotations

from collections.abc import Sequence

from onecert.pmi.errors import PmiError
from onecert.server.languages import Message, Sentence
from onecert.verifier.attribute_certificate import Finding

__all__ = [
    "AttributesNotPermittedError",
    "AuthorityActError",
    "AuthorityEndsError",
    "AuthorityKeyWaitsError",
    "AuthorityStateError",
    "DelegateIsSourceError",
    "DelegateUnfitError",
    "DelegationExceededError",
    "DelegationLoopError",
    "NoDelegationError",
]


class AuthorityStateError(PmiError):
    """The authority is not in a state in which this can be done."""

    def __init__(self, name: str, state: Message) -> None:
        super().__init__(
            "AUTHORITY_STATE",
            status=409,
            text="This cannot be done with the attribute authority %(name)s: it is %(state)s.",
            hint="“onecert pmi authority show” tells since when and why.",
            name=name,
            state=state,
        )


class AuthorityKeyWaitsError(PmiError):
    """There is nothing to renew, or the new key has no request."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "AUTHORITY_NO_NEW_KEY",
            status=409,
            text="No new key of the attribute authority %(name)s waits for a certificate.",
            hint="Run “onecert pmi authority renew --new-key” first.",
            name=name,
        )


class AuthorityEndsError(PmiError):
    """The certificate of an authority ends soon, or has ended."""

    def __init__(self, name: str, not_after: object) -> None:
        super().__init__(
            "AUTHORITY_ENDS",
            status=503,
            text="The certificate of the attribute authority %(name)s ends on %(not_after)s.",
            hint="Run “onecert pmi authority renew”, have the request certified, and install it.",
            name=name,
            not_after=not_after,
        )


class AttributesNotPermittedError(PmiError):
    """The authority's own certificate does not let it give attributes of this type (aaControls)."""

    def __init__(self, name: str, oids: Sequence[str]) -> None:
        super().__init__(
            "AA_CONTROLS",
            status=403,
            text="The certificate of the attribute authority %(name)s does not permit these attributes: "
            "%(oids)s.",
            hint="Choose another authority, or have its certificate renewed with these attributes.",
            name=name,
            oids=list(oids),
        )


class NoDelegationError(PmiError):
    """An authority that is no source holds no delegation that is good now."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "NO_DELEGATION",
            status=403,
            text="The attribute authority %(name)s holds no delegation that is good now.",
            hint="Have an authority above it delegate to it, or release what is on hold.",
            name=name,
        )


class DelegationExceededError(PmiError):
    """More is to be given than is held; said with the code and the text of the verifier's finding."""

    def __init__(self, name: str, findings: Sequence[Finding]) -> None:
        super().__init__(
            findings[0].code,
            status=403,
            text="The attribute authority %(name)s may not give this: %(what)s.",
            hint="Ask for less, or have an authority above it delegate more first.",
            name=name,
            what=_spoken(findings[:8]),
        )
        self.findings = tuple(findings)


def _spoken(findings: Sequence[Finding]) -> Sentence:
    """Several findings as one sentence, in the language of whoever reads it."""
    facts = {str(number): finding.error() for number, finding in enumerate(findings)}
    return Sentence("; ".join(f"%({name})s" for name in facts), **facts)


class DelegationLoopError(PmiError):
    """An authority would get back what comes from itself."""

    def __init__(self, giver: str, receiver: str) -> None:
        super().__init__(
            "DELEGATION_LOOP",
            status=409,
            text="%(giver)s cannot delegate to %(receiver)s: what it holds comes from there.",
            hint="Delegate to an authority that is not above it.",
            giver=giver,
            receiver=receiver,
        )


class DelegateIsSourceError(PmiError):
    """A source of authority holds everything that the catalogue lets it give, and needs no delegation."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "DELEGATE_IS_SOURCE",
            status=409,
            text="%(name)s is a source of authority; nothing can be delegated to it.",
            hint="Delegate to an authority that was requested with --kind aa.",
            name=name,
        )


class DelegateUnfitError(PmiError):
    """The certificate that a delegation is to be given to is not one of an attribute authority."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "DELEGATE_UNFIT",
            status=422,
            text="Nothing can be delegated to this certificate: %(reason)s.",
            hint="Give one of the profile attribute-authority: not a CA, digitalSignature and cRLSign.",
            reason=reason,
        )


class AuthorityActError(PmiError):
    """What is confirmed is not what was shown, or nothing waits for confirmation."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "AUTHORITY_ACT_CHANGED",
            status=409,
            text="What was shown for the attribute authority %(name)s is not what would happen now.",
            hint="Look at it again, and confirm what is shown then.",
            name=name,
        )

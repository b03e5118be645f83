"""What is refused because of the catalogue, besides what `onecert.pmi.errors` says about roles."""

from __future__ import annotations

from onecert.pmi.errors import PmiError

__all__ = ["AttributeNotAssignableError", "AttributeUnknownError", "AttributeValueError", "HolderUnfitError"]


class AttributeUnknownError(PmiError):
    """The catalogue has no such attribute."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "ATTRIBUTE_UNKNOWN",
            status=422,
            text="The catalogue has no attribute %(name)s.",
            hint="Choose an attribute from the catalogue, or have it added there first.",
            name=name[:64],
        )


class AttributeNotAssignableError(PmiError):
    """The catalogue does not let this authority give the attribute."""

    def __init__(self, name: str, authority: str) -> None:
        super().__init__(
            "ATTRIBUTE_NOT_ASSIGNABLE",
            status=403,
            text="The authority %(authority)s may not give the attribute %(name)s.",
            hint="Choose the authority that the catalogue names for this attribute.",
            name=name,
            authority=authority,
        )


class AttributeValueError(PmiError):
    """A value of an attribute cannot be given."""

    def __init__(self, name: str, value: str, reason: str) -> None:
        super().__init__(
            "ATTRIBUTE_VALUE",
            status=422,
            text="The value %(value)s of the attribute %(name)s cannot be given: %(reason)s.",
            hint="The catalogue says which values the attribute has, and in which form.",
            name=name,
            value=value[:200],
            reason=reason,
        )


class HolderUnfitError(PmiError):
    """What is to be given is not for holders of this kind."""

    def __init__(self, name: str, holders: str) -> None:
        super().__init__(
            "HOLDER_UNFIT",
            status=422,
            text="%(name)s is for holders of another kind: %(holders)s.",
            hint="Choose a certificate of such a holder, or something that the catalogue lets this one have.",
            name=name[:200],
            holders=holders,
        )

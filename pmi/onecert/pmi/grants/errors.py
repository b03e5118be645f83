"""What is refused on the way of a grant, besides what `onecert.pmi.errors` says."""

from __future__ import annotations

from onecert.pmi.errors import PmiError

__all__ = ["DutySeparatedError", "NotYoursError"]


class DutySeparatedError(PmiError):
    """The holder would have two roles that nobody has together."""

    def __init__(self, rule: str, roles: list[str], serial: str) -> None:
        super().__init__(
            "SEPARATION_OF_DUTY",
            status=409,
            text="Nobody has these roles together (%(rule)s): %(roles)s. Certificate: %(serial)s.",
            hint="Revoke the other certificate first, or give the role to somebody else.",
            rule=rule,
            roles=roles,
            serial=serial or "-",
        )


class NotYoursError(PmiError):
    """Only who asked for a grant takes it back; others refuse it as approvers."""

    def __init__(self, grant: str) -> None:
        super().__init__(
            "NOT_YOURS",
            status=403,
            text="Somebody else asked for the grant %(grant)s.",
            hint="Only the person who asked for it takes it back; an approver refuses it.",
            grant=grant,
        )

"""The end of authorities and of their keys: what is refused, and why."""

from __future__ import annotations

from collections.abc import Sequence

from onecert.ca.errors.base import CaError
from onecert.server.languages import _

__all__ = [
    "AuthorityInUseError",
    "AuthorityRetiredError",
    "AuthorityStateError",
    "KeyNotDestroyedError",
    "SuccessorDueError",
]


class AuthorityRetiredError(CaError):
    """It issues no more; its lists and answers go on."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "AUTHORITY_RETIRED",
            status=422,
            text=_("The authority “%(name)s” is retired and issues no more certificates."),
            hint=_("Order from its successor; revocation and status go on."),
            name=name,
        )


class AuthorityStateError(CaError):
    """Its state does not allow this act."""

    def __init__(self, name: str, state: str) -> None:
        super().__init__(
            "AUTHORITY_STATE",
            status=409,
            text=_("The authority “%(name)s” is %(state)s; this act needs another state."),
            hint=_("Retire an authority before its key is destroyed; what was destroyed stays so."),
            name=name,
            state=state,
        )


class AuthorityInUseError(CaError):
    """Its key is still needed; all reasons together."""

    def __init__(self, name: str, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(
            "AUTHORITY_IN_USE",
            status=409,
            text=_("The key of “%(name)s” is still needed: %(reasons)s"),
            hint=_("Wait for the last certificate to end; for a compromised key, revoke first."),
            name=name,
            reasons="; ".join(reasons),
        )


class KeyNotDestroyedError(CaError):
    """The token still has the key."""

    def __init__(self, token: str, label: str) -> None:
        super().__init__(
            "KEY_NOT_DESTROYED",
            status=503,
            text=_("The token “%(token)s” still has the key “%(label)s” after it was to be destroyed."),
            hint=_("Look at the token, then run the command again."),
            token=token,
            label=label,
        )


class SuccessorDueError(CaError):
    """Readiness: an authority will soon be unable to give a certificate its whole term."""

    def __init__(self, name: str, profile: str, at: str) -> None:
        super().__init__(
            "SUCCESSOR_DUE",
            status=503,
            text=_("From %(at)s on “%(name)s” cannot issue “%(profile)s” for its whole term any more."),
            hint=_("Hold the ceremony of the next authority; see docs/ceremonies.md."),
            name=name,
            profile=profile,
            at=at,
        )

"""Why a trust list was not accepted."""

from __future__ import annotations

from onecert.verifier.errors import CouldNotCheckError, RefusedError


class TrustListError(RefusedError):
    """The list is malformed, not signed by enough officers, or goes backwards."""


class TrustListRollbackError(TrustListError):
    """Somebody presents an older list, or another list with the same number."""


class TrustListUnavailableError(CouldNotCheckError):
    """There is no current list: it is missing, expired, or its state cannot be kept."""

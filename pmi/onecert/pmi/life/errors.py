"""What is refused in the life of attribute certificates."""

from __future__ import annotations

from onecert.pmi.errors import PmiError

__all__ = [
    "CertificateStateError",
    "DepartureStateError",
    "DepartureUnknownError",
    "HolderDifferentError",
    "HolderUnknownError",
    "RebindingNeedlessError",
    "SelectionChangedError",
]


class SelectionChangedError(PmiError):
    """What is to be done to many is not what was shown."""

    def __init__(self, count: int, sha256: str) -> None:
        super().__init__(
            "SELECTION_CHANGED",
            status=409,
            text="What was shown is not what would be done now; these are %(count)s certificates and grants.",
            hint="Look at the list again and confirm it then.",
            count=count,
            content_sha256=sha256,
        )


class CertificateStateError(PmiError):
    """The certificate is not in a state in which this can be done."""

    def __init__(self, serial: str, state: str) -> None:
        super().__init__(
            "CERTIFICATE_STATE",
            status=409,
            text="This cannot be done with the attribute certificate %(serial)s: it is %(state)s.",
            hint="Reload the page to see its present state.",
            serial=serial,
            state=state,
        )


class HolderUnknownError(PmiError):
    """Nobody with this certificate, number or identity is known here."""

    def __init__(self, who: str) -> None:
        super().__init__(
            "HOLDER_UNKNOWN",
            status=404,
            text="No holder %(who)s is known here.",
            hint="Give the holder's certificate, or look for the holder by name first.",
            who=who[:128],
        )


class HolderDifferentError(PmiError):
    """The certificate belongs to somebody else."""

    def __init__(self, serial: str) -> None:
        super().__init__(
            "HOLDER_DIFFERENT",
            status=403,
            text="This certificate does not belong to the holder of the attribute certificate %(serial)s.",
            hint="An attribute certificate follows its holder only: the same identity by the trust list. "
            "For another holder ask for a new grant.",
            serial=serial,
        )


class RebindingNeedlessError(PmiError):
    """The attribute certificate already belongs to this certificate of its holder."""

    def __init__(self, serial: str) -> None:
        super().__init__(
            "REBINDING_NEEDLESS",
            status=409,
            text="The attribute certificate %(serial)s is already good for this certificate of its holder.",
            hint="Nothing needs to be done.",
            serial=serial,
        )


class DepartureUnknownError(PmiError):
    """No end of office has this number."""

    def __init__(self, number: str) -> None:
        super().__init__(
            "DEPARTURE_UNKNOWN",
            status=404,
            text="There is no end of office %(number)s.",
            hint="Look for it in the list.",
            number=number[:64],
        )


class DepartureStateError(PmiError):
    """The end of office is over, or was withdrawn."""

    def __init__(self, number: str, state: str) -> None:
        super().__init__(
            "DEPARTURE_STATE",
            status=409,
            text="This cannot be done with the end of office %(number)s: it is %(state)s.",
            hint="Only one that is still to come can be withdrawn.",
            number=number,
            state=state,
        )

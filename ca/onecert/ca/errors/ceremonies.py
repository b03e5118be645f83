"""Ceremonies and certificates of the system."""

from __future__ import annotations

from collections.abc import Sequence

from onecert.ca.errors.base import CaError
from onecert.server.languages import _

__all__ = [
    "CeremonyChangedError",
    "CeremonyFileError",
    "CeremonyWaitsError",
    "NotOfferedError",
    "OutsideCertificateError",
    "TwoPeopleError",
]


class CeremonyFileError(CaError):
    """The ceremony file has faults; all are named together."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "CEREMONY_FILE",
            status=422,
            text=_("The ceremony file has faults: %(faults)s"),
            hint=_("Correct the file and have it reviewed again."),
            faults="; ".join(faults),
        )


class CeremonyChangedError(CaError):
    """This authority was made by another edition of the file."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "CEREMONY_CHANGED",
            status=409,
            text=_("The ceremony “%(name)s” was begun or held with another edition of the file."),
            hint=_("Use the reviewed file whose hash is on record, or name a new ceremony."),
            name=name,
        )


class CeremonyWaitsError(CaError):
    """The outside authority has not certified our request yet."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "CEREMONY_WAITS",
            status=409,
            text=_("The ceremony waits for the certificate of “%(name)s” from the outside authority."),
            hint=_("Take the request there; run the ceremony again with --certificate FILE."),
            name=name,
        )


class OutsideCertificateError(CaError):
    """What an outside authority sent is not the certificate that we asked for; all faults together."""

    def __init__(self, name: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "CEREMONY_CERTIFICATE",
            status=422,
            text=_("This is not the certificate for “%(name)s” that we asked for: %(faults)s"),
            hint=_("Show the outside authority what is wrong, or use the right file."),
            name=name,
            faults="; ".join(faults),
        )


class TwoPeopleError(CaError):
    """Two different people must approve."""

    def __init__(self) -> None:
        super().__init__(
            "TWO_PEOPLE",
            status=403,
            text=_("Two different people must approve this."),
            hint=_("Name two people as approvers; a command takes --approved-by twice."),
        )


class NotOfferedError(CaError):
    """Direct issue is only for the system's own certificates."""

    def __init__(self, authority: str, profile: str) -> None:
        super().__init__(
            "NOT_OFFERED",
            status=403,
            text=_("“%(profile)s” from “%(authority)s” is not issued by command."),
            hint=_("Holders' certificates are ordered through a registration authority."),
            authority=authority,
            profile=profile,
        )

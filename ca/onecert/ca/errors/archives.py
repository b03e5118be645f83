"""Archives: what is not exported, not believed, not removed."""

from __future__ import annotations

from collections.abc import Sequence

from onecert.ca.errors.base import CaError
from onecert.server.languages import Message, _

__all__ = [
    "ArchiveApprovalError",
    "ArchiveFaultyError",
    "ArchiveMissingError",
    "ArchiveNotDueError",
    "ArchiveStateError",
    "CertificateArchivedError",
    "OrderArchivedError",
    "UnknownArchiveError",
]

SHOWN = 20


class UnknownArchiveError(CaError):
    """There is no archive of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "ARCHIVE_UNKNOWN",
            status=404,
            text=_("There is no archive %(name)s."),
            hint=_("onecert ca archive list names them."),
            name=name[:96],
        )


class ArchiveNotDueError(CaError):
    """The records of this month must still be kept, or are exported already."""

    def __init__(self, authority: str, month: str, *, exported: str = "") -> None:
        super().__init__(
            "ARCHIVE_NOT_DUE",
            status=409,
            text=_("Certificates of %(authority)s that ended in %(month)s are not to be archived now.")
            if not exported
            else _("Certificates of %(authority)s that ended in %(month)s are in %(exported)s already."),
            hint=_("onecert ca archive due names the months whose records may be archived."),
            authority=authority,
            month=month,
            exported=exported,
        )


class ArchiveMissingError(CaError):
    """The file is not where it was written, or not the one that was written."""

    def __init__(self, name: str, file: str) -> None:
        super().__init__(
            "ARCHIVE_MISSING",
            status=409,
            text=_("The archive %(name)s does not lie at %(file)s as it was written; nothing was removed."),
            hint=_("Bring the file back, or export the month again with --again."),
            name=name,
            file=file,
        )


class ArchiveFaultyError(CaError):
    """The archive does not prove what it should."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "ARCHIVE_FAULTY",
            status=422,
            text=_("The archive is not as it was signed, or does not agree with itself: %(faults)s"),
            hint=_("Keep the file as evidence, and take another copy of it."),
            faults=Message("; ".join(self.faults[:SHOWN])),
        )


class ArchiveStateError(CaError):
    """This cannot be done to an archive in this state."""

    def __init__(self, name: str, state: str) -> None:
        super().__init__(
            "ARCHIVE_STATE",
            status=409,
            text=_("The archive %(name)s is %(state)s."),
            hint=_("onecert ca archive list shows how each stands."),
            name=name,
            state=state,
        )


class ArchiveApprovalError(CaError):
    """The approval is not about this archive, or not by another person."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "ARCHIVE_APPROVAL",
            status=403,
            text=_("This does not approve the removal of what is in %(name)s."),
            hint=_("Two security officers who are two people approve it, each with the own token."),
            name=name,
        )


class CertificateArchivedError(CaError):
    """The certificate ended long ago; its records are in an archive."""

    def __init__(self, authority: str, serial: str, archive: str) -> None:
        super().__init__(
            "CERTIFICATE_ARCHIVED",
            status=410,
            text=_("The records of certificate %(serial)s of %(authority)s are archived in %(archive)s."),
            hint=_("onecert ca archive find shows them, when the file is where it was written."),
            authority=authority,
            serial=serial,
            archive=archive,
        )


class OrderArchivedError(CaError):
    """An order of this number was filled long ago."""

    def __init__(self, order: str) -> None:
        super().__init__(
            "ORDER_ARCHIVED",
            status=410,
            text=_("The order %(order)s was filled long ago; its records are archived."),
            hint=_("A new order has a new number."),
            order=order,
        )

"""Errors of the root ceremony and of the timestamp."""

from datetime import datetime

from onecert.server.languages import _
from onecert.supervision.errors import SupervisionError
from onecert.verifier.errors import VerifyError

__all__ = [
    "CounterEndedError",
    "ListNotUnderRootError",
    "OfficersTooFewError",
    "PublishedAheadError",
    "RootFileError",
    "RootHolderError",
    "RootHolderUnknownError",
    "RootKeyUnknownError",
    "RootMissingError",
    "RootOfficerError",
    "RootRefusedError",
    "RootSignedError",
    "RootThresholdError",
    "TimestampKeyError",
    "TimestampOverdueError",
    "TrustRootOverdueError",
]


class RootFileError(SupervisionError):
    """A file of the root ceremony is not what it should be."""

    def __init__(self, file: str, detail: str) -> None:
        super().__init__(
            "ROOT_FILE_MALFORMED",
            status=422,
            text=_("%(file)s is not a file of the root ceremony: %(detail)s"),
            hint=_("Take the file as `root key` or `root draft` wrote it; do not edit it."),
            file=file or "-",
            detail=detail,
        )


class RootKeyUnknownError(SupervisionError):
    """A key has no say about this root."""

    def __init__(self, kid: str) -> None:
        super().__init__(
            "ROOT_KEY_UNKNOWN",
            status=403,
            text=_("The key %(kid)s stands neither in this root nor in the one before it."),
            hint=_("Check the holder's name and token, and that this is the file of the present ceremony."),
            kid=kid,
        )


class RootSignedError(SupervisionError):
    """A holder signs twice."""

    def __init__(self, kid: str) -> None:
        super().__init__(
            "ROOT_SIGNED",
            status=409,
            text=_("The key %(kid)s has signed this root already."),
            hint=_("Another holder must sign, with another key."),
            kid=kid,
        )


class RootHolderError(SupervisionError):
    """Two keys of one holder, or one key of two holders."""

    def __init__(self, holder: str, other: str) -> None:
        super().__init__(
            "ROOT_HOLDER_TWICE",
            status=422,
            text=_("One root holder has one key; this is against it: %(holder)s, %(other)s."),
            hint=_("Give one file for each holder. A holder with a new key gives only the new file."),
            holder=holder,
            other=other,
        )


class RootHolderUnknownError(SupervisionError):
    """Nobody knows who holds a root key."""

    def __init__(self, kid: str) -> None:
        super().__init__(
            "ROOT_HOLDER_UNKNOWN",
            status=422,
            text=_("Nobody knows who holds the root key %(kid)s."),
            hint=_("Give the holder's public file too: --root-key FILE"),
            kid=kid,
        )


class RootOfficerError(SupervisionError):
    """The root names a list key that belongs to no officer."""

    def __init__(self, kid: str) -> None:
        super().__init__(
            "ROOT_OFFICER_UNKNOWN",
            status=422,
            text=_("The root names the list key %(kid)s, which belongs to no list officer."),
            hint=_(
                "Was the officer removed after the draft? Draft the root again and let the holders sign it."
            ),
            kid=kid,
        )


class OfficersTooFewError(SupervisionError):
    """There are fewer officers than must sign."""

    def __init__(self, found: int, needed: int) -> None:
        super().__init__(
            "OFFICERS_TOO_FEW",
            status=409,
            text=_("There are %(found)s list officers; %(needed)s must sign each list."),
            hint=_("Add officers first: onecert trust-list officer add ID"),
            found=found,
            needed=needed,
        )


class RootThresholdError(SupervisionError):
    """So many holders cannot be asked for."""

    def __init__(self, needed: int, holders: int) -> None:
        super().__init__(
            "ROOT_THRESHOLD",
            status=422,
            text=_("%(needed)s of %(holders)s root holders cannot be asked to sign."),
            hint=_("At least two and at most all of them: --threshold. In production, 3 of 5."),
            needed=needed,
            holders=holders,
        )


class RootMissingError(SupervisionError):
    """There is no trust root yet."""

    def __init__(self) -> None:
        super().__init__(
            "ROOT_MISSING",
            status=409,
            text=_("There is no trust root yet that names the officers."),
            hint=_("Begin the root ceremony: onecert trust-list root draft (docs/operator.md)."),
        )


class RootRefusedError(SupervisionError):
    """Departments would refuse this root."""

    def __init__(self, reason: VerifyError) -> None:
        super().__init__(
            "ROOT_REFUSED",
            status=422,
            text=_("Verifiers would refuse this root: %(reason)s"),
            hint=_("Look at who must sign: onecert trust-list root check FILE. Nothing was changed."),
            reason=reason,
        )
        self.reason = reason


class ListNotUnderRootError(SupervisionError):
    """The officers who signed the list are not those of the root."""

    def __init__(self, version: int, needed: int) -> None:
        super().__init__(
            "LIST_NOT_UNDER_ROOT",
            status=409,
            text=_(
                "The list does not have the signatures of %(needed)s officers whom root %(version)s names."
            ),
            hint=_(
                "Begin a draft, let officers whom that root names sign it, then try again: a new root and the"
                " list under it are published together."
            ),
            version=version,
            needed=needed,
        )


class TimestampKeyError(SupervisionError):
    """The root names a timestamp key that this service does not have."""

    def __init__(self, version: int) -> None:
        super().__init__(
            "TIMESTAMP_KEY_UNKNOWN",
            status=409,
            text=_("Root %(version)s names a timestamp key that this service does not have."),
            hint=_("Draft the next root here with --new-timestamp-key; the root holders must sign it."),
            version=version,
        )


class PublishedAheadError(SupervisionError):
    """The published files say more than the record."""

    def __init__(self, file: str, published: int, known: int) -> None:
        super().__init__(
            "PUBLISHED_AHEAD",
            status=503,
            text=_("%(file)s says number %(published)s; the record has only %(known)s. Nothing is signed."),
            hint=_(
                "Was the database restored? Import the missing roots (trust-roots/N.json), then publish a new"
                " list. If we did not sign that file, somebody else has the keys: replace them by a new root"
                " with --raise-epoch."
            ),
            file=file,
            published=published,
            known=known,
        )


class CounterEndedError(SupervisionError):
    """The version cannot rise any more."""

    def __init__(self) -> None:
        super().__init__(
            "COUNTER_ENDED",
            status=503,
            text=_("The timestamp's version cannot rise any more."),
            hint=_("Draft the next root with --raise-epoch timestamp; its counter begins anew."),
        )


class TimestampOverdueError(SupervisionError):
    """The published timestamp is over; verifiers take the list for held back."""

    def __init__(self, version: int, until: datetime) -> None:
        super().__init__(
            "TIMESTAMP_OVERDUE",
            status=503,
            text=_("The trust timestamp %(version)s is over since %(until)s; verifiers refuse the list now."),
            hint=_("Check the service's token and its log; the timestamp is signed again by itself."),
            version=version,
            until=until,
        )


class TrustRootOverdueError(SupervisionError):
    """The newest root is over."""

    def __init__(self, version: int) -> None:
        super().__init__(
            "TRUST_ROOT_OVERDUE",
            status=503,
            text=_("Trust root %(version)s is over; verifiers refuse everything now."),
            hint=_("Draft the next root and let the holders sign it: onecert trust-list root draft"),
            version=version,
        )

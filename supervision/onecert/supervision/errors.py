"""The errors of the supervision: what is wrong with a draft or an act, and what to do next."""

from onecert.server.errors import ServiceError
from onecert.server.languages import _
from onecert.verifier.errors import VerifyError

__all__ = [
    "AuthorityUnknownError",
    "DraftChangedError",
    "DraftMalformedError",
    "DraftRefusedError",
    "KnownFullError",
    "ListBackwardsError",
    "NoDraftError",
    "NothingPublishedError",
    "OfficerExistsError",
    "OfficerUnknownError",
    "PinRefusedError",
    "SampleError",
    "SequenceTypedError",
    "SignaturesMissingError",
    "SupervisionError",
    "TokenNotReadyError",
    "TrustListOverdueError",
    "UploadError",
]


class SupervisionError(ServiceError):
    """Base of everything this member raises on purpose."""


class DraftMalformedError(SupervisionError):
    """The file is not a draft, or a field of it is wrong."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "DRAFT_MALFORMED",
            status=422,
            text=_("The draft cannot be read: %(detail)s"),
            hint=_(
                "Correct this place in the file and import it again. supervision/README.md shows a draft."
            ),
            detail=detail,
        )


class DraftRefusedError(SupervisionError):
    """A verifier would refuse the list that this draft makes."""

    def __init__(self, reason: VerifyError) -> None:
        super().__init__(
            "DRAFT_REFUSED",
            status=422,
            text=_("Verifiers would refuse this list: %(reason)s"),
            hint=_("Correct the draft; nothing was signed or published."),
            reason=reason,
        )
        self.reason = reason


class ListBackwardsError(SupervisionError):
    """The draft takes back what a published list has said."""

    def __init__(self, authority: str, problem: str) -> None:
        super().__init__(
            "LIST_BACKWARDS",
            status=422,
            text=_("The draft goes back behind the published list (%(authority)s): %(problem)s"),
            hint=_("History only grows. Begin a draft from the published list and add to it."),
            authority=authority,
            problem=problem,
        )


class SampleError(SupervisionError):
    """A sample certificate of a profile gives something else than expected."""

    def __init__(self, authority: str, number: int, expected: str, found: str) -> None:
        super().__init__(
            "PROFILE_SAMPLE_FAILED",
            status=422,
            text=_(
                "Sample %(number)s of the identity profile of %(authority)s gives %(found)s,"
                " expected was %(expected)s."
            ),
            hint=_("Try it with: onecert-verify identity --profile FILE CERT"),
            authority=authority,
            number=number,
            expected=expected,
            found=found,
        )


class NoDraftError(SupervisionError):
    """There is no open draft."""

    def __init__(self) -> None:
        super().__init__(
            "NO_DRAFT",
            status=404,
            text=_("There is no open draft of the trust list."),
            hint=_("Import one, or begin one from the published list."),
        )


class DraftChangedError(SupervisionError):
    """The draft is not the one that was looked at or signed."""

    def __init__(self) -> None:
        super().__init__(
            "DRAFT_CHANGED",
            status=409,
            text=_("The draft was changed, or another list was published in between."),
            hint=_("Look at the draft again; all officers must sign what it is now."),
        )


class SignaturesMissingError(SupervisionError):
    """Not enough officers have signed the draft as it is."""

    def __init__(self, found: int, needed: int) -> None:
        super().__init__(
            "SIGNATURES_MISSING",
            status=409,
            text=_("The draft has %(found)s of the %(needed)s officers' signatures it needs."),
            hint=_("Sign with another officer: onecert trust-list draft sign --officer ID"),
            found=found,
            needed=needed,
        )


class OfficerUnknownError(SupervisionError):
    """Nobody of this id is a list officer."""

    def __init__(self, officer: str) -> None:
        super().__init__(
            "OFFICER_UNKNOWN",
            status=404,
            text=_("%(officer)s is not a list officer."),
            hint=_("Add the officer first: onecert trust-list officer add ID"),
            officer=officer,
        )


class OfficerExistsError(SupervisionError):
    """This officer has a key already."""

    def __init__(self, officer: str) -> None:
        super().__init__(
            "OFFICER_EXISTS",
            status=409,
            text=_("%(officer)s is a list officer already."),
            hint=_("One officer has one key; who has left comes back under another account."),
            officer=officer,
        )


class AuthorityUnknownError(SupervisionError):
    """The draft has no service of this id."""

    def __init__(self, authority: str, known: tuple[str, ...]) -> None:
        super().__init__(
            "AUTHORITY_UNKNOWN",
            status=404,
            text=_("The list has no authority %(authority)s. It has: %(known)s."),
            authority=authority,
            known=known,
        )


class NothingPublishedError(SupervisionError):
    """No list was published yet."""

    def __init__(self) -> None:
        super().__init__(
            "NOTHING_PUBLISHED",
            status=404,
            text=_("No trust list has been published yet."),
            hint=_("Import a draft, let two officers sign it, then publish."),
        )


class TrustListOverdueError(SupervisionError):
    """The published list is over; verifiers refuse everything now."""

    def __init__(self, sequence: int) -> None:
        super().__init__(
            "TRUST_LIST_OVERDUE",
            status=503,
            text=_("The published trust list number %(sequence)s is over; verifiers refuse everything now."),
            hint=_("Begin a draft from the published list, sign it twice and publish it."),
            sequence=sequence,
        )


class TokenNotReadyError(SupervisionError):
    """An officer's token does not answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "TOKEN_UNAVAILABLE",
            status=503,
            text=_("The token cannot be used now: %(reason)s"),
            hint=_("Check that the token is there, then try again."),
            reason=reason,
        )


class PinRefusedError(SupervisionError):
    """The PIN that was typed does not open the officer's token, or none is tried now. Nothing was signed.

    Args:
        code: of the token layer: PIN_WRONG, PIN_THROTTLED, PIN_EXHAUSTED, PIN_LOCKED; PIN_MISSING, PIN_FORM,
            PIN_SIMPLE, PIN_NOT_TAKEN when no PIN was tried.
        left: wrong PINs that may still follow before none is tried any more.
        seconds: until the next attempt.
        final: the token says that it locks after one more wrong PIN.
    """

    def __init__(
        self, code: str, *, officer: str, left: int | None = None, seconds: int = 1, final: bool = False
    ) -> None:
        status, text, hint = _PIN_REFUSALS[code]
        if final:
            hint = _(
                "The token says that it locks after one more wrong PIN. Look the PIN up before you try again."
            )
        super().__init__(
            code, status=status, text=text, hint=hint, officer=officer, left=left, seconds=seconds
        )

    @property
    def was_tried(self) -> bool:
        """Whether the token has seen the PIN."""
        return self.code in {"PIN_WRONG", "PIN_LOCKED"}


_PIN_REFUSALS = {
    "PIN_WRONG": (
        422,
        _("The PIN is wrong. Nothing was done with your key."),
        _(
            "The next attempt is possible in %(seconds)s seconds. After %(left)s more wrong PINs none is"
            " tried any more; many tokens lock earlier."
        ),
    ),
    "PIN_THROTTLED": (
        429,
        _("A PIN was wrong a moment ago, so this one was not tried."),
        _("Wait %(seconds)s seconds, then type the PIN again. Every wrong one doubles the wait."),
    ),
    "PIN_EXHAUSTED": (
        409,
        _("Too many wrong PINs in a row were typed for this token; none is tried any more."),
        _(
            "If it was not you who typed them, report it. Whoever runs the service asks you, then lets PINs"
            " be tried again: onecert trust-list officer unlock %(officer)s --apply. Meanwhile another"
            " officer can sign."
        ),
    ),
    "PIN_LOCKED": (
        409,
        _("The token has locked its PIN."),
        _("Only the token's own security officer can set a new one. Meanwhile another officer can sign."),
    ),
    "PIN_MISSING": (422, _("The PIN of your token is missing."), _("Type it and send the form again.")),
    "PIN_FORM": (
        422,
        _("What was typed cannot be a PIN; the token was not asked."),
        _("A PIN has 4 to 255 characters."),
    ),
    "PIN_SIMPLE": (
        422,
        _("This PIN is too easy to guess."),
        _("Choose at least 6 characters, not one repeated and not a run such as 123456."),
    ),
    "PIN_NOT_TAKEN": (
        422,
        _("The token does not take a PIN of this form; it has its old PIN."),
        _("Look up in the token's papers how long a PIN may be and of which characters."),
    ),
}


class UploadError(SupervisionError):
    """What was uploaded or pasted is not what belongs there."""

    def __init__(self, problem: object, hint: str = "") -> None:
        super().__init__(
            "UPLOAD_REFUSED",
            status=422,
            text=_("This cannot be used: %(problem)s"),
            hint=hint or _("Nothing was changed. Correct it and send it again."),
            problem=problem,
        )


class KnownFullError(SupervisionError):
    """The collection of known certificates has its full size."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            "KNOWN_FULL",
            status=409,
            text=_("The collection holds at most %(limit)s certificates; nothing of this was added."),
            hint=_("Remove a source that is not needed any more, then add it again."),
            limit=limit,
        )


class SequenceTypedError(SupervisionError):
    """The number that was typed to confirm is not the one that is signed."""

    def __init__(self, sequence: int) -> None:
        super().__init__(
            "SEQUENCE_DIFFERS",
            status=422,
            text=_("The number typed is not the number of this list, %(sequence)s. Nothing was signed."),
            hint=_("Read what would be signed once more, then type its number."),
            sequence=sequence,
        )

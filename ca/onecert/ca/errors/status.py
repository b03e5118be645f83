"""Revocation, lists, and the token and clock that everything waits for."""

from __future__ import annotations

from onecert.ca.errors.base import CaError
from onecert.server.languages import _

__all__ = [
    "AlreadyRevokedError",
    "CheckFindingsError",
    "ClockJumpedError",
    "ClockNotKeptError",
    "ClockWentBackError",
    "CrlIncompleteError",
    "CrlNumberWentBackError",
    "CrlOverdueError",
    "CrlPartitionsError",
    "NoAuthorityError",
    "NotOnHoldError",
    "RecordRestoredError",
    "RevocationAlteredError",
    "RevocationReasonError",
    "SignatureFaultError",
    "TokenGoneError",
    "TryAgainError",
    "UnknownCertificateError",
]


class UnknownCertificateError(CaError):
    """This authority never issued this serial."""

    def __init__(self, authority: str, serial: str) -> None:
        super().__init__(
            "CERTIFICATE_UNKNOWN",
            status=404,
            text=_("The authority “%(authority)s” has never issued the serial %(serial)s."),
            hint=_("Compare serial and authority with the certificate itself."),
            authority=authority,
            serial=serial,
        )


class AlreadyRevokedError(CaError):
    """Revoked for good; a second revocation or a release changes nothing."""

    def __init__(self, serial: str, revoked_at: str) -> None:
        super().__init__(
            "ALREADY_REVOKED",
            status=409,
            text=_("The certificate %(serial)s is revoked since %(revoked_at)s; that cannot be changed."),
            hint=_("Nothing is to be done."),
            serial=serial,
            revoked_at=revoked_at,
        )


class NotOnHoldError(CaError):
    """Only a certificate on hold can be released."""

    def __init__(self, serial: str) -> None:
        super().__init__(
            "NOT_ON_HOLD",
            status=409,
            text=_("The certificate %(serial)s is not on hold."),
            hint=_("Only a certificate on hold can be released."),
            serial=serial,
        )


class RevocationReasonError(CaError):
    """A reason that RFC 5280 does not know or that has no place here."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "REASON_UNKNOWN",
            status=422,
            text=_("“%(reason)s” is not a reason for revocation."),
            hint=_(
                "Use one of: unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, "
                "cessationOfOperation, certificateHold, removeFromCRL, privilegeWithdrawn, aACompromise."
            ),
            reason=reason,
        )


class RevocationAlteredError(CaError):
    """The number of this revocation was used before, for something else."""

    def __init__(self, revocation: str) -> None:
        super().__init__(
            "REVOCATION_ALTERED",
            status=409,
            text=_("The revocation %(revocation)s is already known with another content."),
            hint=_("Give the new revocation a number of its own."),
            revocation=revocation,
        )


class CrlIncompleteError(CaError):
    """The list does not hold every unexpired revoked certificate: never published."""

    def __init__(self, authority: str, missing: int, surplus: int) -> None:
        super().__init__(
            "CRL_INCOMPLETE",
            status=500,
            text=_(
                "The revocation list of “%(authority)s” does not agree with the record "
                "(%(missing)s missing, %(surplus)s too many) and was not published."
            ),
            hint=_("The list published before still stands. Tell the operator of the CA at once."),
            authority=authority,
            missing=missing,
            surplus=surplus,
        )


class CrlNumberWentBackError(CaError):
    """A published list has a number that the record does not know: the record is an old copy."""

    def __init__(self, authority: str, published: int, on_record: int) -> None:
        super().__init__(
            "CRL_NUMBER_WENT_BACK",
            status=503,
            text=_(
                "The published lists of “%(authority)s” have reached number %(published)s, but the record "
                "knows only %(on_record)s; nothing older is published."
            ),
            hint=_(
                "The record is an old copy, and nothing is signed: restore the newest one; if there is none, "
                "tell it what is outside: onecert ca reconcile PLACE --apply"
            ),
            authority=authority,
            published=published,
            on_record=on_record,
        )


class RecordRestoredError(CaError):
    """The record came back from a backup, and nobody has told it what happened after that."""

    def __init__(self, restored_at: str) -> None:
        super().__init__(
            "RECORD_RESTORED",
            status=503,
            text=_(
                "The record was restored from a backup at %(restored_at)s and does not know what was done "
                "after the backup; nothing is signed."
            ),
            hint=_(
                "Tell it what is outside, published lists and issued certificates: "
                "onecert ca reconcile PLACE --apply"
            ),
            restored_at=restored_at,
        )


class CrlOverdueError(CaError):
    """More than half of the list's time has passed without a new one: the alarm, long before it lapses."""

    def __init__(self, authority: str, next_update: str) -> None:
        super().__init__(
            "CRL_OVERDUE",
            status=503,
            text=_("The list of “%(authority)s” was not renewed in time and lapses at %(next_update)s."),
            hint=_("Look at token and database, then run “onecert ca crl publish”."),
            authority=authority,
            next_update=next_update,
        )


class CrlPartitionsError(CaError):
    """So many partitions cannot be: certificates name theirs for good, and names of lists must be free."""

    def __init__(self, authority: str, count: int, opened: int) -> None:
        super().__init__(
            "CRL_PARTITIONS",
            status=409,
            text=_(
                "The lists of “%(authority)s” cannot be spread over %(count)s partitions; "
                "there are %(opened)s."
            ),
            hint=_("The number can only grow, up to 1024, and no authority may have the name of a list."),
            authority=authority,
            count=count,
            opened=opened,
        )


class ClockWentBackError(CaError):
    """The clock shows a time before the last thing signed."""

    def __init__(self, now: str, last: str) -> None:
        super().__init__(
            "CLOCK_WENT_BACK",
            status=503,
            text=_("The clock shows %(now)s, but something was already signed for %(last)s."),
            hint=_("Set the clock right; until then nothing more is signed."),
            now=now,
            last=last,
        )


class ClockJumpedError(CaError):
    """The clock was set, or runs wrong: it does not fit the time that has passed."""

    def __init__(self, by_s: float) -> None:
        super().__init__(
            "CLOCK_JUMPED",
            status=503,
            text=_("The clock jumped by %(by)s seconds."),
            hint=_("Set the clock right, or start the service anew when it is right now."),
            by=f"{by_s:+.1f}",
        )


class ClockNotKeptError(CaError):
    """No time daemon keeps the clock, or it may be too far off."""

    def __init__(self, max_error_s: float | None) -> None:
        if max_error_s is None:
            text = _("Nothing keeps the clock of this machine right.")
            facts: dict[str, str] = {}
        else:
            text = _("The clock may be off by %(by)s seconds, which is too much.")
            facts = {"by": f"{max_error_s:.1f}"}
        super().__init__(
            "CLOCK_NOT_KEPT",
            status=503,
            text=text,
            hint=_("Start a time daemon such as chrony and wait until it has found the time."),
            **facts,
        )


class TokenGoneError(CaError):
    """The key cannot be reached now. Nothing half-done: an interrupted order is finished later."""

    def __init__(self, token: str) -> None:
        super().__init__(
            "TOKEN_UNAVAILABLE",
            status=503,
            text=_("The key store “%(token)s” cannot be reached."),
            hint=_("Try again later; the order is safe and will be finished once."),
            token=token,
        )


class TryAgainError(CaError):
    """Others were faster, again and again; nothing was changed."""

    def __init__(self) -> None:
        super().__init__(
            "TRY_AGAIN",
            status=503,
            text=_("Too many acts on the same holder or list at once; nothing was changed."),
            hint=_("Try again in a moment."),
        )


class SignatureFaultError(CaError):
    """The token answered with a signature that does not fit. Nothing left the CA."""

    def __init__(self, authority: str) -> None:
        super().__init__(
            "SIGNATURE_FAULT",
            status=503,
            text=_("The key of “%(authority)s” made a signature that does not fit; it was thrown away."),
            hint=_("Have the key store checked before signing again."),
            authority=authority,
        )


class NoAuthorityError(CaError):
    """No ceremony was held yet."""

    def __init__(self) -> None:
        super().__init__(
            "NO_AUTHORITY",
            status=503,
            text=_("No certification authority was set up yet."),
            hint=_("Hold a ceremony: “onecert ca ceremony FILE --apply”."),
        )


class CheckFindingsError(CaError):
    """The checker has found that something issued or published does not agree with the record."""

    def __init__(self, findings: int, first: str) -> None:
        super().__init__(
            "CHECK_FINDINGS",
            status=503,
            text=_(
                "The checker has found %(findings)s things wrong in what was issued; the first: %(first)s."
            ),
            hint=_("Run “onecert ca check”, which names them all. Change and delete nothing before."),
            findings=findings,
            first=first,
        )

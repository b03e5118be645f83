"""What the CA refuses and what it could not do, each with a stable code and a next step.

Status 4xx: the answer is no, and posting the same again will not help. Status 503: not now, nothing was
changed, try the same again. Texts are English msgids; the catalogue `locale/zh` translates them.
"""

from __future__ import annotations

from collections.abc import Sequence

from onecert.server.errors import ServiceError
from onecert.server.languages import Message, _

# The names of fields as people are shown them; the English catalogue is the name itself.
FIELD_NAMES = (
    _("common_name"),
    _("organization"),
    _("organizational_unit"),
    _("locality"),
    _("state_or_province"),
    _("country"),
    _("title"),
    _("serial_number"),
    _("uscc"),
    _("idcard"),
    _("agent_idcard"),
    _("identity.uscc"),
    _("identity.idcard"),
    _("identity.agent_idcard"),
)


class CaError(ServiceError):
    """Base of everything that the CA refuses or could not do."""


# ------------------------------------------------------------------ orders


class OrderMalformedError(CaError):
    """The order cannot be read, or lacks a field, or has one too many."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "ORDER_MALFORMED",
            status=400,
            text=_(
                "The order cannot be read: the field “%(field)s” is missing, unknown or of the wrong form."
            ),
            hint=_("Correct the order, sign it again and post it."),
            field=Message(field),
        )


class OrderSignatureError(CaError):
    """No registered key made this signature: altered, or signed by somebody else."""

    def __init__(self) -> None:
        super().__init__(
            "ORDER_SIGNATURE",
            status=401,
            text=_("The order is not signed by a registered registration authority, or was altered."),
            hint=_("Register the key with “onecert ca registration-authority add”, or sign the order again."),
        )


class OrderSignerError(CaError):
    """The order names one registration authority and is signed by another."""

    def __init__(self, named: str) -> None:
        super().__init__(
            "ORDER_SIGNER",
            status=403,
            text=_("The order names the registration authority “%(named)s” but another one signed it."),
            hint=_("Each registration authority signs its own orders."),
            named=named,
        )


class OrderOutOfScopeError(CaError):
    """This registration authority may not order this profile from this authority."""

    def __init__(self, registration_authority: str, authority: str, profile: str) -> None:
        super().__init__(
            "ORDER_OUT_OF_SCOPE",
            status=403,
            text=_("The registration authority “%(ra)s” may not order “%(profile)s” from “%(authority)s”."),
            hint=_(
                "Its scope is set with “onecert ca registration-authority add … --scope AUTHORITY:PROFILE”."
            ),
            ra=registration_authority,
            authority=authority,
            profile=profile,
        )


class OrderTimeError(CaError):
    """The order was made too long ago, or in the future."""

    def __init__(self, created_at: str) -> None:
        super().__init__(
            "ORDER_TIME",
            status=403,
            text=_("The order was made at %(created_at)s: too long ago, or in the future."),
            hint=_("Compare the clocks of both machines, then make a new order."),
            created_at=created_at,
        )


class CertificateTermError(CaError):
    """The end that the order asks for is not within the profile's term."""

    def __init__(self, not_after: str, latest: str) -> None:
        super().__init__(
            "CERTIFICATE_TERM",
            status=422,
            text=_("The certificate cannot end at %(not_after)s; the latest end here is %(latest)s."),
            hint=_("Leave the end out, or ask for a whole second between now and the latest end."),
            not_after=not_after,
            latest=latest,
        )


class OrderAlteredError(CaError):
    """The number of this order was used before, for something else."""

    def __init__(self, order: str) -> None:
        super().__init__(
            "ORDER_ALTERED",
            status=409,
            text=_("The order %(order)s is already known with another content."),
            hint=_("Give the new order a number of its own."),
            order=order,
        )


class OrderAbandonedError(CaError):
    """An interruption left this order unfinished, and it was given up: its serial counts as revoked."""

    def __init__(self, order: str, serial: str) -> None:
        super().__init__(
            "ORDER_ABANDONED",
            status=409,
            text=_("The order %(order)s was interrupted and given up; its serial %(serial)s is revoked."),
            hint=_("Make a new order with a number of its own."),
            order=order,
            serial=serial,
        )


class UnknownOrderError(CaError):
    """Nothing is known of this order."""

    def __init__(self, order: str) -> None:
        super().__init__(
            "ORDER_UNKNOWN",
            status=404,
            text=_("No order %(order)s is on record."),
            hint=_("Post the order."),
            order=order,
        )


class UnknownAuthorityError(CaError):
    """No authority of this name."""

    def __init__(self, authority: str) -> None:
        super().__init__(
            "AUTHORITY_UNKNOWN",
            status=404,
            text=_("There is no certification authority “%(authority)s” here."),
            hint=_("“onecert ca authorities” lists them; a new one is made with “onecert ca ceremony”."),
            authority=authority,
        )


class UnknownProfileError(CaError):
    """This authority has no such profile."""

    def __init__(self, authority: str, profile: str) -> None:
        super().__init__(
            "PROFILE_UNKNOWN",
            status=422,
            text=_("The authority “%(authority)s” has no profile “%(profile)s”."),
            hint=_("GET /ca/v1/authorities lists the profiles."),
            authority=authority,
            profile=profile,
        )


class ProfileVersionError(CaError):
    """The order is frozen to a version of the profile that is not in force."""

    def __init__(self, profile: str, ordered: int, in_force: int) -> None:
        super().__init__(
            "PROFILE_VERSION",
            status=409,
            text=_(
                "The order was approved for version %(ordered)s of “%(profile)s”; %(in_force)s is in force."
            ),
            hint=_("Have the application approved again under the version in force."),
            profile=profile,
            ordered=ordered,
            in_force=in_force,
        )


class RegistrationAuthorityError(CaError):
    """This name or key already belongs to another entry."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "REGISTRATION_AUTHORITY_TAKEN",
            status=409,
            text=_("The name or the key of “%(name)s” is already registered with another key or name."),
            hint=_("Remove the old entry first: “onecert ca registration-authority remove NAME”."),
            name=name,
        )


# ------------------------------------------------------------------ the request and its key


class RequestMalformedError(CaError):
    """These bytes are not one certificate request."""

    def __init__(self) -> None:
        super().__init__(
            "CSR_MALFORMED",
            status=400,
            text=_("The certificate request cannot be read as PKCS#10 in PEM form."),
            hint=_("Make it again, for example with “openssl req -new”, and send it whole."),
        )


class RequestSignatureError(CaError):
    """The request is not signed with the key inside it: no proof of possession."""

    def __init__(self) -> None:
        super().__init__(
            "CSR_SIGNATURE",
            status=422,
            text=_("The signature of the certificate request does not fit the key inside it."),
            hint=_("The request was altered, or made with another key. Make it again."),
        )


class RequestDigestError(CaError):
    """The request is signed with a digest that proves nothing any more."""

    def __init__(self, digest: str) -> None:
        super().__init__(
            "CSR_DIGEST",
            status=422,
            text=_("The certificate request is signed with %(digest)s, which is no longer accepted."),
            hint=_("Make it again with SHA-256 or stronger."),
            digest=digest,
        )


class UnsupportedKeyError(CaError):
    """A kind of key that the profile, or the whole CA, does not accept."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            "KEY_KIND",
            status=422,
            text=_("Keys of the kind “%(kind)s” are not accepted here."),
            hint=_("GET /ca/v1/authorities lists the kinds of keys that each profile accepts."),
            kind=kind,
        )


class WeakKeyError(CaError):
    """A key whose private half can be found; `flaw` is a short technical word for how."""

    def __init__(self, flaw: str) -> None:
        super().__init__(
            "KEY_WEAK",
            status=422,
            text=_("The key is weak (%(flaw)s): others could find its private half."),
            hint=_("Make a new key with current software or a current USB key."),
            flaw=flaw,
        )


class BlockedKeyError(CaError):
    """A key that is known to be in the wrong hands."""

    def __init__(self) -> None:
        super().__init__(
            "KEY_BLOCKED",
            status=422,
            text=_("The key is on the list of compromised keys."),
            hint=_("Make a new key."),
        )


class RepeatedKeyError(CaError):
    """The key already belongs to somebody else."""

    def __init__(self) -> None:
        super().__init__(
            "KEY_REPEATED",
            status=422,
            text=_("The key already belongs to another holder."),
            hint=_("Each holder needs a key of its own. Make a new key."),
        )


# ------------------------------------------------------------------ subject and identity


class FieldMissingError(CaError):
    """The profile needs a field that the order does not have."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "FIELD_MISSING",
            status=422,
            text=_("The field “%(field)s” is missing."),
            hint=_("Fill it in."),
            field=Message(field),
        )


class FieldNotAllowedError(CaError):
    """The order has a field that the profile does not know."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "FIELD_NOT_ALLOWED",
            status=422,
            text=_("The field “%(field)s” has no place in this kind of certificate."),
            hint=_("Leave it out, or order another kind of certificate."),
            field=Message(field),
        )


class FieldLengthError(CaError):
    """A value longer than the profile allows."""

    def __init__(self, field: str, length: int, allowed: int) -> None:
        super().__init__(
            "FIELD_LENGTH",
            status=422,
            text=_("The field “%(field)s” has %(length)s characters; %(allowed)s are allowed."),
            hint=_("Shorten it as on the licence or identity card."),
            field=Message(field),
            length=length,
            allowed=allowed,
        )


class FieldAlphabetError(CaError):
    """A value with a character outside the field's alphabet."""

    def __init__(self, field: str, character: str) -> None:
        super().__init__(
            "FIELD_ALPHABET",
            status=422,
            text=_("The field “%(field)s” contains %(character)s, which is not allowed there."),
            hint=_("Type the value again; look for blanks at the ends and invisible characters."),
            field=Message(field),
            character=character,
        )


class FieldValueError(CaError):
    """A value other than the one the profile fixes."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(
            "FIELD_VALUE",
            status=422,
            text=_("The field “%(field)s” must be “%(expected)s”."),
            hint=_("Correct it or leave it out."),
            field=Message(field),
            expected=expected,
        )


class IdentityValueError(CaError):
    """An identification number whose form or check digit is wrong. The number itself is never repeated."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "IDENTITY_WRONG",
            status=422,
            text=_("The identification number “%(field)s” is wrong: its form, date or check digit."),
            hint=_("Compare it with the licence or identity card."),
            field=Message(field),
        )


class IssuerExpiresError(CaError):
    """The certificate would outlive the one of its authority."""

    def __init__(self, authority: str, until: str) -> None:
        super().__init__(
            "ISSUER_EXPIRES",
            status=422,
            text=_(
                "The certificate would be valid longer than its authority “%(authority)s” (until %(until)s)."
            ),
            hint=_("The authority needs a successor: hold a ceremony."),
            authority=authority,
            until=until,
        )


class LintError(CaError):
    """The draft does not obey RFC 5280 or its profile. A fault of ours: nothing was signed."""

    def __init__(self, findings: Sequence[str]) -> None:
        self.findings = tuple(findings)
        super().__init__(
            "LINT_FAILED",
            status=500,
            text=_("The draft breaks its own rules, and nothing was signed: %(findings)s"),
            hint=_("Tell the operator of the CA; profile and program do not agree."),
            findings="; ".join(findings),
        )


# ------------------------------------------------------------------ revocation and status


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


# ------------------------------------------------------------------ ceremony and system certificates


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

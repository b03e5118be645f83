"""What is refused of an application: its content, its state, its claim on an entity or a key."""

from collections.abc import Sequence

from onecert.ra.errors.base import FieldFault, RaError
from onecert.server.languages import _

__all__ = [
    "AuthorityUnknownError",
    "CaseInvalidError",
    "ContentChangedError",
    "DuplicateError",
    "FollowRefusedError",
    "InvalidApplicationError",
    "KeyRepeatedError",
    "ProfileMissingError",
    "ReasonMissingError",
    "RequestKeyReusedError",
    "StaleFormError",
    "WrongStateError",
]


class WrongStateError(RaError):
    """The act does not fit the state; usually somebody else was quicker, or the page is old."""

    def __init__(self, *, act: str, state: str, state_name: str) -> None:
        super().__init__(
            "WRONG_STATE",
            status=409,
            text=_("This is not possible any more: the application is now “%(state_name)s”."),
            hint=_("Open the application again to see its present state."),
            act=act,
            state=state,
            state_name=state_name,
        )


class InvalidApplicationError(RaError):
    """Fields are missing or wrong; `faults` has one entry for each."""

    def __init__(self, faults: Sequence[FieldFault]) -> None:
        super().__init__(
            "FIELDS_INVALID",
            status=422,
            text=_("%(count)s fields cannot be accepted as they are."),
            hint=_("Correct the fields named and send the form again; nothing has been lost."),
            count=len(faults),
            fields=sorted({fault.field for fault in faults}),
        )
        self.faults = tuple(faults)


class StaleFormError(RaError):
    """The application changed after the form was opened."""

    def __init__(self) -> None:
        super().__init__(
            "STALE_FORM",
            status=409,
            text=_("The application was changed by somebody after you opened this form."),
            hint=_("Open it again, compare, and enter your changes once more."),
        )


class ContentChangedError(RaError):
    """What the reviewer saw is not what is on record; nothing was approved."""

    def __init__(self) -> None:
        super().__init__(
            "CONTENT_CHANGED",
            status=409,
            text=_("What you approved is not what is on record now. Nothing has been approved."),
            hint=_("Open the review page again and read the application as it is now."),
        )


class DuplicateError(RaError):
    """The same entity has a live certificate or an open application of this type at this authority.

    `number` and `application` are empty when it is out of the reader's reach.
    """

    def __init__(self, *, authority: str, kind: str, number: str, application: str) -> None:
        text = _(
            "%(authority)s already has an open application or a live certificate of this type for the same"
            " applicant: application %(number)s."
        )
        hint = _(
            "Continue with application %(number)s. For a new key, revoke the certificate first; a"
            " certificate from another authority can be applied for at any time."
        )
        if not number:
            text = _(
                "%(authority)s already has an open application or a live certificate of this type for the"
                " same applicant, at another acceptance point."
            )
            hint = _(
                "The applicant continues there. A certificate from another authority can be applied for at"
                " any time."
            )
        super().__init__(
            "DUPLICATE",
            status=409,
            text=text,
            hint=hint,
            authority=authority,
            kind=kind,
            number=number,
            application=application,
        )


class RequestKeyReusedError(RaError):
    """An idempotency key came again, with another content; neither request was carried out twice."""

    def __init__(self, number: str) -> None:
        super().__init__(
            "REQUEST_KEY_REUSED",
            status=409,
            text=_("This request was sent before with other content; it made %(number)s."),
            hint=_(
                "Nothing was done this time. To change what the first request made, open it; for something"
                " new, begin anew (in the REST API: send a new Idempotency-Key)."
            ),
            number=number,
        )


class KeyRepeatedError(RaError):
    """The public key was already used in another application; `number` is empty when out of reach."""

    def __init__(self, *, number: str) -> None:
        text = _("This public key was already used in application %(number)s.")
        if not number:
            text = _("This public key was already used in an application at another acceptance point.")
        super().__init__(
            "KEY_REPEATED",
            status=409,
            text=text,
            hint=_("Have the applicant make a new key pair and a new request; a key serves one certificate."),
            number=number,
        )


_FOLLOW_TEXTS = {
    "FOLLOW_STATUS": (
        _("The certificate cannot be followed in this way; its status is “%(value)s”."),
        _("Choose another kind of business: after a loss a replacement, otherwise a new application."),
    ),
    "FOLLOW_HOLDER": (
        _("The holder is not the one of application %(value)s, whose certificate this follows."),
        _("Renewal, change and replacement keep the holder; for another one enter a new application."),
    ),
    "FOLLOW_EARLY": (
        _("Only a renewal can be early, for a reason of 2 to %(value)s characters."),
        _("Leave the reason empty, or say in a sentence why it cannot wait."),
    ),
    "FOLLOW_REASON": (
        _("The old certificate cannot be revoked for this reason here."),
        _("Choose one of: %(value)s."),
    ),
}


class FollowRefusedError(RaError):
    """This certificate cannot be renewed, changed or replaced so."""

    def __init__(self, code: str, value: str) -> None:
        text, hint = _FOLLOW_TEXTS[code]
        super().__init__(code, status=409, text=text, hint=hint, value=value)


class CaseInvalidError(RaError):
    """A case that lacks something or says what its business type has no place for."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "CASE_INVALID",
            status=422,
            text=_("The value “%(name)s” is missing or wrong for this kind of business."),
            hint=_("A revocation needs a reason, unlocking and key recovery a note on the papers shown."),
            name=name,
        )


class ReasonMissingError(RaError):
    """Return and reject need a sentence for the colleague or the applicant."""

    def __init__(self) -> None:
        super().__init__(
            "REASON_MISSING",
            status=422,
            text=_("A reason of 2 to 500 characters is needed here."),
            hint=_("Write what has to be corrected; the entry clerk and the auditor read it."),
        )


class AuthorityUnknownError(RaError):
    """No authority of this name is offered."""

    def __init__(self, authority: str, known: Sequence[str]) -> None:
        super().__init__(
            "AUTHORITY_UNKNOWN",
            status=422,
            text=_("There is no certification authority “%(authority)s”."),
            hint=_("Choose one of: %(known)s."),
            authority=authority,
            known=", ".join(known) or "-",
        )


class ProfileMissingError(RaError):
    """The authority does not issue this type of certificate."""

    def __init__(self, authority: str, kind: str) -> None:
        super().__init__(
            "PROFILE_UNKNOWN",
            status=422,
            text=_("%(authority)s does not issue this type of certificate (%(kind)s)."),
            hint=_("Choose another authority or another type."),
            authority=authority,
            kind=kind,
        )

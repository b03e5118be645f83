"""The errors of the registration authority: what is wrong, and what to do next.

Status 4xx is a refusal; 503 means "could not", never "no". Facts never hold id-card numbers. What the CA
answers, or fails to answer, is in ca_errors.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from onecert.server.errors import ServiceError
from onecert.server.languages import _


class RaError(ServiceError):
    """Base of everything this member raises on purpose."""


@dataclass(frozen=True)
class FieldFault:
    """One field that cannot be taken as it is; `text` and `hint` are messages with named facts."""

    field: str
    code: str
    text: str
    hint: str = ""
    facts: dict[str, Any] = dataclass_field(default_factory=dict)


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


class NotFoundError(RaError):
    """Nothing is on record under this identifier."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "NOT_FOUND",
            status=404,
            text=_("%(what)s is not on record here."),
            hint=_("Check the number, or look for the name in the search."),
            what=what,
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


class BodyError(RaError):
    """A REST request with a missing, unknown or wrongly typed value."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "BODY_INVALID",
            status=422,
            text=_("The value “%(name)s” is missing or not of the agreed form."),
            hint=_("GET /ra/v1/openapi.json describes every request."),
            name=name,
        )


class SearchByPostError(RaError):
    """An id-card number in an address."""

    def __init__(self) -> None:
        super().__init__(
            "SEARCH_BY_POST",
            status=422,
            text=_("An identity card number must not stand in an address."),
            hint=_("Send the search as POST /ra/v1/certificates/search with the number in the body."),
        )


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
    """The same entity has a live certificate or an open application of this type at this authority."""

    def __init__(self, *, authority: str, kind: str, number: str, application: str) -> None:
        super().__init__(
            "DUPLICATE",
            status=409,
            text=_(
                "%(authority)s already has an open application or a live certificate of this type for the"
                " same applicant: application %(number)s."
            ),
            hint=_(
                "Continue with application %(number)s. For a new key, revoke the certificate first; a"
                " certificate from another authority can be applied for at any time."
            ),
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
    """The public key was already used in another application."""

    def __init__(self, *, number: str) -> None:
        super().__init__(
            "KEY_REPEATED",
            status=409,
            text=_("This public key was already used in application %(number)s."),
            hint=_("Have the applicant make a new key pair and a new request; a key serves one certificate."),
            number=number,
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


class TokenNotReadyError(RaError):
    """Could not: the RA's own token with its order key and sealing key is not usable."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "TOKEN_UNAVAILABLE",
            status=503,
            text=_("The registration authority's key token cannot be used now (%(detail)s)."),
            hint=_("Tell the operator of the service; try again when /readyz is green. Nothing was changed."),
            detail=detail,
        )


class SealedDataError(RaError):
    """Could not: sealed personal data does not open. Changed from outside, or sealed under another token."""

    def __init__(self) -> None:
        super().__init__(
            "SEALED_DATA_DAMAGED",
            status=503,
            text=_("Sealed personal data cannot be opened: it was changed, or belongs to another key token."),
            hint=_("Change nothing. Tell the operator of the service and the auditor."),
        )


class RevocationReasonError(RaError):
    """Not a reason that may be chosen here."""

    def __init__(self, reason: str, known: Sequence[str]) -> None:
        super().__init__(
            "REASON_UNKNOWN",
            status=422,
            text=_("“%(reason)s” is not a reason for revoking."),
            hint=_("Choose one of: %(known)s."),
            reason=reason[:64],
            known=", ".join(known),
        )


_CHANGE_TEXTS = {
    "ALREADY_REVOKED": (
        _("The certificate is already revoked; that cannot be undone."),
        _("If the holder needs a certificate again, enter a new application."),
    ),
    "ALREADY_ON_HOLD": (
        _("The certificate is already on hold."),
        _("Release it, or revoke it for good."),
    ),
    "NOT_ON_HOLD": (
        _("Only a certificate on hold can be released, and this one is not on hold."),
        _("Look at its present status on the certificate page."),
    ),
    "CHANGE_PENDING": (
        _("An earlier request for this certificate is still on its way to the authority."),
        _("Wait until it is answered; the certificate page shows it."),
    ),
    "INVALIDITY_IN_FUTURE": (
        _("The time since when the key is in doubt lies in the future."),
        _("Enter the time when the key was last surely in the right hands, or leave it empty."),
    ),
}


class RevocationRefusedError(RaError):
    """This change of status is not possible for this certificate now."""

    def __init__(self, code: str) -> None:
        text, hint = _CHANGE_TEXTS[code]
        super().__init__(code, status=422 if code == "INVALIDITY_IN_FUTURE" else 409, text=text, hint=hint)


class ImportFileError(RaError):
    """The file of an import cannot be read; no row was entered."""

    def __init__(self, text: str, **facts: object) -> None:
        super().__init__(
            "IMPORT_FILE",
            status=422,
            text=text,
            hint=_("Nothing was entered. Compare the file with demo/applicants.csv."),
            **facts,
        )

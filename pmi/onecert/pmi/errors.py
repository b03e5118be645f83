"""What the PMI refuses or cannot do now, each with its code, its sentence and the next step."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from onecert.server.errors import ServiceError

__all__ = [
    "AcrlFaultError",
    "AuthorityExistsError",
    "AuthorityNotReadyError",
    "AuthorityUnfitError",
    "AuthorityUnknownError",
    "CatalogueWrongError",
    "CertificateUnknownError",
    "ContentChangedError",
    "DraftRefusedError",
    "GrantConflictError",
    "GrantStateError",
    "GrantUnknownError",
    "NoCatalogueError",
    "NoPolicyError",
    "PmiError",
    "ReasonUnknownError",
    "RequestWrongError",
    "RoleNotAssignableError",
    "RoleUnknownError",
    "SignatureFaultError",
    "TokenGoneError",
    "TooManyQuestionsError",
    "TrustListMissingError",
    "ValidityWrongError",
]


class PmiError(ServiceError):
    """Base of what the PMI says."""


class TokenGoneError(PmiError):
    """The token with the authorities' keys does not answer."""

    def __init__(self, token: str) -> None:
        super().__init__(
            "TOKEN_UNAVAILABLE",
            status=503,
            text="The token %(token)s with the keys of the attribute authorities cannot be used now.",
            hint="Check the token and its PIN file, then try again; nothing was signed.",
            token=token,
        )


class SignatureFaultError(PmiError):
    """What the token returned is not a signature of this authority over these bytes."""

    def __init__(self, authority: str) -> None:
        super().__init__(
            "SIGNATURE_FAULT",
            status=503,
            text="The token returned a signature that does not belong to the authority %(authority)s.",
            hint="Stop granting and have the token examined; nothing was published.",
            authority=authority,
        )


class AuthorityUnknownError(PmiError):
    """No attribute authority has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "AUTHORITY_UNKNOWN",
            status=404,
            text="There is no attribute authority %(name)s.",
            hint="“onecert pmi authority list” shows them.",
            name=name,
        )


class AuthorityExistsError(PmiError):
    """This name is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "AUTHORITY_EXISTS",
            status=409,
            text="There is already an attribute authority %(name)s with a certificate.",
            hint="Choose another name. An authority keeps its key and its certificate for life.",
            name=name,
        )


class AuthorityNotReadyError(PmiError):
    """The authority has a key but no certificate yet."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "AUTHORITY_NOT_READY",
            status=409,
            text="The attribute authority %(name)s has no certificate yet.",
            hint="Have its request certified, then run “onecert pmi authority install”.",
            name=name,
        )


class AuthorityUnfitError(PmiError):
    """The certificate given for an authority is not fit for one."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            "AUTHORITY_UNFIT",
            status=422,
            text="This certificate cannot be used by the attribute authority %(name)s: %(reason)s.",
            hint="Ask the CA for a certificate of the profile attribute-authority, for the same key.",
            name=name,
            reason=reason,
        )


class NoCatalogueError(PmiError):
    """No catalogue of roles was published yet."""

    def __init__(self) -> None:
        super().__init__(
            "NO_CATALOGUE",
            status=409,
            text="No catalogue of roles has been published yet.",
            hint="Publish one: onecert pmi catalogue publish FILE --apply",
        )


class CatalogueWrongError(PmiError):
    """The file of a catalogue has faults."""

    def __init__(self, faults: Iterable[str]) -> None:
        super().__init__(
            "CATALOGUE_WRONG",
            status=422,
            text="The catalogue has faults:\n%(faults)s",
            hint="Correct them and publish again; nothing was changed.",
            faults="\n".join(f"  - {fault}" for fault in faults),
        )


class RoleUnknownError(PmiError):
    """The catalogue has no such role."""

    def __init__(self, role: str) -> None:
        super().__init__(
            "ROLE_UNKNOWN",
            status=422,
            text="The catalogue has no role %(role)s.",
            hint="Choose a role from the catalogue, or have it added there first.",
            role=role[:200],
        )


class RoleNotAssignableError(PmiError):
    """The catalogue does not let this authority give the role."""

    def __init__(self, role: str, authority: str) -> None:
        super().__init__(
            "ROLE_NOT_ASSIGNABLE",
            status=403,
            text="The authority %(authority)s may not give the role %(role)s.",
            hint="Choose the authority that the catalogue names for this role.",
            role=role,
            authority=authority,
        )


class ValidityWrongError(PmiError):
    """The period asked for cannot be given."""

    def __init__(self, not_before: datetime, not_after: datetime, longest: timedelta) -> None:
        super().__init__(
            "VALIDITY_WRONG",
            status=422,
            text="The period from %(not_before)s to %(not_after)s cannot be granted.",
            hint="It begins today at the earliest, lasts %(days)s days at most, and ends before the "
            "certificates of the holder and of the authority do.",
            not_before=not_before,
            not_after=not_after,
            days=longest.days,
        )


class RequestWrongError(PmiError):
    """A field of a request is missing or wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(
            "REQUEST_WRONG",
            status=422,
            text="The field %(field)s is wrong: %(reason)s.",
            hint="The description of this interface names the fields and their forms.",
            field=field,
            reason=reason,
        )


class GrantUnknownError(PmiError):
    """No grant has this number."""

    def __init__(self, grant: str) -> None:
        super().__init__(
            "GRANT_UNKNOWN",
            status=404,
            text="There is no grant %(grant)s.",
            hint="Look for it in the list of grants.",
            grant=grant[:64],
        )


class GrantConflictError(PmiError):
    """The same grant number came again with another content."""

    def __init__(self, grant: str) -> None:
        super().__init__(
            "GRANT_CONFLICT",
            status=409,
            text="The grant %(grant)s is on record with another content.",
            hint="Use a new number for a new grant.",
            grant=grant,
        )


class GrantStateError(PmiError):
    """The grant is not in a state in which this can be done."""

    def __init__(self, grant: str, state: str) -> None:
        super().__init__(
            "GRANT_STATE",
            status=409,
            text="This cannot be done with the grant %(grant)s: it is %(state)s.",
            hint="Reload the page to see its present state.",
            grant=grant,
            state=state,
        )


class ContentChangedError(PmiError):
    """What is to be approved is not what was shown."""

    def __init__(self, grant: str) -> None:
        super().__init__(
            "CONTENT_CHANGED",
            status=409,
            text="What was shown for the grant %(grant)s is not what is on record.",
            hint="Reload the page, compare again and approve then.",
            grant=grant,
        )


class DraftRefusedError(PmiError):
    """The draft of a certificate did not pass the lint; the key was not used."""

    def __init__(self, faults: Iterable[str]) -> None:
        super().__init__(
            "DRAFT_REFUSED",
            status=503,
            text="The attribute certificate was not signed, because its draft has faults: %(faults)s.",
            hint="Tell the administrator; this is a fault of the program or of its settings.",
            faults=list(faults),
        )


class CertificateUnknownError(PmiError):
    """No attribute certificate has this serial number."""

    def __init__(self, serial: str) -> None:
        super().__init__(
            "CERTIFICATE_UNKNOWN",
            status=404,
            text="There is no attribute certificate with the serial number %(serial)s.",
            hint="Compare the number, or look for the certificate by its holder.",
            serial=serial[:64],
        )


class ReasonUnknownError(PmiError):
    """The reason of a revocation is not one that is used here."""

    def __init__(self, reason: str, known: Iterable[str]) -> None:
        super().__init__(
            "REASON_UNKNOWN",
            status=422,
            text="%(reason)s is not a reason for a revocation here.",
            hint="Use one of: %(known)s.",
            reason=reason[:64],
            known=list(known),
        )


class AcrlFaultError(PmiError):
    """A revocation list did not pass its check and was not published."""

    def __init__(self, authority: str, reason: str) -> None:
        super().__init__(
            "ACRL_FAULT",
            status=503,
            text="The revocation list of %(authority)s was not published: %(reason)s.",
            hint="Tell the administrator; the list before stays in force until its end.",
            authority=authority,
            reason=reason,
        )


class NoPolicyError(PmiError):
    """No policy is in force, so nothing can be decided."""

    def __init__(self) -> None:
        super().__init__(
            "NO_POLICY",
            status=503,
            text="No policy is in force.",
            hint="Publish one: onecert pmi policy publish FILE --apply",
        )


class TooManyQuestionsError(PmiError):
    """One address asks too often."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            "TOO_MANY_QUESTIONS",
            status=429,
            text="More than %(limit)s questions a minute came from this address.",
            hint="Wait a minute. A department that needs more decides in its own process.",
            limit=limit,
        )


class TrustListMissingError(PmiError):
    """Without a trust list nobody's identity can be checked."""

    def __init__(self, where: str) -> None:
        super().__init__(
            "TRUST_LIST_MISSING",
            status=503,
            text="The trust list is not available: %(where)s.",
            hint="Check the settings trust_list and trust_root of the section pmi.",
            where=where,
        )

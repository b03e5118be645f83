"""Orders: who signed them, for what, when, and what became of them."""

from __future__ import annotations

from onecert.ca.errors.base import CaError
from onecert.server.languages import Message, _

__all__ = [
    "CertificateTermError",
    "OrderAbandonedError",
    "OrderAlteredError",
    "OrderMalformedError",
    "OrderOutOfScopeError",
    "OrderSignatureError",
    "OrderSignerError",
    "OrderTimeError",
    "ProfileVersionError",
    "RegistrationAuthorityError",
    "UnknownAuthorityError",
    "UnknownOrderError",
    "UnknownProfileError",
]


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

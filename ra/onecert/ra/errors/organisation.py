"""What is refused of points, projects, scopes, and of enrolling operators."""

from onecert.ra.errors.base import NotFoundError, RaError
from onecert.server.languages import _

__all__ = [
    "CertificateRequiredError",
    "EnrolmentClosedError",
    "EnrolmentInvalidError",
    "OrganisationInvalidError",
    "OutOfReachError",
    "PointClosedError",
    "PointNeededError",
    "PointUnknownError",
    "ScopeInvalidError",
]


class OutOfReachError(NotFoundError):
    """Another point's record: the same words as for one that does not exist."""


class CertificateRequiredError(RaError):
    """The policy binds every act to the operator's own certificate."""

    def __init__(self) -> None:
        super().__init__(
            "CERTIFICATE_REQUIRED",
            status=403,
            text=_("This act must be bound to your own certificate, and you signed in without one."),
            hint=_("Insert your operator's token, sign in with the certificate and do it again."),
        )


class PointUnknownError(RaError):
    """No such point, or no such project at this point."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "POINT_UNKNOWN",
            status=422,
            text=_("There is no acceptance point or project “%(name)s” here."),
            hint=_("GET /ra/v1/points lists them; administrators open new ones."),
            name=name[:64],
        )


class PointClosedError(RaError):
    """A closed point or project takes nothing new."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "POINT_CLOSED",
            status=409,
            text=_("“%(name)s” is closed and takes no new applications."),
            hint=_("Choose another acceptance point or project."),
            name=name[:64],
        )


class PointNeededError(RaError):
    """The operator works at several points and did not say at which one this is."""

    def __init__(self) -> None:
        super().__init__(
            "POINT_NEEDED",
            status=422,
            text=_("You work at several acceptance points; say at which one this is entered."),
            hint=_("Send “point” with the application."),
        )


class OrganisationInvalidError(RaError):
    """An id or name that cannot become a point or a project."""

    def __init__(self, value: str) -> None:
        super().__init__(
            "ORGANISATION_INVALID",
            status=422,
            text=_("“%(value)s” cannot be used for an acceptance point or project."),
            hint=_(
                "An id has 2 to 32 small letters, digits or hyphens and begins with a letter; other texts "
                "have up to 128 characters. The main point cannot be closed."
            ),
            value=value,
        )


class ScopeInvalidError(RaError):
    """A scope that names nothing, too much, or a point that is not on record."""

    def __init__(self, value: str) -> None:
        super().__init__(
            "SCOPE_INVALID",
            status=422,
            text=_("“%(value)s” cannot be used in a scope."),
            hint=_("A scope has 1 to 64 lines of point, authority and profile; “*” stands for any."),
            value=value[:64],
        )


class EnrolmentInvalidError(RaError):
    """A request about an account that lacks something or says too much."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "ENROLMENT_INVALID",
            status=422,
            text=_("The value “%(name)s” is missing or wrong in this request about an operator."),
            hint=_("GET /ra/v1/openapi.json describes what each kind of request needs."),
            name=name,
        )


class EnrolmentClosedError(RaError):
    """The request was already decided."""

    def __init__(self, state: str) -> None:
        super().__init__(
            "ENROLMENT_CLOSED",
            status=409,
            text=_("This request about an operator was already decided (%(state)s)."),
            hint=_("Look at the account as it is now; ask anew if something is still missing."),
            state=state,
        )

"""The base of all errors here, and what every feature may raise.

Status 4xx is a refusal; 503 means "could not", never "no". Facts never hold id-card numbers.
"""

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from onecert.server.errors import ServiceError
from onecert.server.languages import _

__all__ = [
    "BodyError",
    "FieldFault",
    "NotFoundError",
    "RaError",
    "SealedDataError",
    "SearchByPostError",
    "TokenNotReadyError",
]


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

"""Orders that follow a certificate: what may not be renewed, changed or replaced, and why."""

from __future__ import annotations

from onecert.ca.errors.base import CaError
from onecert.server.languages import _

__all__ = [
    "EarlyRenewalError",
    "OrderKindInBatchError",
    "PredecessorHolderError",
    "PredecessorStateError",
    "RenewalWindowError",
    "SameKeyError",
    "SubjectChangedError",
    "SuccessorExistsError",
]


class PredecessorStateError(CaError):
    """Revoked, on hold, unfinished or ended: it cannot be followed in this way."""

    def __init__(self, kind: str, serial: str, state: str) -> None:
        super().__init__(
            "PREDECESSOR_STATE",
            status=409,
            text=_(
                "An order of the kind “%(kind)s” cannot follow the certificate %(serial)s: it is “%(state)s”."
            ),
            hint=_(
                "Release what is on hold first; for what is revoked or has ended, order a new certificate, "
                "or “replace” it after a loss."
            ),
            kind=kind,
            serial=serial,
            state=state,
        )


class PredecessorHolderError(CaError):
    """The certificate to be followed has another holder or another profile."""

    def __init__(self, serial: str) -> None:
        super().__init__(
            "PREDECESSOR_HOLDER",
            status=422,
            text=_("The certificate %(serial)s has another holder or another profile than the order."),
            hint=_("Compare serial and identification numbers; for another holder order a new certificate."),
            serial=serial,
        )


class SubjectChangedError(CaError):
    """Only a change may alter the subject."""

    def __init__(self, kind: str, serial: str) -> None:
        super().__init__(
            "SUBJECT_CHANGED",
            status=422,
            text=_("The order of the kind “%(kind)s” has another subject than the certificate %(serial)s."),
            hint=_("Give it the same subject, or order a “change”, which says what becomes of the old one."),
            kind=kind,
            serial=serial,
        )


class SameKeyError(CaError):
    """The key of the old certificate may not be certified again in this way."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            "SAME_KEY",
            status=422,
            text=_("The order of the kind “%(kind)s” brings the key of the old certificate."),
            hint=_("Make a new key; only the profile can allow the same key, for “renew” and “change”."),
            kind=kind,
        )


class RenewalWindowError(CaError):
    """Too early or too late to renew."""

    def __init__(self, serial: str, begin: str, end: str) -> None:
        super().__init__(
            "RENEWAL_WINDOW",
            status=409,
            text=_("The certificate %(serial)s can be renewed from %(begin)s to %(end)s."),
            hint=_(
                "Wait for the day; where there is a reason, a registration authority that may do so says it "
                "in “early”. When the day has passed, order a new certificate."
            ),
            serial=serial,
            begin=begin,
            end=end,
        )


class EarlyRenewalError(CaError):
    """Renewing before the profile's window is not in the scope of the registration authority."""

    def __init__(self, registration_authority: str, scope: str) -> None:
        super().__init__(
            "EARLY_RENEWAL",
            status=403,
            text=_("The registration authority “%(name)s” may not renew certificates before their time."),
            hint=_("Wait for the day, or have the CA's operator add the scope %(scope)s."),
            name=registration_authority,
            scope=scope,
        )


class SuccessorExistsError(CaError):
    """The certificate has a successor that stands already."""

    def __init__(self, serial: str, successor: str) -> None:
        super().__init__(
            "SUCCESSOR_EXISTS",
            status=409,
            text=_("The certificate %(serial)s was followed already; its successor is %(successor)s."),
            hint=_("Name the successor in the order, or revoke it first."),
            serial=serial,
            successor=successor,
        )


class OrderKindInBatchError(CaError):
    """An order that revokes before it issues comes alone."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            "ORDER_KIND_IN_BATCH",
            status=422,
            text=_("An order of the kind “%(kind)s” cannot come in a batch."),
            hint=_("Post it as a single order."),
            kind=kind,
        )

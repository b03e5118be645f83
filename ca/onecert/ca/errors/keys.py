"""The certificate request of an order and the key in it."""

from __future__ import annotations

from onecert.ca.errors.base import CaError
from onecert.server.languages import _

__all__ = [
    "BlockedKeyError",
    "KeyListError",
    "RepeatedKeyError",
    "RequestDigestError",
    "RequestMalformedError",
    "RequestSignatureError",
    "RequestSm2IdError",
    "UnsupportedKeyError",
    "WeakKeyError",
]


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


class RequestSm2IdError(CaError):
    """The request is signed with SM2 and an empty identifier, which is nobody's."""

    def __init__(self) -> None:
        super().__init__(
            "CSR_SM2_ID",
            status=422,
            text=_("The SM2 signature of the certificate request was made with an empty identifier."),
            hint=_(
                "Make it again with the identifier 1234567812345678; "
                "with openssl: “openssl req -new … -sigopt distid:1234567812345678”."
            ),
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


class KeyListError(CaError):
    """A list of keys with a line of no known form."""

    def __init__(self, line: int) -> None:
        super().__init__(
            "KEY_LIST",
            status=422,
            text=_("Line %(line)s of the list of keys has neither 64 nor 20 hexadecimal digits."),
            hint=_("What stands before that line is blocked; correct the file and import it again."),
            line=line,
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

"""Why an identity was not accepted. Facts never carry a person's number: errors end in logs."""

from __future__ import annotations

from onecert.verifier.errors import RefusedError


class IdentityError(RefusedError):
    """The certificate is genuine, but it does not name one holder in a form we accept."""


class InvalidIdError(IdentityError):
    """A number has a wrong length, character, check digit, region or date."""


class DecodeError(IdentityError):
    """An identity extension is not in one of the encodings that its profile allows."""


class ProfileError(IdentityError):
    """An identity profile is malformed, or contradicts its own samples."""

"""Profiles: files with faults, drafts, versions that changed or were withdrawn."""

from __future__ import annotations

from collections.abc import Sequence

from onecert.ca.errors.base import CaError
from onecert.server.languages import Sentence, _

__all__ = [
    "ProfileChangedError",
    "ProfileContentError",
    "ProfileDraftChangedError",
    "ProfileFileError",
    "ProfileSignaturesError",
    "ProfileVersionTakenError",
    "ProfileWithdrawnError",
    "UnknownProfileDraftError",
]


class ProfileFileError(CaError):
    """The profile has faults; all are named together."""

    def __init__(self, faults: Sequence[Sentence]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "PROFILE_FILE",
            status=422,
            text=_("The profile has faults: %(faults)s"),
            hint=_("Correct the file; docs/profiles.md describes each key."),
            faults=Sentence.joined(self.faults),
        )


class ProfileChangedError(CaError):
    """The profile on record is not the one that the certificate was drafted from."""

    def __init__(self, profile: str, version: int) -> None:
        super().__init__(
            "PROFILE_CHANGED",
            status=409,
            text=_(
                "The profile “%(profile)s”, version %(version)s, is not the one"
                " that this order was begun with."
            ),
            hint=_("Nothing is signed. The security staff must find out who changed the record."),
            profile=profile,
            version=version,
        )


class ProfileContentError(CaError):
    """The order names a version of the profile by number and by hash, and they do not belong together."""

    def __init__(self, profile: str, version: int) -> None:
        super().__init__(
            "PROFILE_CONTENT",
            status=409,
            text=_(
                "Version %(version)s of the profile “%(profile)s” is not what the order was approved for."
            ),
            hint=_("Look at the profile in GET /ca/v1/authorities, and have the order approved again."),
            profile=profile,
            version=version,
        )


class ProfileWithdrawnError(CaError):
    """The version of the profile is withdrawn."""

    def __init__(self, profile: str, version: int) -> None:
        super().__init__(
            "PROFILE_WITHDRAWN",
            status=422,
            text=_("Version %(version)s of the profile “%(profile)s” is withdrawn."),
            hint=_("Order with the version that GET /ca/v1/authorities names."),
            profile=profile,
            version=version,
        )


class ProfileVersionTakenError(CaError):
    """Versions only grow, and none is ever two things."""

    def __init__(self, profile: str, version: int, newest: int) -> None:
        super().__init__(
            "PROFILE_VERSION_TAKEN",
            status=409,
            text=_(
                "The profile “%(profile)s” has version %(newest)s already; version %(version)s cannot follow."
            ),
            hint=_("Give the new version the next number, whatever has become of the others."),
            profile=profile,
            version=version,
            newest=newest,
        )


class UnknownProfileDraftError(CaError):
    """No draft of this number is open."""

    def __init__(self, draft: str) -> None:
        super().__init__(
            "PROFILE_DRAFT_UNKNOWN",
            status=404,
            text=_("No draft %(draft)s of a profile is open."),
            hint=_("“onecert ca profile list” names the drafts that are open."),
            draft=draft,
        )


class ProfileDraftChangedError(CaError):
    """The draft is not the one that was looked at."""

    def __init__(self) -> None:
        super().__init__(
            "PROFILE_DRAFT_CHANGED",
            status=409,
            text=_("The draft was changed meanwhile, or closed."),
            hint=_("Look at it again, then sign or install it as it is now."),
        )


class ProfileSignaturesError(CaError):
    """Too few profile officers have signed, or what they signed does not verify."""

    def __init__(self, found: int, needed: int) -> None:
        super().__init__(
            "PROFILE_SIGNATURES",
            status=409,
            text=_("%(found)s of %(needed)s profile officers have signed."),
            hint=_("Two officers, who are two people, sign with their own tokens: onecert ca profile sign"),
            found=found,
            needed=needed,
        )

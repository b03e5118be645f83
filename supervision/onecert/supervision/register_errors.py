"""Errors of the register's snapshot and of the offline bundle."""

from datetime import datetime

from onecert.server.languages import _
from onecert.supervision.errors import SupervisionError
from onecert.verifier.errors import VerifyError

__all__ = [
    "BundleClockError",
    "BundleIncompleteError",
    "BundlePolicyError",
    "BundlePolicyFileError",
    "BundleRefusedError",
    "BundleUnpublishedError",
    "RegisterAbsentError",
    "RegisterFaultsError",
    "RegisterKeyError",
    "RegisterNumberError",
    "RegisterRefusedError",
]


class RegisterFaultsError(SupervisionError):
    """Rows of the office's file are wrong; nothing was signed."""

    def __init__(self, count: int) -> None:
        super().__init__(
            "REGISTER_FAULTS",
            status=422,
            text=_("%(count)s rows of the register are wrong; nothing was signed."),
            hint=_("Correct the rows that are named and run the command again."),
            count=count,
        )


class RegisterAbsentError(SupervisionError):
    """There is no snapshot in the folder."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            "REGISTER_ABSENT",
            status=404,
            text=_("There is no snapshot of the register in %(folder)s."),
            hint=_("Make one: onecert trust-list registry make ENTRIES --out FOLDER"),
            folder=folder,
        )


class RegisterKeyError(SupervisionError):
    """The newest root does not name the key that signs snapshots."""

    def __init__(self) -> None:
        super().__init__(
            "REGISTER_KEY_UNKNOWN",
            status=409,
            text=_(
                "The newest trust root does not name the key of this snapshot; departments would refuse it."
            ),
            hint=_("onecert trust-list registry key --out FILE, then root draft --registry-key FILE"),
        )


class RegisterNumberError(SupervisionError):
    """The snapshot is not newer than the published one."""

    def __init__(self, number: int, published: int) -> None:
        super().__init__(
            "REGISTER_BACKWARDS",
            status=409,
            text=_("Snapshot number %(number)s is not newer than the published number %(published)s."),
            hint=_("Make a new snapshot; numbers never go back."),
            number=number,
            published=published,
        )


class RegisterRefusedError(SupervisionError):
    """Verifiers would refuse the snapshot."""

    def __init__(self, reason: VerifyError) -> None:
        super().__init__(
            "REGISTER_REFUSED",
            status=422,
            text=_("Verifiers would refuse this snapshot: %(reason)s"),
            hint=_("Correct the register's file; nothing was signed or published."),
            reason=reason,
        )


class BundleUnpublishedError(SupervisionError):
    """There is nothing to bundle."""

    def __init__(self) -> None:
        super().__init__(
            "BUNDLE_UNPUBLISHED",
            status=409,
            text=_("A bundle needs a published trust root, timestamp and trust list."),
            hint=_("Publish them first: onecert trust-list publish --apply"),
        )


class BundleIncompleteError(SupervisionError):
    """Revocation lists are missing, stale or not signed by their CA."""

    def __init__(self, services: str) -> None:
        super().__init__(
            "BUNDLE_INCOMPLETE",
            status=409,
            text=_("No usable revocation list could be fetched for: %(services)s"),
            hint=_(
                "Ask the authority, or add --allow-missing: departments then cannot check its certificates."
            ),
            services=services,
        )


class BundlePolicyError(SupervisionError):
    """The policy is malformed."""

    def __init__(self, reason: VerifyError) -> None:
        super().__init__(
            "BUNDLE_POLICY_MALFORMED",
            status=422,
            text=_("The policy of the bundle cannot be read: %(reason)s"),
            hint=_("docs/offline-department.md shows a policy."),
            reason=reason,
        )


class BundlePolicyFileError(SupervisionError):
    """The file of the policy cannot be read."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(
            "BUNDLE_POLICY_UNREADABLE",
            status=500,
            text=_("%(path)s cannot be read: %(detail)s"),
            hint=_("Check bundle_policy in the settings and the rights of the file."),
            path=path,
            detail=detail,
        )


class BundleClockError(SupervisionError):
    """The clock is behind the bundle that was made last."""

    def __init__(self, made_at: datetime) -> None:
        super().__init__(
            "BUNDLE_BACKWARDS",
            status=409,
            text=_("The last bundle was made at %(made_at)s, which is not before now."),
            hint=_("Correct the clock of this machine; departments never take an older bundle."),
            made_at=made_at,
        )


class BundleRefusedError(SupervisionError):
    """A department would refuse the bundle."""

    def __init__(self, reason: VerifyError) -> None:
        super().__init__(
            "BUNDLE_REFUSED",
            status=500,
            text=_("Departments would refuse this bundle: %(reason)s"),
            hint=_("Nothing was written. If it stays so, look at the published files."),
            reason=reason,
        )

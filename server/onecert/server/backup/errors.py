"""Why a backup is not made, not believed or not restored."""

from __future__ import annotations

from onecert.server.errors import ServiceError

__all__ = [
    "BackupAlteredError",
    "BackupKeyMissingError",
    "BackupMalformedError",
    "BackupPassphraseError",
    "BackupUnsignedError",
    "RestoreTargetError",
]


class BackupAlteredError(ServiceError):
    """A part of it is not as it was written; `part` names it."""

    def __init__(self, part: str) -> None:
        super().__init__(
            "BACKUP_ALTERED",
            status=422,
            text="the backup is damaged or was altered: %(part)s",
            hint="do not restore it; take the one before, and find out who could write to where it was kept",
            part=part,
        )
        self.part = part


class BackupMalformedError(ServiceError):
    """It is not a backup of ours, or it ends too early."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "BACKUP_MALFORMED",
            status=422,
            text="this is not a whole backup: %(reason)s",
            hint="was it copied to its end? Take the one before",
            reason=reason,
        )


class BackupKeyMissingError(ServiceError):
    """Nobody knows here whose signature it has."""

    def __init__(self) -> None:
        super().__init__(
            "BACKUP_KEY_MISSING",
            status=503,
            text="no public key is known here that has signed this backup",
            hint="name one with --key: the services' audit keys, DATA/<service>/audit-keys, of which the "
            "auditor has a copy",
        )


class BackupUnsignedError(ServiceError):
    """No key could sign it, so nobody could tell later whether it is whole."""

    def __init__(self) -> None:
        super().__init__(
            "BACKUP_UNSIGNED",
            status=503,
            text="no audit key can be used now, so the backup cannot be signed; none was made",
            hint="see to the tokens: onecert doctor says what they lack",
        )


class BackupPassphraseError(ServiceError):
    """The secrets in it do not open, or their passphrase cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "BACKUP_PASSPHRASE",
            status=422,
            text="the secrets of the backup cannot be used: %(reason)s",
            hint="name the file with the passphrase that was used when the backup was made; at least 12 "
            "characters in a file that only its owner can read",
            reason=reason,
        )


class RestoreTargetError(ServiceError):
    """There is something already where it would go; what is there may be newer."""

    def __init__(self, place: str, standing: str) -> None:
        super().__init__(
            "RESTORE_TARGET_TAKEN",
            status=409,
            text="%(place)s is not empty: %(standing)s",
            hint="a backup is restored into a new folder, or an empty schema, never over data: keep what is "
            "there until it is certain that nobody needs it",
            place=place,
            standing=standing,
        )

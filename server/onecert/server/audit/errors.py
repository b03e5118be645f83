"""What a check of an exported audit trail can find."""

from __future__ import annotations

from onecert.server.errors import ServiceError

__all__ = [
    "AuditChangedError",
    "AuditExportError",
    "AuditKeyMissingError",
    "AuditMalformedError",
    "AuditShortenedError",
    "AuditUnsignedError",
]


class AuditExportError(ServiceError):
    """The export is not accepted."""


class AuditChangedError(AuditExportError):
    """An entry is not as it was written: changed, removed, added or moved. `seq` is the first such entry."""

    def __init__(self, seq: int, line: int) -> None:
        super().__init__(
            "AUDIT_CHANGED",
            status=422,
            text="entry %(seq)s is not as it was written (line %(line)s of the export)",
            hint="keep this file and the database as evidence, and compare with an earlier export",
            seq=seq,
            line=line,
        )
        self.seq = seq
        self.line = line


class AuditShortenedError(AuditExportError):
    """Entries after `seq` are missing."""

    def __init__(self, seq: int) -> None:
        super().__init__(
            "AUDIT_SHORTENED",
            status=422,
            text="the entries after number %(seq)s are missing",
            hint="keep this file and the database as evidence, and compare with an earlier export",
            seq=seq,
        )
        self.seq = seq


class AuditMalformedError(AuditExportError):
    """A line is not spelled as an export spells it: it was changed, or this is no export."""

    def __init__(self, line: int) -> None:
        super().__init__(
            "AUDIT_MALFORMED",
            status=422,
            text="line %(line)s is not a line of an audit export",
            hint="keep this file and the database as evidence, and compare with an earlier export",
            line=line,
        )
        self.line = line


class AuditUnsignedError(AuditExportError):
    """No signed head is in the export, so its chain may have been written anew as a whole."""

    def __init__(self) -> None:
        super().__init__(
            "AUDIT_UNSIGNED",
            status=503,
            text="the chain is whole, but no signed head is in the export",
            hint="heads are signed every minute and at stop; export again after that",
        )


class AuditKeyMissingError(AuditExportError):
    """None of the given keys signed the heads."""

    def __init__(self) -> None:
        super().__init__(
            "AUDIT_KEY_MISSING",
            status=503,
            text="the key that signed the heads of this audit trail is not known here",
            hint="give the service's public key with --key; the service keeps it in its folder audit-keys",
        )

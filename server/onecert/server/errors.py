"""Errors that a person or a program outside sees: a stable code, a sentence and the next step.

Text and hint are English message ids with named facts, such as ``"no operator is called %(name)s"``. They
are translated at the edge (page, problem JSON, command line), never where they are raised.

Status 4xx means refused; 503 means that we could not find out, which lets nobody in either.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from types import MappingProxyType

__all__ = [
    "AuditError",
    "ConfigError",
    "DatabaseDamagedError",
    "DatabaseLostError",
    "DatabaseNewerError",
    "DatabaseUnavailableError",
    "MemberUnknownError",
    "ServiceError",
    "StoppingError",
    "UnknownJobError",
]


class ServiceError(Exception):
    """Something a service cannot or will not do.

    Args:
        code: stable name in UPPER_SNAKE; programs branch on it, so it never changes.
        status: the HTTP status; 4xx is refused, 503 is "could not check".
        text: English message id, with ``%(name)s`` for each fact that it shows.
        hint: English message id of the next step, or nothing.
        facts: what the text and hint speak of. No PINs, keys or id-card numbers.
    """

    def __init__(self, code: str, *, status: int, text: str, hint: str = "", **facts: object) -> None:
        super().__init__(text % facts if facts else text)
        self.code = code
        self.status = status
        self.text = text
        self.hint = hint
        self.facts = MappingProxyType(facts)

    @property
    def is_refusal(self) -> bool:
        """True: the answer is no. False: there is no answer for now."""
        return self.status < 500


@dataclass(frozen=True)
class _Cause:
    text: str
    hint: str


_DATABASE_CAUSES = {
    "gone": _Cause(
        text="the database cannot be reached",
        hint="check that the database file or server is there, then try again; nothing was changed",
    ),
    "full": _Cause(
        text="the disk that holds the database is full",
        hint="make room on that disk, then try again; nothing was changed",
    ),
    "locked": _Cause(
        text="the database is busy: another process has held its lock for too long",
        hint="try again in a moment; nothing was changed",
    ),
    "deadlock": _Cause(
        text="the database is busy: two processes waited for each other",
        hint="try again in a moment; nothing was changed",
    ),
    "read-only": _Cause(
        text="the database can only be read, not written",
        hint="check the rights of the database file, its folder or its role; nothing was changed",
    ),
}


class DatabaseUnavailableError(ServiceError):
    """The database did not take the transaction; nothing of it was kept.

    `kind` says why: "gone", "full", "locked", "deadlock" (once more would do) or "read-only". One case is
    left open by nature: when the connection to a server breaks in the middle of COMMIT, the transaction is
    whole or absent, never half; repeat it with the same idempotency key.
    """

    def __init__(self, kind: str) -> None:
        cause = _DATABASE_CAUSES[kind]
        super().__init__("DATABASE_UNAVAILABLE", status=503, text=cause.text, hint=cause.hint)
        self.kind = kind


class DatabaseDamagedError(ServiceError):
    """The database file is not a sound database."""

    def __init__(self) -> None:
        super().__init__(
            "DATABASE_DAMAGED",
            status=503,
            text="the database file is damaged",
            hint="stop the service, keep the file for examination and restore the newest backup",
        )


class DatabaseLostError(ServiceError):
    """The database file was here at an earlier start and is not here now."""

    def __init__(self, database: str, marker: str) -> None:
        super().__init__(
            "DATABASE_LOST",
            status=503,
            text="the database %(database)s was here before and is gone; "
            "an empty one would forget everything",
            hint="put it back together with the files whose names begin with its name, or restore the newest "
            "backup; only to give up for good what it held, remove %(marker)s",
            database=database,
            marker=marker,
        )


class DatabaseNewerError(ServiceError):
    """The database was migrated by a newer program than this one."""

    def __init__(self, package: str, revision: str) -> None:
        super().__init__(
            "DATABASE_NEWER",
            status=503,
            text="the database is at revision %(revision)s of %(package)s, which this program does not know",
            hint="start the newer version of the program again",
            package=package,
            revision=revision,
        )


class StoppingError(ServiceError):
    """This process was told to stop; it finishes what it has and takes nothing new."""

    def __init__(self) -> None:
        super().__init__(
            "STOPPING",
            status=503,
            text="this process is stopping",
            hint="ask another one, or the same in a minute",
        )


class UnknownJobError(ServiceError):
    """No service of this process has a job of this name."""

    def __init__(self, name: str, known: Collection[str]) -> None:
        super().__init__(
            "JOB_UNKNOWN",
            status=404,
            text="there is no job “%(name)s”",
            hint="there are: %(known)s",
            name=name,
            known=", ".join(known) or "-",
        )


class ConfigError(ServiceError):
    """The settings have faults; `faults` names all of them."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(
            "SETTINGS_WRONG",
            status=400,
            text="the settings have faults:\n%(faults)s",
            hint="correct them and start again; nothing has been started",
            faults="\n".join(f"  - {fault}" for fault in faults),
        )
        self.faults = tuple(faults)


class MemberUnknownError(ServiceError):
    """No installed member has this name."""

    def __init__(self, name: str, installed: Sequence[str]) -> None:
        super().__init__(
            "MEMBER_UNKNOWN",
            status=404,
            text="no service called %(name)s is installed here",
            hint="installed are: %(installed)s",
            name=name,
            installed=", ".join(installed) or "-",
        )


class AuditError(ServiceError):
    """An audit entry cannot be written as asked, so the act it belongs to fails."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "AUDIT_FAILED", status=503, text="the audit entry cannot be written: %(reason)s", reason=reason
        )
        self.reason = reason

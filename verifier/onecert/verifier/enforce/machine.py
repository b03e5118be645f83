"""One question about an account of this machine, from the configuration file to the answer.

sshd asks for keys or principals before somebody is in; PAM asks whether who is in may stay, for sshd, sudo
and every other service. Each question is a process of its own, ends within a bound, and reads all anew.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from onecert.verifier.enforce.accounts import AccountRules, Allowed
from onecert.verifier.enforce.config import Table, read_config
from onecert.verifier.enforce.decision_log import DecisionLines
from onecert.verifier.enforce.department import Department, DepartmentConfig, check_folders
from onecert.verifier.enforce.openssh import proved_key
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.identity.pairwise import load_pairwise_key

__all__ = ["Machine", "MachineConfig", "drop_to_owner", "within"]

R = TypeVar("R")
CONFIG = Path("/etc/onecert/enforce.toml")


@dataclass(frozen=True, kw_only=True)
class MachineConfig:
    """The whole file for a machine: the department's part, the accounts, and a few settings.

    [settings]
    language = "zh"             # of what users read: zh, en or both
    seconds = 5                 # no answer takes longer
    shared_by_key = true        # sshd takes keys from ``onecert-enforce keys`` alone; false by default
    key_options = "restrict,pty"
    log = "/var/log/onecert/accounts.jsonl"
    """

    department: DepartmentConfig
    accounts: AccountRules
    language: str
    seconds: float
    key_options: str
    log: Path | None

    @classmethod
    def load(cls, path: Path, *, trusted_owner: bool = True) -> MachineConfig:
        """Read the file.

        Raises:
            ConfigError: with all faults and their lines.
        """
        top = read_config(path, trusted_owner=trusted_owner)
        made = cls.read(top)
        top.finish()
        top.raise_faults()
        return made

    @classmethod
    def read(cls, top: Table) -> MachineConfig:
        """Read it; faults are noted in the table."""
        settings = top.table("settings")
        made = cls(
            department=DepartmentConfig.read(top),
            accounts=AccountRules.read(top),
            language=settings.choice("language", ("zh", "en", "both"), "both"),
            seconds=settings.number("seconds", 5, least=0.1, most=60),
            key_options=settings.text("key_options", "restrict,pty", pattern=r"[a-z0-9-]+(,[a-z0-9-]+)*"),
            log=settings.path("log") if settings.has("log") else None,
        )
        settings.finish()
        return made


class Machine:
    """Answers for one machine."""

    def __init__(self, config: MachineConfig, *, department: Department | None = None) -> None:
        """Open what the configuration names.

        Raises:
            VerifyError: a part that is needed cannot be read.
        """
        check_folders(config.department)
        self.config = config
        self.department = department or Department(config.department)
        secret = load_pairwise_key(config.department.folder / "pairwise.key", create=True)
        self._log = DecisionLines(secret, file=config.log)

    def everybody(
        self, account: str, service: str, at: datetime, *, key_spki_der: bytes | None = None
    ) -> list[Allowed]:
        """Everybody who may use this account now.

        Args:
            key_spki_der: only who has this key; of the others nothing is read or told.

        Raises:
            VerifyError: the account is not named for this service, or nobody can tell.
        """
        people = self.department.people(at, key_spki_der=key_spki_der)
        found = self.config.accounts.everybody(people, account=account, service=service)
        self._log.write(
            at, {"ask": "keys", "account": account, "service": service, "keys": [_serials(f) for f in found]}
        )
        return found

    def decide(self, environ: Mapping[str, str], at: datetime) -> Allowed:
        """Whether who is in may stay: the question of ``pam_exec`` (pam_exec(8)) in the account phase.

        Args:
            environ: ``PAM_USER``, ``PAM_SERVICE``, ``PAM_TYPE``, and what sshd puts beside them.

        Raises:
            VerifyError: no, or nobody can tell.
        """
        account, service = environ.get("PAM_USER", ""), environ.get("PAM_SERVICE", "")
        line: dict[str, Any] = {"ask": "pam", "account": account[:64], "service": service[:64]}
        line |= {"from": environ.get("PAM_RHOST", "")[:255]}
        try:
            if environ.get("PAM_TYPE") != "account":
                raise CouldNotCheckError("ACCOUNT_PHASE", phase=environ.get("PAM_TYPE", "-"))
            key = proved_key(environ.get("SSH_AUTH_INFO_0", ""))
            people = self.department.people(at, key_spki_der=key) if account and service else ()
            allowed = self.config.accounts.decide(people, account=account, service=service, key_spki_der=key)
        except VerifyError as exc:
            self._log.write(at, {**line, "result": "deny", "code": exc.code})
            raise
        person = allowed.person
        line |= {"result": "permit", "roles": sorted(allowed.roles)}
        if not allowed.roles:
            line["exempt"] = True
        if person is not None and person.identity is not None:
            line |= {
                "holder": self._log.mask(person.identity),
                "certificates": _serials(allowed),
            }
        self._log.write(at, line)
        return allowed


def _serials(allowed: Allowed) -> list[str]:
    person = allowed.person
    if person is None or person.proved is None:
        return []
    used = {each.serial_hex for role in allowed.roles for each in person.proved.since(role)}
    return [f"{person.certificate.serial:x}", *sorted(used)]


def drop_to_owner(folder: Path) -> None:
    """As root, become the owner of the department's folder: what is read there needs no more.

    Raises:
        CouldNotCheckError: ``FILE_UNREADABLE``.
    """
    if os.geteuid() != 0:
        return
    try:
        owner = folder.stat()
        if owner.st_uid != 0:
            os.setgroups([])
            os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
            os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)
    except OSError as exc:
        raise CouldNotCheckError("FILE_UNREADABLE", path=folder, detail=exc.strerror or str(exc)) from exc


def within(seconds: float, work: Callable[[], R]) -> R:
    """Do something within a bound; only in the main thread of a process.

    Raises:
        CouldNotCheckError: ``ENFORCE_TIMEOUT``.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise CouldNotCheckError("ENFORCE_TIMEOUT", seconds=f"{seconds:g}")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

"""What lies on this machine: folders and who may read them, the disk, the TLS certificate, the clock."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from onecert.server.doctor.finding import Finding, sound
from onecert.server.kernel_clock import kernel_clock
from onecert.server.languages import format_date, gettext

__all__ = ["look_at_certificate", "look_at_clock", "look_at_disk", "look_at_folders"]

MACHINE = "machine"
ROOM_BYTES, ROOM_SHARE = 1 << 30, 0.05
# Time enough to get another one through a department that answers letters.
RENEW_BEFORE = timedelta(days=30)
CLOCK_ERROR_MAX = timedelta(seconds=1)
SECRET_ENDINGS = {".pin", ".key", ".object", ".secret"}
SECRET_FILES = {"key.pem"}
SEALED_FOLDERS = {"activation", "sealed-keys", "sealed-root-keys"}
SECRET_FOLDERS = SEALED_FOLDERS | {"officers", "softhsm", "tokens"}
FILES_MAX = 50_000


def look_at_folders(data: Path, services: Collection[str] = ()) -> Iterator[Finding]:
    """The data folder is this user's, and secrets in it are nobody else's to read.

    Args:
        services: whose folders are nobody else's to enter.
    """
    if not data.is_dir():
        yield Finding(
            place=MACHINE,
            subject="data",
            code="DATA_MISSING",
            text=gettext("there is no data folder %(path)s", path=data),
            hint=gettext("name it with --data, or set the services up first"),
        )
        return
    faults = 0
    for path in _with_secrets(data):
        found = path.lstat()
        if found.st_uid != os.geteuid():
            faults += 1
            yield _folder_fault(
                "OWNER_OTHER",
                gettext("%(path)s belongs to another user than the one who runs this", path=path),
                gettext("run this as the user of the services, or give the file to that user with chown"),
            )
        elif stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
            faults += 1
            yield _folder_fault(
                "SECRET_READABLE",
                gettext("%(path)s can be read by other users", path=path),
                gettext(
                    "chmod 600 %(path)s; if strangers use this machine, change the secret too",
                    path=path,
                ),
            )
        elif stat.S_ISDIR(found.st_mode) and found.st_mode & _not_allowed(data, path, services):
            faults += 1
            yield _folder_fault(
                "FOLDER_OPEN",
                gettext("the folder %(path)s is open to other users", path=path),
                gettext("chmod go-w %(path)s", path=path)
                if path == data
                else gettext("chmod 700 %(path)s", path=path),
            )
        if faults == 20:
            return
    if not faults:
        yield sound(MACHINE, "data")


def _not_allowed(data: Path, path: Path, services: Collection[str]) -> int:
    """Others may enter the data folder itself, and folders without secrets; they may write nowhere."""
    is_private = path != data and (path.name in SECRET_FOLDERS or path.name in services)
    return 0o077 if is_private else 0o022


def _with_secrets(data: Path) -> Iterator[Path]:
    """The folders of the services, and the files in them that hold secrets."""
    yield data
    count = 0
    for folder, names, files in os.walk(data):
        here = Path(folder)
        if here == data:
            yield from (here / name for name in sorted(names))
        yield from (here / name for name in sorted(names) if here != data and name in SECRET_FOLDERS)
        yield from (
            here / name
            for name in sorted(files)
            if Path(name).suffix in SECRET_ENDINGS or name in SECRET_FILES or here.name in SEALED_FOLDERS
        )
        count += len(files)
        if count > FILES_MAX:
            return


def _folder_fault(code: str, text: str, hint: str) -> Finding:
    return Finding(place=MACHINE, subject="data", code=code, text=text, hint=hint)


def look_at_disk(data: Path) -> Finding:
    """There is room: a full disk stops everything that is recorded."""
    if not data.is_dir():
        return sound(MACHINE, "disk")
    usage = shutil.disk_usage(data)
    if usage.free >= ROOM_BYTES and usage.free >= usage.total * ROOM_SHARE:
        return sound(MACHINE, "disk")
    return Finding(
        place=MACHINE,
        subject="disk",
        code="DISK_LOW",
        text=gettext("%(free)s MB are free on the disk of %(path)s", free=usage.free >> 20, path=data),
        hint=gettext("make room now: when it is full, nothing can be recorded and therefore nothing is done"),
    )


def look_at_certificate(path: Path, at: datetime) -> Finding:
    """The certificate by which the services speak TLS is not about to end."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as exc:
        return Finding(
            place=MACHINE,
            subject="tls",
            code="TLS_CERTIFICATE_UNREADABLE",
            text=gettext("the TLS certificate %(path)s cannot be read (%(reason)s)", path=path, reason=exc),
            hint=gettext("start the services once, or name another file in tls_certificate"),
        )
    end = certificate.not_valid_after_utc
    if at < end - RENEW_BEFORE:
        return sound(MACHINE, "tls")
    return Finding(
        place=MACHINE,
        subject="tls",
        code="TLS_CERTIFICATE_ENDS",
        text=gettext("the TLS certificate %(path)s ends on %(date)s", path=path, date=format_date(end)),
        hint=gettext("put a new certificate and key in its place; running services take them up"),
    )


def look_at_clock() -> Finding:
    """A time daemon keeps the clock: what is signed is worth what the clock is worth."""
    found = kernel_clock()
    if found is None or (found.is_kept and found.max_error <= CLOCK_ERROR_MAX):
        return sound(MACHINE, "clock")
    return Finding(
        place=MACHINE,
        subject="clock",
        code="CLOCK_NOT_KEPT",
        text=gettext("no time daemon keeps the clock of this machine right"),
        hint=gettext("start one, such as chrony; until then a jump of the clock stops what is signed"),
    )

"""What lies on this machine: folders and who may read them, the disk, the TLS certificate, the clock."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
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
SECRET_ENDINGS = {".pin", ".key", ".object"}
FILES_MAX = 50_000


def look_at_folders(data: Path) -> Iterator[Finding]:
    """The data folder is this user's, and secrets in it are nobody else's to read."""
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
        if faults == 20:
            return
    if not faults:
        yield sound(MACHINE, "data")


def _with_secrets(data: Path) -> Iterator[Path]:
    """The folders of the services, and the files in them that hold secrets."""
    yield data
    count = 0
    for folder, names, files in os.walk(data):
        here = Path(folder)
        if here == data:
            yield from (here / name for name in sorted(names))
        yield from (here / name for name in sorted(files) if Path(name).suffix in SECRET_ENDINGS)
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

"""A PostgreSQL of Debian's package in a folder of its own, as durable as in production; gone at the end."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import place
import psycopg

__all__ = ["is_installed", "server"]

_VERSIONS = ("15", "17", "16")
# What an operator sets on such a machine; see docs/operator.md. fsync stays on.
_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "1GB",
    "effective_cache_size": "8GB",
    "maintenance_work_mem": "1GB",
    "max_wal_size": "8GB",
    # For filling: what a transaction writes into a table that it emptied is not logged.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "max_connections": "60",
}


@cache
def server(kept: Path | None = None) -> Path | None:
    """The folder of its socket; user ``bench``, database ``postgres``. None: it is not installed.

    Its data are in `kept`, and there the next time, too; without it they are gone at the end.
    """
    programs = _programs()
    if programs is None:
        return None
    # Beside the other files of the measurements: on the same disk, and a folder that others may enter.
    home = kept or Path(tempfile.mkdtemp(prefix="bench-pg-", dir=place.folder().parent))
    home.mkdir(exist_ok=True)
    if kept is None:
        atexit.register(shutil.rmtree, home, ignore_errors=True)
    home.chmod(0o755)
    data, sockets = home / "data", Path(tempfile.mkdtemp(prefix="onecert-pg-"))
    atexit.register(shutil.rmtree, sockets, ignore_errors=True)
    for folder in (home, sockets):
        if os.geteuid() == 0:
            os.chown(folder, _user().pw_uid, _user().pw_gid)
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)}
    init = [
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        "bench",
        "--auth=trust",
        "-E",
        "UTF8",
        "--locale=C",  # bytes in order, as every index of ours needs them; sorts several times as quickly
        "--no-sync",
    ]
    if not data.exists():
        subprocess.run(_as_user(init), check=True, env=environ, cwd=home, capture_output=True)
    settings = {**_SETTINGS, "unix_socket_directories": str(sockets)}
    command = [
        str(programs / "postgres"),
        "-D",
        str(data),
        *(f"--{name}={value}" for name, value in settings.items()),
    ]
    with (home / "log").open("wb") as log:
        running = subprocess.Popen(_as_user(command), env=environ, cwd=home, stdout=log, stderr=log)
    atexit.register(running.wait)
    atexit.register(running.send_signal, signal.SIGKILL if kept is None else signal.SIGINT)
    deadline = time.monotonic() + (30 if kept is None else 300)
    while True:
        try:
            psycopg.connect(host=str(sockets), user="bench", dbname="postgres").close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline or running.poll() is not None:
                raise
            time.sleep(0.05)
        else:
            return sockets


def is_installed() -> bool:
    """Whether there is one to be started."""
    return _programs() is not None


def _programs() -> Path | None:
    folders = [Path(f"/usr/lib/postgresql/{version}/bin") for version in _VERSIONS]
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


def _user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _as_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root, so root runs it as another user; it dies with this process."""
    wrapped = ["setpriv", "--pdeathsig", "KILL"]
    if os.geteuid() != 0:
        return [*wrapped, *command]
    return [
        *wrapped,
        f"--reuid={_user().pw_uid}",
        f"--regid={_user().pw_gid}",
        "--clear-groups",
        "--",
        *command,
    ]

"""`onecert …` as a process of its own that need not load the libraries first.

One process loads every command and service, opens nothing, and forks for each command. What it forks has its
own arguments, environment and standard streams, ends as any process does and dies by any signal. That the
installed programs start by themselves is what test_deploy, test_demo and tests/server/test_cli show.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TextIO

__all__ = ["Program", "Warm"]

MAX_REQUEST = 1 << 17  # arguments and environment, in bytes


class Program:
    """A running command; what tests use of `subprocess.Popen`."""

    def __init__(self, pid: int, stdout: TextIO | None, ended: socket.socket) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None: it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its status as `poll` does."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._ended, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired("onecert", timeout or 0)
            status = self._ended.recv(16)
            assert status, "the warm process has gone"
            self.returncode = os.waitstatus_to_exitcode(int(status))
            self._ended.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send_signal(signal.SIGKILL)


class Warm:
    """The process that has loaded everything; it ends with this one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=dict(environment),
            )

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: int,
        stdout: int,
        stderr: int,
        reads: TextIO | None = None,
        new_session: bool = False,
    ) -> Program:
        """Run `onecert` with these arguments and streams (file descriptors)."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = [list(arguments), dict(environment), str(Path.cwd()), new_session]
        with theirs:
            fds = [stdin, stdout, stderr, theirs.fileno()]
            socket.send_fds(self._orders, [json.dumps(request).encode()], fds)
        return Program(int(ours.recv(16)), reads, ours)

    def popen(self, arguments: Sequence[str], environment: Mapping[str, str], *, stderr: int) -> Program:
        """Start it with a pipe as its standard output."""
        reading, writing = os.pipe()
        with open(os.devnull, "rb") as nothing:
            try:
                return self.start(
                    arguments,
                    environment,
                    stdin=nothing.fileno(),
                    stdout=writing,
                    stderr=stderr,
                    reads=open(reading, encoding="utf-8"),
                )
            finally:
                os.close(writing)

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        given: str = "",
        new_session: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end and keep what it says."""
        with (
            open(os.memfd_create("stdin"), "w+", encoding="utf-8") as stdin,
            open(os.memfd_create("stdout"), "w+", encoding="utf-8") as stdout,
            open(os.memfd_create("stderr"), "w+", encoding="utf-8") as stderr,
        ):
            stdin.write(given)
            stdin.seek(0)
            streams = {"stdin": stdin.fileno(), "stdout": stdout.fileno(), "stderr": stderr.fileno()}
            status = self.start(arguments, environment, new_session=new_session, **streams).wait()
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(list(arguments), status, stdout.read(), stderr.read())

    def close(self) -> None:
        """End the process; what it started goes on."""
        self._orders.close()
        self._process.wait()


def _next_command(orders: socket.socket) -> list[str]:
    """Serve requests; returns in each process that was forked for one, with its arguments."""
    running: dict[int, tuple[int, socket.socket]] = {}  # file descriptor of a process -> it, who waits for it
    selector = selectors.DefaultSelector()
    selector.register(orders, selectors.EVENT_READ)
    while True:
        for key, _events in selector.select():
            if key.fd in running:
                selector.unregister(key.fd)
                pid, waits = running.pop(key.fd)
                os.close(key.fd)
                _pid, status = os.waitpid(pid, 0)
                with waits, contextlib.suppress(OSError):
                    waits.send(str(status).encode())
                continue
            message, fds, _flags, _address = socket.recv_fds(orders, MAX_REQUEST, 4)
            if not message:
                os._exit(0)
            arguments, environment, folder, new_session = json.loads(message)
            pid = os.fork()
            if pid == 0:
                selector.close()
                _become(environment, folder, fds, new_session)
                for fd, (_pid, waits) in running.items():
                    os.close(fd)
                    waits.close()
                orders.close()
                return list(arguments)
            waits = socket.socket(fileno=fds[3])
            for fd in fds[:3]:
                os.close(fd)
            waits.send(str(pid).encode())
            pidfd = os.pidfd_open(pid)
            running[pidfd] = (pid, waits)
            selector.register(pidfd, selectors.EVENT_READ)


def _become(environment: dict[str, str], folder: str, fds: list[int], new_session: bool) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if new_session:
        os.setsid()
    for number in range(3):
        os.dup2(fds[number], number)
    for fd in fds:
        os.close(fd)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _load() -> None:
    for group in ("onecert.commands", "onecert.members"):
        for point in entry_points(group=group):
            point.load()
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = socket.socket(fileno=int(sys.argv[1]))
    from onecert.server import cli

    _load()
    sys.argv = ["onecert", *_next_command(channel)]
    cli.main()

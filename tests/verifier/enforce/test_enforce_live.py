"""A real sshd, sudo and PAM of Debian with real accounts, in a file system of their own: what a role opens.

unshare -m: /etc, /usr and /var are overlays, so the machine's own files never change
  sshd --AuthorizedKeysCommand--> onecert-enforce keys     sshd, sudo --pam_exec--> onecert-enforce pam
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from onecert.verifier.enforce.config import read_config
from onecert.verifier.enforce.department import Department, DepartmentConfig

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy" / "enforce"
TOOLS = ROOT / ".tools" / "enforce"
OVERLAYS = """\
set -eu
mount -t tmpfs -o mode=755 tmpfs "$1"
for each in etc var usr; do
  mkdir -p "$1/upper-$each" "$1/scratch-$each"
  lower="/$each"; [ "$each" != usr ] || lower="$2/usr:/usr"
  mount -t overlay overlay -o "lowerdir=$lower,upperdir=$1/upper-$each,workdir=$1/scratch-$each" "/$each"
done
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd /run/sudo /etc/ssh /etc/onecert "$1/home" "$1/checkout" "$1/python"
cp "$2/etc/sudoers" "$2/etc/sudo.conf" /etc/
cp "$2/etc/pam.d/sshd" "$2/etc/pam.d/sudo" /etc/pam.d/
echo inside > /etc/onecert/where
mount --bind "$3" "$1/checkout"
mount --bind "$4" "$1/python"
echo ready
exec sleep 3600
"""
ACCOUNTS = """
[[accounts]]
name = "zhang"
identity = "{zhang}"

[[accounts]]
name = "deploy"

[[rules]]
services = ["sshd"]
accounts = ["zhang", "deploy"]
roles = ["urn:onecert:role:tax.*"]

[[rules]]
services = ["sudo"]
accounts = ["zhang", "deploy"]
roles = ["urn:onecert:role:ops.run"]
"""


def skip_or_fail(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Machine:
    """Debian's sshd and sudo with an account, in a mount namespace of its own."""

    def __init__(self, folder: Path, make_city: Callable[..., Any]) -> None:
        self.folder = folder
        self.holder = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", OVERLAYS, "sh", folder, TOOLS, ROOT,
             sys.base_prefix],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.holder.stdout is not None
        assert self.holder.stderr is not None
        if self.holder.stdout.readline() != "ready\n":
            _, said = self.holder.communicate(timeout=30)
            skip_or_fail(f"needs overlay file systems, and a root that is a mount point: {said}")
        # The same folder, seen from outside of the namespace.
        self.seen = Path(f"/proc/{self.holder.pid}/root{folder}")
        self.city = make_city(self.seen / "city", at=datetime.now(UTC).replace(microsecond=0))
        self.sshd: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def run(self, *command: str, check: bool = True, **settings: Any) -> subprocess.CompletedProcess[str]:
        wrapped = ["nsenter", "-m", "-r", "-t", str(self.holder.pid), "--wd=/", *command]
        done = subprocess.run(wrapped, check=False, capture_output=True, text=True, timeout=60, **settings)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        # Through the namespace: paths of an overlay, not of the machine.
        self.run("sh", "-c", 'cat > "$1" && chmod "$2" "$1"', "sh", path, f"{mode:o}", input=text)

    def set_up(self) -> None:
        # Nothing is changed before it is certain that this is not the machine's own file system.
        assert self.run("cat", "/etc/onecert/where").stdout == "inside\n"
        self.run("useradd", "-m", "-b", f"{self.folder}/home", "-s", "/bin/sh", "zhang")
        self.run("useradd", "--system", "onecert-enforce")
        self.run("sh", "-c", "getent passwd sshd || useradd --system -d /run/sshd sshd")
        city = self.city
        self.zhang = city.person("zhang", 1, key=ed25519.Ed25519PrivateKey.generate())
        path = self.seen / "zhang.key"
        path.write_bytes(self.zhang.openssh_private)
        path.chmod(0o600)
        here = Path(f"{self.folder}/city")
        shared = city.config().replace(str(city.folder), str(here))
        log = here / "department/state/log.jsonl"
        settings = f'language = "both"\nseconds = 30\nshared_by_key = true\nlog = "{log}"'
        self.shared = f"{shared}\n[settings]\n{settings}\n"
        # Accounts without rights cannot enter a developer's home: checkout and Python are mounted elsewhere.
        packages = Path(sys.modules["cryptography"].__path__[0]).parent.relative_to(ROOT)
        paths = f"{self.folder}/checkout/verifier:{self.folder}/checkout/{packages}"
        python = f"{self.folder}/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        program = (
            f'#!/bin/sh\nexport PYTHONPATH="{paths}" PYTHONDONTWRITEBYTECODE=1\n'
            f'exec "{python}" -m onecert.verifier.enforce.cli "$@"\n'
        )
        self.write("/usr/bin/onecert-enforce", program, 0o755)
        path = self.seen / "people.toml"
        path.write_text(city.config())
        config = DepartmentConfig.read(read_config(path, trusted_owner=False))
        people = Department(config).people(city.at)
        identity = next(each.identity for each in people if each.file == "zhang.der")
        self.run("chown", "-R", "onecert-enforce:", f"{here}/department")
        self.configure(ACCOUNTS.format(zhang=identity))
        for name in ("sshd", "sudo"):
            self.write(f"/etc/pam.d/{name}", self.pam(name))
        self.write("/etc/sudoers", "Defaults !lecture\nzhang ALL=(root) NOPASSWD: ALL\n", 0o440)
        self.start_sshd()

    def pam(self, name: str) -> str:
        """Debian's own file with the line of the documentation before its account phase."""
        own = self.run("cat", f"/etc/pam.d/{name}").stdout
        # A container may not set login uids, and the messages of the day run every script of the machine.
        own = own.replace(
            "session    required     pam_loginuid.so", "session    optional     pam_loginuid.so"
        )
        own = "".join(line for line in own.splitlines(keepends=True) if "pam_motd.so" not in line)
        line = (DEPLOY / "pam.d-onecert").read_text()
        assert "@include common-account" in own
        return own.replace("@include common-account", f"{line}@include common-account")

    def configure(self, accounts: str) -> None:
        self.write("/etc/onecert/enforce.toml", self.shared + accounts)

    def start_sshd(self) -> None:
        self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key")
        text = (DEPLOY / "sshd_config-onecert.conf").read_text()
        local = f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey /etc/ssh/ssh_host_ed25519_key\n"
        self.write("/etc/ssh/sshd_config", f"{local}PidFile none\n{text}")
        log = (self.seen / "sshd.log").open("wb")
        command = ["nsenter", "-m", "-r", "-t", str(self.holder.pid), "--wd=/", "/usr/sbin/sshd", "-D", "-e"]
        self.sshd = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        for _ in range(200):
            assert self.sshd.poll() is None, self.log()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            threading.Event().wait(0.02)
        pytest.fail("sshd does not listen")

    def log(self) -> str:
        return (self.seen / "sshd.log").read_text()

    def ssh(self, account: str, holder: Any, command: str = "id -un") -> tuple[int, str, str]:
        options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=INFO",
        ]
        options += ["IdentitiesOnly=yes", "GlobalKnownHostsFile=/dev/null"]
        done = self.run(
            "ssh", "-F", "none", *(f"-o{each}" for each in options), "-p", str(self.port),
            "-i", f"{self.folder}/{holder.name}.key", f"{account}@127.0.0.1", command, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout.strip(), done.stderr.strip()

    def sudo(self, account: str) -> tuple[int, str, str]:
        done = self.run("setpriv", "--reuid", account, "--regid", account, "--init-groups",
                        "sudo", "-n", "id", "-un", check=False)  # fmt: skip
        return done.returncode, done.stdout.strip(), done.stderr.strip()

    def decisions(self) -> list[dict[str, Any]]:
        text = (self.seen / "city/department/state/log.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def stop(self) -> None:
        for process in (self.sshd, self.holder):
            if process is not None:
                process.kill()
                process.communicate()


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    if os.geteuid() != 0:
        skip_or_fail("needs root, for accounts and for a mount namespace")
    if not (TOOLS / "usr/sbin/sshd").exists() or not (TOOLS / "usr/bin/sudo").exists():
        skip_or_fail("needs Debian's sshd and sudo in .tools/enforce (deploy/setup.sh test)")
    # Not pytest's temporary folder: other users must reach it.
    folder = Path(tempfile.mkdtemp(prefix="onecert-enforce-"))
    folder.chmod(0o755)
    made = Machine(folder, sys.modules["enforce_city"].City)
    try:
        made.set_up()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_role_opens_ssh_and_its_revocation_closes_it(
    machine: Machine, roles: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Granted: in at once. Revoked: refused at the next login. The log has said by which certificate."""
    serial = machine.city.grant(machine.zhang, roles[0])
    granted = time.monotonic()
    assert machine.ssh("zhang", machine.zhang)[:2] == (0, "zhang"), (machine.log(), machine.decisions())
    opened = time.monotonic() - granted
    machine.city.revoke(serial)
    revoked = time.monotonic()
    assert machine.ssh("zhang", machine.zhang)[0] == 255
    closed = time.monotonic() - revoked
    with capsys.disabled():
        print(f" ssh: granted to in {opened:.2f} s, revoked to refused {closed:.2f} s", end="")
    permits = [line for line in machine.decisions() if line.get("result") == "permit"]
    assert permits[0]["account"] == "zhang"
    assert permits[0]["roles"] == [roles[0]]
    assert f"{serial:x}" in permits[0]["certificates"]


def test_a_role_opens_sudo_and_says_why_not_in_both_languages(
    machine: Machine, roles: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """sudoers lets zhang run everything; without the role PAM says no, with it yes, and no again at once."""
    status, out, said = machine.sudo("zhang")
    said += out
    assert status == 1
    assert "no role that you hold now opens account zhang for sudo" in said
    assert "您目前没有" in said
    assert "ACCOUNT_ROLE" in said
    serial = machine.city.grant(machine.zhang, roles[2])
    granted = time.monotonic()
    assert machine.sudo("zhang")[:2] == (0, "root")
    opened = time.monotonic() - granted
    machine.city.revoke(serial)
    revoked = time.monotonic()
    assert machine.sudo("zhang")[0] == 1
    closed = time.monotonic() - revoked
    with capsys.disabled():
        print(f" sudo: granted to permitted {opened:.2f} s, revoked to refused {closed:.2f} s", end="")
    assert machine.decisions()[-1]["result"] == "deny"
    # A configuration that others may write lets nobody in, and tells the user nothing of the machine.
    machine.run("chmod", "666", "/etc/onecert/enforce.toml")
    status, out, said = machine.sudo("zhang")
    assert (status, "ENFORCE_CONFIG" in out + said, "enforce.toml" in out + said) == (1, True, False)

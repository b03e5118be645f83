"""The containers of docker-compose.yml as processes of this machine, and the way to people at their desks.

PostgreSQL with the init script of the compose file, four processes with its settings, each in an environment
that holds only the members and packages of its image, nginx with its configuration. Only addresses and
folders are replaced.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
import venv
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import httpx
import pytest

from onecert.hsm import find_module

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES = ("ca", "ra", "pmi", "supervision")
# DESIGN: who may touch what. The services never import each other; the RA holds no CA code.
MEMBERS = {service: ["verifier", "hsm", "server", service] for service in SERVICES}
APPLICATION = {
    "organization_name": "深圳市明灯数据有限公司",
    "uscc": "91440300MA5DEM004J",
    "state_or_province": "广东省",
    "locality": "深圳市",
    "address": "深圳市福田区示范路1号",
    "postcode": "518000",
    "agent_name": "陈经办",
    "agent_idcard": "440300190001010015",
    "consent": "paper",
    "consent_version": "2026-11",
    "mobile": "13800000001",
}
PERSONS = {
    "clerk1": "440300190001020010",
    "clerk2": "440300190001020029",
    "security1": "440300190001020037",
    "officer-1": "44030019000102007X",
    "officer-2": "440300190001020088",
}
CLERKS = {
    "clerk1": ["clerk.entry", "clerk.review"],
    "clerk2": ["clerk.entry", "clerk.review"],
    "security1": ["security.officer"],
}
HEADER = "X-Client-Certificate"
PATIENCE_S = 60
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-utf8")


def needs(program: str, package: str) -> str:
    """The path of a program; without it the test is skipped here and fails where everything must be there."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        reason = f"needs {program} (Debian package {package})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


PIN = "kettle 42\n"  # what both officers of the trust list type


def run(
    *command: str | Path, data: bytes | None = None, env: dict[str, str] | None = None, check: bool = True
) -> bytes:
    done = subprocess.run(
        [str(each) for each in command], input=data, capture_output=True, env=env, check=False
    )
    if check:
        assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')[-3000:]}"
    return done.stdout + (b"" if check else done.stderr)


def described_members() -> dict[str, list[str]]:
    """The members of each image, from the compose file's text."""
    found = re.findall(
        r"args: \{SERVICE: (\w+), MEMBERS: ([\w ]+)\}", (ROOT / "docker-compose.yml").read_text()
    )
    return {service: members.split() for service, members in found}


RUN_COMMANDS = """
import contextlib, importlib, io, json, sys
from onecert.server import cli
answers = []
for arguments, given in json.load(sys.stdin):
    said, talk, sys.stdin = io.StringIO(), io.StringIO(), io.StringIO(given)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(talk):
        status = cli.run(arguments)
    answers.append((status, said.getvalue(), talk.getvalue()))
print(json.dumps(answers))
"""


def make_image(folder: Path, members: list[str]) -> Path:
    """An environment with the packages of run.txt and browser.txt and these members; returns its Python."""
    venv.create(folder, symlinks=True, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    requirements = "".join((ROOT / "requirements" / name).read_text() for name in ("run.txt", "browser.txt"))
    names = re.findall(r"^([a-z0-9][\w.-]*)(?:\[.*\])?==", requirements, re.MULTILINE | re.IGNORECASE)
    parts: set[Path] = set()
    for name in names:
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or [] if file.parts[0] not in {"..", "__pycache__"}}
        parts |= {Path(str(found.locate_file(top))) for top in tops}
    for member in members:
        found = distribution(f"onecert-{member}")
        parts.add(
            Path(
                str(
                    found.locate_file(
                        next(f.parts[0] for f in found.files or [] if f.parts[0].endswith(".dist-info"))
                    )
                )
            )
        )
    for part in parts:
        (packages / part.name).symlink_to(part)
    (packages / "members.pth").write_text("".join(f"{ROOT / member}\n" for member in members))
    return folder / "bin" / "python"


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(what: str, is_true: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := is_true()):
        assert time.monotonic() < deadline, f"waited too long: {what}"
        time.sleep(0.05)
    return found


class Site:
    """The containers of the compose file as processes of this machine, in one folder."""

    def __init__(self, home: Path, database: str, postgres: Path) -> None:
        self.home, self.database, self.postgres = home, database, postgres
        self.ports = dict(zip(("public", "status", "internal", "monitors"), free_ports(4), strict=True))
        self.https = f"https://localhost:{self.ports['public']}"
        self.http = f"http://localhost:{self.ports['status']}"
        self.inner = f"https://localhost:{self.ports['internal']}"
        self.monitors = f"http://localhost:{self.ports['monitors']}"
        self.etc, self.operators = home / "etc", home / "secrets" / "operators"
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.pythons = {
            name: make_image(home / "images" / name, members) for name, members in described_members().items()
        }
        self.module = str(find_module())

    # set-up

    def prepare(self) -> None:
        """Secrets, roles, settings; what an administrator does before the first start."""
        secrets = self.home / "secrets"
        run(ROOT / "deploy/make-secrets.sh", "localhost", secrets)
        programs = ":".join([*map(str, Path("/usr/lib/postgresql").glob("*/bin")), os.environ["PATH"]])
        environment = {
            "PATH": programs,
            "PGHOST": str(self.postgres),
            "POSTGRES_USER": "tester",
            "POSTGRES_DB": self.database,
            "SECRETS": str(secrets),
        }
        run("sh", ROOT / "deploy/compose/postgres-init.sh", env=environment)
        self.etc.mkdir()
        (self.etc / "nginx").symlink_to(secrets / "nginx")
        (self.etc / "operators").symlink_to(self.operators)
        for name in SERVICES:
            folder = self.etc / name
            folder.mkdir()
            settings = (ROOT / f"deploy/compose/{name}.toml").read_text()
            (folder / "onecert.toml").write_text(self.replace(settings))
            (folder / "database-password").write_bytes((secrets / f"database-{name}").read_bytes())
            (self.home / "run" / name).mkdir(parents=True)
            data = self.home / "data" / name
            data.mkdir(parents=True, mode=0o700)
            (data / "operator-anchors").symlink_to(self.operators)
        (self.etc / "ra" / "ca-tls.pem").write_bytes((secrets / "nginx" / "internal.pem").read_bytes())

    def replace(self, text: str) -> str:
        """Addresses and folders of the containers -> ours, and no time daemon. Nothing else is changed."""
        for old, new in {
            "timestamp_needs_kept_clock = true": "timestamp_needs_kept_clock = false",
            "https://pki.example.cn": self.https,
            "http://status.example.cn": self.http,
            "https://onecert-internal:8444": self.inner,
            "@postgres/onecert": f"@/{self.database}?host={self.postgres}",
            "server_name pki.example.cn": "server_name localhost",
            "listen 443 ": f"listen 127.0.0.1:{self.ports['public']} ",
            "listen 80 ": f"listen 127.0.0.1:{self.ports['status']} ",
            "listen 8444 ": f"listen 127.0.0.1:{self.ports['internal']} ",
            "listen 9090;": f"listen 127.0.0.1:{self.ports['monitors']};",
            "/run/onecert/": f"{self.home}/run/",
            "/etc/onecert/": f"{self.etc}/",
            "/var/lib/nginx": f"{self.home}/nginx",
            "/var/log/nginx": f"{self.home}/log",
        }.items():
            text = text.replace(old, new)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """What the container of this service has, and no more."""
        kept = {key: os.environ[key] for key in ("LD_LIBRARY_PATH",) if key in os.environ}
        return kept | {
            "PATH": "/usr/bin:/bin",
            "SERVICE": name,
            "LANG": "C.UTF-8",
            "ONECERT_DATA": str(self.home / "data" / name),
            "ONECERT_CONFIG": str(self.etc / name / "onecert.toml"),
            "ONECERT_PKCS11_MODULE": self.module,
        }

    def start(self, *names: str) -> None:
        """`docker-compose up -d`: start, and wait until ready."""
        for name in names:
            with (self.home / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [self.pythons[name], "-m", "onecert.server.cli", "up", "--members", name],
                    stdout=subprocess.PIPE, stderr=log, env=self.environment(name), cwd=self.home, text=True,
                )  # fmt: skip
        for name in names:
            output = self.processes[name].stdout
            assert output is not None
            assert output.readline() == f"ready {self.https}/ {self.http}/\n", (
                self.home / f"{name}.log"
            ).read_text()[-3000:]

    def start_nginx(self, program: str) -> None:
        folder = self.home / "nginx"
        folder.mkdir()
        (self.home / "log").mkdir()
        for name in ("nginx.conf", "onecert.conf"):
            text = self.replace((ROOT / "deploy/nginx" / name).read_text())
            assert "example.cn" not in re.sub(r"#.*|server_name status\.example\.cn;", "", text)
            (folder / name).write_text(text)
        directives = "daemon off; worker_shutdown_timeout 2s;" + (" user root;" if os.geteuid() == 0 else "")
        command = [
            program,
            "-p",
            f"{folder}/",
            "-e",
            "stderr",
            "-c",
            str(folder / "nginx.conf"),
            "-g",
            directives,
        ]
        with (self.home / "nginx.log").open("ab") as log:
            self.processes["nginx"] = subprocess.Popen(command, stdout=log, stderr=log, text=True)
        wait_for(
            "nginx",
            lambda: self.processes["nginx"].poll() is not None or self.answers(f"{self.http}/healthz"),
        )
        assert self.processes["nginx"].poll() is None, (self.home / "nginx.log").read_text()

    def reload_nginx(self) -> None:
        """Let nginx read the operators' CA again, and wait until it asks for that CA's certificates."""
        self.processes["nginx"].send_signal(signal.SIGHUP)
        wait_for("nginx knows the operators' CA", lambda: "no operations CA yet" not in self.asked_for())

    def asked_for(self) -> str:
        """What nginx says in a handshake, with the names of the CAs whose certificates it takes."""
        address = ["-connect", f"127.0.0.1:{self.ports['public']}", "-servername", "localhost"]
        return run("openssl", "s_client", *address, data=b"", check=False).decode(errors="replace")

    @staticmethod
    def answers(url: str) -> bool:
        try:
            return httpx.get(url, timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> dict[str, int]:
        """SIGTERM to everything; the exit codes."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        codes = {}
        for name, process in self.processes.items():
            try:
                codes[name] = process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
            if process.stdout:
                process.stdout.close()
        return codes

    # what people and programs do

    def commands(self, name: str, *commands: list[str | Path] | tuple[list[str | Path], str]) -> list[str]:
        """`docker-compose exec NAME onecert …`, several in one process; what each said."""
        given = [each if isinstance(each, tuple) else (each, "") for each in commands]
        data = json.dumps([([str(part) for part in arguments], text) for arguments, text in given]).encode()
        said = run(self.pythons[name], "-c", RUN_COMMANDS, data=data, env=self.environment(name))
        answers = json.loads(said)
        for (arguments, _), (status, out, err) in zip(given, answers, strict=True):
            assert status == 0, f"{arguments}: {err}{out}"
        return [out for _, out, _ in answers]

    def offline(self, *arguments: str | Path) -> None:
        """`onecert trust-list root …` on the root holders' machine: the same software and a token store."""
        store = ("--store", self.home / "offline-root")
        command = [self.pythons["supervision"], "-m", "onecert.server.cli", "trust-list", "root"]
        run(*command, *arguments, *store, env=self.environment("supervision"))

    def root_holder(self, name: str) -> Path:
        """A holder's key, and the public part that leaves that machine."""
        file = self.home / f"{name}.root-key.json"
        self.offline("key", "--holder", name, "--out", file)
        return file

    def identity(self, name: str) -> tuple[Path, Path]:
        """Key and certificate files of an operator."""
        return self.home / f"{name}.pem", self.home / f"{name}.key"

    def client(
        self, name: str | None = None, *, certificate: tuple[Path, Path] | None = None
    ) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.home / "secrets/nginx/public.pem"))
        if name is not None:
            certificate = self.identity(name)
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return httpx.Client(base_url=self.https, verify=context, timeout=30)

    def request(self, name: str, common_name: str = "applicant") -> Path:
        """A key and a request, by openssl."""
        request = self.home / f"{name}.csr"
        key = self.home / f"{name}.key"
        run(
            "openssl", "req", "-new", *NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={common_name}"
        )
        return request


def set_up(site: Site) -> None:
    """From empty services to people at their desks. The services run all the time."""
    home = site.home
    # 1. Two ceremonies in the CA: its own authority, and the one for certificates of the system itself.
    ceremonies = [
        ["ca", "ceremony", ROOT / f"demo/ceremonies/{name}.toml", "--apply"]
        for name in ("operations", "harbour")
    ]
    *_, listed = site.commands("ca", *ceremonies, ["ca", "authorities"])
    authorities = {each["name"]: each for each in map(json.loads, listed.splitlines())}
    # 2. Certificates of the people; the RA's order key is registered.
    site.commands("ra", ["ra", "key", "--out", home / "ra-orders.pem"])
    shows: list[list[str | Path]] = [
        ["ca", "certificate", "show", "--authority", each["issuer"], "--serial", each["serial"], "--pem"]
        for each in authorities.values()
    ]
    approved = ["--approved-by", "何见证", "--approved-by", "冯主持", "--apply"]
    issue = ["ca", "issue", "--authority", "operations", "--profile", "operator", *approved]
    issues: list[list[str | Path]] = [
        [*issue, "--csr", site.request(name, name), "--common-name", name] for name in CLERKS
    ]
    register = ["ca", "registration-authority", "add", "ra", "--key", home / "ra-orders.pem"]
    register += ["--scope", "harbour:organisation"]
    said = site.commands("ca", *shows, *issues, register)
    for name, pem in zip(authorities, said, strict=False):
        (home / f"{name}.pem").write_text(pem)
    for name, chain in zip(CLERKS, said[len(shows) :], strict=False):
        first, end, _ = chain.partition("-----END CERTIFICATE-----\n")
        (home / f"{name}.pem").write_text(first + end)
    # 3. The operators' CA takes the stand-in's place, with its list.
    anchors = site.operators / "operators.pem"
    anchors.chmod(0o644)
    anchors.write_text((home / "operations.pem").read_text() + (home / "operations-root.pem").read_text())
    fetch = [
        ROOT / "deploy/operators-crl.sh",
        f"{site.http}/ca/operations.crl",
        site.operators / "operations.crl",
    ]
    wait_for("the operators' list", lambda: run(*fetch, check=False) == b"")
    site.reload_nginx()
    # 4. Accounts, bound to certificates.
    until = ["--person", "-", "--valid-until", "2099-12-31"]
    accounts: list[tuple[list[str | Path], str]] = []
    for name, roles in CLERKS.items():
        given = [part for role in roles for part in ("--role", role)]
        add = ["operators", "add", "ra", name, "--name", name, *given, *until]
        accounts.append(([*add, "--certificate", home / f"{name}.pem"], PERSONS[name] + "\n"))
    site.commands("ra", *accounts)
    # 5. The trust list with this CA, signed by two officers.
    draft = json.loads((ROOT / "demo/trust-list.json").read_text())
    draft["services"] = [each for each in draft["services"] if each["id"] == "harbour"]
    draft["services"][0]["certificate_pem"] = (home / "harbour.pem").read_text()
    draft["services"][0]["identity_profile"] = json.loads((ROOT / "demo/profiles/harbour.json").read_text())
    text = json.dumps(draft, ensure_ascii=False).replace("http://status.example", site.http)
    (home / "draft.json").write_text(text)
    officers = ("officer-1", "officer-2")
    ceremony = home / "trust-root-ceremony.json"
    holders = [site.root_holder(name) for name in ("gu", "xu", "tan")]
    holders = [part for file in holders for part in ("--root-key", file)]
    add = ["operators", "add", "supervision", "--role", "list.officer", *until]
    site.commands(
        "supervision",
        *(([*add, each, "--name", each], PERSONS[each] + "\n") for each in officers),
        *((["trust-list", "officer", "add", each], PIN) for each in officers),
        ["trust-list", "root", "draft", *holders, "--threshold", "2", "--out", ceremony],
    )
    for name in ("gu", "xu"):
        site.offline("sign", ceremony, "--holder", name, "--apply")
    site.commands(
        "supervision",
        ["trust-list", "root", "import", ceremony, "--apply"],
        ["trust-list", "draft", "import", home / "draft.json"],
        *((["trust-list", "draft", "sign", "--officer", each], PIN) for each in officers),
        ["trust-list", "publish", "--apply"],
        ["trust-list", "root", "show", "--out", home / "data" / "pmi" / "trust-root.json"],
    )

"""Sets a small city up: three licensed CAs, one for the system itself, and everybody who works there.

Everything is done by the commands that an operator of the service would type. A folder that was set up before
is taken as it is.
"""

import csv
import json
import secrets
import sys
import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from applicant import openssl
from authorities import give_privileges
from commands import BIN, CommandError, Process, lines_of_json, onecert, run

HERE = Path(__file__).resolve().parent
LICENSED = ("pearl", "harbour", "summit")
TIMESTAMPS = "city-tsa"
AUTHORITIES = (*LICENSED, TIMESTAMPS, "operations")
OFFICERS = ("officer-1", "officer-2", "officer-3")  # two of them sign each list
# Three people with a key each, two of whom must sign; in production, five and three.
ROOT_HOLDERS = ("gu", "xu", "tan")
PROFILES = ("organisation", "citizen", "employee")
# Officers of the CA who revoke at night.
SECURITY_OFFICERS = ("chen", "zhou")
YEAR = timedelta(days=365)
Say = Callable[[str, str], None]


class City:
    """The data folder of one city, and the commands that fill it."""

    def __init__(self, data: Path, *, https_port: int, http_port: int, asks_register: bool = False) -> None:
        self.data = data.absolute()
        self.https = f"https://127.0.0.1:{https_port}"
        self.http = f"http://127.0.0.1:{http_port}"
        self.ports = ("--https-port", str(https_port), "--http-port", str(http_port))
        self.papers = (
            self.data / "papers"
        )  # what is handed over between offices: public keys, requests, lists
        # What the root holders take away after the ceremony.
        self.offline_root = self.data.with_name(f"{self.data.name}-offline-root")
        # What the officers of the trust list know by heart; here somebody has to write it down for them.
        self.officer_pins = self.data.with_name(f"{self.data.name}-officer-pins")
        self._https_port, self._http_port = https_port, http_port
        # The RA compares credit codes with the register, and asks the verifier about revoked certificates.
        self._asks_register = asks_register

    def command(self, *arguments: str | Path, stdin: str = "") -> str:
        """Run `onecert …` on this city's data."""
        return onecert(*arguments, "--data", self.data, stdin=stdin or self.typed_pin(*arguments))

    def is_set_up(self) -> bool:
        """True when an earlier run finished the set-up."""
        return (self.papers / "set-up-finished").exists()

    def set_up(self, say: Say) -> None:
        """Do everything that is done once. Each step may be repeated after an interruption."""
        if self.is_set_up():
            if not (self.papers / "trust-root.json").exists():  # set up before there was one
                self.add_operators()
                self.make_trust_root()
            return
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.papers.mkdir(exist_ok=True)
        settings = self.data / "onecert.toml"
        if not settings.exists():
            # A machine that tries the city out need not have a time daemon; a real authority must.
            settings.write_text(
                f"[server]\nhttps_port = {self._https_port}\nhttp_port = {self._http_port}\n"
                "[ca]\ntimestamp_needs_kept_clock = false\n"
                '[supervision]\nbundle_every = "15m"\n' + (self._of_the_ra() if self._asks_register else ""),
                "utf-8",
            )
        say("key ceremonies of the authorities", "各CA密钥仪式")
        self.hold_ceremonies()
        say("the registration authority's order key is registered", "登记注册机构的指令密钥")
        self.register_ra()
        say("TLS certificate of the services", "服务的TLS证书")
        self.make_tls()
        say("operators", "操作员")
        self.add_operators()
        say("security officers of the CA", "CA 安全员")
        self.add_security_officers()
        say("attribute authorities, delegation and policy", "属性权威、授权委派与策略")
        give_privileges(self)
        say("trust root, signed by two of three holders", "三名根密钥持有人中的两名签署信任根")
        self.make_trust_root()
        say("trust list, signed by two officers", "两名官员签署信任列表")
        self.publish_first_list()
        say("snapshot of the register of legal entities", "法人库快照")
        self.publish_register()
        (self.papers / "set-up-finished").touch()

    def _of_the_ra(self) -> str:
        supervision = f"{self.http}/supervision"
        return (
            f'[ra]\ntrust_list = "{supervision}/trust-list.json"\n'
            f'trust_root = "{self.data / "trust-root.json"}"\n'
            # The register is found beside the list; every half minute, because all starts together here.
            f'registry = "{supervision}/trust-list.json"\nregistry_every = "30s"\n'
        )

    def hold_ceremonies(self) -> None:
        """Offline roots and issuing authorities, each from its reviewed file."""
        for name in AUTHORITIES:
            record = self.papers / f"ceremony-{name}.json"
            self.command(
                "ca", "ceremony", HERE / "ceremonies" / f"{name}.toml", "--apply", "--record", record
            )
        for each in lines_of_json(self.command("ca", "authorities")):
            # An issuing authority's certificate is on record at its root; a root's at itself.
            pem = self.command(
                "ca",
                "certificate",
                "show",
                "--authority",
                each["issuer"],
                "--serial",
                each["serial"],
                "--pem",
            )
            (self.papers / f"{each['name']}.pem").write_text(pem, "ascii")

    def register_ra(self) -> None:
        """The RA may order what each licensed CA issues."""
        key = self.papers / "ra-orders.pem"
        self.command("ra", "key", "--out", key)
        scopes = []
        for name in LICENSED:
            ceremony = tomllib.loads((HERE / "ceremonies" / f"{name}.toml").read_text("utf-8"))
            scopes += [f"{name}:{p['name']}" for p in ceremony["profiles"] if p["name"] in PROFILES]
        arguments = [part for scope in scopes for part in ("--scope", scope)]
        self.command("ca", "registration-authority", "add", "ra", "--key", key, *arguments)

    def make_tls(self) -> None:
        """A server certificate from the operations authority, for this machine only."""
        folder = self.data / "tls"
        folder.mkdir(exist_ok=True, mode=0o700)
        request = self.papers / "tls.csr"
        openssl(
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-sha256",
            "-keyout",
            folder / "key.pem",
            "-out",
            request,
            "-subj",
            "/CN=localhost",
        )
        (folder / "key.pem").chmod(0o600)
        chain = self.command(
            "ca",
            "issue",
            "--authority",
            "operations",
            "--profile",
            "tls-server",
            "--csr",
            request,
            "--common-name",
            "localhost",
            "--dns",
            "localhost",
            "--dns",
            "127.0.0.1",
            "--approved-by",
            "何见证",
            "--approved-by",
            "冯主持",
            "--apply",
        )
        (folder / "certificate.pem").write_text(chain, "ascii")
        anchors = self.data / "operator-anchors"
        anchors.mkdir(exist_ok=True)
        for name in ("operations-root", "operations"):
            (anchors / f"{name}.pem").write_text((self.papers / f"{name}.pem").read_text("ascii"), "ascii")

    def add_operators(self) -> None:
        """The people who work at the desks, from operators.csv (all invented)."""
        until = (datetime.now(UTC) + YEAR).date().isoformat()
        with (HERE / "operators.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                roles = [part for role in row["roles"].split() for part in ("--role", role)]
                try:
                    self.command(
                        "operators",
                        "add",
                        row["service"],
                        row["id"],
                        "--name",
                        row["name"],
                        *roles,
                        "--person",
                        "-",
                        "--valid-until",
                        until,
                        stdin=row["person"] + "\n",
                    )
                except CommandError as exc:
                    if "OPERATOR_EXISTS" not in exc.said and "already" not in exc.said:
                        raise

    def add_security_officers(self) -> None:
        """Two who together may revoke many certificates, each with a token of their own."""
        for officer in SECURITY_OFFICERS:
            try:
                self.command("ca", "security-officer", "add", officer)
            except CommandError as exc:
                if "SECURITY_OFFICER" not in exc.said:
                    raise

    def offline(self, *arguments: str | Path) -> str:
        """Run `onecert trust-list root …` as on a machine without network: process and token store apart."""
        return run("onecert", "trust-list", "root", *arguments, "--store", self.offline_root)

    def make_trust_root(self) -> None:
        """The holders' keys, kept apart from the service's data; the first root names the officers."""
        for officer in OFFICERS:
            try:
                self.command("trust-list", "officer", "add", officer)
            except CommandError as exc:
                if "OFFICER_EXISTS" not in exc.said:
                    raise
        self.offline_root.mkdir(exist_ok=True, mode=0o700)
        (self.offline_root / ".gitignore").write_text("*\n", "ascii")
        files: list[str | Path] = []
        for holder in ROOT_HOLDERS:
            file = self.papers / f"{holder}.root-key.json"
            self.offline("key", "--holder", holder, "--out", file)
            files += ["--root-key", file]
        registry = self.papers / "registry-key.pem"
        self.command("trust-list", "registry", "key", "--out", registry)
        files += ["--registry-key", registry]
        self.replace_root(*files, "--threshold", "2", signers=ROOT_HOLDERS[:2])
        # Every department gets this file, and its fingerprint on paper; the attribute authority too.
        for paper in (self.papers / "trust-root.json", self.data / "trust-root.json"):
            self.command("trust-list", "root", "show", "--out", paper)

    def replace_root(self, *options: str | Path, signers: Sequence[str]) -> str:
        """Draft the next root, carry it to the holders, and take it in."""
        file = self.papers / "trust-root-ceremony.json"
        self.command("trust-list", "root", "draft", *options, "--out", file)
        for holder in signers:
            self.offline("sign", file, "--holder", holder, "--apply")
        return self.command("trust-list", "root", "import", file, "--apply")

    def typed_pin(self, *arguments: str | Path) -> str:
        """What an officer types when one of the commands asks for the PIN."""
        match arguments:
            case ("trust-list" | "ca", "officer" | "security-officer", "add", str(officer), *_) | (
                "trust-list",
                "draft",
                "sign",
                "--officer",
                str(officer),
            ):
                return self.officer_pin(officer) + "\n"
        return ""

    def officer_pin(self, officer: str) -> str:
        """The PIN of the officer's token, chosen when it is first asked for."""
        file, former = self.officer_pins / officer, self.data / "supervision" / "officers" / f"{officer}.pin"
        if not file.exists():
            self.officer_pins.mkdir(exist_ok=True, mode=0o700)
            (self.officer_pins / ".gitignore").write_text("*\n", "ascii")
            # A city that was set up before PINs were typed had them in files of the service.
            pin = (
                former.read_text("ascii")
                if former.exists()
                else "".join(secrets.choice("0123456789") for _ in range(8))
            )
            file.touch(mode=0o600)
            file.write_text(pin, "ascii")
        return file.read_text("ascii").strip()

    def publish_first_list(self) -> None:
        """The CAs with their identity profiles and the timestamp authority, signed by two officers."""
        self.write_draft()
        self.command("trust-list", "draft", "import", self.papers / "trust-list-draft.json")
        for officer in OFFICERS[:2]:
            self.command("trust-list", "draft", "sign", "--officer", officer)
        self.command("trust-list", "publish", "--apply")

    def publish_register(self) -> None:
        """The register office's rows, signed as a snapshot that departments look numbers up in."""
        snapshot = self.papers / "registry"
        self.command("trust-list", "registry", "make", HERE / "registry.csv", "--out", snapshot)
        self.command("trust-list", "registry", "publish", snapshot, "--apply")

    def write_draft(self) -> None:
        """Fill the draft in trust-list.json with this city's certificates and addresses."""
        draft = json.loads((HERE / "trust-list.json").read_text("utf-8"))
        for service in draft["services"]:
            name = service["id"]
            service["certificate_pem"] = (self.papers / f"{name}.pem").read_text("ascii")
            if name in LICENSED:
                profile = (HERE / "profiles" / f"{name}.json").read_text("utf-8")
                service["identity_profile"] = json.loads(profile)
        text = json.dumps(draft, ensure_ascii=False, indent=1).replace("http://status.example", self.http)
        (self.papers / "trust-list-draft.json").write_text(text, "utf-8")

    def open_office(self, https_port: int, *, application: str = "tax-office") -> Process:
        """Start an office, a department's web application, beside the services."""
        folder = self.data / ("office" if application == "tax-office" else application)
        folder.mkdir(exist_ok=True, mode=0o700)
        if not (folder / "secret.key").exists():
            (folder / "secret.key").touch(mode=0o600)
            (folder / "secret.key").write_bytes(secrets.token_bytes(32))
        for paper in ("trust-root.json", "policy-key.pem"):
            (folder / paper).write_bytes((self.papers / paper).read_bytes())
        (folder / "tls-anchor.pem").write_bytes((self.papers / "operations-root.pem").read_bytes())
        # Programs that sign in pin this: the office signs its challenges with the key of its TLS certificate.
        end = "-----END CERTIFICATE-----\n"
        own, _, _ = (self.data / "tls" / "certificate.pem").read_text("ascii").partition(end)
        (self.papers / "office.pem").write_text(own + end, "ascii")
        command: list[str | Path] = [sys.executable, HERE / "office", "--folder", folder]
        command += ["--trust-list", f"{self.http}/supervision/trust-list.json"]
        command += ["--privileges", f"{self.https}/pmi", "--https-port", str(https_port)]
        command += ["--tls-certificate", self.data / "tls" / "certificate.pem"]
        command += ["--tls-key", self.data / "tls" / "key.pem", "--application", application]
        return Process(command, self.data / f"{folder.name}.log")

    def start(self) -> Process:
        """Start every service in one process."""
        return Process([BIN / "onecert", "up", "--data", self.data, *self.ports], self.data / "services.log")

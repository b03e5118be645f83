"""Who may use which account: rules without a machine, hostile names, and what a configuration may not say."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
)

from onecert.verifier import CouldNotCheckError, MalformedError, RefusedError
from onecert.verifier.enforce.cli import main
from onecert.verifier.enforce.cli.accounts import tell_user
from onecert.verifier.enforce.config import ConfigError
from onecert.verifier.enforce.department import Department
from onecert.verifier.enforce.machine import Machine, MachineConfig, within
from onecert.verifier.enforce.openssh import key_lines, principal_lines, proved_key

DEPLOYER, RUNNER = "urn:onecert:role:ops.deploy", "urn:onecert:role:ops.run"
ACCOUNTS = """
[[accounts]]
name = "zhang"
identity = "{zhang}"

[[accounts]]
name = "deploy"

[[rules]]
services = ["sshd"]
accounts = ["zhang", "deploy"]
roles = ["urn:onecert:role:ops.*"]

[[rules]]
services = ["sudo", "sudo-i"]
accounts = ["zhang", "deploy"]
roles = ["urn:onecert:role:ops.run"]

[[exempt]]
services = ["login"]
accounts = ["root"]
"""


class Desk:
    """A city with two people and one machine, whose clock stands."""

    def __init__(self, city: Any, path: Path) -> None:
        self.city, self.path = city, path
        self.zhang = city.person("zhang", 1)
        self.li = city.person("li", 2, key=ed25519.Ed25519PrivateKey.generate())
        self.configure("person:nobody")
        people = self.machine.department.people(city.at)
        self.configure(next(str(each.identity) for each in people if each.file == "zhang.der"))

    def configure(self, zhang: str, settings: str = "") -> None:
        log = self.city.folder / "log.jsonl"
        more = f'\n[settings]\nlog = "{log}"\n{settings}\n' + ACCOUNTS.format(zhang=zhang)
        self.path.write_text(self.city.config(more))
        config = MachineConfig.load(self.path, trusted_owner=False)
        self.machine = Machine(config, department=Department(config.department))

    def keys(self, account: str) -> list[str]:
        return key_lines(self.machine.everybody(account, "sshd", self.city.at))

    def pam(self, account: str, service: str = "sudo", **more: str) -> Any:
        environ = {"PAM_USER": account, "PAM_SERVICE": service, "PAM_TYPE": "account", **more}
        return self.machine.decide(environ, self.city.at)

    def code(self, account: str, service: str = "sudo", **more: str) -> str:
        with pytest.raises((RefusedError, CouldNotCheckError)) as caught:
            self.pam(account, service, **more)
        return caught.value.code

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.city.folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def desk(make_city: Callable[..., Any], tmp_path: Path) -> Desk:
    return Desk(make_city(), tmp_path / "enforce.toml")


def test_keys_of_who_may(desk: Desk) -> None:
    """A personal account opens with its person's key, a shared one with each holder's; lines run out."""
    assert desk.keys("zhang") == desk.keys("deploy") == []
    desk.city.grant(desk.zhang, DEPLOYER)
    desk.city.grant(desk.li, RUNNER)
    (line,) = desk.keys("zhang")
    assert line.startswith('restrict,pty,expiry-time="20261124080000Z" ecdsa-sha2-nistp256 ')
    assert desk.zhang.openssh_public in line
    assert {line.split()[1] for line in desk.keys("deploy")} == {"ecdsa-sha2-nistp256", "ssh-ed25519"}
    key = proved_key(f"publickey {desk.li.openssh_public}")
    only = desk.machine.everybody("deploy", "sshd", desk.city.at, key_spki_der=key)
    assert [each.person.file for each in only if each.person] == ["li.der"]
    names = principal_lines(desk.machine.everybody("deploy", "sshd", desk.city.at))
    assert len(names) == 2
    assert all(name.startswith("person:") for name in names)


def test_pam_by_account_and_key(desk: Desk) -> None:
    desk.city.grant(desk.zhang, RUNNER)
    desk.city.grant(desk.li, DEPLOYER)
    assert desk.pam("zhang").roles == {RUNNER}
    assert desk.code("deploy") == "ACCOUNT_SHARED"
    assert desk.code("deploy", "sshd") == "ACCOUNT_SHARED"
    key = {"SSH_AUTH_INFO_0": f"publickey {desk.li.openssh_public}\n"}
    assert desk.pam("deploy", "sshd", **key).person.file == "li.der"
    assert desk.code("zhang", "sshd", **key) == "ACCOUNT_KEY"
    assert desk.code("deploy", "sudo", **key) == "ACCOUNT_ROLE"
    assert desk.pam("root", "login").person is None
    assert desk.code("root") == "ACCOUNT_UNKNOWN"
    assert desk.code("zhang", PAM_TYPE="auth") == "ACCOUNT_PHASE"
    desk.configure(desk.machine.config.accounts.personal["zhang"], "shared_by_key = true")
    assert desk.pam("deploy", "sshd").roles == {RUNNER, DEPLOYER}
    assert desk.code("deploy") == "ACCOUNT_SHARED"


@pytest.mark.parametrize(
    "account", ["", "../etc", "a b", "-rf", "a/b", "a:b", "zh\u200bang", "Zhang", "a" * 33, "a\nb"]
)
def test_names_that_are_none(desk: Desk, account: str) -> None:
    """Slashes, blanks, options, what cannot be seen: refused as malformed, and the log has one line each."""
    with pytest.raises(MalformedError) as caught:
        desk.pam(account)
    assert caught.value.code == "ACCOUNT_NAME"
    assert "\n" not in tell_user(caught.value, "en")
    with pytest.raises(MalformedError):
        desk.keys(account)
    assert desk.log()[-1]["result"] == "deny"


def test_what_cannot_be_checked_is_told_apart(desk: Desk) -> None:
    """A list that has run out, one too old for this machine, no list of the CA: nobody can tell."""
    desk.city.grant(desk.zhang, RUNNER)
    desk.city.publish_acrl(this_update=desk.city.at - timedelta(hours=60))
    assert desk.pam("zhang").roles
    desk.city.publish_acrl(this_update=desk.city.at - timedelta(hours=73), lasts=timedelta(hours=90))
    assert desk.code("zhang") == "ACCOUNT_NOT_CHECKED"
    desk.city.publish_acrl()
    assert desk.pam("zhang").roles
    (desk.city.department / "crls" / "summit.crl").unlink()
    desk.machine.department = Department(desk.machine.config.department)
    assert desk.code("zhang") == "ACCOUNT_NOT_CHECKED"
    (desk.city.department / "trust-list.json").write_bytes(b"{}")
    desk.machine.department = Department(desk.machine.config.department)
    assert desk.code("zhang") == "DEPARTMENT_LIST"


def test_rubbish_in_the_folders_gives_nobody_anything(desk: Desk) -> None:
    """Half-written files, links, folders and somebody else's certificate change nothing for the others."""
    desk.city.grant(desk.zhang, RUNNER)
    folder = desk.city.privileges
    for name in (
        "certificates/x.der",
        "holders/x.pem",
        "acrls/x.acrl",
        "delegations/x.pem",
        "authorities/x.pem",
    ):
        (folder / name).write_bytes(b"\x30\x82")
    (folder / "holders" / "link.pem").symlink_to("/etc/shadow")
    (folder / "certificates" / "folder.der").mkdir()
    assert desk.pam("zhang").roles == {RUNNER}
    assert desk.code("zhang", "sudo-x") == "ACCOUNT_UNKNOWN"


def test_log_has_no_identity(desk: Desk) -> None:
    desk.city.grant(desk.zhang, RUNNER)
    desk.pam("zhang", PAM_RHOST="192.0.2.7")
    line = desk.log()[-1]
    assert (line["result"], line["account"], line["from"]) == ("permit", "zhang", "192.0.2.7")
    assert line["holder"].startswith("person:#")
    assert desk.machine.config.accounts.personal["zhang"] not in json.dumps(desk.log())


def test_a_decision_that_cannot_be_logged_is_not_given(desk: Desk) -> None:
    desk.city.grant(desk.zhang, RUNNER)
    (desk.city.folder / "log.jsonl").unlink(missing_ok=True)
    (desk.city.folder / "log.jsonl").mkdir()
    assert desk.code("zhang") == "DECISION_NOT_LOGGED"


def test_faults_of_a_configuration_come_together_with_their_lines(city: Any, tmp_path: Path) -> None:
    path = tmp_path / "enforce.toml"
    path.write_text(
        city.config(
            '\n[[accounts]]\nname = "../zhang"\n[[accounts]]\nname = "deploy"\ncolour = 1\n'
            '[[rules]]\nservices = ["ss hd"]\naccounts = ["deploy", "li"]\nroles = ["urn:x\\u0007", "*"]\n'
        ).replace('application = "tax-server"', "application = 7")
    )
    with pytest.raises(ConfigError) as caught:
        MachineConfig.load(path, trusted_owner=False)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        *("line 3", "line 13", "line 16", "line 18", "line 19", "line 20", "line 20"),
    ]
    assert "department.application must be a text" in caught.value.faults[0]
    path.write_text("a = 1\nb = ]\n")
    with pytest.raises(ConfigError) as caught:
        MachineConfig.load(path, trusted_owner=False)
    assert caught.value.faults[0].startswith("line 2: ")


def test_who_may_write_a_configuration(city: Any, tmp_path: Path) -> None:
    """Others may write to the file, or to its folder: it does not count. A link to nowhere neither."""
    path = tmp_path / "own" / "enforce.toml"
    path.parent.mkdir(mode=0o755)
    path.write_text(city.config(ACCOUNTS.format(zhang="person:x")))
    path.chmod(0o644)
    MachineConfig.load(path)
    for wrong in (path, path.parent):
        before = wrong.stat().st_mode
        wrong.chmod(0o777)
        with pytest.raises(ConfigError, match="may be written by others"):
            MachineConfig.load(path)
        wrong.chmod(before)
    if os.geteuid() == 0:
        os.chown(path, 12345, 0)
        with pytest.raises(ConfigError, match="belongs to user 12345"):
            MachineConfig.load(path)
    with pytest.raises(ConfigError):
        MachineConfig.load(tmp_path / "missing.toml")
    # A link of one's own into a folder that others may write to.
    (tmp_path / "link").symlink_to(path.parent)
    path.parent.chmod(0o777)
    with pytest.raises(ConfigError):
        MachineConfig.load(tmp_path / "link" / "enforce.toml")


def test_who_may_write_whom_to_trust(desk: Desk) -> None:
    folder = desk.city.privileges / "authorities"
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match="may be written by others"):
        Machine(desk.machine.config)
    folder.chmod(0o755)
    Machine(desk.machine.config)


def test_keys_in_the_words_of_sshd() -> None:
    """The last key counts; of a certificate the key it certifies; what is no key is none."""
    key, ca = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    certificate = (
        SSHCertificateBuilder()
        .public_key(key.public_key())
        .type(SSHCertificateType.USER)
        .valid_for_all_principals()
        .valid_after(0)
        .valid_before(2**40)
        .key_id(b"x")
        .sign(ca)
    )
    assert proved_key(f"password\npublickey {line}\n") == spki
    assert proved_key(f"publickey {certificate.public_bytes().decode()}") == spki
    for rubbish in (
        "",
        "publickey",
        "publickey x y",
        "publickey ssh-rsa AAAA",
        f"hostbased {line}",
        "\x00" * 99,
    ):
        assert proved_key(rubbish) is None


def test_bounded_time() -> None:
    def endless() -> None:
        while True:
            pass

    with pytest.raises(CouldNotCheckError) as caught:
        within(0.05, endless)
    assert caught.value.code == "ENFORCE_TIMEOUT"


def test_commands_say_what_is_wrong(
    city: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a configuration: exit code 3, nothing on stdout for sshd; PAM tells the user."""
    path = str(tmp_path / "missing.toml")
    assert main(["keys", "--config", path, "zhang"]) == 3
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("PAM_USER", "zhang")
    assert main(["pam", "--config", path]) == 3
    said = capsys.readouterr().out
    assert "目前无法核验您的角色" in said
    assert "missing.toml" not in said
    with pytest.raises(SystemExit) as caught:
        main(["keys", "--config"])
    assert caught.value.code == 2

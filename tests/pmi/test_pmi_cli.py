"""`onecert pmi …` as people type it: from the request of an authority to a refused decision."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.pmi.commands import parts as cli_parts
from onecert.pmi.config import PmiConfig
from onecert.pmi.errors import TrustListMissingError
from onecert.pmi.holders.listed import ListedHolders
from onecert.server.cli import run
from onecert.server.clock import FixedClock, SystemClock
from onecert.verifier.decision import PolicySource, check_policy

pytestmark = pytest.mark.token
README = Path(__file__).parents[2] / "pmi" / "README.md"


@pytest.fixture
def command(softhsm_store: Path, tmp_path: Path, monkeypatch, capsys, lab) -> Callable[..., tuple]:
    """``command("grant", …)`` runs it on a data folder of its own; returns exit code, JSON lines, stderr."""
    data = softhsm_store.parent / f"data-{tmp_path.name}"
    data.mkdir()
    (data / "softhsm").symlink_to(softhsm_store)
    monkeypatch.setenv("ONECERT_DATA", str(data))
    monkeypatch.setenv("ONECERT_LANGUAGE", "en")
    monkeypatch.setenv("ONECERT_PMI_TOKEN", f"pmi-{tmp_path.name[-20:]}")
    holders = lab.KnownHolders()
    original = cli_parts.assemble
    monkeypatch.setattr(
        cli_parts, "assemble", lambda config, context: original(config, context, holders=holders)
    )

    def call(*arguments: object) -> tuple[int, list, str]:
        capsys.readouterr()
        prefix = [] if arguments[0] == "operators" else ["pmi"]
        code = run([*prefix, *map(str, arguments)])
        told = capsys.readouterr()
        return code, [json.loads(line) for line in told.out.splitlines() if line.startswith("{")], told.err

    call.holders = holders
    return call


def test_the_whole_way_by_commands(command, tmp_path: Path, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "T", SystemClock().now())
    ca = lab.Ca()
    csr, certificate, chain = (tmp_path / name for name in ("aa.csr", "aa.pem", "chain.pem"))
    code, (row,), said = command(
        "authority", "request", "tax-office", "--csr", csr, "--organization", "税务局"
    )
    assert (code, row["acrl"]) == (0, "http://127.0.0.1:8080/pmi/tax-office.acrl")
    assert "authority install" in said
    key = x509.load_pem_x509_csr(csr.read_bytes()).public_key()
    issued = ca.issue("tax-office", key, bits=("digital_signature", "crl_sign"))
    certificate.write_bytes(issued.public_bytes(Encoding.PEM))
    chain.write_bytes(ca.certificate.public_bytes(Encoding.PEM))
    code, (row,), _ = command(
        "authority", "install", "tax-office", "--certificate", certificate, "--chain", chain
    )
    assert (code, row["acrl_number"]) == (0, 1)
    assert command("authority", "list")[1][0]["name"] == "tax-office"

    roles, policy, holder = (tmp_path / name for name in ("roles.toml", "policy.toml", "holder.pem"))
    roles.write_text(lab.CATALOGUE, encoding="utf-8")
    policy.write_text(lab.POLICY, encoding="utf-8")
    known = command.holders.know(ca.holder("张三"), "uscc:91440300MA5DEM004J")
    holder.write_bytes(known.public_bytes(Encoding.PEM))
    assert "nothing has changed yet" in command("catalogue", "publish", roles)[2]
    assert command("catalogue", "show")[0] == 1
    assert command("catalogue", "publish", roles, "--apply")[1][0]["version"] == 1
    assert command("policy", "test", policy)[1][0]["tests"] == 2
    assert "nothing has changed yet" in command("policy", "publish", policy)[2]
    assert command("policy", "publish", policy, "--apply")[1][0]["version"] == 1
    assert command("policy", "show")[1][0]["name"] == "tax"

    for number, (name, role) in enumerate((("wang", "attribute.officer"), ("li", "attribute.approver")), 1):
        who = ("--name", name, "--role", role, "--person", lab.id_number(number))
        added = command("operators", "add", "pmi", name, *who, "--valid-until", "2096-01-01")
        assert added[0] == 0, added

    asked = ("--holder", holder, "--role", lab.APPROVER_ROLE, "--operator", "wang")
    assert command("decide", "--holder", holder, "--action", "approve", "--resource", "Form::7")[0] == 1
    code, (row,), said = command("grant", *asked)
    assert (code, row["state"]) == (0, "waiting")
    assert "nothing has changed yet" in said
    code, (row,), said = command("grant", *asked, "--apply")
    assert "approve" in said
    assert command("approve", row["id"], "--operator", "wang", "--apply")[0] == 1
    code, (row,), _ = command("approve", row["id"], "--operator", "li", "--apply")
    serial = row["serial"]
    assert (code, row["certificate"]["status"]) == (0, "valid")

    question = ("decide", "--holder", holder, "--action", "approve", "--resource", "Form::7")
    code, (row,), _ = command(*question, "--attribute", "amount=5")
    assert (code, row["decision"]) == (0, "permit")
    out, acrl = tmp_path / "role.der", tmp_path / "list.acrl"
    assert command("export", serial, "--out", out)[0] == 0
    assert command(*question, "--attribute", "amount=5", "--attribute-certificate", out)[0] == 0

    assert command("list", "--holder", holder)[1][0]["serial"] == serial
    assert command("revoke", serial, "--operator", "wang")[1][0]["status"] == "valid"
    code, (row,), _ = command("revoke", serial, "--operator", "wang", "--apply")
    assert (code, row["status"], row["acrl_number"]) == (0, "revoked", 2)
    code, (row,), _ = command(*question, "--attribute", "amount=5", "--attribute-certificate", out)
    assert (code, row["decision"]) == (1, "deny")
    assert "REVOKED" in [reason["code"] for reason in row["reasons"]]
    assert command("acrl", "tax-office", "--out", acrl)[1][0]["number"] == 2
    assert x509.load_der_x509_crl(acrl.read_bytes()).get_revoked_certificate_by_serial_number(int(serial, 16))
    assert command("acrl", "tax-office", "--renew")[1][0]["number"] == 3
    look_back(command, policy, tmp_path / "stricter.toml", holder)


def look_back(command, policy: Path, stricter: Path, holder: Path) -> None:
    """What was decided is found, repeated, and compared with what another policy would have said."""
    _, (newest, *others), _ = command("decisions", "find", "--action", "approve")
    assert (newest["result"], {row["result"] for row in others}) == (
        "not_applicable",
        {"permit", "not_applicable"},
    )
    permitted = next(row for row in others if row["result"] == "permit")["decision_id"]
    assert command("decisions", "show", permitted)[1][0]["facts"]["result"] == "permit"
    assert command("decisions", "replay", permitted)[1][0]["equal"] is True
    assert command("decisions", "replay", "no-number")[0] == 1
    text = policy.read_text("utf-8").replace("<= 10000", "<= 3").replace("amount = 500", "amount = 3")
    stricter.write_text(text, encoding="utf-8")
    code, rows, _ = command("policy", "diff", stricter)
    assert (code, {row["after"] for row in rows}) == (1, {"not_applicable"})
    assert permitted in [row["decision_id"] for row in rows]
    assert command("policy", "diff", policy)[0] == 0
    assert command("policy", "lint", policy)[:2] == (0, [])
    assert command("policy", "coverage", policy)[1][0]["percent"] == 33
    assert command("policy", "coverage", policy, "--min", 90)[0] == 1
    code, (row,), said = command("policy", "publish", stricter, "--apply")
    assert (code, row["version"], row["changes"]) == (0, 2, len(rows))
    assert permitted in said
    assert [row["active"] for row in command("policy", "history")[1]] == [True, False]
    assert command("policy", "show", "--version", 1, "--file")[1][0]["content"]["name"] == "tax"
    question = ("--action", "approve", "--resource", "Form::7", "--attribute", "amount=3")
    assert command("who-can", *question)[:2] == (1, [])
    assert command("what-can", "--holder", holder)[1][0]["can"] == []
    assert command("what-can")[0] == 2
    assert command("decide", "--holder", holder, *question, "--at", "2020-01-01")[0] == 3


def test_wrong_usage_and_refusals_have_their_exit_codes(command, tmp_path: Path, lab) -> None:
    (tmp_path / "holder.pem").write_bytes(lab.Ca().holder().public_bytes(Encoding.PEM))
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(lab.POLICY.replace("<= 10000", "<= 100"), encoding="utf-8")
    assert command("policy", "test", wrong)[0] == 1
    assert command("policy", "test", tmp_path / "nothing.toml")[0] == 2
    assert command("approve", "17", "--operator", "nobody")[0] == 1
    holder = ("--holder", tmp_path / "holder.pem")
    assert command("decide", *holder, "--action", "x", "--resource", "odd")[0] == 1
    assert command("decide", *holder, "--action", "x", "--resource", "Form::7")[0] == 1
    assert command("acrl", "nobody")[0] == 1


def test_the_readme_is_true(lab) -> None:
    """The policy and the catalogue in the README are taken as they stand there; every setting is named."""
    text = README.read_text(encoding="utf-8")
    roles, policy = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert tomllib.loads(roles)["roles"][0]["second_person"] is True
    check_policy(PolicySource.from_toml(policy.encode()))
    for name in PmiConfig.__dataclass_fields__:
        assert f"`{name}`" in text


def test_without_a_trust_list_nobody_is_verified(tmp_path: Path, lab) -> None:
    holders = ListedHolders(
        PmiConfig(),
        folder=tmp_path,
        shared=tmp_path,
        status_url="http://127.0.0.1:9/pmi",
        clock=FixedClock(lab.T),
    )
    with pytest.raises(TrustListMissingError) as caught:
        holders.verify(lab.Ca().holder().public_bytes(Encoding.PEM), lab.T)
    assert caught.value.status == 503
    with pytest.raises(TrustListMissingError):
        holders.check()


@pytest.mark.parametrize(
    "wrong",
    [
        {"acrl_lifetime": "1m"},
        {"acrl_every": "20h"},
        {"decision_max_certificates": 0},
        {"decisions_per_minute": 0},
        {"grant_lifetime_max": "0s"},
    ],
)
def test_settings_that_are_not_taken(wrong: dict, lab) -> None:
    units = {"m": 60, "h": 3600, "s": 1}
    values = {
        name: lab.timedelta(seconds=int(value[:-1]) * units[value[-1]]) if isinstance(value, str) else value
        for name, value in wrong.items()
    }
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PmiConfig(**values)

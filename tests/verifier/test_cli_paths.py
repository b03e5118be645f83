"""onecert-verify without a trust list: ``chain``, ``explain`` and ``crl`` on files, in two languages."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier.cli import main

AT = ["--at", "2026-11-21T09:00:00Z"]


@dataclass
class Files:
    """root -> issuing CA -> leaf with policy 1.2.3.1, both CRLs, and a revoked leaf, as files."""

    folder: Path
    pki: Any

    def __post_init__(self) -> None:
        pki = self.pki
        policy = x509.CertificatePolicies(
            [x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.1"), ["http://ca.example/cps"])]
        )
        self.root = pki.root()
        self.ca = pki.ca(self.root, extra=[(policy, False)])
        self.leaf = pki.leaf(self.ca, extra=[(policy, False)])
        self.bad = pki.leaf(self.ca, "Bad")
        pki.revoke(self.ca, self.bad)
        for name in ("root", "ca", "leaf", "bad"):
            self.write(f"{name}.crt", getattr(self, name).certificate.public_bytes(Encoding.PEM))
        (self.folder / "crls").mkdir()
        self.write("crls/root.crl", pki.crl(self.root))
        self.write("crls/ca.crl", pki.crl(self.ca, number=7))
        self.write("broken", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

    def write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def inputs(self) -> list[str]:
        return ["--anchor", self["root.crt"], "--intermediate", self["ca.crt"], "--crls", self["crls"], *AT]


@pytest.fixture
def files(pki: Any, tmp_path: Path) -> Files:
    return Files(tmp_path, pki)


def test_chain(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chain", *files.inputs, "--language", "en", files["leaf.crt"]]) == 0
    out = capsys.readouterr().out
    for text in (
        "CN=Clerk 7,C=CN",
        "CN=Root,C=CN",
        "http://ca.example/cps",
        "CRL of CN=Issuing CA,C=CN, 60 min",
    ):
        assert text in out
    assert main(["chain", *files.inputs, "--json", files["leaf.crt"]]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["schema"], result["accepted"]) == (1, True)
    assert result["validation"]["policies"] == ["1.2.3.1"]
    assert main(["chain", *files.inputs, "--language", "zh", files["bad.crt"]]) == 1
    assert "已于" in capsys.readouterr().out


def test_chain_inputs_of_the_standard(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    """Policies, revocation modes and purposes change the verdict as RFC 5280 says."""
    base = ["chain", *files.inputs]
    assert main([*base, "--policy", "1.2.3.1", "--require-explicit", files["leaf.crt"]]) == 0
    assert main([*base, "--policy", "1.2.3.2", "--require-explicit", files["leaf.crt"]]) == 1
    assert "POLICY" in capsys.readouterr().out
    assert main([*base, "--inhibit-mapping", "--inhibit-any", "--strict", files["leaf.crt"]]) == 0
    assert main([*base, "--purpose", "timestamping", files["leaf.crt"]]) == 1
    bare = ["chain", "--anchor", files["root.crt"], "--untrusted", files["ca.crt"], *AT]
    assert main([*bare, files["leaf.crt"]]) == 3
    assert main([*bare, "--revocation", "off", files["leaf.crt"]]) == 0
    assert main([*bare, "--revocation", "prefer", files["bad.crt"]]) == 0
    assert main([*bare, "--crl", files["crls/ca.crl"], "--revocation", "prefer", files["bad.crt"]]) == 1
    assert main([*bare, "--revocation", "off", "--anchor-extensions", files["leaf.crt"]]) == 0


def test_kinds_of_evidence(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    """--sources as RevocationSources, --allow-offline in days, for chain and explain."""
    for command in ("chain", "explain"):
        base = [command, *files.inputs, "--language", "en"]
        for sources in ("either", "prefer-ocsp", "prefer-crl", "crl"):
            assert main([*base, "--sources", sources, files["leaf.crt"]]) == 0
        for sources in ("ocsp", "both"):
            assert main([*base, "--sources", sources, files["leaf.crt"]]) == 3
        capsys.readouterr()
        late = ["--at", "2026-11-23T09:00:00Z"]
        assert main([*base, *late, files["leaf.crt"]]) == 3
        assert main([*base, *late, "--allow-offline", "1", files["leaf.crt"]]) == 3
        capsys.readouterr()
        assert main([*base, *late, "--allow-offline", "3", files["leaf.crt"]]) == 0
        assert command == "explain" or "allows it offline" in capsys.readouterr().out
        assert main([*base, *late, "--allow-offline", "3", files["bad.crt"]]) == 1
        for wrong in ("-1", "1.5", "367", "9" * 99, "²", ""):
            with pytest.raises(SystemExit) as caught:
                main([*base, f"--allow-offline={wrong}", files["leaf.crt"]])
            assert caught.value.code == 2
        assert "0 to 366" in capsys.readouterr().err


def test_bundles(files: Files) -> None:
    """A file of several PEM blocks with words between them, as anchors and as intermediates."""
    blocks = [Path(files[name]).read_bytes() for name in ("root.crt", "ca.crt")]
    files.write("bundle.pem", b"# our root\n" + blocks[0] + b"subject=CN = Issuing CA\n" + blocks[1])
    command = ["chain", "--anchor", files["root.crt"], "--intermediate", files["bundle.pem"]]
    assert main([*command, "--crls", files["crls"], *AT, files["leaf.crt"]]) == 0
    # With the issuing CA among the anchors, its root need not be looked at.
    assert (
        main(["chain", "--anchor", files["bundle.pem"], "--crls", files["crls"], *AT, files["leaf.crt"]]) == 0
    )


@pytest.mark.parametrize(
    ("change", "exit_code", "code"),
    [
        ({"target": "broken"}, 1, "NOT_DER"),
        ({"target": "nowhere"}, 3, "FILE_UNREADABLE"),
        ({"--anchor": "broken"}, 3, "FILE_MALFORMED"),
        ({"--anchor": "nowhere"}, 3, "FILE_UNREADABLE"),
        ({"--intermediate": "broken"}, 3, "FILE_MALFORMED"),
        ({"--crl": "leaf.crt"}, 3, "FILE_MALFORMED"),
        ({"--ocsp": "leaf.crt"}, 3, "FILE_MALFORMED"),
        ({"--crls": "nowhere"}, 3, "FILE_UNREADABLE"),
    ],
)
def test_bad_files(
    files: Files, capsys: pytest.CaptureFixture[str], change: dict[str, str], exit_code: int, code: str
) -> None:
    """Each bad file is one short answer with its code, never a stack trace."""
    target = change.pop("target", "leaf.crt")
    options = [part for name, file in change.items() for part in (name, files[file])]
    for language in ("zh", "en"):
        assert main(["chain", *files.inputs, *options, "--language", language, files[target]]) == exit_code
        said = capsys.readouterr()
        assert code in said.out.splitlines()[0]
        assert len(said.out.splitlines()) <= 3
        assert said.err == ""


def test_explain(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["explain", *files.inputs, "--language", "en"]
    assert main([*command, files["leaf.crt"]]) == 0
    assert "CN=Clerk 7,C=CN <- CN=Issuing CA,C=CN <- [CN=Root,C=CN]: accepted" in capsys.readouterr().out
    assert main([*command, "--tree", files["bad.crt"]]) == 1
    out = capsys.readouterr().out
    assert "└─ [CN=Root,C=CN]: refused  CERT_REVOKED" in out
    assert main([*command, "--json", files["bad.crt"]]) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["accepted"], result["error"]["code"], len(result["paths"])) == (False, "CERT_REVOKED", 1)
    without = [part for part in command if part != files["crls"] and part != "--crls"]
    assert main([*without, files["leaf.crt"]]) == 3


def test_explain_needs_one_world(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    """Either a trust list with its keys, or anchors."""
    for more in ([], ["--anchor", files["root.crt"], "--trust-list", "x"], ["--trust-list", "x"]):
        with pytest.raises(SystemExit) as caught:
            main(["explain", *more, files["leaf.crt"]])
        assert caught.value.code == 2
        assert "--" in capsys.readouterr().err


def test_crl(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["crl", *AT, "--language", "en", files["crls/ca.crl"]]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert re.search(r"^number +7$", out, re.MULTILINE)
    assert re.search(r"^entries +1$", out, re.MULTILINE)
    assert "not checked" in out
    signed = [*command, "--issuer", files["ca.crt"]]
    assert main([*signed, "--certificate", files["leaf.crt"]]) == 0
    assert "not listed" in capsys.readouterr().out
    assert main([*signed, "--certificate", files["bad.crt"]]) == 1
    assert "keyCompromise" in capsys.readouterr().out
    serial = f"{files.bad.certificate.serial_number:X}"
    assert main([*signed, "--serial", f"0x{serial}", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["accepted"], result["signature"], result["looked_up"]["reason"]) == (
        False,
        "good",
        "keyCompromise",
    )


def test_crl_that_proves_nothing(files: Files, pki: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Unlisted is good only in a list that is signed, fresh, and about the certificate."""
    command = ["crl", *AT, "--language", "zh"]
    leaf = ["--certificate", files["leaf.crt"]]
    issuer = ["--issuer", files["ca.crt"]]
    assert main([*command, *leaf, files["crls/ca.crl"]]) == 3
    assert main([*command, *leaf, "--issuer", files["root.crt"], files["crls/ca.crl"]]) == 1
    assert "CRL_SIGNER" in capsys.readouterr().out
    assert main([*command, *leaf, "--issuer", files["root.crt"], files["crls/root.crl"]]) == 3
    old = [*command, "--at", "2027-06-01T00:00:00Z", *issuer]
    assert main([*old, *leaf, files["crls/ca.crl"]]) == 3
    assert "CRL_STALE" in capsys.readouterr().out
    assert main([*old, "--certificate", files["bad.crt"], files["crls/ca.crl"]]) == 1
    scope = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
    files.write("ca-only.crl", pki.crl(files.ca, extra=[(scope, True)]))
    assert main([*command, *issuer, *leaf, files["ca-only.crl"]]) == 3
    assert "仅 CA 证书" in capsys.readouterr().out
    files.write("forged.crl", pki.crl(files.ca, key=files.root.key, authority_key_id=False))
    assert main([*command, *issuer, *leaf, files["forged.crl"]]) == 1
    assert "SIGNATURE_INVALID" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [[], ["certificate"], ["chain"], ["explain"], ["crl"], ["identity"], ["trust-list"]]
)
def test_help_in_both_languages(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every help text comes from the catalogue, also the words of argparse."""
    texts = []
    for language in ("zh", "en"):
        with pytest.raises(SystemExit) as caught:
            main([*command, "--language", language, "--help"])
        assert caught.value.code == 0
        texts.append(capsys.readouterr().out)
    assert texts[0].startswith("用法：onecert-verify")
    assert "usage:" not in texts[0]
    assert "options:" not in texts[0]
    assert "退出码" in texts[0]
    assert texts[1].startswith("usage: onecert-verify")
    assert not re.search("[\u4e00-\u9fff]", texts[1])


@pytest.mark.parametrize(
    ("arguments", "zh"),
    [
        ([], "缺少：COMMAND"),
        (["nothing"], "不在可选值"),
        (["chain", "x"], "缺少：--anchor"),
        (["chain", "--anchor", "x", "--policy", "one", "y"], "one 不是形如"),
        (["chain", "--anchor", "x", "--at", "yesterday", "y"], "yesterday 不是形如"),
        (["chain", "--anchor", "x", "--purpose", "fun", "y"], "fun"),
        (["chain", "--anchor"], "缺少参数值"),
        (["chain", "--anchor", "x", "y", "z"], "无法识别：z"),
        (["chain", "--anchor", "x", "--strict=yes", "y"], "不接受参数值"),
        (["chain", "--cr", "x", "y"], "不明确"),
        (["crl", "--serial", "zz", "x"], "不是十六进制"),
        (["crl", "--serial", "1", "--certificate", "y", "x"], "不能与 --certificate 同时"),
    ],
)
def test_usage_errors_in_chinese(
    arguments: list[str], zh: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal is Chinese: so is what is said about wrong options."""
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert zh in said
    assert "错误" in said

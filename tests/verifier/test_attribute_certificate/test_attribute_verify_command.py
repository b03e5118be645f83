"""onecert-verify attribute-certificate: on files, in two languages, with the exit codes of every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier.attribute_certificate.holder import digest_of
from onecert.verifier.certificate import as_parsed
from onecert.verifier.cli import main

AT = ["--at", "2026-11-21T09:00:00Z"]


class Files:
    """source -> bureau -> official, and the lists of both, as files."""

    def __init__(self, folder: Path, city: Any, lab: Any) -> None:
        self.folder, self.city, self.lab = folder, city, lab
        for name, giver in city.givers.items():
            self.write(f"{name}.crt", giver.certificate.public_bytes(Encoding.PEM))
            self.write(f"{name}.acrl", lab.make_acrl(giver))
        self.write("official.crt", city.world.official.certificate.public_bytes(Encoding.PEM))
        self.write("other.crt", city.world.other.certificate.public_bytes(Encoding.PEM))
        self.write("direct.ac", city.grant("source", "ab"))
        city.delegate("source", "bureau")
        der, certificate = city.delegations[0]
        pair = lab.pem("ATTRIBUTE CERTIFICATE", der) + certificate.public_bytes(Encoding.PEM)
        self.write("delegation.pem", pair)
        self.write("given.ac", lab.pem("ATTRIBUTE CERTIFICATE", city.grant("bureau")))

    def write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)

    def run(self, file: str, *more: str, holder: str = "official.crt") -> int:
        inputs = ["--holder", self[holder], "--authority", self["source.crt"]]
        return main(["attribute-certificate", self[file], *inputs, *AT, *more])


@pytest.fixture
def files(tmp_path: Path, city: Any, lab: Any) -> Files:
    return Files(tmp_path, city, lab)


def test_accepted(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    lists = ["--acrl", files["source.acrl"]]
    assert files.run("direct.ac", *lists, "--language", "en") == 0
    text = capsys.readouterr().out
    assert text.startswith("accepted\n")
    assert "proved role" in text
    assert "urn:onecert:role:tax.a" in text
    assert files.run("direct.ac", *lists, "--language", "zh") == 0
    assert "已证明的角色" in capsys.readouterr().out


def test_what_an_authority_may_assign(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--acrl", files["source.acrl"], "--may-assign", "urn:onecert:role:tax.b", "--json"]
    assert files.run("direct.ac", *options) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["proved"]["roles"] == ["urn:onecert:role:tax.b"]
    assert [each["reason"] for each in answer["proved"]["dropped"]] == ["NOT_ASSIGNABLE"]
    assert answer["certificate"]["attributes"][0]["name"] == "role"
    assert answer["certificate"]["attributes"][0]["values"] == [
        "urn:onecert:role:tax.a",
        "urn:onecert:role:tax.b",
    ]


def test_refused_and_not_checked(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    """Another holder: 1. No list: 3. Every finding is printed, with what to do."""
    assert files.run("direct.ac", "--acrl", files["source.acrl"], holder="other.crt") == 1
    assert "HOLDER" in capsys.readouterr().out
    assert files.run("direct.ac", "--language", "en") == 3
    text = capsys.readouterr().out
    assert text.startswith("could not check  STATUS_UNKNOWN")
    assert "Try again later." in text
    assert files.run("direct.ac", "--json", holder="other.crt") == 1
    answer = json.loads(capsys.readouterr().out)
    assert [each["code"] for each in answer["findings"]] == ["HOLDER", "STATUS_UNKNOWN"]
    assert answer["proved"] is None


def test_delegations(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    """Self-signed certificates are their own anchors here; without anchors nobody vouches for the bureau."""
    options = ["--delegation", files["delegation.pem"]]
    options += ["--acrl", files["source.acrl"], "--acrl", files["bureau.acrl"]]
    assert files.run("given.ac", *options, "--explain", "--language", "en") == 1
    text = capsys.readouterr().out
    assert "AA_PATH" in text
    assert "NO_PATH_CHECK" in text
    assert "CN=bureau" in text.split("taken", 1)[1]
    assert files.run("given.ac") == 1
    assert "UNTRUSTED" in capsys.readouterr().out


def test_a_delegation_that_names_the_key_needs_no_anchor(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    city, lab = files.city, files.lab
    digest = digest_of(as_parsed(city.givers["bureau"].certificate), 0)
    sha256 = bytes.fromhex("300b0609608648016503040201")
    named = lab.tlv(0xA2, lab.tlv(0x0A, b"\x00"), sha256, lab.tlv(0x03, b"\x00", digest))
    city.delegate("source", "bureau", holder=lab.tlv(0x30, named))
    der, certificate = city.delegations[-1]
    files.write("named.pem", certificate.public_bytes(Encoding.PEM) + lab.pem("ATTRIBUTE CERTIFICATE", der))
    options = ["--delegation", files["named.pem"], "--delegation", files["delegation.pem"], "--explain"]
    options += ["--acrl", files["source.acrl"], "--acrl", files["bureau.acrl"], "--language", "zh"]
    assert files.run("given.ac", *options) == 0
    text = capsys.readouterr().out
    assert text.startswith("接受")
    assert "尝试过的路径" in text
    assert "采用的路径" in text
    assert files.run("given.ac", *options, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert [each["depth"] for each in answer["proved"]["delegations"]] == [None]
    assert [way["taken"] for way in answer["ways"]] == [True, False]


def test_what_cannot_be_read(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write(
        "broken", b"-----BEGIN ATTRIBUTE CERTIFICATE-----\nAAAA\n-----END ATTRIBUTE CERTIFICATE-----\n"
    )
    assert files.run("broken") == 1
    assert "NOT_DER" in capsys.readouterr().out
    assert files.run("nothing") == 3
    assert files.run("direct.ac", "--delegation", files["broken"]) == 3
    assert files.run("direct.ac", "--acrl", files["broken"]) == 3
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        files.run("direct.ac", "--intermediate", files["source.crt"])
    assert caught.value.code == 2
    with pytest.raises(SystemExit):
        files.run("direct.ac", "--target", "urn:税务")
    assert "--target" in capsys.readouterr().err

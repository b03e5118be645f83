"""The command with a whole PKI: root -> CA -> source and bureau; the source delegates to the bureau."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier.cli import main

AT = ["--at", "2026-11-21T09:00:00Z"]


class Files:
    """Everything of a department in one folder."""

    def __init__(self, folder: Path, city: Any, lab: Any, pki: Any) -> None:
        self.folder, self.pki = folder, pki
        self.root = pki.root()
        self.ca = pki.ca(self.root)
        for name in ("source", "bureau"):
            usage = lab.key_usage("digital_signature", "crl_sign")
            party = pki.leaf(self.ca, name, key_usage=usage)
            city.givers[name] = lab.Identity(party.certificate, party.key)
            self.write(f"{name}.crt", party.certificate.public_bytes(Encoding.PEM))
            self.write(f"{name}.acrl", lab.make_acrl(city.givers[name]))
            setattr(self, name, party)
        self.write("root.crt", self.root.certificate.public_bytes(Encoding.PEM))
        self.write("ca.crt", self.ca.certificate.public_bytes(Encoding.PEM))
        self.publish()
        self.write("official.crt", city.world.official.certificate.public_bytes(Encoding.DER))
        city.delegate("source", "bureau")
        der, certificate = city.delegations[0]
        self.write(
            "delegation.pem", lab.pem("ATTRIBUTE CERTIFICATE", der) + certificate.public_bytes(Encoding.PEM)
        )
        self.write("given.ac", city.grant("bureau"))

    def publish(self) -> None:
        """The lists of root and CA as they are now."""
        self.write("root.crl", self.pki.crl(self.root))
        self.write("ca.crl", self.pki.crl(self.ca))

    def write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def run(self, *more: str) -> int:
        files = {
            "--holder": ["official.crt"],
            "--authority": ["source.crt"],
            "--delegation": ["delegation.pem"],
            "--acrl": ["source.acrl", "bureau.acrl"],
            "--anchor": ["root.crt"],
            "--intermediate": ["ca.crt"],
            "--crl": ["root.crl", "ca.crl"],
        }
        options = [
            part for name, each in files.items() for file in each for part in (name, str(self.folder / file))
        ]
        return main(["attribute-certificate", str(self.folder / "given.ac"), *options, *AT, *more])


@pytest.fixture
def files(tmp_path: Path, city: Any, lab: Any, pki: Any) -> Files:
    return Files(tmp_path, city, lab, pki)


def test_a_delegated_role_below_an_anchor(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.run("--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["proved"]["roles"] == ["urn:onecert:role:tax.a"]
    assert [each["to"].split(",")[0] for each in answer["proved"]["delegations"]] == ["CN=bureau"]
    assert answer["proved"]["status"] == "acrl"


def test_the_certificate_of_the_bureau_is_revoked(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    """By its CA: everything that the bureau gave is refused from then on."""
    files.pki.revoke(files.ca, files.bureau)
    files.publish()
    assert files.run("--language", "zh") == 1
    text = capsys.readouterr().out
    assert "AA_PATH" in text
    assert "CERT_REVOKED" in text


def test_without_lists_of_the_ca_nobody_can_tell(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write("ca.crl", files.pki.crl(files.root))
    assert files.run() == 3
    assert "AA_PATH_UNKNOWN" in capsys.readouterr().out
    assert files.run("--revocation", "off") == 0

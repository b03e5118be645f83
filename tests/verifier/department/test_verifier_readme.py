"""The programs of verifier/README.md run as they stand there, with the clock fixed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

import onecert.verifier

README = Path(__file__).parents[3] / "verifier" / "README.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def run(program: str, at: Any) -> None:
    exec(program.replace("datetime.now(UTC)", f"datetime.fromisoformat({at.isoformat()!r})"), {})


def test_the_shortest_program(
    world: Any, pki: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world.folder)
    Path("list-keys.json").write_bytes(world.list_keys_json)
    Path("trust-list.json").write_bytes(world.trust_list())
    Path("clerk.crt").write_bytes(world.leaf("summit").pem)
    world.publish_crls()
    run(PROGRAMS[0], pki.T)
    assert capsys.readouterr().out == "uscc:91440300MA5DEM004J\n"


def test_errors(pki: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(PROGRAMS[1], pki.T)
    assert capsys.readouterr().out.startswith("NOT_PEM\n")


def test_paths(
    pki: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    for name, party in (("root", root), ("issuing-ca", ca), ("leaf", leaf)):
        Path(f"{name}.crt").write_bytes(party.certificate.public_bytes(Encoding.PEM))
    Path("root.crl").write_bytes(pki.crl(root))
    Path("issuing-ca.crl").write_bytes(pki.crl(ca))
    run(PROGRAMS[2], pki.T)
    assert "CN=Clerk 7,C=CN\nCN=Issuing CA,C=CN\n" in capsys.readouterr().out


def test_public_names_exist() -> None:
    for name in onecert.verifier.__all__:
        assert getattr(onecert.verifier, name)
    assert set(dir(onecert.verifier)) == set(onecert.verifier.__all__)
    with pytest.raises(AttributeError):
        onecert.verifier.nothing_of_that_name  # type: ignore[attr-defined]

"""The guide's section about the network: its program runs, its settings exist, in both languages."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

import onecert.verifier
from onecert.verifier.fetch import FetchAnswer, FetchRequest

DOCS = Path(__file__).parents[3] / "docs"
GUIDES = [DOCS / "department-developer.md", DOCS / "department-developer.zh.md"]
# `Name(…, one=, two=)` or `HttpFetch(timeout)`
SETTING = re.compile(r"`([A-Z]\w+)\((?:…, )?([a-z_=, ]+)\)`")


def settings(guide: Path) -> set[tuple[str, str]]:
    found = set()
    for name, arguments in SETTING.findall(guide.read_text("utf-8")):
        found |= {(name, argument.strip(" =")) for argument in arguments.split(",")}
    return found


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_settings_exist(guide: Path) -> None:
    found = settings(guide)
    assert {("HttpFetch", "allow"), ("FetchRules", "jitter"), ("FollowRules", "nonce")} <= found
    for name, argument in found:
        assert argument in inspect.signature(getattr(onecert.verifier, name)).parameters, (name, argument)


def test_both_languages_name_the_same_settings() -> None:
    assert settings(GUIDES[0]) == settings(GUIDES[1])


def test_program(pki: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leaf below the root; its list is at the address in the leaf."""
    url = "http://crl.example/root.crl"
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
    root = pki.root()
    leaf = pki.leaf(root, extra=[(x509.CRLDistributionPoints([point]), False)])
    for name, party in (("root", root), ("leaf", leaf)):
        (tmp_path / f"{name}.crt").write_bytes(party.certificate.public_bytes(Encoding.PEM))

    def fetch(_self: object, request: FetchRequest) -> FetchAnswer:
        assert request.url == url
        return FetchAnswer(data=pki.crl(root))

    monkeypatch.setattr("onecert.verifier.fetch.HttpFetch.__call__", fetch)
    monkeypatch.chdir(tmp_path)
    programs = re.findall(r"```python\n(.*?)```", GUIDES[0].read_text("utf-8"), re.DOTALL)
    (program,) = [program for program in programs if "FetchingValidator" in program]
    program = program.replace("datetime.now(UTC)", "AT")
    names: dict[str, Any] = {"Path": Path, "DATA": tmp_path, "AT": pki.T, "datetime": datetime, "UTC": UTC}
    exec(program, names)
    assert names["path"].target.subject_text == "CN=Clerk 7,C=CN"
    assert len(list((tmp_path / "fetched").glob("*.crl"))) == 1

"""``Verifier.explain`` and ``onecert-verify explain`` against the trust list."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onecert.verifier import CrlFolder, Verifier, load_trust_list
from onecert.verifier.cli import main

T = datetime(2026, 11, 21, 9, tzinfo=UTC)


def verifier(world: Any, **changes: Any) -> Verifier:
    trust_list = load_trust_list(world.trust_list(**changes), keys=world.list_keys, at=T)
    return Verifier(trust_list=trust_list, evidence=CrlFolder(world.publish_crls()), application="tax")


def test_accepted(world: Any) -> None:
    explanation = verifier(world).explain(world.leaf("harbour").der, at=T)
    assert explanation.accepted
    assert explanation.chosen is not None
    assert explanation.chosen.anchor is not None
    assert explanation.chosen.anchor.label == "harbour"


def test_revoked(world: Any) -> None:
    leaf = world.leaf("pearl")
    world.revoke("pearl", leaf)
    explanation = verifier(world).explain(leaf.der, at=T)
    assert not explanation.accepted
    assert [path.error.code for path in explanation.paths if path.error] == ["CERT_REVOKED"]


def test_refused_above_the_path(world: Any) -> None:
    """The path validates, but the CA's licence is withdrawn: the answer is verify's, beside the good path."""
    status = {"harbour": [("withdrawn", T - timedelta(days=2))]}
    explanation = verifier(world, status=status).explain(world.leaf("harbour").der, at=T)
    assert not explanation.accepted
    assert explanation.as_dict()["error"]["code"] == "CA_WITHDRAWN"
    assert explanation.chosen is not None
    assert explanation.chosen.accepted


def test_command(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name, data in (
        ("list", world.trust_list()),
        ("root", world.root_file),
        ("good.pem", world.leaf().pem),
        ("stranger.pem", world.leaf("stranger", extensions={}).pem),
    ):
        (world.folder / name).write_bytes(data)
    command = [
        "explain",
        "--trust-list",
        str(world.folder / "list"),
        "--trust-root",
        str(world.folder / "root"),
    ]
    command += ["--crls", str(world.publish_crls()), "--at", "2026-11-21T09:00:00Z", "--language", "zh"]
    assert main([*command, "--tree", str(world.folder / "good.pem")]) == 0
    assert "[harbour]: 接受  (结论依据此路径)" in capsys.readouterr().out
    assert main([*command, "--json", str(world.folder / "stranger.pem")]) == 1
    assert json.loads(capsys.readouterr().out)["paths"][0]["error"]["code"] == "ISSUER_UNKNOWN"

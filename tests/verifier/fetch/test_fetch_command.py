"""``onecert-verify chain --fetch`` and ``explain --fetch`` against a server on the loopback interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import FetchCache, FetchingValidator, HttpFetch, VerifyError
from onecert.verifier.cli import main


def points(url: str) -> tuple[x509.ExtensionType, bool]:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
    return x509.CRLDistributionPoints([point]), False


@pytest.fixture
def folder(web: Any, pki: Any, tmp_path: Path) -> Path:
    """root -> leaf; the list lies at the address that the leaf names."""
    root = pki.root()
    web.serve("/root.crl", pki.crl(root))
    (tmp_path / "root.crt").write_bytes(root.der)
    (tmp_path / "leaf.crt").write_bytes(pki.leaf(root, extra=[points(web.url("/root.crl"))]).der)
    return tmp_path


def command(folder: Path, name: str, *more: str) -> list[str]:
    at = ["--at", "2026-11-21T09:00:00Z", "--language", "en"]
    return [name, "--anchor", str(folder / "root.crt"), *at, *more, str(folder / "leaf.crt")]


@pytest.mark.parametrize("name", ["chain", "explain"])
def test_nothing_is_fetched_unless_asked(
    folder: Path, web: Any, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(command(folder, name)) == 3
    assert not web.asked
    # The address lies in our own network, which a certificate of a stranger must not make us ask.
    assert main(command(folder, name, "--fetch")) == 3
    assert not web.asked
    assert "FETCH_" in capsys.readouterr().out
    assert main(command(folder, name, "--fetch", "--allow-private")) == 0
    assert web.count("/root.crl") == 1
    assert "accepted" in capsys.readouterr().out


def test_explain_tells_what_could_not_be_fetched(folder: Path, web: Any, pki: Any, fetch: HttpFetch) -> None:
    web.pages.clear()
    root = pki.party(x509.load_der_x509_certificate((folder / "root.crt").read_bytes()), None)
    validator = FetchingValidator(anchors=[root.anchor], cache=FetchCache(fetch))
    explanation = validator.explain((folder / "leaf.crt").read_bytes(), at=pki.T)
    assert isinstance(explanation.answer, VerifyError)
    assert explanation.answer.code == "REVOCATION_UNKNOWN"
    assert explanation.answer.facts["not_fetched"]


@pytest.mark.parametrize(
    "more", [["chain", "--allow-private", "--anchor", "x"], ["explain", "--fetch", "--trust-list", "x"]]
)
def test_options_that_do_not_fit(more: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*more, str(folder / "leaf.crt")])
    assert caught.value.code == 2
    assert capsys.readouterr().err

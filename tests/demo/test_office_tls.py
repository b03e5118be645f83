"""The tax office's TLS: which CAs' certificates browsers are asked for, as the trust list changes."""

from __future__ import annotations

import argparse
import runpy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

PROGRAM = Path(__file__).resolve().parents[2] / "demo" / "office" / "__main__.py"


@pytest.fixture
def serving(office: Any) -> Any:
    """The program, ready to serve, at the office's time."""
    options = argparse.Namespace(
        folder=office.folder,
        trust_list=office.trust_list,
        https_port=0,
        tls_certificate=None,
        tls_key=None,
        application="tax-office",
        privileges=None,
    )
    made = runpy.run_path(str(PROGRAM), run_name="office_program")["Office"]
    return lambda: made(options, clock=lambda: office.at)


def asked_for(office: Any) -> set[str]:
    folder = office.folder / "client-authorities"
    found = [x509.load_pem_x509_certificate(file.read_bytes()) for file in folder.glob("*.pem")]
    return {name for name, ca in office.world.cas.items() if ca in found}


def test_the_cas_of_the_list(office: Any, serving: Any) -> None:
    """Those that the list names; a file of one that it names no more goes away."""
    stale = office.folder / "client-authorities" / "gone.pem"
    stale.parent.mkdir()
    stale.write_bytes(b"old")
    serving()
    assert asked_for(office) == {"pearl", "harbour", "summit"}
    assert not stale.exists()


def test_a_list_that_is_over(office: Any, serving: Any, caplog: pytest.LogCaptureFixture) -> None:
    """No newer one comes for two months. Must go on with the CAs known before, and look again later."""
    one = serving()
    office.at += timedelta(days=60)
    one.look()
    assert asked_for(office) == {"pearl", "harbour", "summit"}
    assert "no trust list" in caplog.text


def test_no_list_at_the_start(office: Any, serving: Any) -> None:
    """The city is not up yet. Must start, ask for nobody's certificate, and find the list later."""
    published = office.site / "trust-list.json"
    data = published.read_bytes()
    published.unlink()
    one = serving()
    assert asked_for(office) == set()
    published.write_bytes(data)
    office.at += timedelta(minutes=2)
    one.look()
    assert asked_for(office) == {"pearl", "harbour", "summit"}

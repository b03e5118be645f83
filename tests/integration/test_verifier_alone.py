"""A department installs onecert-verifier and gets nothing else of ours, no web server, database or token."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.timeout(240)
def test_pip_install_verifier_in_an_empty_environment(tmp_path: Path) -> None:
    environment = tmp_path / "department"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = str(environment / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", str(ROOT / "verifier")], check=True, cwd=tmp_path)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    ).stdout
    packages = {
        line.partition("==")[0].partition(" ")[0].lower().replace("_", "-") for line in listed.splitlines()
    }
    assert packages <= {
        "onecert-verifier",
        "cryptography",
        "cffi",
        "pycparser",
        "typing-extensions",
        "pip",
        "setuptools",
        "wheel",
    }
    code = "import onecert.verifier as v; from onecert.verifier import Verifier, Login; print(v.__file__)"
    where = subprocess.run(
        [python, "-I", "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    ).stdout
    assert str(environment) in where
    done = subprocess.run(
        [str(environment / "bin" / "onecert-verify"), "--help"], check=True, capture_output=True, text=True
    )
    assert "certificate" in done.stdout

"""Bouncy Castle of Debian's packages, in one Java machine: parses everything and verifies every signature."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from artefacts import Artefact, Run
from verdicts import Verdict, version_in

__all__ = ["KINDS", "judge", "missing", "version"]

KINDS = ("certificate", "crl", "ocsp", "timestamp", "attribute_certificate", "acrl")
_JARS = [Path("/usr/share/java") / f"{name}.jar" for name in ("bcprov", "bcutil", "bcpkix", "bsh")]
_SCRIPT = Path(__file__).with_name("bouncy_castle.bsh")
_PACKAGES = "default-jre-headless libbcpkix-java bsh"


def missing() -> str:
    """What to install; empty when it is there."""
    return "" if shutil.which("java") and all(jar.exists() for jar in _JARS) else _PACKAGES


def version() -> tuple[int, ...]:
    """As the file is called that Debian's link points to."""
    return version_in(_JARS[0].resolve().name)


def judge(run: Run, artefacts: Sequence[Artefact]) -> list[Verdict]:
    """One verdict for each."""
    unsigned = [each for each in artefacts if each.signer is None and not each.is_refusal]
    asked = [each for each in artefacts if each.signer is not None or each.is_refusal]
    lines = [f"{each.kind}\t{each.path}\t{_signer(run, each)}\n" for each in asked]
    done = subprocess.run(
        ["java", "-cp", ":".join(map(str, _JARS)), "bsh.Interpreter", str(_SCRIPT)],
        input="".join(lines).encode(),
        capture_output=True,
        check=False,
        timeout=1800,
    )
    said = done.stdout.decode().splitlines()
    if len(said) != len(asked):
        raise RuntimeError(
            f"Bouncy Castle stopped after {len(said)} of {len(asked)}: {done.stderr.decode()[-2000:]}"
        )
    verdicts = [
        Verdict(each, line == "accepted", line.partition("\t")[2])
        for each, line in zip(asked, said, strict=True)
    ]
    return verdicts + [
        Verdict(each, False, "no issuer among the certificates of the run") for each in unsigned
    ]


def _signer(run: Run, each: Artefact) -> str:
    return str(run.file(each.signer)) if each.signer is not None and not each.is_refusal else ""

"""pkilint: the rules of RFC 5280 and RFC 6960; it checks no signature and knows no timestamps."""

from __future__ import annotations

import gc
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path

from artefacts import Artefact, Run
from verdicts import PROCESSES, Verdict, version_in

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "ca"))

__all__ = ["KINDS", "judge", "missing", "version"]

KINDS = ("certificate", "crl", "ocsp")


def missing() -> str:
    """It is among the tests' Python packages."""
    return ""


def version() -> tuple[int, ...]:
    """Of the package."""
    return version_in(metadata.version("pkilint"))


def judge(run: Run, artefacts: Sequence[Artefact]) -> list[Verdict]:
    """One verdict for each."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=_begin) as pool:
        found = pool.map(_lint, [(each.kind, str(each.path)) for each in artefacts], chunksize=50)
        return [
            Verdict(each, not findings, "; ".join(findings))
            for each, findings in zip(artefacts, found, strict=True)
        ]


def _begin() -> None:
    """Load once, and look for garbage seldom: pkilint makes trees of thousands of objects."""
    import ca_pkilint  # noqa: F401, PLC0415 - slow to load

    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


def _lint(what: tuple[str, str]) -> list[str]:
    from ca_pkilint import lint_certificate, lint_crl, lint_ocsp  # noqa: PLC0415 - slow to load

    lint = {"certificate": lint_certificate, "crl": lint_crl, "ocsp": lint_ocsp}[what[0]]
    try:
        return lint(Path(what[1]).read_bytes())
    except Exception as exc:  # whatever stops it is a refusal
        return [f"{type(exc).__name__}: {exc}"[:300]]

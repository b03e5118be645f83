"""What the commands share: their answer, its exit code, and the inputs that options name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from onecert.verifier.cli.files import files_in, load, read, read_certificates
from onecert.verifier.cli.parser import PURPOSES
from onecert.verifier.cli.text import error_json, error_lines
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError, VerifyError
from onecert.verifier.evidence import CRL_NAMES, OCSP_NAMES
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.purposes import Purpose
from onecert.verifier.revocation import (
    Crl,
    OcspResponse,
    RevocationEvidence,
    RevocationMode,
    RevocationPolicy,
    RevocationSources,
    load_crl,
    load_ocsp,
)
from onecert.verifier.trust_list import (
    FileState,
    TrustList,
    TrustRoot,
    load_trust_root,
    load_trusted_list,
    next_trust_root,
)
from onecert.verifier.trust_list.root import ROOT_MAX_BYTES
from onecert.verifier.trust_list.root_folder import RootFolder
from onecert.verifier.trust_list.timestamp import TIMESTAMP_MAX_BYTES
from onecert.verifier.trust_list.vocabulary import MAX_BYTES
from onecert.verifier.verifier import Verifier

__all__ = [
    "ACCEPTED",
    "NOT_CHECKED",
    "REFUSED",
    "USAGE",
    "exit_code",
    "load_answers",
    "load_crls",
    "load_list",
    "load_root",
    "load_roots",
    "make_verifier",
    "moment",
    "print_answer",
    "purpose",
    "report",
    "revocation_policy",
]

ACCEPTED, REFUSED, USAGE, NOT_CHECKED = 0, 1, 2, 3


def print_answer(options: argparse.Namespace, value: Any, lines: Callable[[], Sequence[str]]) -> None:
    """The answer on stdout, as JSON or as text."""
    if options.json:
        print(json.dumps(value, ensure_ascii=False, indent=2))
    else:
        print("\n".join(lines()))


def report(exc: VerifyError, options: argparse.Namespace) -> int:
    """The verdict is the answer, so it goes to stdout too."""
    print_answer(options, error_json(exc), lambda: error_lines(exc, options.language))
    return exit_code(exc)


def exit_code(exc: VerifyError) -> int:
    """The exit code of a refusal."""
    # One table: what could not be checked is neither good nor bad, and anything new fails closed.
    for kind, code in ((CouldNotCheckError, NOT_CHECKED), (MalformedError, REFUSED), (RefusedError, REFUSED)):
        if isinstance(exc, kind):
            return code
    return NOT_CHECKED


def moment(options: argparse.Namespace) -> datetime:
    """The moment that is asked about."""
    at: datetime | None = options.at
    return at if at is not None else datetime.now(UTC)


def purpose(options: argparse.Namespace) -> Purpose:
    """The purpose that is asked about."""
    return PURPOSES[options.purpose]


def load_crls(options: argparse.Namespace) -> list[Crl]:
    """The lists of ``--crl`` and ``--crls``."""
    files = [*options.crl, *_in_folder(options, CRL_NAMES)]
    return [load(path, DEFAULT_LIMITS.crl_max_bytes, load_crl) for path in files]


def load_answers(options: argparse.Namespace) -> list[OcspResponse]:
    """The OCSP answers of ``--ocsp`` and ``--crls``."""
    files = [*options.ocsp, *_in_folder(options, OCSP_NAMES)]
    return [load(path, DEFAULT_LIMITS.ocsp_max_bytes, load_ocsp) for path in files]


def _in_folder(options: argparse.Namespace, names: Sequence[str]) -> list[Path]:
    if options.crls is None:
        return []
    return [path for path in files_in(options.crls) if path.suffix in names]


def load_list(options: argparse.Namespace, at: datetime) -> TrustList:
    """The signed list, checked with ``--trust-root`` and, where it is given, ``--trust-timestamp``."""
    stamped = options.trust_timestamp
    return load_trusted_list(
        read(options.trust_list, MAX_BYTES),
        root=load_root(options.trust_root),
        timestamp=None if stamped is None else read(stamped, TIMESTAMP_MAX_BYTES),
        at=at,
        state=FileState(options.state) if options.state else None,
    )


def load_roots(paths: Sequence[Path]) -> tuple[TrustRoot, ...]:
    """The trust roots of ``--trust-root``, ascending: files in their order, or a department's folder."""
    if len(paths) == 1 and paths[0].is_dir():
        return RootFolder(paths[0])()
    roots: list[TrustRoot] = []
    for path in paths:
        follow = partial(next_trust_root, roots[-1]) if roots else load_trust_root
        roots.append(load(path, ROOT_MAX_BYTES, follow))
    return tuple(roots)


def load_root(paths: Sequence[Path]) -> TrustRoot:
    """The newest of them."""
    return load_roots(paths)[-1]


def revocation_policy(options: argparse.Namespace) -> RevocationPolicy:
    """How strictly revocation is asked for."""
    return RevocationPolicy(
        mode=RevocationMode(options.revocation),
        sources=RevocationSources(options.sources),
        allow_offline=options.allow_offline,
    )


def make_verifier(options: argparse.Namespace, at: datetime, **settings: Any) -> Verifier:
    """A verifier for the list and the evidence that the options name."""
    evidence = RevocationEvidence(crls=load_crls(options), ocsp=load_answers(options))
    return Verifier(
        trust_list=load_list(options, at),
        evidence=evidence,
        candidates=read_certificates(options.intermediate),
        revocation=revocation_policy(options),
        **settings,
    )

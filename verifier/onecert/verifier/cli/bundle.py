"""``bundle``: show an offline bundle, or put one into a department's folder."""

from __future__ import annotations

import argparse
import atexit
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from onecert.verifier.bundle.load import Bundle, check_usable, load_bundle
from onecert.verifier.bundle.memory import FileBundleMemory, MemoryBundleMemory
from onecert.verifier.bundle.offline import OfflineVerifier, import_bundle
from onecert.verifier.bundle.source import BundleSource
from onecert.verifier.cli.common import ACCEPTED, load_root, make_verifier, moment, print_answer
from onecert.verifier.cli.files import read_certificates
from onecert.verifier.cli.parser import Parser, UsageError
from onecert.verifier.cli.text import table_lines, time_text
from onecert.verifier.messages import message
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list import FileState, MemoryState
from onecert.verifier.verifier import Verifier

__all__ = [
    "add_bundle",
    "add_options",
    "check_list_options",
    "make_some_verifier",
    "offline_facts",
    "offline_lines",
    "run",
]

_ACTIONS = ("show", "import")


def add_options(parser: Parser) -> None:
    """The options of this command."""
    parser.files("--trust-root", text="HELP_TRUST_ROOTS")
    parser.option("--folder", text="HELP_BUNDLE_FOLDER", type=Path, metavar="FOLDER")
    parser.input("action", text="HELP_BUNDLE_ACTION", metavar="ACTION", choices=_ACTIONS)
    parser.input("bundle", text="HELP_BUNDLE_FILE", metavar="FILE", type=Path)


def run(options: argparse.Namespace) -> int:
    """Show it, or take it into the folder; both check everything in it and its age."""
    at = moment(options)
    if bool(options.trust_root) == (options.folder is not None):
        raise UsageError("USAGE_ONE_OF", arguments="--trust-root --folder")
    if options.action == "import":
        if options.folder is None:
            raise UsageError("USAGE_REQUIRED", arguments="--folder")
        bundle = import_bundle(options.bundle, options.folder, at)
    else:
        root = load_root(options.trust_root or [options.folder])
        bundle = load_bundle(options.bundle, root=root)
        check_usable(bundle, at)
    answer = {"schema": 1, "accepted": True, **bundle.as_dict(at)}
    print_answer(options, answer, lambda: _lines(bundle, at, options.language))
    return ACCEPTED


def add_bundle(parser: Parser) -> None:
    """``--bundle`` instead of a list and revocation lists."""
    parser.file("--bundle", text="HELP_BUNDLE")


def check_list_options(options: argparse.Namespace, *others: str) -> None:
    """Refuse a command line that names both a bundle and what is in one, or neither list nor bundle.

    Args:
        others: what may stand instead of either.
    """
    names = ("--trust-list", "--bundle", *others)
    if sum(bool(getattr(options, name[2:].replace("-", "_"))) for name in names) != 1:
        raise UsageError("USAGE_ONE_OF", arguments=" ".join(names))
    if options.bundle is None:
        return
    for name in ("--crl", "--crls", "--ocsp", "--trust-timestamp", "--allow-offline"):
        if getattr(options, name[2:].replace("-", "_")):
            raise UsageError("USAGE_CONFLICT", name=name, other="--bundle")


def make_some_verifier(options: argparse.Namespace, at: datetime, **settings: Any) -> Verifier:
    """A verifier for ``--bundle``, or for the list and the evidence that the options name."""
    if options.bundle is None:
        return make_verifier(options, at, **settings)
    state: Path | None = options.state
    # Beside the memory the index of the register is made once; without one, for this command.
    index = Path(_scratch()) if state is None else state.parent / "registry"
    source = BundleSource(
        options.bundle,
        root=load_root(options.trust_root),
        state=FileState(state) if state else MemoryState(),
        memory=FileBundleMemory(state.with_name(state.name + ".bundle")) if state else MemoryBundleMemory(),
        index=index,
        watch_clock=options.at is None,
    )
    return OfflineVerifier(source, candidates=read_certificates(options.intermediate), **settings)


def offline_facts(verifier: Verifier | None, at: datetime) -> dict[str, Any]:
    """``offline`` and ``as_of``, for an answer in JSON."""
    as_of = verifier.as_of(at) if isinstance(verifier, OfflineVerifier) else None
    return {"offline": as_of is not None, "as_of": as_of and format_time(as_of)}


def offline_lines(verifier: Verifier | None, at: datetime, language: str) -> list[str]:
    """The same for a person; nothing for who is not offline."""
    if not isinstance(verifier, OfflineVerifier):
        return []
    return ["", *table_lines([("AS_OF", time_text(verifier.as_of(at)))], language)]


def _scratch() -> str:
    folder = tempfile.mkdtemp(prefix="onecert-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _lines(bundle: Bundle, at: datetime, language: str) -> list[str]:
    rows = [
        ("MADE_AT", time_text(bundle.made_at)),
        ("USE_UNTIL", time_text(bundle.manifest.use_until)),
        ("AGE", str(at - bundle.made_at)),
        ("VERSION", str(bundle.root.version)),
        ("LIST", f"{bundle.trust_list.sequence}  {time_text(bundle.trust_list.next_update)}"),
    ]
    for crl in bundle.crls:
        end = "-" if crl.next_update is None else time_text(crl.next_update)
        rows.append(("CRL", f"{crl.issuer_text}  {end}"))
    if bundle.registry is not None:
        rows.append(("REGISTRY", f"{bundle.registry.number}  {bundle.registry.data.entries}"))
    if bundle.policy is not None:
        rows += [("MAX_AGE", f"{name}  {age}") for name, age in bundle.policy.max_age.items()]
    rows += [("WARNING", message(code, language)) for code in bundle.warnings]
    return table_lines(rows, language)

"""onecert-verify: the library on the command line.

    onecert-verify certificate --trust-list trust-list.json --list-keys list-keys.json --crls crls/ clerk.crt
    onecert-verify identity --profile pearl.json clerk.crt firm.crt
    onecert-verify trust-list trust-list.json --list-keys list-keys.json

Answers go to stdout, everything else to stderr. Exit codes: 0 accepted, 1 refused, 2 wrong usage, 3 could not
check. Nothing is fetched from the network.
"""

from __future__ import annotations

import argparse
import json
import locale
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from onecert.verifier.certificate import parse_certificate
from onecert.verifier.cli_text import certificate_lines, error_json, error_lines, identity_lines, list_lines
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError, VerifyError
from onecert.verifier.evidence import CRL_NAMES, OCSP_NAMES
from onecert.verifier.identity import PersonRule, identify, load_pairwise_key, load_profile
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.purposes import ANY, CLIENT, ENCRYPTION, LOGIN, SERVER, SIGNING, Purpose
from onecert.verifier.revocation import (
    RevocationEvidence,
    RevocationMode,
    RevocationPolicy,
    load_crl,
    load_ocsp,
)
from onecert.verifier.strict_json import StrictJsonError, parse_time
from onecert.verifier.trust_list import FileState, TrustList, load_list_keys, load_trust_list
from onecert.verifier.trust_list.vocabulary import MAX_BYTES
from onecert.verifier.verifier import Verifier

__all__ = ["main"]

ACCEPTED, REFUSED, USAGE, NOT_CHECKED = 0, 1, 2, 3

PURPOSES: dict[str, Purpose] = {
    "login": LOGIN,
    "signing": SIGNING,
    "encryption": ENCRYPTION,
    "client": CLIENT,
    "server": SERVER,
    "any": ANY,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except VerifyError as exc:
        return _report(exc, options)
    except BrokenPipeError:
        # The reader of a pipe has gone; nobody is left to tell. Keep the interpreter from trying again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_CHECKED


def run_program() -> NoReturn:
    """For ``python -m onecert.verifier.cli``."""
    sys.exit(main())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onecert-verify",
        description="Check certificates of the licensed CAs against the signed trust list.",
        epilog="Exit codes: 0 accepted, 1 refused, 2 wrong usage, 3 could not check.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _certificate_parser(commands.add_parser("certificate", help="check one certificate and name its holder"))
    _identity_parser(commands.add_parser("identity", help="try an identity profile on certificates"))
    _trust_list_parser(commands.add_parser("trust-list", help="check a trust list and show it"))
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--language", choices=("zh", "en"), default=_language(), help="language of the text")
    parser.add_argument(
        "--at", type=_time, metavar="TIME", help="check as of 2026-11-21T09:00:00Z (default: now)"
    )


def _list_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--list-keys", type=Path, required=True, metavar="FILE", help="the officers' keys")
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="remembers the newest list, so that none older is accepted"
    )


def _certificate_parser(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_certificate)
    _common(parser)
    parser.add_argument("--trust-list", type=Path, required=True, metavar="FILE", help="the signed list")
    _list_options(parser)
    parser.add_argument(
        "--crl", type=Path, action="append", default=[], metavar="FILE", help="a CRL; repeatable"
    )
    parser.add_argument("--crls", type=Path, metavar="FOLDER", help="a folder of CRLs and OCSP answers")
    parser.add_argument(
        "--ocsp", type=Path, action="append", default=[], metavar="FILE", help="an OCSP answer; repeatable"
    )
    parser.add_argument(
        "--revocation",
        choices=[mode.value for mode in RevocationMode],
        default=RevocationMode.REQUIRE.value,
        help="what happens when nothing is known about revocation (default: require)",
    )
    parser.add_argument("--purpose", choices=sorted(PURPOSES), default="login", help="use (default: login)")
    parser.add_argument(
        "--intermediate",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a CA certificate on the way",
    )
    parser.add_argument(
        "--application", default="onecert-verify", help="name of the application, for pairwise ids"
    )
    parser.add_argument("--pairwise-key", type=Path, metavar="FILE", help="key for ids of natural persons")
    parser.add_argument("--show-person-numbers", action="store_true", help="show numbers of natural persons")
    parser.add_argument("certificate", type=Path, metavar="CERT", help="certificate, PEM or DER")


def _identity_parser(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_identity)
    _common(parser)
    parser.add_argument("--profile", type=Path, required=True, metavar="FILE", help="the identity profile")
    parser.add_argument("--pairwise-key", type=Path, metavar="FILE", help="key for ids of natural persons")
    parser.add_argument("--show-person-numbers", action="store_true", help="show numbers of natural persons")
    parser.add_argument("certificates", type=Path, nargs="+", metavar="CERT", help="certificates, PEM or DER")


def _trust_list_parser(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_trust_list)
    _common(parser)
    _list_options(parser)
    parser.add_argument("trust_list", type=Path, metavar="FILE", help="the signed list")


def _certificate(options: argparse.Namespace) -> int:
    at = _at(options)
    crls, answers = [*options.crl], [*options.ocsp]
    if options.crls is not None:
        files = _files(options.crls)
        crls += [path for path in files if path.suffix in CRL_NAMES]
        answers += [path for path in files if path.suffix in OCSP_NAMES]
    evidence = RevocationEvidence(
        crls=[load_crl(_read(path, DEFAULT_LIMITS.crl_max_bytes)) for path in crls],
        ocsp=[load_ocsp(_read(path, DEFAULT_LIMITS.ocsp_max_bytes)) for path in answers],
    )
    trust_list = _load_list(options, options.trust_list, at)
    verifier = Verifier(
        trust_list=trust_list,
        evidence=evidence,
        application=options.application,
        pairwise_key=load_pairwise_key(options.pairwise_key) if options.pairwise_key else None,
        raw_person_numbers=options.show_person_numbers,
        candidates=[_read(path, DEFAULT_LIMITS.certificate_max_bytes) for path in options.intermediate],
        revocation=RevocationPolicy(mode=RevocationMode(options.revocation)),
    )
    data = _read(options.certificate, DEFAULT_LIMITS.certificate_max_bytes)
    result = verifier.verify(data, at=at, purpose=PURPOSES[options.purpose])
    _print(options, result.as_dict(), lambda: certificate_lines(result, options.language))
    return ACCEPTED


def _identity(options: argparse.Namespace) -> int:
    """Every certificate is tried; the worst verdict is the exit code."""
    at = _at(options)
    profile = load_profile(_read(options.profile, 64 * 1024))
    key = load_pairwise_key(options.pairwise_key) if options.pairwise_key else None
    # Without a key of the department a person is still one person within this run.
    persons = PersonRule(
        application="onecert-verify",
        pairwise_key=key or os.urandom(32),
        raw_numbers=options.show_person_numbers,
    )
    results: list[dict[str, Any]] = []
    lines: list[str] = []
    code = ACCEPTED
    for path in options.certificates:
        try:
            certificate = parse_certificate(_read(path, DEFAULT_LIMITS.certificate_max_bytes))
            identity = identify(certificate, profile, ca_service=profile.name, at=at, persons=persons)
        except VerifyError as exc:
            results.append({"file": str(path), **error_json(exc)})
            lines += [f"{path}:", *(f"  {line}" for line in error_lines(exc, options.language))]
            code = max(code, _exit_code(exc))
            continue
        found = identity_lines(identity, options.language)
        results.append({"file": str(path), "accepted": True, **identity.as_dict()})
        lines += [f"{path}:", *(f"  {line}" for line in found)]
    _print(options, results, lambda: lines)
    return code


def _trust_list(options: argparse.Namespace) -> int:
    at = _at(options)
    trust_list = _load_list(options, options.trust_list, at)
    _print(options, trust_list.as_dict(at), lambda: list_lines(trust_list, at, options.language))
    return ACCEPTED


def _load_list(options: argparse.Namespace, path: Path, at: datetime) -> TrustList:
    keys = load_list_keys(_read(options.list_keys, 256 * 1024))
    state = FileState(options.state) if options.state else None
    return load_trust_list(_read(path, MAX_BYTES), keys=keys, at=at, state=state)


def _print(options: argparse.Namespace, value: Any, lines: Callable[[], Sequence[str]]) -> None:
    if options.json:
        print(json.dumps(value, ensure_ascii=False, indent=2))
    else:
        print("\n".join(lines()))


def _report(exc: VerifyError, options: argparse.Namespace) -> int:
    """The verdict is the answer, so it goes to stdout too."""
    _print(options, error_json(exc), lambda: error_lines(exc, options.language))
    return _exit_code(exc)


def _exit_code(exc: VerifyError) -> int:
    # One table: what could not be checked is neither good nor bad, and anything new fails closed.
    for kind, code in ((CouldNotCheckError, NOT_CHECKED), (MalformedError, REFUSED), (RefusedError, REFUSED)):
        if isinstance(exc, kind):
            return code
    return NOT_CHECKED


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as exc:
        raise _unreadable(folder, exc) from exc


def _unreadable(path: Path, exc: OSError) -> CouldNotCheckError:
    return CouldNotCheckError("FILE_UNREADABLE", path=str(path), detail=exc.strerror or str(exc))


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    if len(data) > max_bytes:
        raise MalformedError("TOO_LARGE", kind=path.name, max=max_bytes)
    return data


def _at(options: argparse.Namespace) -> datetime:
    at: datetime | None = options.at
    return at if at is not None else datetime.now(UTC)


def _time(text: str) -> datetime:
    try:
        return parse_time(text, "TIME")
    except StrictJsonError as exc:
        raise argparse.ArgumentTypeError(exc.problem) from exc


def _language() -> str:
    """Chinese when the terminal is, English otherwise."""
    name = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if (name or locale.getlocale()[0] or "").lower().startswith(("zh", "chinese")) else "en"


if __name__ == "__main__":
    run_program()

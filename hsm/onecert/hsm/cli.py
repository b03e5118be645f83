"""``onecert token``: look at tokens and their keys, make and destroy them, by hand.

Results go to stdout, talk to stderr. Exit codes: 0 done, 1 refused, 2 wrong usage, 3 could not check.
Destroying a key shows what it would do until ``--apply`` is given.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import click
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.hsm.algorithms import ALGORITHMS, KeyAlgorithm
from onecert.hsm.config import TokenConfig
from onecert.hsm.errors import TokenError, TokenUnavailableError
from onecert.hsm.messages import language_of, message
from onecert.hsm.module import load_module
from onecert.hsm.opening import open_token
from onecert.hsm.softhsm import ensure_softhsm_token, find_module
from onecert.hsm.store import prepare_store, store_lock
from onecert.hsm.token import Token

LANGUAGE = language_of()
F = TypeVar("F", bound=Callable[..., Any])


def say(code: str, **facts: object) -> str:
    """A text of the catalogue in the language of this command."""
    return message(code, LANGUAGE, facts)


@contextmanager
def explained() -> Iterator[None]:
    """Turn our errors into a sentence, a hint and an exit code."""
    try:
        yield
    except TokenError as exc:
        click.echo(exc.text(LANGUAGE), err=True)
        if advice := exc.hint(LANGUAGE):
            click.echo(say("CLI_HINT", hint=advice), err=True)
        raise SystemExit(3 if isinstance(exc, TokenUnavailableError) else 1) from exc


def module_options(command: F) -> F:
    """Which PKCS#11 module: another one, or SoftHSM with a store."""
    path = click.Path(path_type=Path)
    command = click.option(
        "--module",
        type=path,
        envvar="ONECERT_PKCS11_MODULE",
        help=say("CLI_OPT_MODULE"),
    )(command)
    return click.option("--softhsm", type=path, envvar="ONECERT_SOFTHSM", help=say("CLI_OPT_SOFTHSM"))(
        command
    )


def token_options(command: F) -> F:
    """Which token, and where its PIN is."""
    path = click.Path(path_type=Path)
    command = module_options(command)
    command = click.option(
        "--pin-file", type=path, required=True, envvar="ONECERT_TOKEN_PIN_FILE", help=say("CLI_OPT_PIN")
    )(command)
    return click.option("--label", required=True, envvar="ONECERT_TOKEN_LABEL", help=say("CLI_OPT_LABEL"))(
        command
    )


@contextmanager
def opened(label: str, pin_file: Path, softhsm: Path | None, module: Path | None) -> Iterator[Token]:
    """The open token of the options; errors are explained."""
    with (
        explained(),
        open_token(
            TokenConfig(label=label, pin_file=pin_file, softhsm=softhsm, module=module, sessions=1)
        ) as token,
    ):
        yield token


@click.group(help=say("CLI_TOKEN"))
def token() -> None:
    """The group that the ``onecert`` command finds by its entry point."""


@token.command("list", help=say("CLI_LIST"))
@module_options
@click.option("--json", "as_json", is_flag=True, help=say("CLI_OPT_JSON"))
def list_tokens(softhsm: Path | None, module: Path | None, as_json: bool) -> None:
    """Every initialised token of the module, one on a line: label, serial number, model."""
    with explained():
        if softhsm is not None:
            prepare_store(softhsm)
        lock = nullcontext() if softhsm is None else store_lock(softhsm, label=str(softhsm))
        loaded = load_module(module or find_module(softhsm), softhsm, lock)
        with loaded.lock:
            rows = [
                {
                    "label": found.label,
                    "serial": found.serial.decode("ascii", "replace"),
                    "model": found.model,
                }
                for found in loaded.tokens()
            ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['label']}\t{row['serial']}\t{row['model']}")
    if not rows:
        click.echo(say("CLI_NO_TOKENS", module=loaded.path), err=True)


@token.command("create", help=say("CLI_CREATE"))
@click.argument("label")
@click.option("--softhsm", type=click.Path(path_type=Path), required=True, help=say("CLI_OPT_SOFTHSM"))
@click.option("--pin-file", type=click.Path(path_type=Path), required=True, help=say("CLI_OPT_NEW_PIN"))
def create(label: str, softhsm: Path, pin_file: Path) -> None:
    """Make a SoftHSM token with a random PIN; nothing happens when it is there."""
    with explained():
        ensure_softhsm_token(softhsm, label=label, pin_file=pin_file)
    click.echo(label)


@token.command("check", help=say("CLI_CHECK"))
@token_options
def check(**options: Any) -> None:
    """Log in, ask the token, and say what it is."""
    with opened(**options) as found:
        found.check()
        info = found.info()
        count = len(found.key_labels())
    click.echo(
        say(
            "CLI_CHECKED",
            label=info.label,
            serial=info.serial,
            model=info.model,
            module=info.module,
            keys=count,
        )
    )


@token.command("keys", help=say("CLI_KEYS"))
@token_options
def keys(**options: Any) -> None:
    """The names of all private keys with their algorithms."""
    with opened(**options) as found:
        for label in found.key_labels():
            click.echo(f"{label}\t{getattr(found.load_key(label), 'algorithm', '')}")


@token.command("generate", help=say("CLI_GENERATE"))
@click.argument("key")
@click.option(
    "--algorithm",
    type=click.Choice([str(algorithm) for algorithm in ALGORITHMS]),
    default=str(KeyAlgorithm.P_256),
    show_default=True,
    help=say("CLI_OPT_ALGORITHM"),
)
@token_options
def generate(key: str, algorithm: str, **options: Any) -> None:
    """Make a key pair and print its public key."""
    with opened(**options) as found:
        made = found.generate_key(key, KeyAlgorithm(algorithm))
    click.echo(_pem(made), nl=False)


@token.command("public-key", help=say("CLI_PUBLIC"))
@click.argument("key")
@click.option("--out", type=click.Path(path_type=Path), help=say("CLI_OPT_OUT"))
@token_options
def public_key(key: str, out: Path | None, **options: Any) -> None:
    """The public key as PEM, on stdout or into a file."""
    with opened(**options) as found:
        pem = _pem(found.load_key(key))
    if out is None:
        click.echo(pem, nl=False)
    else:
        out.write_text(pem)


@token.command("destroy", help=say("CLI_DESTROY"))
@click.argument("key")
@click.option("--apply", is_flag=True, help=say("CLI_OPT_APPLY"))
@token_options
def destroy(key: str, apply: bool, **options: Any) -> None:
    """Destroy a key for good, when ``--apply`` is given."""
    with opened(**options) as found:
        algorithm = getattr(found.load_key(key), "algorithm", "")
        facts = {"key": key, "algorithm": algorithm, "label": found.label}
        if apply:
            found.destroy_key(key)
    if apply:
        click.echo(say("CLI_DESTROYED", **facts))
    else:
        click.echo(say("CLI_WOULD_DESTROY", **facts))
        click.echo(say("CLI_HINT", hint=say("CLI_ADD_APPLY")), err=True)


def _pem(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())

"""`onecert counter …`: the media clerk's program on the PC of the counter.

Results go to stdout, talk to stderr. What would destroy something shows what it would do until `--apply` is
given. A PIN is printed by `pin-letter` only, and forgotten here with it.
"""

import json
import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import httpx

from onecert.hsm import HolderTokens, KeyAlgorithm
from onecert.ra.counter.desk import Desk, DeskError, Pass
from onecert.ra.counter.registration import Registration
from onecert.ra.counter.work import ALGORITHMS, Counter
from onecert.server.languages import _, gettext

__all__ = ["counter"]

F = TypeVar("F", bound=Callable[..., Any])
HOME = Path(os.environ.get("XDG_STATE_HOME", "~/.local/state")).expanduser() / "onecert-counter"
TIMEOUT_S = 30.0
_FILE = click.Path(dir_okay=False, path_type=Path)


def _places(command: F) -> F:
    """Where tokens, notes and the registration are."""
    folder = click.Path(file_okay=False, path_type=Path)
    for option in (
        click.option(
            "--home",
            type=folder,
            default=HOME,
            envvar="ONECERT_COUNTER_HOME",
            help=_("Where this PC keeps its pass and PINs."),
        ),
        click.option(
            "--module",
            type=_FILE,
            envvar="ONECERT_PKCS11_MODULE",
            help=_("The PKCS#11 module of the USB tokens."),
        ),
        click.option(
            "--softhsm",
            type=folder,
            envvar="ONECERT_SOFTHSM",
            help=_("A SoftHSM store that stands in for USB tokens, for practice."),
        ),
        click.option(
            "--ca-file",
            type=_FILE,
            envvar="ONECERT_CA_FILE",
            help=_("PEM of the authority that the registration's TLS certificate comes from."),
        ),
        click.option(
            "--client-certificate",
            type=_FILE,
            help=_("PEM of the clerk's own certificate and key, instead of a pass."),
        ),
        click.option("--ra", help=_("Address of the registration.")),
    ):
        command = option(command)
    return command


class _Place:
    """The options of one call, put together when they are needed."""

    def __init__(  # noqa: PLR0917 -- click hands over by name
        self,
        home: Path,
        module: Path | None,
        softhsm: Path | None,
        ca_file: Path | None,
        client_certificate: Path | None,
        ra: str | None,
    ) -> None:
        self.desk = Desk(home)
        self.tokens = HolderTokens(notes=home / "tokens", module=module, store=softhsm)
        self._ca_file = ca_file
        self._client_certificate = client_certificate
        self._ra = ra

    def http(self, address: str) -> httpx.Client:
        """A client for the registration at this address; it must prove itself by TLS."""
        context = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
        if self._client_certificate:
            context.load_cert_chain(str(self._client_certificate))
        return httpx.Client(base_url=address.rstrip("/") + "/", verify=context, timeout=TIMEOUT_S)

    def registration(self) -> Registration:
        """Signed in by the pass, or by the client certificate."""
        if self._client_certificate and self._ra:
            return Registration(self.http(self._ra))
        given = self.desk.the_pass()
        if given is None or not given.is_valid(datetime.now(UTC)):
            raise DeskError(
                "COUNTER_PASS",
                _("The program at the counter is not signed in, or its pass has ended."),
                _("Make a code on the page “Tokens” and run: onecert counter sign-in"),
            )
        return Registration(self.http(given.ra), given.given)

    def counter(self) -> Counter:
        """Tokens, notes and registration together."""
        return Counter(self.tokens, self.desk, self.registration())


def _place(options: dict[str, Any]) -> _Place:
    names = ("home", "module", "softhsm", "ca_file", "client_certificate", "ra")
    return _Place(**{name: options.pop(name) for name in names})


@click.group(help=_("At the counter: keys and certificates on holders' tokens."))
def counter() -> None:
    """The group that the `onecert` command finds by its entry point."""


@counter.command("sign-in", help=_("Sign in with a code from the page “Tokens”."))
@_places
def sign_in(**options: Any) -> None:
    address = options["ra"] or ""
    place = _place(options)
    if not address.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise click.UsageError(gettext(_("--ra needs the address of the registration, with https.")))
    code = click.prompt(gettext(_("Code")), err=True)
    told = Registration(place.http(address)).exchange(code)
    place.desk.keep_pass(Pass(ra=address, given=told["pass"], until=told["until"], operator=told["operator"]))
    _say(_("signed in as %(name)s until %(until)s"), name=told["operator_name"], until=told["until"])


@counter.command("sign-out", help=_("End the pass of this PC."))
@_places
def sign_out(**options: Any) -> None:
    place = _place(options)
    if place.desk.the_pass() is not None:
        place.registration().sign_out()
    place.desk.forget_pass()
    _say(_("signed out"))


@counter.command("tokens", help=_("List the tokens that are plugged in: serial number, label, model."))
@click.option("--json", "as_json", is_flag=True, help=_("One JSON list."))
@_places
def tokens(as_json: bool, **options: Any) -> None:
    found = _place(options).tokens.all()
    if as_json:
        rows = [{"token_number": each.serial, "label": each.label, "model": each.model} for each in found]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for each in found:
        click.echo(f"{each.serial}\t{each.label}\t{each.model}")
    if not found:
        _say(_("no initialised token is plugged in; an empty one is made ready by: onecert counter make"))


@counter.command(
    "make",
    help=_(
        "Make a token ready for an application, a key on it, and send the key's request. "
        "Run it again after a break: it goes on where it stopped, and makes no second key."
    ),
)
@click.argument("number")
@click.option("--token", "serial", help=_("Serial number of the token; without it an empty one is taken."))
@click.option(
    "--algorithm",
    type=click.Choice([str(each) for each in ALGORITHMS]),
    default=str(KeyAlgorithm.P_256),
    show_default=True,
    help=_("Kind of key."),
)
@click.option("--again", is_flag=True, help=_("Make another key though there is one."))
@click.option("--so-pin-file", type=_FILE, help=_("SO PIN of a token that was made ready elsewhere."))
@click.option("--out", type=_FILE, help=_("Write the request to this file and do not send it."))
@click.option("--apply", is_flag=True, help=_("Erase the token, or the key, for good."))
@_places
def make(  # noqa: PLR0917 -- click hands over by name
    number: str,
    serial: str | None,
    algorithm: str,
    again: bool,
    so_pin_file: Path | None,
    out: Path | None,
    apply: bool,
    **options: Any,
) -> None:
    work = _place(options).counter()
    doomed = work.needs_erasing(number, serial)
    if not apply and (doomed is not None or again):
        if doomed is not None:
            click.echo(
                gettext(_("would erase token %(token)s (“%(label)s”) and every key on it"), **_named(doomed))
            )
        else:
            click.echo(gettext(_("would destroy the key of %(number)s and make another"), number=number))
        _say(_("hint: nothing has changed yet; add --apply to do it"))
        return
    made = work.make(
        number,
        algorithm=KeyAlgorithm(algorithm),
        serial=serial,
        again=again,
        erase=apply,
        so_pin=so_pin_file.read_text(encoding="utf-8").strip() if so_pin_file else None,
        send=out is None,
    )
    if out is not None:
        out.write_text(made.csr_pem, encoding="ascii")
    click.echo(made.token.serial)
    if not made.is_new_key:
        _say(_("the key was there already"))
    if out is None:
        _say(_("the request is part of application %(number)s now"), number=made.application.number)


@counter.command(
    "write", help=_("Write the issued certificate and its chain to the token, and try the token out.")
)
@click.argument("number")
@_places
def write(number: str, **options: Any) -> None:
    token = _place(options).counter().write(number)
    click.echo(token.serial)
    _say(
        _("written and tried out; print the PIN letter now: onecert counter pin-letter %(number)s"),
        number=number,
    )


@counter.command("check", help=_("Let the token sign a nonce and verify it with the certificate on it."))
@click.argument("number")
@_places
def check(number: str, **options: Any) -> None:
    certificate = _place(options).counter().check(number)
    click.echo(f"{certificate.serial_number:x}")
    _say(_("the token signs as its certificate says"))


@counter.command("unlock", help=_("Give the token of an approved unlocking a new PIN."))
@click.argument("number")
@click.option("--token", "serial", help=_("Serial number of the token, where the record has none."))
@_places
def unlock(number: str, serial: str | None, **options: Any) -> None:
    token = _place(options).counter().unlock(number, serial=serial)
    click.echo(token.serial)
    _say(_("unlocked; print the PIN letter now: onecert counter pin-letter %(number)s"), number=number)


@counter.command(
    "pin-letter",
    help=_("Write the PIN letter as a PDF and forget the PIN here. The PIN never leaves this PC."),
)
@click.argument("number")
@click.option("--out", type=_FILE, required=True, help=_("The PDF; print it, seal it, delete it."))
@click.option(
    "--font",
    type=_FILE,
    help=_("A font with Chinese characters, where Debian's fonts-noto-cjk is not installed."),
)
@click.option("--keep", is_flag=True, help=_("Do not forget the PIN yet, to print once more."))
@_places
def pin_letter(number: str, out: Path, font: Path | None, keep: bool, **options: Any) -> None:
    from onecert.ra.papers.papers import Papers, Point  # noqa: PLC0415 -- only the letter needs a font

    place = _place(options)
    registration = place.registration()
    is_case = "-C" in number.upper()
    found = registration.unlocking(number) if is_case else registration.application(number)
    token = (found.token_number or "-").upper()
    serial = next((each.serial for each in place.tokens.all() if each.serial.upper() == token), token)
    pin = place.desk.pin(serial)
    if pin is None:
        raise DeskError(
            "PIN_GIVEN_OUT",
            _("The PIN of token %(token)s is no longer known here: its letter was printed."),
            _("The holder types it, or the token is unlocked by its own application."),
            token=token,
        )
    letter = Papers(font).pin_letter(
        number=found.number,
        holder=found.name,
        token_number=token,
        pin=pin,
        point=Point(name=found.point_name),
        at=datetime.now(UTC),
    )
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(letter)
    if not keep:
        place.desk.forget_pin(serial)
    click.echo(out)
    _say(_("print it, seal it and delete the file"))


@counter.command("spoiled", help=_("Record a token that cannot be used."))
@click.argument("token")
@click.option("--note", required=True, help=_("What is wrong with it."))
@_places
def spoiled(token: str, note: str, **options: Any) -> None:
    _place(options).registration().spoiled(token, note=note)
    _say(_("recorded"))


def _named(token: Any) -> dict[str, str]:
    return {"token": token.serial, "label": token.label}


def _say(text: str, **facts: object) -> None:
    click.echo(gettext(text, **facts), err=True)

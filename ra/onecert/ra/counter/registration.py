"""The registration as the counter's program sees it: `/ra/v1/counter/` over HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import httpx

from onecert.server.errors import ServiceError
from onecert.server.languages import _, current_language

__all__ = ["AtCounter", "Registration", "RegistrationError", "Unlocking"]

MAX_ANSWER = 256 * 1024
AS_TOLD, ADVICE = "%(detail)s", "%(advice)s"  # in the registration's own words
T = TypeVar("T", "AtCounter", "Unlocking")


class RegistrationError(ServiceError):
    """The registration said no, or could not be asked; its own words are shown."""


@dataclass(frozen=True)
class AtCounter:
    """An application."""

    number: str
    state: str
    name: str
    authority: str
    point_name: str
    key_sha256: str | None
    token_number: str | None


@dataclass(frozen=True)
class Unlocking:
    """A case of unlocking."""

    number: str
    state: str
    name: str
    point_name: str
    token_number: str | None


class Registration:
    """`http` has the base address of the RA, such as `https://ra.example/ra/`, and the way to trust it."""

    def __init__(self, http: httpx.Client, given_pass: str | None = None) -> None:
        self._http = http
        self._headers = {} if given_pass is None else {"Authorization": f"Bearer {given_pass}"}

    def exchange(self, code: str) -> dict[str, str]:
        """The pass for a code: `pass`, `until`, `operator`, `operator_name`."""
        return {name: str(value) for name, value in self._ask("POST", "pass", {"code": code}).items()}

    def sign_out(self) -> None:
        """End the pass."""
        self._ask("POST", "sign-out", {})

    def application(self, number: str) -> AtCounter:
        """One application by its number."""
        return _read(AtCounter, self._ask("GET", f"applications/{_part(number)}"))

    def bring(self, number: str, *, csr_pem: str, token_number: str) -> AtCounter:
        """Put the request of a key on a token into the draft; the same again changes nothing."""
        body = {"csr_pem": csr_pem, "token_number": token_number}
        return _read(AtCounter, self._ask("POST", f"applications/{_part(number)}/request", body))

    def certificate(self, number: str) -> tuple[str, str]:
        """The issued certificate and its chain, PEM."""
        found = self._ask("GET", f"applications/{_part(number)}/certificate")
        return str(found["certificate_pem"]), str(found["chain_pem"])

    def written(self, number: str, *, token_number: str) -> None:
        """The certificate is on the token."""
        self._ask("POST", f"applications/{_part(number)}/written", {"token_number": token_number})

    def spoiled(self, token_number: str, *, note: str) -> None:
        """The token is put aside."""
        self._ask("POST", f"tokens/{_part(token_number)}/spoiled", {"note": note})

    def unlocking(self, number: str) -> Unlocking:
        """A case of unlocking by its number."""
        return _read(Unlocking, self._ask("GET", f"unlocks/{_part(number)}"))

    def unlocked(self, number: str, *, token_number: str) -> None:
        """The token has a new PIN: the case is done."""
        self._ask("POST", f"unlocks/{_part(number)}/done", {"token_number": token_number})

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._http.request(
                method,
                f"v1/counter/{path}",
                json=body,
                headers={
                    **self._headers,
                    "Accept": "application/json",
                    "Accept-Language": current_language(),
                },
            )
        except httpx.HTTPError as exc:
            raise RegistrationError(
                "REGISTRATION_UNREACHABLE",
                status=503,
                text=_("The registration could not be asked (%(reason)s)."),
                hint=_("Nothing is lost: run the same command again, it goes on where it stopped."),
                reason=f"{type(exc).__name__}: {exc}"[:200],
            ) from exc
        try:
            told = answer.json() if len(answer.content) <= MAX_ANSWER else None
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise RegistrationError(
                "REGISTRATION_ANSWER",
                status=503,
                text=_("The registration's answer cannot be read (HTTP %(number)s)."),
                hint=_("Check the address of the registration."),
                number=answer.status_code,
            )
        if answer.is_error:
            raise RegistrationError(
                str(told.get("code", "REGISTRATION_REFUSED"))[:64],
                status=answer.status_code,
                text=AS_TOLD,
                hint=ADVICE if told.get("hint") else "",
                detail=str(told.get("detail", ""))[:500],
                advice=str(told.get("hint", ""))[:500],
            )
        return told


def _read(kind: type[T], told: Mapping[str, Any]) -> T:
    return kind(**{field.name: told[field.name] for field in fields(kind)})


def _part(text: str) -> str:
    """A number in an address: nothing that would lead elsewhere."""
    return "".join(char for char in text.strip() if char.isalnum() or char == "-")[:64] or "-"

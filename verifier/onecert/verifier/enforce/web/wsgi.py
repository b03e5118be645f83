"""WSGI middleware: addresses of an application, each with the action that it does.

    application = PrivilegeMiddleware(application, guard, [
        Address(path=r"/forms/(?P<id>[0-9]+)/approve", methods=("POST",), action="approve", type="Form"),
        Address(path=r"/", methods=("GET",)),                               # open to everybody
    ])
    application = CertificateMiddleware(application, verifier)              # outside: who is it?

An address that is not named is closed. ``environ["onecert.granted"]`` is what let a request through.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onecert.verifier.attribute_certificate.extensions import TargetIdentity
from onecert.verifier.decision.deciding import Act
from onecert.verifier.decision.question import Resource
from onecert.verifier.enforce.web.answers import denied_answer
from onecert.verifier.enforce.web.guard import CREDENTIALS_HEADER, Granted, Guard
from onecert.verifier.errors import RefusedError, VerifyError
from onecert.verifier.web.wsgi import CERTIFICATE, refuse

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["GRANTED", "Address", "Addresses", "PrivilegeMiddleware"]

GRANTED = "onecert.granted"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Address:
    """What a request to an address does.

    Args:
        path: a regular expression for the whole decoded path; its group ``id`` is the id of the resource, and
            without one the path itself is.
        methods: of HTTP.
        action: what the request does; empty: it is open to everybody.
        type: the type of the resource.
        handles: obligations that the application fulfils itself.
    """

    path: str
    methods: tuple[str, ...]
    action: str = ""
    type: str = "Address"
    handles: tuple[str, ...] = ()
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for what is no regular expression."""
        try:
            object.__setattr__(self, "pattern", re.compile(self.path, re.DOTALL))
        except re.error as exc:
            raise ValueError(f"not a regular expression: {self.path}") from exc


class Addresses:
    """What WSGI and ASGI share: from a request to a permission, or to an error."""

    def __init__(self, guard: Guard, addresses: Iterable[Address], target: TargetIdentity | None) -> None:
        self._guard, self._addresses, self._target = guard, tuple(addresses), target

    def check(self, method: str, path: str, certificate: Any, presented: Iterable[str]) -> Granted | None:
        """The permission for a request; ``None`` for an address that is open.

        Raises:
            VerifyError: it is not permitted; ``PRIVILEGE_ROUTE``: nothing is said of this address.
        """
        for address in self._addresses:
            match = address.pattern.fullmatch(path)
            if match is None or method not in address.methods:
                continue
            if not address.action:
                return None
            resource = Resource(type=address.type, id=match.groupdict().get("id") or path)
            act = Act(action=address.action, resource=resource, target=self._target)
            return self._guard.check(certificate, act, presented=presented, handles=address.handles)
        raise RefusedError("PRIVILEGE_ROUTE", method=method[:32], path=path[:200])


class PrivilegeMiddleware:
    """Lets requests through whose action is permitted; see ``Address``."""

    def __init__(
        self,
        application: WSGIApplication,
        guard: Guard,
        addresses: Iterable[Address],
        *,
        target: TargetIdentity | None = None,
    ) -> None:
        self._application, self._addresses = application, Addresses(guard, addresses, target)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        inner = {name: value for name, value in environ.items() if name != GRANTED}
        path = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
        value = str(environ.get(f"HTTP_{CREDENTIALS_HEADER.upper().replace('-', '_')}", ""))
        try:
            granted = self._addresses.check(
                str(environ["REQUEST_METHOD"]),
                path.encode("latin-1", "replace").decode("utf-8", "replace"),
                environ.get(CERTIFICATE),
                [value],
            )
        except VerifyError as error:
            log.info("request refused", extra={"code": error.code})
            return refuse(environ, start_response, error, answer_with=denied_answer)
        inner[GRANTED] = granted
        return self._application(inner, start_response)

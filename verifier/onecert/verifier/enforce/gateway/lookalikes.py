"""Headers that look as if a gateway had said something, and that anybody can write.

Gateways in the field send ``privilege`` and ``servicelist`` in plain text; an application that once read them
may still do so. Whoever reads signed headers refuses a request that has one of these, in any spelling: a
hyphen, an underscore and letters of either case become the same variable further down the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from onecert.verifier.enforce.gateway.header import HEADER
from onecert.verifier.errors import MalformedError, RefusedError

__all__ = ["LOOKALIKES", "from_wsgi", "only_header"]

LOOKALIKES = frozenset(
    {
        *("privilege", "privileges", "privilegelist", "privilege-list", "x-privilege", "x-privileges"),
        *("servicelist", "service-list", "x-servicelist", "x-service-list"),
        *("role", "roles", "rolelist", "role-list", "x-role", "x-roles", "x-user-role", "x-user-roles"),
        *("x-onecert-privileges", "onecert-privilege", "onecert-roles", "onecert-role"),
    }
)


def from_wsgi(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The headers of a WSGI environment (PEP 3333), or of Django's ``request.META``."""
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name[5:].replace("_", "-"), str(value)


def only_header(headers: Iterable[tuple[str, str]]) -> str:
    """The value of the one signed header of a request.

    Args:
        headers: all headers of the request. In a WSGI environment names have lost their spelling: give them
            with hyphens (``from_wsgi``).

    Raises:
        RefusedError: ``GATEWAY_MISSING``: there is none; ``GATEWAY_LOOKALIKE``: one that is not ours.
        MalformedError: ``GATEWAY_HEADER``: it came twice, or with an underscore.
    """
    found = []
    for name, value in headers:
        plain = name.lower().replace("_", "-")
        if plain in LOOKALIKES:
            raise RefusedError("GATEWAY_LOOKALIKE", header=name)
        if plain == HEADER.lower():
            found.append((name, value))
    if not found:
        raise RefusedError("GATEWAY_MISSING")
    # Servers for WSGI join those that came twice with a comma, which no signed header has.
    if len(found) > 1 or "," in found[0][1]:
        raise MalformedError("GATEWAY_HEADER", detail="it came more than once")
    if "_" in found[0][0]:
        raise MalformedError("GATEWAY_HEADER", detail="its name is written with an underscore")
    return found[0][1]

"""Accounts and browsers for tests of the console."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from onecert.server.web.testing import FrameClient

__all__ = ["PIN", "client_of", "open_accounts"]

PIN = "624 081"
PEOPLE = {
    "li": ("E12345671", ["ca.security"]),
    "wang": ("E12345672", ["ca.security"]),
    "zhao": ("E12345674", ["ca.operator"]),
    "qian": ("E12345675", ["ca.profiles"]),
}


def open_accounts(world: Any) -> None:
    """Open an account for each of `PEOPLE`."""
    until = world.clock.now() + timedelta(days=365)
    with world.context.database.transaction() as connection:
        for name, (person, roles) in PEOPLE.items():
            world.context.operators.add(connection, name, name.title(), roles, person, until)


def client_of(world: Any, operator: str) -> FrameClient:
    """A browser in which this operator is signed in."""
    made = FrameClient(world.service.app, world.context)
    made.sign_in(operator)
    return made

"""Profile officers with keys in software, and profile files, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.resources import files
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from onecert.ca.errors import OfficerTokenError
from onecert.ca.profiles.desk import PROFILE_OFFICER

__all__ = ["PIN", "UNIT", "Officers", "profile_text"]

PIN = "135246"
UNIT = """
[[identity]]
oid = "1.2.156.10260.4.1.4"
value = "uscc"
syntax = "set-explicit"
"""


AGENT = """
[[identity]]
oid = "1.2.156.10260.4.1.1"
value = "agent_idcard"
syntax = "choice-implicit"
"""


def profile_text(name: str = "organisation", *, version: int = 2, identity: str = UNIT + AGENT) -> str:
    """A packaged profile as the file of a next version."""
    packaged = (files("onecert.ca") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
    return packaged.replace("version = 1", f"version = {version}") + identity


class Officers:
    """Stands in for the tokens of a world's desk; each officer's PIN is `PIN`."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        world.parts.profile_desk._tokens = self

    def add(self, name: str, person: str, *, roles: tuple[str, ...] = (PROFILE_OFFICER,)) -> str:
        key = self._keys[name] = ec.generate_private_key(ec.SECP256R1())
        until = self.world.clock.now() + timedelta(days=365)
        with self.world.context.database.transaction() as connection:
            self.world.context.operators.add(connection, name, name, list(roles), person, until)
        self.world.parts.security_officers.add(
            name, key.public_key(), token_label=f"ca-officer-{name}", actor="command:test"
        )
        return name

    @contextmanager
    def key(self, officer: str, *, pin: str) -> Iterator[ec.EllipticCurvePrivateKey]:
        if pin != PIN:
            raise OfficerTokenError("PIN_WRONG", "wrong", refused=True)
        yield self._keys[officer]

"""Accounts and browsers for tests of the console."""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from werkzeug.test import Client

from onecert.ca.errors import OfficerTokenError
from onecert.server.models import audit_entries
from onecert.server.web.testing import FrameClient
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.fetch import FetchAnswer, FetchRequest

__all__ = ["PIN", "Away", "Tokens", "answer_over_http", "audited", "client_of", "hidden", "open_accounts"]

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


def answer_over_http(world: Any, monkeypatch: pytest.MonkeyPatch) -> Away:
    """Let the console's verifier ask this world's status service; before the service is built."""
    asked = Away(world)
    monkeypatch.setattr("onecert.ca.console.HttpFetch", lambda **_rules: asked)
    return asked


class Away:
    """Carries requests to the status service of a world, unless it `is_away`."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._lock = threading.Lock()
        self.is_away = False

    def __call__(self, request: FetchRequest) -> FetchAnswer:
        if self.is_away:
            raise CouldNotCheckError("FETCH_FAILED", url=request.url)
        path = "/" + request.url.split("/", 4)[-1]
        with self._lock:
            client = Client(self._world.service.status)
            if request.body is None:
                answer = client.get(path)
            else:
                answer = client.post(path, data=request.body, content_type=request.content_type)
        if answer.status_code != 200:
            raise CouldNotCheckError("FETCH_FAILED", url=request.url)
        return FetchAnswer(data=answer.data, content_type=answer.content_type or "")


class Tokens:
    """Officers with keys in memory; each one's PIN is `PIN`."""

    def __init__(self, world: Any, monkeypatch: pytest.MonkeyPatch, *officers: str) -> None:
        self.keys = {officer: ec.generate_private_key(ec.SECP256R1()) for officer in officers}
        for officer, key in self.keys.items():
            world.parts.security_officers.add(
                officer, key.public_key(), token_label=f"ca-officer-{officer}", actor="command:test"
            )
        monkeypatch.setattr(world.parts.officer_tokens, "key", self._key)

    @contextmanager
    def _key(self, officer: str, *, pin: str) -> Iterator[ec.EllipticCurvePrivateKey]:
        if pin != PIN:
            raise OfficerTokenError("PIN_WRONG", "wrong", refused=True)
        yield self.keys[officer]


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return html.unescape(found[1])


def audited(world: Any, event: str) -> list[dict[str, Any]]:
    """The details of all audit entries of an event, with the actor."""
    table = audit_entries.c
    query = select(table.actor, table.subject, table.details).where(table.event == event).order_by(table.seq)
    with world.context.database.reading() as connection:
        rows = connection.execute(query).all()
    return [{"actor": row.actor, "subject": row.subject, **json.loads(row.details)} for row in rows]

"""Run by test_ca_crash.py in a process of its own: sets a CA up on files, dies in the middle, looks again."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

from ca_fakes import FaultyLedger, SoftToken
from conftest import T, World, make_context
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from onecert.ca import models
from onecert.ca.config import CaConfig
from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate


def run(folder: str, act: str, point: str) -> None:
    home = Path(folder)
    database = Database(f"sqlite:///{home / 'ca.db'}")
    migrate(database, "onecert.server.migrations", "onecert.ca.migrations")
    clock = FixedClock(T)
    world = World(
        context=make_context(home, database, clock),
        config=CaConfig(),
        token=_load(home / "token.keys", "ca"),
        roots=_load(home / "roots.keys", "ca-root"),
        clock=clock,
        ledger_type=FaultyLedger,
    )
    FaultyLedger.crash = lambda: os._exit(77)
    if act == "set-up":
        world.hold("harbour").register("harbour:*")
        _save(home / "token.keys", world.token)
        _save(home / "roots.keys", world.roots)
        (home / "order").write_bytes(world.order())
    elif act == "order":
        when, _colon, name = point.partition(":")
        FaultyLedger.fault = (when, name)
        world.parts.issuance.issue((home / "order").read_bytes())
    else:
        assert world.service is not None
        issued = world.parts.issuance.issue((home / "order").read_bytes())
        with database.reading() as connection:
            rows = connection.execute(
                select(models.certificates).where(models.certificates.c.order_id == issued.record.order_id)
            ).all()
        assert len(rows) == 1
        assert issued.record.state == "issued"
        assert issued.is_new == (point == "before:record_intent")
        assert world.parts.ledger.unfinished() == []
    database.close()


def _save(path: Path, token: SoftToken) -> None:
    """Test keys only: a real token never gives its keys away."""
    encoded = {
        label: getattr(key, "inner", key).private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for label, key in token.keys.items()
    }
    path.write_bytes(pickle.dumps(encoded))


def _load(path: Path, label: str) -> SoftToken:
    token = SoftToken(label)
    if path.exists():
        for name, encoded in pickle.loads(path.read_bytes()).items():
            key = serialization.load_der_private_key(encoded, None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            token.keys[name] = key
    return token

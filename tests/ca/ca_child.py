"""Run by test_ca_crash.py in a process of its own: sets a CA up on files, dies in the middle, looks again."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from ca_batches import Sender
from ca_fakes import FaultyLedger, SoftToken
from conftest import T, World, make_context
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from onecert.ca import models
from onecert.ca.batches import batches
from onecert.ca.batches.ledger import BatchLedger
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
        config=CaConfig(batch_workers=0),
        token=_load(home / "token.keys", "ca"),
        roots=_load(home / "roots.keys", "ca-root"),
        clock=clock,
        ledger_type=FaultyLedger,
    )
    if (home / "ra.key").exists():
        ra_key = serialization.load_der_private_key((home / "ra.key").read_bytes(), None)
        assert isinstance(ra_key, ec.EllipticCurvePrivateKey)
        world.ra_key = ra_key
    batches.CHUNK_LINES = 3
    FaultyLedger.crash = lambda: os._exit(77)
    if act == "set-up":
        world.hold("harbour").register("harbour:*")
        _save(home / "token.keys", world.token)
        _save(home / "roots.keys", world.roots)
        (home / "ra.key").write_bytes(_encoded(world.ra_key))
        (home / "order").write_bytes(world.order())
    elif act == "order":
        when, _colon, name = point.partition(":")
        FaultyLedger.fault = (when, name)
        world.parts.issuance.issue((home / "order").read_bytes())
    elif act == "batch":
        _batch(world, home, point)
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


def _batch(world: World, home: Path, point: str) -> None:
    """Take a batch of eight in and fill it, dying at a point; or fill what is left and look."""
    when, _colon, name = point.partition(":")
    act = getattr(BatchLedger, name, None)
    if act is not None:
        number = Sender(world).send(*(world.order_payload() for _ in range(8)))
        (home / "batch").write_text(number)
        calls = iter(range(1, 100))

        def dying(*args: Any) -> Any:
            is_second = next(calls) == 2
            if is_second and when == "before":
                os._exit(77)
            result = act(*args)
            if is_second:
                os._exit(77)
            return result

        setattr(BatchLedger, name, dying)
    else:
        assert world.service is not None
    world.parts.batch_work.run()
    lines = Sender(world).results((home / "batch").read_text())
    assert len({line["serial"] for line in lines}) == 8
    assert all(world.parts.ledger.order(line["order"]).state == "issued" for line in lines)
    assert world.parts.ledger.unfinished() == []


def _save(path: Path, token: SoftToken) -> None:
    """Test keys only: a real token never gives its keys away."""
    encoded = {label: _encoded(getattr(key, "inner", key)) for label, key in token.keys.items()}
    path.write_bytes(pickle.dumps(encoded))


def _encoded(key: Any) -> bytes:
    encoded: bytes = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded


def _load(path: Path, label: str) -> SoftToken:
    token = SoftToken(label)
    if path.exists():
        for name, encoded in pickle.loads(path.read_bytes()).items():
            key = serialization.load_der_private_key(encoded, None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            token.keys[name] = key
    return token

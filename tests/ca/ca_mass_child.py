"""Run by test_ca_mass_crash.py in processes of their own: a mass revocation killed, or done by two."""

from __future__ import annotations

import json
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from ca_child import _encoded, _load, _save
from ca_mass_revocations import People
from conftest import T, World, make_context
from cryptography.hazmat.primitives import serialization
from sqlalchemy import func, select

from onecert.ca import models
from onecert.ca.config import CaConfig
from onecert.ca.lists.publishing import CrlPublisher
from onecert.ca.revocation import mass_selection as mass_revocation_selection
from onecert.ca.revocation import mass_work as mass_revocation_work
from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate
from onecert.server.models import audit_entries

CERTIFICATES = 12


def run(folder: str, url: str, act: str, point: str) -> None:
    home = Path(folder)
    database = Database(url)
    migrate(database, "onecert.server.migrations", "onecert.ca.migrations")
    clock = FixedClock(T)
    mass_revocation_work.CHUNKS_AT_FIRST = mass_revocation_work.CHUNKS_MAX = 1
    world = World(
        context=make_context(home, database, clock),
        config=CaConfig(batch_workers=0),
        token=_load(home / "token.keys", "ca"),
        roots=_load(home / "roots.keys", "ca-root"),
        clock=clock,
    )
    mass_revocation_selection.CHUNK = 2
    if act == "set-up":
        world.hold("harbour").register("harbour:*")
        _save(home / "token.keys", world.token)
        _save(home / "roots.keys", world.roots)
        (home / "ra.key").write_bytes(_encoded(world.ra_key))
        serials = sorted(world.issue().record.serial for _ in range(CERTIFICATES))
        people = People(world)
        made = people.propose(selection={"profile": "organisation"})
        people.confirm(made)
        (home / "expected").write_text(json.dumps([made.mass_revocation, serials]))
    else:
        world.ra_key = serialization.load_der_private_key((home / "ra.key").read_bytes(), None)  # type: ignore[assignment]
        if act == "die":
            _die_at(point)
        while world.parts.mass_revocations.latest()[0].state in {"confirmed", "running"}:
            world.parts.mass_revocation_work.run(timedelta(seconds=1))
        if act == "look":
            _look(world, *json.loads((home / "expected").read_text()))
    database.close()


def _die_at(point: str) -> None:
    """Be killed around the third call of one step."""
    when, _colon, name = point.partition(":")
    calls = iter(range(1, 1000))

    def dying(step: Any) -> Any:
        def run_it(*args: Any, **kwargs: Any) -> Any:
            # There is one list only: the last step.
            is_it = next(calls) == (1 if name == "publish" else 3)
            if is_it and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = step(*args, **kwargs)
            if is_it:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return run_it

    if name == "changes":
        mass_revocation_work.revoke_chunk = dying(mass_revocation_work.revoke_chunk)
    elif name == "chunk":
        work = mass_revocation_work.MassRevocationWork
        work._do = dying(work._do)  # type: ignore[method-assign]
    else:
        CrlPublisher.publish = dying(CrlPublisher.publish)  # type: ignore[method-assign]


def _look(world: World, number: str, serials: list[str]) -> None:
    done = world.parts.mass_revocations.show(number)
    assert (done.state, done.done, done.changed) == ("done", CERTIFICATES, CERTIFICATES), done
    assert world.serials_on_list() == set(serials)
    with world.context.database.reading() as connection:
        entries = connection.execute(
            select(audit_entries.c.subject, func.count())
            .where(audit_entries.c.event == "certificate.revoked")
            .group_by(audit_entries.c.subject)
        ).all()
        ends = connection.execute(
            select(func.count()).where(audit_entries.c.event == "mass-revocation.done")
        ).scalar_one()
        listed = connection.execute(select(func.count()).select_from(models.crl_entries)).scalar_one()
    assert {tuple(each) for each in entries} == {(f"harbour/{serial}", 1) for serial in serials}
    assert (ends, listed) == (1, CERTIFICATES)

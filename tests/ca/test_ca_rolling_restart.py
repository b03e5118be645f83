"""A newer program migrates the database of a CA that goes on issuing, and may be started again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import onecert.ca.migrations
from onecert.ca.member import member
from onecert.server.database import migrate
from onecert.server.errors import DatabaseNewerError
from onecert.server.migrations.run import current_revisions, head_revision

SERVER = "onecert.server.migrations"
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = "{before}"
{says}

def upgrade():
    op.add_column("ca_certificates", sa.Column("remark", sa.String(64), nullable=True))
    op.add_column("ca_orders", sa.Column("channel", sa.String(8), nullable=False, server_default="rest"))
    op.create_table("ca_remarks", sa.Column("id", sa.Integer(), primary_key=True))
"""


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The migrations of the next release: those of this one, and one more that says so much."""

    def make(says: str) -> str:
        package = tmp_path / "next_release" / "ca" / "migrations"
        shutil.copytree(str(onecert.ca.migrations.__path__[0]), package)
        before = head_revision(member.migrations)
        (package / "versions" / "9001_next.py").write_text(NEXT.format(before=before, says=says))
        monkeypatch.syspath_prepend(tmp_path)
        return "next_release.ca.migrations"

    return make


def test_issues_before_during_and_after_the_migration_of_the_next_release(
    world: Any, newer: Callable[[str], str]
) -> None:
    """Old program issues; the new one migrates and writes; the old one issues, revokes and starts again."""
    database, first = world.context.database, world.issue()
    new = newer(f'compatible_with = "{head_revision(member.migrations)}"')
    migrate(database, SERVER, new)
    second = world.issue()
    with database.transaction() as connection:
        connection.execute(text("UPDATE ca_certificates SET remark = 'new' WHERE state = 'issued'"))
        connection.execute(text("INSERT INTO ca_remarks (id) VALUES (1)"))
    migrate(database, SERVER, member.migrations)
    world.restart()
    third = world.issue()
    assert world.service is not None
    assert len({each.record.serial for each in (first, second, third)}) == 3
    assert current_revisions(database, [new]) == {new: "9001"}


def test_older_program_does_not_start_where_it_may_not(world: Any, newer: Callable[[str], str]) -> None:
    """The next release says nothing: it needs its own program."""
    migrate(world.context.database, SERVER, newer(""))
    with pytest.raises(DatabaseNewerError):
        migrate(world.context.database, SERVER, member.migrations)

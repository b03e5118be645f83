"""One registration authority per test, on a database of its own, with keys in software and a fake CA."""

import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

sys.path.insert(0, str(Path(__file__).parent))

from ra_browser import Browser
from ra_fakes import DAY, IDCARD, USCC, FakeCa, SoftKeys, T, idcard, make_csr

from onecert.ra.app import create_app
from onecert.ra.applications.entries import Entry
from onecert.ra.applications.records import Application, list_events, load_application
from onecert.ra.config import RaConfig
from onecert.ra.content.fields import Kind
from onecert.ra.operators.roles import ROLES
from onecert.ra.service import make_ra
from onecert.server.audit import AuditTrail
from onecert.server.clock import FixedClock
from onecert.server.database import Database
from onecert.server.members import Context
from onecert.server.operators import Operator, Operators
from onecert.server.operators.models import operators


class Ra:
    """Everything of one registration authority below the web layer."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.clock = FixedClock(T)
        self.database = database
        self.audit = AuditTrail("ra", self.clock)
        self.operators = Operators(folder, audit=self.audit, clock=self.clock, roles=ROLES)
        self.keys = SoftKeys()
        self.ca = FakeCa(self.keys.order_public_key)
        self.ca.now = self.clock.now
        self.context = Context(
            name="ra",
            data=folder,
            shared=folder,
            database=self.database,
            audit=self.audit,
            clock=self.clock,
            operators=self.operators,
            public_url="https://127.0.0.1:8443/ra",
            status_url="http://127.0.0.1:8080/ra",
            connect=lambda _service: self.ca.client(),
        )
        self.service = make_ra(RaConfig(fields_required=()), self.context, self.keys)
        self.vault = self.service.vault
        self.directory = self.service.directory
        self.applications = self.service.applications
        self.dispatch = self.service.dispatch
        self.certificates = self.service.certificates
        self.revoking = self.service.revoking
        self.entry_clerk = self.operator("wang", "clerk.entry", person=idcard(101))
        self.reviewer = self.operator("li", "clerk.review", person=idcard(102))
        self.officer = self.operator("zhao", "security.officer", person=idcard(103))

    def operator(self, name: str, *roles: str, person: str) -> Operator:
        with self.database.transaction() as connection:
            return self.operators.add(connection, name, name.capitalize(), roles, person, T + 365 * DAY)

    def extend(self, name: str) -> None:
        """Let an account live longer, for stories that take years."""
        with self.database.transaction() as connection:
            connection.execute(
                update(operators).where(operators.c.id == name).values(valid_until=T + 9999 * DAY)
            )

    def entry(self, kind: str = "organisation", authority: str = "pearl", **changes: str) -> Entry:
        """A complete entry; `changes` are fields, `csr` replaces the request, an empty text drops a field."""
        common = {
            "state_or_province": "广东省",
            "locality": "深圳市",
            "mobile": "13800000000",
            "consent": "paper",
            "consent_version": "2026-11",
        }
        fields = {
            "organisation": {
                "organization_name": "深圳市示例科技有限公司",
                "uscc": USCC,
                "agent_name": "张三",
                "agent_idcard": IDCARD,
            },
            "citizen": {"name": "李四", "idcard": IDCARD},
            "employee": {
                "name": "王五",
                "idcard": IDCARD,
                "organization_name": "深圳市示例科技有限公司",
                "uscc": USCC,
            },
            "device": {
                "device_name": "一号网关",
                "organization_name": "深圳市示例科技有限公司",
                "uscc": USCC,
                "agent_name": "张三",
                "agent_idcard": IDCARD,
            },
        }[kind]
        csr = changes.pop("csr") if "csr" in changes else make_csr()
        return Entry(kind=Kind(kind), authority=authority, fields={**common, **fields, **changes}, csr=csr)

    @cached_property
    def app(self) -> Flask:
        """The web application on this registration authority."""
        return create_app("ra", self.context, self.service)

    def browser(self, operator: Operator | None, *, language: str = "en") -> Browser:
        """A browser in which this operator is signed in."""
        return Browser(self.app, self, operator, language=language)

    def create(self, entry: Entry | None = None, *, by: Operator | None = None, key: str = "") -> Application:
        entry = entry or self.entry()
        self._made = getattr(self, "_made", 0) + 1
        return self.applications.create(by or self.entry_clerk, entry, request_key=key or str(self._made))

    def submit(self, entry: Entry | None = None) -> Application:
        return self.applications.submit(self.entry_clerk, self.create(entry).id)

    def approve(self, application: Application) -> Application:
        assert application.content_sha256
        return self.applications.approve(
            self.reviewer, application.id, content_sha256=application.content_sha256
        )

    def issue(self, entry: Entry | None = None) -> Application:
        return self.dispatch.carry_out(self.approve(self.submit(entry)).id)

    def load(self, application_id: str) -> Application:
        with self.database.reading() as connection:
            return load_application(connection, application_id)

    def events(self, application_id: str) -> list[str]:
        with self.database.reading() as connection:
            return [event.event for event in list_events(connection, application_id)]

    def rows(self, table: Any) -> list[Any]:
        with self.database.reading() as connection:
            return list(connection.execute(table.select()).mappings())


@pytest.fixture
def ra(tmp_path: Path, database_url: str, migrate_by_copy: Callable[..., None]) -> Iterator[Ra]:
    """A registration authority on each database engine."""
    migrate_by_copy(database_url, "onecert.server.migrations", "onecert.ra.migrations")
    database = Database(database_url)
    made = Ra(tmp_path, database)
    yield made
    made.database.close()

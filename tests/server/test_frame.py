"""The HTTP frame: who gets in, what errors look like, which headers every answer has."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from flask import Flask, render_template_string

from onecert.server.audit import AuditTrail
from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate
from onecert.server.languages import _
from onecert.server.members import Context
from onecert.server.operators import Operators
from onecert.server.web import NavItem, create_frame, current_operator, public, requires_role, signed_api
from onecert.server.web.testing import FrameClient

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)

@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    database = Database(f"sqlite:///{tmp_path}/db.sqlite")
    migrate(database, "onecert.server.migrations")
    clock = FixedClock(T)
    audit = AuditTrail("desk", clock)
    roles = {"clerk": "Clerk", "auditor": "Auditor"}
    yield Context(name="desk", data=tmp_path, shared=tmp_path, database=database, audit=audit, clock=clock,
        operators=Operators(tmp_path, audit=audit, clock=clock, roles=roles), public_url="https://localhost/desk", status_url="", operator_anchors=tmp_path/"a", connect=lambda s: httpx.Client())
    database.close()

def test_smoke(context):
    app = create_frame("desk", context, navigation=[NavItem("Things", "things")])
    @app.get("/things")
    @requires_role("clerk")
    def things():
        return render_template_string("{% extends 'frame.html' %}{% block content %}hello {{ moment|datetime }}{% endblock %}", moment=T)
    @app.post("/things")
    def make():
        return "made"
    with context.database.transaction() as c:
        context.operators.add(c, "wang", "王芳", ["clerk"], "440300190001010015", T + timedelta(days=30))
    client = FrameClient(app, context)
    r = client.get("/things"); print(r.status, r.headers)
    r = client.get("/sign-in?next=/things"); print(r.text)
    client.sign_in("wang")
    r = client.get("/things"); print(r.text)
    r = client.get("/"); print(r.status)
    print(client.post("/things").status, client.submit("/things").status)
    print(client.get("/nothing?language=en").text)
    print(client.get("/v1/nothing?language=en").text)

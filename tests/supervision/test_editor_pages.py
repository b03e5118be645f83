"""The editor's pages: what people click, from a draft to a published list, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onecert.server.web.testing import FrameClient
from onecert.supervision.app import create_app
from onecert.supervision.member import member

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def client(world: Any) -> FrameClient:
    """An editor is signed in, nothing is published."""
    world.officers()
    world.operator("zhao", 7, "list.editor")
    client = FrameClient(create_app(member, world.context, world.supervision), world.context)
    client.sign_in("zhao")
    return client


def published(world: Any, client: FrameClient) -> FrameClient:
    world.editor.import_draft(world.draft(), actor="test")
    world.publish()
    return client


def page(client: FrameClient, path: str, language: str = "en", status: int = 200) -> str:
    response = client.get(path, query_string={"language": language}, follow_redirects=True)
    assert response.status_code == status, response.get_data(as_text=True)[:3000]
    text = response.get_data(as_text=True)
    assert 'style="' not in text
    assert "<script" not in text
    return text


def stamp(world: Any) -> str:
    return str(world.editor.preview().record.stamp)


def send(client: FrameClient, path: str, status: int = 303, **data: Any) -> str:
    response = client.submit(path, data, content_type="multipart/form-data")
    assert response.status_code == status, response.get_data(as_text=True)[:6000]
    return str(response.get_data(as_text=True))


def test_every_page_in_both_languages(world: Any, client: FrameClient) -> None:
    page(client, "/draft")
    page(client, "/known")
    published(world, client)
    world.editor.begin_draft(actor="test")
    service = "/draft/services/pearl"
    parts = ("basics", "certificates", "status", "profile", "samples", "try")
    draft = ("import", "head", "add", "differences", "effect")
    paths = ["/", "/lists", "/lists/1", "/differences", "/known", "/emergency", "/draft", service]
    paths += [f"/draft/{each}" for each in draft] + [f"{service}/{each}" for each in parts]
    for path in paths:
        for language in ("zh", "en"):
            page(client, path, language)
    client.sign_in("wang")
    for path in ("/draft/sign", "/draft/publish", "/emergency"):
        for language in ("zh", "en"):
            page(client, path, language)

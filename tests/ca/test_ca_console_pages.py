"""The console's pages: each in both languages, who may see what, and what is masked."""

from __future__ import annotations

from typing import Any

import pytest
from ca_console import client_of, open_accounts

from onecert.server.web.testing import FrameClient, foreign_scripts

PAGES = (
    "/",
    "/certificates",
    "/certificates?q=深圳",
    "/mass-revocations",
    "/mass-revocations/new",
    "/drills",
    "/authorities",
    "/authorities/harbour",
    "/authorities/harbour-root",
    "/batches",
    "/checks",
)


@pytest.fixture
def client(lite: Any) -> FrameClient:
    open_accounts(lite)
    return client_of(lite, "li")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_in_both_languages(path: str, client: FrameClient, lite: Any) -> None:
    lite.issue()
    pages = {}
    for language in ("zh", "en"):
        answer = client.get(path, headers={"Accept-Language": language})
        assert answer.status_code == 200
        pages[language] = answer.text
        assert "<h1" in answer.text
        assert "style=" not in answer.text
        assert not foreign_scripts(answer.text)
    assert pages["zh"] != pages["en"]

"""Pages of profiles: who may see them, faults in both languages, the sample, a draft from the editor."""

from __future__ import annotations

from typing import Any

import pytest
from ca_profiles import Officers, profile_text

from onecert.server.web.testing import FrameClient


@pytest.fixture
def client(lite: Any) -> FrameClient:
    officers = Officers(lite)
    officers.add("qian", "E12345671")
    officers.add("li", "E12345673", roles=("ca.security",))
    made = FrameClient(lite.service.app, lite.context)
    made.sign_in("qian")
    return made


def test_versions_are_listed(client: FrameClient) -> None:
    for language, word in (("en", "Installed versions"), ("zh", "已启用的版本")):
        page = client.get("/profiles", query_string={"language": language})
        assert (page.status_code, word in page.text, "organisation" in page.text) == (200, True, True)


def test_only_profile_officers_edit(client: FrameClient, lite: Any) -> None:
    client.sign_in("li")
    assert client.get("/profiles").status_code == 200
    assert client.get("/profiles/edit").status_code == 403
    stranger = FrameClient(lite.service.app, lite.context)
    assert stranger.get("/profiles").status_code in {302, 303, 401, 403}


def test_faults_are_shown_beside_what_was_typed(client: FrameClient, lite: Any) -> None:
    text = profile_text().replace('"clientAuth"', '"serverAuth"') + "\n# <script>"
    for language, word in (("en", "RFC 9525"), ("zh", "要求“alternative_names”")):
        page = client.submit(f"/profiles/edit?language={language}", {"authority": "harbour", "text": text})
        assert (page.status_code, word in page.text) == (422, True)
        assert "# &lt;script&gt;" in page.text
    assert lite.parts.profile_desk.drafts() == []


def test_sample_difference_and_draft(client: FrameClient, lite: Any) -> None:
    text = profile_text().replace("validity_days = 1095", "validity_days = 730")
    form = {"authority": "harbour", "text": text}
    page = client.submit("/profiles/edit?language=en", form | {"act": "check"})
    assert page.status_code == 200
    for word in ("validity_days", "1095", "730", "2028-11-20T08:59:59Z", "critical", "BEGIN CERTIFICATE"):
        assert word in page.text
    assert lite.parts.profile_desk.drafts() == []
    answer = client.submit("/profiles/edit?language=en", form | {"act": "draft"})
    (draft,) = lite.parts.profile_desk.drafts()
    assert (answer.status_code, draft.created_by) == (303, "operator:qian")
    assert draft.id in client.get("/profiles").text


@pytest.mark.parametrize("authority", ["nobody", "", "harbour-root"])
def test_an_authority_that_has_no_profiles(authority: str, client: FrameClient) -> None:
    page = client.submit("/profiles/edit", {"authority": authority, "text": profile_text()})
    assert page.status_code == 422

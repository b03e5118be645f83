"""Every address of the editor that takes a form, and who may send one: one table over the URL map.

A new address without a row here fails the first test.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from onecert.server.web.testing import FrameClient
from onecert.supervision.app import create_app
from onecert.supervision.member import member

EDITOR, OFFICER, BOTH = {"zhao"}, {"wang"}, {"zhao", "wang"}
SERVICE, POINTER = "/draft/services/pearl", "/draft/pointers/gd"
# Address -> who may send its form. Everybody else is refused: nobody signed in, another role, no token.
FORMS = {
    "/draft/begin": EDITOR,
    "/draft/import": EDITOR,
    "/draft/discard": EDITOR,
    "/draft/take-up": EDITOR,
    "/draft/head": EDITOR,
    "/draft/add": EDITOR,
    f"{SERVICE}/basics": EDITOR,
    f"{SERVICE}/certificates": EDITOR,
    f"{SERVICE}/remove": EDITOR,
    f"{SERVICE}/status": EDITOR,
    f"{SERVICE}/terms": EDITOR,
    f"{SERVICE}/profile": EDITOR,
    f"{SERVICE}/samples": EDITOR,
    f"{SERVICE}/try": {"zhao", "wang", "audit"},  # looks and changes nothing
    "/draft/pointers/add": EDITOR,
    f"{POINTER}/edit": EDITOR,
    f"{POINTER}/status": EDITOR,
    f"{POINTER}/remove": EDITOR,
    "/draft/prepare": BOTH,
    "/draft/sign": OFFICER,
    "/draft/publish": OFFICER,
    "/known/add": EDITOR,
    "/known/remove": EDITOR,
    "/emergency": BOTH,
}
# Of the frame, which has tests of its own, and of programs, whose documents are signed.
ELSEWHERE = ("/sign-in", "/sign-out", "/sessions/", "/language", "/v1/", "/static")
PEOPLE = ("zhao", "wang", "audit")


@pytest.fixture
def client(world: Any) -> FrameClient:
    """Something is published, nothing is open; an editor, an officer and an auditor have accounts."""
    world.officers()
    world.operator("zhao", 7, "list.editor")
    world.operator("audit", 9, "auditor")
    world.editor.import_draft(world.draft(), actor="test")
    world.publish()
    world.editor.begin_draft(actor="test")
    return FrameClient(create_app(member, world.context, world.supervision), world.context)


def state(world: Any) -> Any:
    record = world.editor.preview().record
    return (record, len(world.events()))


def test_every_form_has_a_row(client: FrameClient) -> None:
    rules = [rule for rule in client.application.url_map.iter_rules() if "POST" in (rule.methods or ())]
    values = {"authority": "pearl", "pointer": "gd"}
    found = {
        rule.rule.replace("<authority>", values["authority"]).replace("<pointer>", values["pointer"])
        for rule in rules
        if not rule.rule.startswith(ELSEWHERE)
    }
    assert found == set(FORMS)


@pytest.mark.parametrize("path", FORMS)
def test_who_may_send_a_form(world: Any, client: FrameClient, path: str) -> None:
    """Refused before anything is done: the draft and the audit trail are as they were."""
    before, form = state(world), {"stamp": world.editor.preview().record.stamp, "sure": "yes"}
    answer = client.submit(path, form)
    assert answer.status_code in {302, 303, 401, 403}, "nobody signed in"
    if answer.status_code in {302, 303}:
        assert "sign-in" in answer.location
    for name in PEOPLE:
        client.sign_in(name)
        if name not in FORMS[path]:
            assert client.submit(path, form).status_code == 403, name
        assert client.post(path, data=form).status_code == 403, "no token"
        assert client.post(path, data={**form, "csrf_token": "x" * 43}).status_code == 403, "another's token"
        for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert client.submit(path, form, headers=header).status_code == 403, header
    assert state(world) == before
    # The one who may is not refused for who he is.
    (allowed, *_rest) = sorted(FORMS[path])
    client.sign_in(allowed)
    assert client.submit(path, {}).status_code != 403


def test_the_front_server_lets_a_whole_draft_through(client: FrameClient) -> None:
    """nginx on the operators' port refuses no upload that the service would take."""
    text = (Path(__file__).parents[2] / "deploy" / "nginx" / "onecert.conf").read_text("utf-8")
    operators = text.index("location /supervision/ ")
    megabytes = int(re.findall(r"client_max_body_size (\d+)m;", text[:operators])[-1])
    assert client.application.config["MAX_CONTENT_LENGTH"] <= megabytes * 1024 * 1024

"""The editor's pages: what people click, from a draft to a published list, and what is refused."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text as sql

from onecert.server.web.testing import FrameClient, foreign_scripts
from onecert.supervision.app import create_app
from onecert.supervision.draft import draft_json
from onecert.supervision.member import member

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
FIRM = "91440300MA5DEM004J"


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
    path += ("&" if "?" in path else "?") + f"language={language}"
    response = client.get(path, follow_redirects=True)
    assert response.status_code == status, response.get_data(as_text=True)[:3000]
    text = response.get_data(as_text=True)
    assert 'style="' not in text
    assert not foreign_scripts(text)
    return text


def stamp(world: Any) -> str:
    return str(world.editor.preview().record.stamp)


def send(client: FrameClient, path: str, code: int = 303, /, **data: Any) -> str:
    response = client.submit(path, data, content_type="multipart/form-data")
    assert response.status_code == code, response.get_data(as_text=True)[:6000]
    return str(response.get_data(as_text=True))


def test_every_page_in_both_languages(world: Any, client: FrameClient) -> None:
    page(client, "/draft")
    page(client, "/known")
    published(world, client)
    world.editor.begin_draft(actor="test")
    service = "/draft/services/pearl"
    parts = ("basics", "certificates", "status", "profile", "samples", "try", "terms")
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


def test_from_draft_to_publication_with_two_people(world: Any, client: FrameClient) -> None:
    """The editor changes, one officer signs, the other signs and publishes; nothing goes with one alone."""
    published(world, client)
    send(client, "/draft/begin")
    send(client, "/draft/begin")  # a second click
    assert world.events().count("draft.begun") == 1
    contact = {"name_zh": "珠江CA", "name_en": "Pearl CA", "hotline": "0755-12345678"}
    send(client, "/draft/services/pearl/basics", stamp=stamp(world), **contact)
    assert "0755-12345678" in page(client, "/draft/differences")

    client.sign_in("wang")
    send(client, "/draft/prepare", stamp=stamp(world))
    text = page(client, "/draft/sign")
    sha256 = text.split('name="sha256" value="')[1][:64]
    assert "0755-12345678" in text
    assert " ".join(sha256[start : start + 4] for start in range(0, 64, 4)) in text
    send(client, "/draft/sign", 422, sequence="7", sha256=sha256)
    send(client, "/draft/sign", 409, sequence="2", sha256="0" * 64)
    assert world.keys.used.count("wang") == 2  # made, and used for the first list
    send(client, "/draft/sign", sequence="2", sha256=sha256)
    send(client, "/draft/sign", sequence="2", sha256=sha256)  # a second click
    send(client, "/draft/publish", 409, stamp=stamp(world), sure="yes")
    assert "1 of 2" in page(client, "/draft")

    client.sign_in("li")
    send(client, "/draft/sign", sequence="2", sha256=sha256)
    now = stamp(world)
    assert "would publish list number 2" in page(client, "/draft/publish")
    send(client, "/draft/publish", 422, stamp=now)
    send(client, "/draft/publish", stamp=now, sure="yes")
    send(client, "/draft/publish", stamp=now, sure="yes")  # a second click
    assert "number 2" in page(client, "/")
    assert json.loads(client.get("/lists/2.json").data)["signatures"]
    assert "0755-12345678" in page(client, "/differences?old=1&new=2")
    page(client, "/differences?old=1&new=99", status=404)
    page(client, "/differences?old=１&new=2", status=404)


def test_roles(world: Any, client: FrameClient) -> None:
    """Officers do not edit, editors do not sign, auditors only look; without a form token nothing is done."""
    published(world, client)
    world.editor.begin_draft(actor="test")
    before = stamp(world)
    edits = ("head", "import", "discard", "add", "services/pearl/basics", "services/pearl/status")
    client.sign_in("wang")
    for path in edits:
        assert client.submit(f"/draft/{path}", {"stamp": before, "sure": "yes"}).status_code == 403, path
    assert client.submit("/known/add", {"source": "x"}).status_code == 403
    client.sign_in("zhao")
    for path in ("sign", "publish"):
        assert client.submit(f"/draft/{path}", {"stamp": before, "sure": "yes"}).status_code == 403, path
    world.operator("audit", 9, "auditor")
    client.sign_in("audit")
    for path in (*edits, "sign", "publish", "prepare", "begin"):
        assert client.submit(f"/draft/{path}", {"stamp": before}).status_code == 403, path
    assert client.submit("/emergency", {}).status_code == 403
    page(client, "/draft")
    client.sign_in("zhao")
    assert client.post("/draft/discard", data={"stamp": before, "sure": "yes"}).status_code == 403
    assert stamp(world) == before


def test_expired_session_and_guessed_ids(world: Any, client: FrameClient) -> None:
    published(world, client)
    world.editor.begin_draft(actor="test")
    for path in ("/draft/services/moon", "/draft/services/moon/try", "/lists/99", "/lists/99.json"):
        page(client, path, status=404)
    assert client.get("/draft/services/..%2f..%2fetc/basics").status_code == 404
    send(client, "/draft/discard", 409, stamp="999.1", sure="yes")
    before = stamp(world)
    client.delete_cookie("__Secure-onecert-supervision", path="/supervision")
    answer = client.submit("/draft/discard", {"stamp": before, "sure": "yes"})
    assert answer.status_code in {302, 303, 401, 403}
    assert stamp(world) == before


def test_a_stale_form_keeps_what_was_typed(world: Any, client: FrameClient) -> None:
    """Two editors: the second is told who was faster, sees the typed text again, and sends it once more."""
    published(world, client)
    world.editor.begin_draft(actor="test")
    old = stamp(world)
    names = {"name_zh": "珠江CA", "name_en": "Pearl CA"}
    send(client, "/draft/services/pearl/basics", stamp=old, hotline="1111", **names)
    send(client, "/draft/services/pearl/basics", stamp=old, hotline="1111", **names)  # a second click
    text = send(client, "/draft/services/pearl/basics", 409, stamp=old, hotline="2222", **names)
    assert "2222" in text
    assert "zhao" in text
    assert stamp(world) in text
    assert world.editor.preview().record.draft.service("pearl").contact.hotline == "1111"
    send(client, "/draft/services/pearl/basics", stamp=stamp(world), hotline="2222", **names)
    assert world.editor.preview().record.draft.service("pearl").contact.hotline == "2222"


def test_a_service_is_added_and_removed(world: Any, client: FrameClient) -> None:
    world.editor.import_draft(world.draft(), actor="test")
    fields = {"id": "moon", "name_zh": "月亮CA", "name_en": "Moon CA", "from": "2026-01-01T00:00"}
    profile, certificate = json.dumps(world.profile("pearl")).encode(), world.other_ca()
    for refused in (
        {"id": "pearl"},
        {"name_zh": ""},
        {"from": "２０２６"},
        {"supply_crl": "http://１２７.0.0.1/"},
    ):
        text = send(
            client, "/draft/add", 422, stamp=stamp(world), certificate=certificate, **{**fields, **refused}
        )
        assert "BEGIN CERTIFICATE" in text
    file = (io.BytesIO(certificate.encode()), "moon.pem")
    text = send(client, "/draft/add", 422, stamp=stamp(world), certificate_file=file, **{**fields, "id": ""})
    assert "BEGIN CERTIFICATE" in text  # a file that was chosen comes back as text
    send(
        client,
        "/draft/add",
        stamp=stamp(world),
        certificate_file=(io.BytesIO(certificate.encode()), "moon.pem"),
        profile_file=(io.BytesIO(profile), "p.json"),
        supply_crl="http://127.0.0.1/a.crl\n\nhttp://127.0.0.1/b.crl",
        **fields,
    )
    added = world.editor.preview().record.draft.service("moon")
    assert [url for _, url in added.supply_points] == ["http://127.0.0.1/a.crl", "http://127.0.0.1/b.crl"]
    assert added.identity_profile is not None
    send(client, "/draft/services/moon/remove", stamp=stamp(world))
    assert "moon" not in json.dumps(draft_json(world.editor.preview().record.draft))


def test_what_is_published_is_not_removed(world: Any, client: FrameClient) -> None:
    published(world, client)
    world.editor.begin_draft(actor="test")
    assert "remove" not in page(client, "/draft/services/pearl").split("<h2>")[-1].lower()
    for path, data in (("remove", {}), ("certificates", {"remove": "0"})):
        send(client, f"/draft/services/pearl/{path}", 422, stamp=stamp(world), **data)


def test_status_with_preview(world: Any, client: FrameClient) -> None:
    """The preview is by the verifier's rule table and saves nothing."""
    published(world, client)
    world.editor.begin_draft(actor="test")
    path, before = "/draft/services/pearl/status", stamp(world)
    form = {"stamp": before, "status": "withdrawn", "from": "2026-11-22T00:00", "accept_existing": "yes"}
    text = send(client, path, 200, act="preview", existing_until="2027-01-01T00:00", **form)
    assert "CA_WITHDRAWN" in text
    assert "CA_NOT_GRANTED_AT_ISSUE" in text
    assert stamp(world) == before
    send(client, path, act="save", existing_until="2027-01-01T00:00", **form)
    send(client, path, act="save", existing_until="2027-01-01T00:00", **form)  # a second click
    entries = world.editor.preview().record.draft.service("pearl").history
    assert len(entries) == 2
    assert (entries[1].status.value, entries[1].accept_existing) == ("withdrawn", False)
    send(client, path, 422, stamp=stamp(world), status="sold", act="save")
    send(client, path, 422, stamp=stamp(world), status="suspended", act="save", **{"from": "yesterday"})
    text = send(client, path, 422, stamp=stamp(world), status="granted", **{"from": "2025-01-01T00:00"})
    assert "2025-01-01T00:00" in text


def test_a_profile_that_fails_its_samples_is_refused(world: Any, client: FrameClient) -> None:
    """The page shows each sample, what was expected and what was found; the typed profile is still there."""
    world.editor.import_draft(world.draft(), actor="test")
    profile = world.profile("pearl")
    profile["sources"][0]["ca_codes"] = ["0007"]
    before, path = stamp(world), "/draft/services/pearl/"
    text = send(client, path + "profile", 422, stamp=before, profile=json.dumps(profile))
    assert "PROFILE_SAMPLE_FAILED" in text
    assert f"uscc:{FIRM} organisation" in text
    assert "0007" in text
    assert stamp(world) == before

    wrong = {"certificate": world.leaf("pearl", FIRM), "id": "uscc:91440300708461136T"}
    send(client, path + "samples", 422, stamp=before, **wrong)
    send(client, path + "samples", stamp=before, certificate=wrong["certificate"], id=f"uscc:{FIRM}")
    assert len(world.editor.preview().record.draft.service("pearl").samples) == 3
    send(client, path + "samples", stamp=stamp(world), remove="2")
    text = send(client, path + "try", 200, certificate=world.leaf("pearl", FIRM))
    assert f"uscc:{FIRM}" in text
    assert "ID_CHECK_DIGIT" in send(
        client, path + "try", 200, certificate=world.leaf("pearl", FIRM[:-1] + "K")
    )
    send(client, path + "try", 422, certificate="nothing")


def test_emergency_in_the_fewest_steps(world: Any, client: FrameClient) -> None:
    """An open draft is put aside; one form and a signature by each of two officers publish; it is back."""
    published(world, client)
    send(client, "/draft/begin")
    names = {"name_zh": "珠江CA", "name_en": "Pearl CA"}
    send(client, "/draft/services/pearl/basics", stamp=stamp(world), hotline="3333", **names)
    call = {"authority": "harbour", "status": "key_compromised", "reason": "hotline, 02:10"}
    client.sign_in("wang")
    for missing in ("authority", "status", "reason"):
        send(client, "/emergency", 422, **{**call, missing: ""})
    send(client, "/emergency", 422, **{**call, "status": "granted"})
    send(client, "/emergency", **call)
    send(client, "/emergency", **call)  # a second click
    for officer in ("wang", "li"):
        client.sign_in(officer)
        text = page(client, "/draft/sign")
        assert "hotline, 02:10" in text
        assert "3333" not in text
        sha256 = text.split('name="sha256" value="')[1][:64]
        send(client, "/draft/sign", sequence="2", sha256=sha256, publish="yes")
    assert "key compromised" in page(client, "/")
    with world.context.database.reading() as connection:
        assert connection.execute(sql("SELECT 1 FROM audit_entries WHERE details LIKE '%02:10%'")).first()

    client.sign_in("zhao")
    assert "put aside" in page(client, "/draft")
    send(client, "/draft/take-up")
    draft = world.editor.preview().record.draft
    assert draft.service("pearl").contact.hotline == "3333"
    assert [entry.status.value for entry in draft.service("harbour").history] == [
        "granted",
        "key_compromised",
    ]


def test_policies_algorithms_and_service_level(world: Any, client: FrameClient) -> None:
    world.editor.import_draft(world.draft(), actor="test")
    path, before = "/draft/services/pearl/terms", stamp(world)
    form = {
        "policies": "1.2.156.99.1\n1.2.156.99.2",
        "algorithms": "rsa-sha256 rsa_min_bits=2048\necdsa-sha256",
    }
    for wrong in (
        {"policies": "high"},
        {"algorithms": "rsa-sha256 2048"},
        {"crl_hours": "２４"},
        {"algorithms": "rsa-sha256 rsa_min_bits=big"},
    ):
        send(client, path, 422, stamp=before, **{**form, **wrong})
    text = send(client, path, 422, stamp=before, **{**form, "algorithms": "rsa-sha265"})
    assert "rsa-sha256, rsa-sha384" in text  # the known names, to choose from
    send(client, path, stamp=before, crl_hours="24", **form)
    (pearl, *_rest) = draft_json(world.editor.preview().record.draft)["services"]
    assert pearl["policies"] == ["1.2.156.99.1", "1.2.156.99.2"]
    assert pearl["algorithms"][0] == {"name": "rsa-sha256", "rsa_min_bits": 2048}
    assert "1.2.156.99.2" in page(client, "/draft/services/pearl", "zh")
    assert "rsa_min_bits=2048" in page(client, path)
    send(client, path, stamp=stamp(world), policies="", algorithms="", crl_hours="")
    (pearl, *_rest) = draft_json(world.editor.preview().record.draft)["services"]
    assert not {"policies", "algorithms", "sla"} & pearl.keys()


def test_signing_asks_for_the_pin(world: Any, client: FrameClient, caplog: pytest.LogCaptureFixture) -> None:
    """A session is not enough to sign. The PIN is nowhere afterwards: page, log, database."""
    published(world, client)
    world.editor.begin_draft(actor="test")
    world.keys.pins["wang"] = "kettle 42"
    client.sign_in("wang")
    send(client, "/draft/prepare", stamp=stamp(world))
    sha256 = page(client, "/draft/sign").split('name="sha256" value="')[1][:64]
    for typed in ("", "kettle 43", "kettle 42 "):
        text = send(client, "/draft/sign", 422, sequence="2", sha256=sha256, pin=typed)
        assert "PIN_WRONG" in text
        assert 'value="2"' in text  # the number need not be typed again
        assert "kettle" not in text
    assert "PIN 不正确" in send(client, "/draft/sign?language=zh", 422, sequence="2", sha256=sha256, pin="x")
    assert world.editor.preview().record.signatures == ()
    assert world.events().count("officer.pin_refused") == 4
    send(client, "/draft/sign", sequence="2", sha256=sha256, pin="kettle 42")
    assert [each.officer for each in world.editor.preview().record.signatures] == ["wang"]
    assert "kettle" not in caplog.text
    with world.context.database.reading() as connection:
        trail = connection.execute(sql("SELECT details FROM audit_entries")).all()
    assert "kettle" not in str(trail)


def test_what_counts_is_what_the_root_says(world: Any, client: FrameClient) -> None:
    """Three must sign by the setting, two by the root: two publish. Who is not in the root does not count."""
    object.__setattr__(world.supervision.config, "signatures_needed", 3)
    published(world, client)
    world.operator("zhang", 3)
    world.editor.add_officer("zhang", actor="test")
    world.editor.begin_draft(actor="test")
    for name in ("wang", "zhang"):
        world.editor.sign(name, actor=f"operator:{name}")
    text = page(client, "/draft")
    assert "1 of 2" in text
    assert "does not name this key" in text
    assert not world.editor.preview().is_signed
    world.editor.sign("li", actor="operator:li")
    assert "can be published" in page(client, "/draft")
    world.editor.publish(actor="test")

"""What hostile and careless people upload: every kind is refused with a sentence, and nothing changes."""

import io
import json
from typing import Any

import pytest

from onecert.server.web.testing import FrameClient, foreign_scripts
from onecert.supervision.app import create_app
from onecert.supervision.draft import draft_json
from onecert.supervision.member import member


@pytest.fixture
def client(world: Any) -> FrameClient:
    world.officers()
    world.operator("zhao", 7, "list.editor")
    world.editor.import_draft(world.draft(), actor="test")
    client = FrameClient(create_app(member, world.context, world.supervision), world.context)
    client.sign_in("zhao")
    return client


def send(client: FrameClient, path: str, code: int, content: bytes, field: str, **data: Any) -> str:
    file = {f"{field}_file": (io.BytesIO(content), "file.bin")}
    response = client.submit(path, {**data, **file}, content_type="multipart/form-data")
    text = str(response.get_data(as_text=True))
    assert response.status_code == code, text[:3000]
    return text


NOT_JSON = {
    "empty": b"",
    "blank": b" \n ",
    "html": b"<!doctype html><p>login</p>",
    "zip": b"PK\x03\x04aaaa",
    "bom": b"\xef\xbb\xbf{}",
    "utf16": '{"a": 1}'.encode("utf-16"),
    "latin1": b'{"a": "\xe9"}',
    "deep": b"[" * 50_000 + b"]" * 50_000,
    "deep object": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "twice": b'{"operator": 1, "operator": 2}',
    "nan": b'{"a": NaN}',
    "surrogate": b'{"a": "\\ud800"}',
    "huge number": b'{"services": ' + b"9" * 100_000 + b"}",
    "a list": b"[]",
    "nul": b"\x00" * 100,
    "certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "script": b'{"operator": {"zh": "<script>alert(1)</script>", "en": "x"}, "services": []}',
}


@pytest.mark.parametrize("kind", NOT_JSON)
def test_drafts_and_profiles_that_are_none(world: Any, client: FrameClient, kind: str) -> None:
    before = world.editor.preview().record
    stamp = before.stamp
    for path, field in (("/draft/import", "draft"), ("/draft/services/pearl/profile", "profile")):
        text = send(client, path, 422, NOT_JSON[kind], field, stamp=stamp, replace="yes")
        assert not foreign_scripts(text)
        assert 'role="alert"' in text
    assert world.editor.preview().record == before


def test_files_of_the_server_are_not_read_for_an_upload(world: Any, client: FrameClient) -> None:
    """Only the command follows file names in a draft."""
    draft = world.draft_json()
    draft["services"][0]["certificate_file"] = "/etc/passwd"
    del draft["services"][0]["certificate_pem"]
    text = send(
        client,
        "/draft/import",
        422,
        json.dumps(draft).encode(),
        "draft",
        stamp=world.editor.preview().record.stamp,
        replace="yes",
    )
    assert "root:" not in text


def test_an_open_draft_is_not_discarded_in_passing(world: Any, client: FrameClient) -> None:
    before = world.editor.preview().record
    content = json.dumps({**draft_json(before.draft), "territory": "CN-11"}).encode()
    send(client, "/draft/import", 422, content, "draft", stamp=before.stamp)
    send(client, "/draft/import", 409, content, "draft", stamp="1.99", replace="yes")
    assert world.editor.preview().record == before
    send(client, "/draft/import", 303, content, "draft", stamp=before.stamp, replace="yes")
    send(client, "/draft/import", 303, content, "draft", stamp=before.stamp, replace="yes")  # a second click
    assert world.editor.preview().record.draft.territory == "CN-11"
    assert world.events().count("draft.imported") == 2


NO_CERTIFICATES = {
    "empty": b"",
    "html": b"<html>",
    "text": b"hello",
    "broken": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "der": b"\x30\x82\x01\x00" + b"\x00" * 60,
    "key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "huge": b"\x30" * 300_000,
    "binary": bytes(range(256)) * 10,
}


@pytest.mark.parametrize("kind", NO_CERTIFICATES)
def test_certificates_that_are_none(world: Any, client: FrameClient, kind: str) -> None:
    before = world.editor.preview().record
    for name in ("certificates", "samples", "try"):
        path = f"/draft/services/pearl/{name}"
        send(client, path, 422, NO_CERTIFICATES[kind], "certificate", stamp=before.stamp, id="uscc:1")
    send(client, "/known/add", 422, NO_CERTIFICATES[kind], "certificates", source="somewhere")
    assert world.editor.preview().record == before


def test_too_large_for_any_form(world: Any, client: FrameClient) -> None:
    before = world.editor.preview().record
    form = {"stamp": before.stamp, "replace": "yes", "draft": " " * (9 * 1024 * 1024)}
    assert client.submit("/draft/import", form).status_code == 413
    assert world.editor.preview().record == before


@pytest.mark.parametrize(
    "url",
    [
        "http://１２７.0.0.1/a.crl",
        "http://crl.example/．．/a",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//host/a",
        "http://",
        "http://a b/",
        "x" * 5000,
    ],
)
def test_addresses_that_are_none(world: Any, client: FrameClient, url: str) -> None:
    before = world.editor.preview().record
    form = {"stamp": before.stamp, "name_zh": "珠江CA", "name_en": "Pearl CA", "supply_crl": url}
    response = client.submit("/draft/services/pearl/basics", form)
    assert response.status_code == 422, response.get_data(as_text=True)[:3000]
    assert world.editor.preview().record == before


def test_known_certificates(world: Any, client: FrameClient) -> None:
    """PEM and CSV, each certificate once; what is unreadable is counted; a source is removed whole."""
    one, two = world.leaf("pearl", serial=101), world.leaf("harbour", serial=102)
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    send(client, "/known/add", 422, one.encode(), "certificates", source=" ")
    send(client, "/known/add", 303, (one + two + one + broken).encode(), "certificates", source="pearl 2026")
    bare = "".join(two.splitlines()[1:-1])
    third = "".join(world.leaf("summit").splitlines()[1:-1])
    csv = f"\ufeffname,certificate\r\na,{bare}\r\nb,{third}\r\nc,\r\n"
    send(client, "/known/add", 303, csv.encode(), "certificates", source="=cmd()")
    text = client.get("/known?language=en").get_data(as_text=True)
    assert "3 of at most" in text
    assert "新增 1 张证书，已有 1 张" in text
    client.submit("/known/remove", {"source": "pearl 2026"})
    assert "1 of at most" in client.get("/known?language=en").get_data(as_text=True)
    assert world.events().count("known.added") == 2

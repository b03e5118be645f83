"""Pages, status files, alarm: what people, departments and monitoring see of the list."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from onecert.server import metrics
from onecert.server.web.testing import FrameClient
from onecert.supervision.app import create_app
from onecert.supervision.errors import TrustListOverdueError
from onecert.supervision.member import member
from onecert.supervision.models import publications
from onecert.supervision.publishing import LIST_FILE, published_sequence
from onecert.supervision.records import find_publication
from onecert.supervision.root_errors import PublishedAheadError
from onecert.supervision.status import StatusApp
from onecert.supervision.watch import Watch
from onecert.verifier.trust_list import Status, StatusEntry, load_trust_list, load_trust_root

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def client(world: Any) -> FrameClient:
    return FrameClient(create_app(member, world.context, world.supervision), world.context)


def publish(world: Any) -> None:
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    world.publish()
    world.supervision.release(actor="test")


def page(client: FrameClient, path: str, language: str = "zh", status: int = 200) -> str:
    answer = client.get(path, headers={"Accept-Language": language})
    assert answer.status_code == status
    return answer.get_data(as_text=True)


def test_before_anything_was_published(client: FrameClient) -> None:
    assert "尚未发布" in page(client, "/")
    assert "has been published yet" in page(client, "/", "en")
    assert "尚未发布" in page(client, "/lists")
    assert client.get("/v1/trust-list").status_code == 404
    problem = client.get("/v1/trust-list/state").get_json()
    assert problem["code"] == "NOTHING_PUBLISHED"


def test_the_published_list_is_public_in_both_languages(world: Any, client: FrameClient) -> None:
    publish(world)
    chinese, english = page(client, "/"), page(client, "/", "en")
    for text in ("珠江CA", "高峰CA", "有效", "wang", "li", "2026年12月5日"):
        assert text in chinese
    for text in ("Pearl CA", "granted", "Example office", "trust-list.json"):
        assert text in english
    assert page(client, "/lists/1").count("珠江CA") >= 1
    assert "/supervision/lists/1" in page(client, "/lists")
    page(client, "/lists/2", status=404)


def test_states_and_history_are_shown(world: Any, client: FrameClient) -> None:
    publish(world)
    until = StatusEntry(status=Status.WITHDRAWN, start=T - DAY, existing_until=T + DAY)
    world.editor.add_status("pearl", until, actor="test")
    world.editor.add_status(
        "harbour", StatusEntry(status=Status.SUSPENDED, start=T, accept_existing=True), actor="test"
    )
    world.editor.add_status(
        "summit", StatusEntry(status=Status.TERMINATED, start=T + DAY, taken_over_by="harbour"), actor="test"
    )
    world.publish()
    text = page(client, "/", "en")
    for expected in (
        "licence withdrawn",
        "suspended",
        "accepted until",
        "stay accepted",
        "taken over by",
        "to-come",
    ):
        assert expected in text


def test_draft_page_is_for_those_who_work_with_it(world: Any, client: FrameClient) -> None:
    world.officers()
    world.operator("audit", 5, "auditor")
    assert client.get("/draft").status_code in {302, 303, 401, 403}
    client.sign_in("audit")
    assert "没有未完成" in page(client, "/draft")
    world.editor.import_draft(world.draft(), actor="test")
    world.editor.sign("wang", actor="operator:wang")
    text = page(client, "/draft")
    assert "新增机构 珠江CA" in text
    assert "已有 1 个，共需 2 个" in text
    world.editor.sign("li", actor="operator:li")
    assert "签名已齐" in page(client, "/draft")
    world.editor.publish(actor="test")
    world.editor.begin_draft(actor="test")
    assert "除编号和日期外没有变化" in page(client, "/draft")


def test_rest(world: Any, client: FrameClient) -> None:
    publish(world)
    document = client.get("/v1/trust-list")
    assert document.content_type == "application/jose+json"
    assert load_trust_list(document.data, keys=world.editor.list_keys(), at=T).sequence == 1
    state = client.get("/v1/trust-list/state").get_json()
    assert (state["sequence"], sorted(state["officers"]), state["alarm"]) == (1, ["li", "wang"], False)


def test_banners_as_time_passes(world: Any, client: FrameClient) -> None:
    publish(world)
    assert "尽快签署" not in page(client, "/")
    world.clock.advance(7 * DAY)
    assert "尽快签署" in page(client, "/")
    world.clock.advance(7 * DAY)
    assert "已过期" in page(client, "/")
    assert client.get("/v1/trust-list/state").get_json()["over"] is True


# Status files


def ask(app: StatusApp, path: str, method: str = "GET", **headers: str) -> tuple[str, dict[str, str], bytes]:
    seen: list[Any] = []

    def start(status: str, sent: list[tuple[str, str]], *_: Any) -> Any:
        seen.extend((status, dict(sent)))

    environ = {"PATH_INFO": path, "REQUEST_METHOD": method}
    environ.update({f"HTTP_{key.upper()}": value for key, value in headers.items()})
    body: Iterable[bytes] = app(environ, start)
    return seen[0], seen[1], b"".join(body)


def test_status_files(world: Any) -> None:
    app = StatusApp(world.supervision.published, max_age=timedelta(minutes=5))
    assert ask(app, "/trust-list.json")[0].startswith("404")
    publish(world)
    status, headers, body = ask(app, "/trust-list.json")
    assert status == "200 OK"
    assert headers["Cache-Control"] == "public, max-age=300"
    root = load_trust_root(ask(app, "/trust-root.json")[2])
    assert load_trust_list(body, keys=root.list_keys, at=T).sequence == 1
    assert ask(app, "/trust-list.json", if_none_match=headers["ETag"])[0].startswith("304")
    assert ask(app, "/trust-list.json", if_none_match=f'"x", W/{headers["ETag"]}')[0].startswith("304")
    assert ask(app, "/trust-list.json", if_none_match='"other"')[0].startswith("200")
    head = ask(app, "/trust-list.json", "HEAD")
    assert (head[1]["Content-Length"], head[2]) == (str(len(body)), b"")
    assert ask(app, "/trust-list.json", "POST")[0].startswith("405")
    for path in ("/", "/../supervision.db", "/supervision.db", "/trust-list.json/"):
        assert ask(app, path)[0].startswith("404")
    # A new list is served at once, with another tag.
    world.editor.begin_draft(actor="test")
    world.publish()
    world.supervision.release(actor="test")
    assert ask(app, "/trust-list.json", if_none_match=headers["ETag"])[0] == "200 OK"


def test_status_answers_without_database(world: Any) -> None:
    publish(world)
    world.context.database.close()
    (world.context.data.parent / "supervision.db").unlink()
    app = StatusApp(world.supervision.published, max_age=timedelta(minutes=5))
    assert ask(app, "/trust-list.json")[0] == "200 OK"


def test_file_is_restored_by_the_job_and_never_goes_back(world: Any) -> None:
    publish(world)
    file: Path = world.supervision.published / LIST_FILE
    document = file.read_bytes()
    file.unlink()
    Watch(world.supervision).run(T)
    assert file.read_bytes() == document
    assert published_sequence(file) == 1
    # The database is an old copy: the file holds number 2, which departments have seen.
    world.editor.begin_draft(actor="test")
    world.publish()
    with world.context.database.reading() as connection:
        newer = find_publication(connection)
    file.write_bytes(newer.document)
    with world.context.database.transaction() as connection:
        connection.execute(delete(publications).where(publications.c.sequence == 2))
    with pytest.raises(PublishedAheadError):
        Watch(world.supervision).run(T)
    assert published_sequence(file) == 2
    world.editor.begin_draft(actor="test")
    assert world.publish() == 3
    for broken in (b"", b"{}", b'{"payload": 1}', b"\xff"):
        file.write_bytes(broken)
        assert published_sequence(file) == 0


def test_alarm(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Quiet at first; a warning from half life; not ready when the list is over."""
    watch = Watch(world.supervision)
    watch.run(T)
    watch.check()  # nothing published yet: nothing is late
    publish(world)
    with caplog.at_level(logging.WARNING):
        watch.run(T + 6 * DAY)
        assert not caplog.records
        watch.run(T + 7 * DAY)
    assert caplog.records[0].message == "trust list needs its next issue"
    figures = metrics.exposition().decode()
    assert "onecert_trust_list_alarm 1.0" in figures
    assert "onecert_trust_list_sequence 1.0" in figures
    world.clock.advance(13 * DAY)
    watch.run(world.clock.now())
    watch.check()
    world.clock.advance(DAY)
    with pytest.raises(TrustListOverdueError):
        watch.check()


def test_root_and_timestamp_for_programs(world: Any, client: FrameClient) -> None:
    """On the status port: a version of the root for ever, the rest for seconds; over REST the same bytes."""
    publish(world)
    folder = world.supervision.published
    app = StatusApp(folder, max_age=timedelta(seconds=10))
    for name in ("trust-root.json", "trust-timestamp.json", "trust-list.json"):
        status, headers, body = ask(app, f"/{name}")
        assert (status, body) == ("200 OK", (folder / name).read_bytes())
        assert headers["Cache-Control"] == "public, max-age=10"
        assert headers["Content-Type"] == "application/jose+json"
    status, headers, _ = ask(app, "/trust-roots/1.json")
    assert (status, headers["Cache-Control"]) == ("200 OK", "public, max-age=31536000, immutable")
    # No later root: an answer that a cache may keep for as long as the others.
    status, headers, _ = ask(app, "/trust-roots/2.json")
    assert (status, headers["Cache-Control"]) == ("404 Not Found", "public, max-age=10")
    for name in (
        "trust-roots/0.json",
        "trust-roots/01.json",
        "trust-roots/../trust-list.json",
        "trust-roots/1",
    ):
        status, headers, _ = ask(app, f"/{name}")
        assert (status, headers["Cache-Control"]) == ("404 Not Found", "no-store")

    for path, name in (
        ("/v1/trust-root", "trust-root.json"),
        ("/v1/trust-root/1", "trust-root.json"),
        ("/v1/trust-timestamp", "trust-timestamp.json"),
    ):
        answer = client.get(path)
        assert answer.data == (folder / name).read_bytes()
        assert client.get(path).headers["ETag"] == answer.headers["ETag"]
    assert client.get("/v1/trust-root/2").status_code == 404


def test_before_the_first_root_there_is_neither(client: FrameClient) -> None:
    assert client.get("/v1/trust-root").get_json()["code"] == "ROOT_MISSING"
    assert client.get("/v1/trust-timestamp").get_json()["code"] == "NOTHING_PUBLISHED"

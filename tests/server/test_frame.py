"""The HTTP frame: who gets in, what errors look like, what every answer carries, the parts of pages."""

import ast
import dataclasses
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template_string
from werkzeug.test import Client

from onecert.server.config import DatabaseConfig, ServerConfig
from onecert.server.errors import DatabaseUnavailableError, ServiceError
from onecert.server.languages import _
from onecert.server.operators import SignInConfig
from onecert.server.web import (
    NavItem,
    create_frame,
    current_operator,
    frame_of,
    landing_app,
    public,
    requires_role,
)
from onecert.server.web.headers import CONTENT_SECURITY_POLICY
from onecert.server.web.testing import FrameClient

ROOT = Path(__file__).parents[2]
ACCEPT_JSON = {"Accept": "application/json"}


@pytest.fixture
def client(desk: Any) -> Any:
    """wang, a clerk, signed in."""
    desk.operator()
    signed_in = desk.client()
    signed_in.sign_in("wang")
    return signed_in


# Who gets in


def test_a_view_without_a_mark_is_closed(desk: Any) -> None:
    """People are led to the sign-in page and come back; programs get 401."""
    stranger = desk.client()

    away = stranger.get("/things?page=2")
    assert (away.status_code, away.headers["Location"]) == (303, "/desk/sign-in?next=/things?page%3D2")
    problem = stranger.get("/things", headers=ACCEPT_JSON)
    assert (problem.status_code, problem.json["code"]) == (401, "SIGN_IN_REQUIRED")
    assert stranger.submit("/things").status_code == 401


def test_public_view_is_open(desk: Any, client: Any) -> None:
    """Signed in or not."""
    assert desk.client().get("/open").text == "open"
    assert client.get("/open").text == "open"


def test_role_is_needed(desk: Any, client: Any) -> None:
    """A clerk is no auditor; the page names the role by its label."""
    page = client.get("/audit")

    assert page.status_code == 403
    assert "所需角色：账号" in page.text
    desk.operator("li", ("clerk", "auditor"), number=2)
    client.sign_in("li")
    assert client.get("/audit").text == "entries"


def test_a_refusal_is_in_the_log_with_who_and_what(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """ASVS 16.3.2: the operator, the view and the code; no address, which may hold a one-time link."""
    with caplog.at_level(logging.WARNING):
        client.get("/audit?q=somebody")
    (record,) = [r for r in caplog.records if r.message == "refused"]
    assert (record.code, record.operator, record.method) == ("ROLE_REQUIRED", "wang", "GET")
    assert "somebody" not in str(vars(record))


def test_role_mark_names_a_role() -> None:
    """An empty mark would let nobody in, or everybody; it is a mistake of the programmer."""
    with pytest.raises(ValueError, match="at least one"):
        requires_role()


def test_page_shows_who_is_signed_in_and_what_they_may_see(client: Any) -> None:
    """Name and role labels; the auditor's entry is not in a clerk's navigation; the present one is marked."""
    page = client.get("/things").text

    assert '<span class="operator-name">王芳</span>' in page
    assert '<a href="/desk/things" aria-current="page">角色</a>' in page
    assert "/desk/audit" not in page


def test_home_page_of_a_service_without_one(desk: Any, client: Any) -> None:
    """The frame makes it from the navigation; a member's own comes first."""
    assert 'href="/desk/things"' in client.get("/").text
    assert desk.client().get("/").status_code == 303

    app = create_frame("desk", desk.context)
    app.add_url_rule("/", "own_home", public(lambda: "own home"))
    assert FrameClient(app, desk.context).get("/").text == "own home"


def test_notice_is_told_once(client: Any) -> None:
    """notify() speaks on the next page, then no more."""
    client.submit("/things")

    assert '<div class="notice success" role="status">\n<p>下一页</p>' in client.get("/things").text
    assert "notice success" not in client.get("/things").text


# Errors


def test_error_is_a_page_or_a_problem(client: Any) -> None:
    """RFC 9457: type, title, status, detail, instance; and our code and hint."""
    page = client.get("/nothing")
    assert page.status_code == 404
    assert '<section class="card narrow error-page" role="alert">' in page.text
    assert "<code>NOT_FOUND</code>" in page.text

    problem = client.get("/v1/nothing?language=en")
    assert problem.content_type == "application/problem+json"
    assert problem.json == {
        "type": "urn:onecert:problem:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "There is nothing at this address.",
        "hint": "Check the address, or begin at the home page.",
        "instance": "/desk/v1/nothing",
        "code": "NOT_FOUND",
    }


def test_wrong_method_says_which_are_right(client: Any) -> None:
    """405 with Allow."""
    answer = client.put("/v1/things", json={})

    assert (answer.status_code, answer.json["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "POST" in answer.headers["Allow"]


def test_too_large_a_request_is_refused(client: Any) -> None:
    """The desk takes 64 KiB; a form and a document."""
    assert client.submit("/things", {"name": "x" * 70_000}).status_code == 413
    answer = client.post("/v1/orders", data=b"x" * 70_000, content_type="application/jose+json")
    assert answer.json["code"] == "TOO_LARGE"


def test_form_with_thousands_of_fields_is_refused(client: Any) -> None:
    """Parsing is bounded, too."""
    fields = {f"f{i}": ("x.txt", b"") for i in range(600)}
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\nx\r\n' % name.encode() for name in fields
    )
    answer = client.post("/things", data=body + b"--b--\r\n", content_type="multipart/form-data; boundary=b")

    assert answer.status_code == 413


def test_fault_of_our_own_shows_a_number_and_no_detail(desk: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The page's number finds the entry in the log; what went wrong stays there."""
    with caplog.at_level(logging.ERROR):
        answer = desk.client().get("/broken", headers=ACCEPT_JSON)

    assert (answer.status_code, answer.json["code"]) == (500, "UNEXPECTED")
    assert "4711" not in answer.text
    (record,) = [r for r in caplog.records if r.message == "unexpected error"]
    assert record.incident in answer.json["detail"]  # type: ignore[attr-defined]
    assert "4711" in caplog.text


def test_hostile_text_is_shown_as_text(desk: Any) -> None:
    """Facts of an error and an operator's name are escaped wherever they are shown."""
    desk.operator(name="<script>alert(1)</script>")
    client = desk.client()
    client.sign_in("wang")

    page = client.get("/things").text

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_database_that_is_gone(desk: Any, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 for what needs it; open pages and /healthz still answer."""

    def gone(*_: object) -> None:
        raise DatabaseUnavailableError("gone")

    monkeypatch.setattr(desk.context.database, "reading", gone)
    monkeypatch.setattr(desk.context.database, "transaction", gone)

    answer = client.get("/things")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "DATABASE_UNAVAILABLE" in answer.text
    assert client.get("/open").status_code == 200
    assert client.get("/healthz").status_code == 200


def test_every_error_text_can_be_shown(desk: Any) -> None:
    """A ServiceError of any status becomes a page with that status."""
    app = create_frame("desk", desk.context)
    app.add_url_rule("/teapot", "teapot", public(_raise_teapot))

    answer = FrameClient(app, desk.context).get("/teapot")

    assert answer.status_code == 418
    assert "short &amp; stout" in answer.text


def _raise_teapot() -> str:
    raise ServiceError("TEAPOT", status=418, text="%(what)s", what="short & stout")


# Headers


@pytest.mark.parametrize("path", ["/things", "/open", "/nothing", "/v1/nothing", "/sign-in", "/broken"])
def test_every_answer_carries_the_headers(client: Any, path: str) -> None:
    """Pages, problems and errors alike; nothing is stored."""
    headers = client.get(path).headers

    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


def test_templates_of_all_members_keep_the_policy() -> None:
    """No inline style, script or handler, nothing loaded from elsewhere: the policy would break the page."""
    forbidden = re.compile(
        r"""<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|(?:src|href)=["']https?:""", re.I
    )
    for file in ROOT.glob("*/onecert/**/*.html"):
        found = forbidden.search(file.read_text(encoding="utf-8"))
        assert found is None, f"{file.relative_to(ROOT)}: {found and found.group()}"


def test_static_files_are_ours_and_may_be_kept(client: Any) -> None:
    """The address changes with the content; nothing in the style sheet is loaded from elsewhere."""
    page = client.get("/things").text
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]

    with client.get(address.removeprefix("/desk")) as sheet:
        assert sheet.status_code == 200
        assert "immutable" in sheet.headers["Cache-Control"]
        assert "url(" not in sheet.text
        assert "@import" not in sheet.text


# Health


def test_health_and_readiness(desk: Any) -> None:
    """A member's check that fails makes the service not ready, with its code."""
    client = desk.client()
    assert client.get("/readyz").json == {"status": "ready", "checks": {"database": "ok"}}

    def token_gone() -> None:
        raise ServiceError("TOKEN_UNAVAILABLE", status=503, text="x")

    frame_of(desk.app).checks["token"] = token_gone
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"] == {"database": "ok", "token": "TOKEN_UNAVAILABLE"}
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/metrics").status_code == 200


# Mounting and landing


def test_pages_know_where_they_are_mounted(desk: Any) -> None:
    """The dispatcher sets SCRIPT_NAME; every link of the page begins with it."""
    page = Client(desk.app).get("/sign-in", base_url="https://localhost/elsewhere").text

    links = re.findall(r'(?:href|action)="([^"#]+)"', page)
    assert links
    assert all(link.startswith("/elsewhere/") for link in links)


def test_landing_page_lists_the_services_in_both_languages() -> None:
    """The reader's language comes first, the other one stands below; nothing else is there."""
    client = Client(landing_app(["supervision", "ra", "unknown"]))

    page = client.get("/", headers={"Accept-Language": "en"})
    assert '<html lang="en">' in page.text
    positions = [
        page.text.index(text) for text in ("Registration", "证书受理", "信任列表与监管", "/unknown/")
    ]
    assert positions == sorted(positions)
    assert page.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    chinese = client.get("/").text
    assert chinese.index("证书受理") < chinese.index("Registration")
    assert client.get("/onecert.css").mimetype == "text/css"
    assert client.get("/seal.svg").mimetype == "image/svg+xml"
    assert client.get("/etc/passwd").status_code == 404
    assert client.post("/").status_code == 405


def test_service_name_is_checked(desk: Any) -> None:
    """It becomes a path and a cookie's name."""
    with pytest.raises(ValueError, match="not usable"):
        create_frame("../desk", desk.context)


# Parts of pages


def render(app: Flask, source: str, **values: Any) -> str:
    """A piece of a page with all parts imported, in English."""
    names = "badge, button, cell, choices, checkbox, confirm, definitions, empty, error_summary, field, "
    names += "file_field, lifeline, link_button, notice, pagination, select, table"
    with app.test_request_context("/things?q=1&page=2", base_url="https://localhost/desk"):
        return render_template_string("{% from 'components.html' import " + names + " %}" + source, **values)


def test_field_is_labelled_and_described(desk: Any) -> None:
    """Label, hint and error belong to the input also for a screen reader; values are escaped."""
    html = render(
        desk.app,
        "{{ field('uscc', 'Code', value, hint='18', error='wrong', required=true, maxlength=18) }}",
        value='"><b>',
    )

    assert '<label class="field-label" for="f-uscc">Code' in html
    assert '<p class="field-hint" id="f-uscc-hint">18</p>' in html
    assert '<p class="field-error" id="f-uscc-error">wrong</p>' in html
    assert 'aria-describedby="f-uscc-hint f-uscc-error" aria-invalid="true" required' in html
    assert 'maxlength="18"' in html
    assert 'value="&#34;&gt;&lt;b&gt;"' in html


def test_field_without_anything_is_plain(desk: Any) -> None:
    """No empty attributes; a missing value is empty, zero is shown."""
    html = render(
        desk.app, "{{ field('a', 'A', none) }}{{ field('b', 'B', 0) }}{{ field('c', 'C', rows=3) }}"
    )

    assert '<input id="f-a" name="a" type="text" value="" autocomplete="off">' in html
    assert 'name="b" type="text" value="0"' in html
    assert '<textarea id="f-c" name="c" rows="3" autocomplete="off">\n</textarea>' in html
    assert "aria-" not in html


def test_choices_and_selects_keep_what_was_chosen(desk: Any) -> None:
    """Also when the value is a number and the option text, or several are ticked."""
    html = render(
        desk.app,
        "{{ select('n', 'N', [('1', 'one'), ('2', 'two')], 2, blank='-') }}"
        "{{ choices('c', 'C', [('a', 'A', 'hint'), ('b', 'B')], ['a', 'b'], type='checkbox') }}"
        "{{ checkbox('d', 'D', true) }}",
    )

    assert '<option value="2" selected>two</option>' in html
    assert '<option value="">-</option>' in html
    assert html.count("checked") == 3
    assert "<legend" in html


def test_pagination_keeps_the_query(desk: Any) -> None:
    """Page 2 of 3 of a search."""
    html = render(desk.app, "{{ pagination(2, 3, 41) }}")

    assert 'href="/desk/things?q=1&amp;page=1"' in html
    assert 'href="/desk/things?q=1&amp;page=3"' in html


def test_error_summary_leads_to_the_fields(desk: Any) -> None:
    """Each error is a link; without errors there is nothing."""
    html = render(desk.app, "{{ error_summary({'uscc': 'wrong'}) }}")

    assert '<a href="#f-uscc">wrong</a>' in html
    assert render(desk.app, "{{ error_summary({}) }}").strip() == ""


def test_lifeline_and_serial(desk: Any) -> None:
    """Times carry UTC; what is still to come says so."""
    at = desk.clock.now()
    html = render(
        desk.app,
        "{{ lifeline([{'at': at, 'title': 'Issued', 'kind': 'success'}, {'title': 'Revoked'}]) }}"
        "{{ 1193046|serial }}",
        at=at,
    )

    assert '<time datetime="2026-11-21T09:00:00Z" title="2026-11-21 09:00:00 UTC">' in html
    assert 'class="neutral to-come"' in html
    assert '<code class="serial">123456</code>' in html


# The README


def test_readme_opens_with_a_program_that_runs(desk: Any) -> None:
    """The first block of server/README.md, on the desk."""
    text = (ROOT / "server" / "README.md").read_text(encoding="utf-8")
    program = text.partition("```python\n")[2].partition("```")[0]
    scope: dict[str, Any] = {}
    exec(compile(ast.parse(program), "README.md", "exec"), scope)
    app = scope["build_app"](desk.context)
    desk.operator(roles=("auditor",))
    client = FrameClient(app, desk.context)
    client.sign_in("wang")

    assert client.get("/roles").status_code == 200
    assert json.loads(client.get("/readyz").text)["status"] == "ready"


@pytest.mark.parametrize("section", [ServerConfig, DatabaseConfig, SignInConfig])
def test_readme_names_every_setting(section: type[Any]) -> None:
    """A setting that nobody can find does not exist."""
    text = (ROOT / "server" / "README.md").read_text(encoding="utf-8")

    assert [f.name for f in dataclasses.fields(section) if f"`{f.name}`" not in text] == []


def test_navigation_and_titles_are_marked_texts(desk: Any) -> None:
    """A member may name its service itself; every entry is translated at the page."""
    app = create_frame("desk", desk.context, navigation=[NavItem(_("Name"), "who")], title=_("Account"))
    app.add_url_rule("/who", "who", lambda: current_operator().id)
    desk.operator()
    client = FrameClient(app, desk.context)
    client.sign_in("wang")

    page = client.get("/").text

    assert '<span class="brand-service">账号</span>' in page
    assert ">姓名</a>" in page
    assert client.get("/who").text == "wang"

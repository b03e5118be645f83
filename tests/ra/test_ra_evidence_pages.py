"""Evidence and papers over HTTP: several files at once, headers of a file, another point, REST, papers."""

import io
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from ra_browser import BASE
from ra_fakes import IDCARD
from sqlalchemy import update

from onecert.ra.config import RaConfig
from onecert.ra.evidence.examining import evidence_faults, examine_evidence
from onecert.ra.evidence.files import Use
from onecert.ra.models import applications
from onecert.ra.papers.fonts import DEFAULT_FONT
from onecert.server.languages import set_language
from onecert.server.models import audit_entries

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def picture(colour: str = "white") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (320, 200), colour).save(out, "JPEG")
    return out.getvalue()


def send(browser: Any, path: str, material: str, *files: tuple[str, bytes]) -> Any:
    parts = [(io.BytesIO(content), name) for name, content in files]
    answer = browser.post(path, {"material": material, "files": parts}, follow=False)
    answer.request.environ["wsgi.input"].close()  # the client's own temporary file
    return answer


def test_several_files_at_once_and_what_is_refused_is_named(ra) -> None:
    """The good one is kept, the others are named with their reasons; hostile names are only shown."""
    draft, clerk = ra.create(), ra.browser(ra.entry_clerk, language="zh")
    page = f"/applications/{draft.id}/evidence"
    assert "营业执照" in clerk.get(page).get_data(as_text=True)
    hostile = "<img src=x onerror=1>\u202egpj.exe"
    answer = send(
        clerk, page, "licence", ("执照.jpg", picture()), (hostile, b"MZ" + bytes(99)), ("x.png", b"")
    )
    assert answer.status_code == 422
    said = answer.get_data(as_text=True)
    assert "可执行程序" in said
    assert "文件是空的" in said
    assert "<img src=x" not in said
    [kept] = ra.service.evidence.all_of(ra.reviewer, draft.id)
    assert kept.material == "licence"
    assert send(clerk, page, "licence").status_code == 422
    # Two and a half times as large as one may be, as 50 MB are by default; then more than one request may be.
    ra.service.evidence.limits = replace(ra.service.evidence.limits, file_octets=1_000_000)
    large = send(clerk, page, "licence", ("大.jpg", picture() + bytes(2_500_000)))
    assert (large.status_code, "最多接收 1 MB" in clerk.text) == (422, True)
    larger = send(clerk, page, "licence", ("大.jpg", bytes(4_500_000)))
    assert (larger.status_code, "最多接收 1 MB" in clerk.text) == (413, True)
    clerk.get(page)
    answer = send(clerk, page, "form", ("表.jpg", picture("red")))
    assert answer.status_code == 303
    shown = clerk.get(answer.location).get_data(as_text=True)
    assert "已保存 1 个文件" in shown
    assert f"/evidence/{kept.id}/view" in shown
    assert "营业执照" in clerk.get(f"/applications/{draft.id}").get_data(as_text=True)
    removed = clerk.post(f"/evidence/{kept.id}/remove")
    assert removed.status_code == 200
    assert f"/evidence/{kept.id}/view" not in clerk.page


def test_a_file_is_answered_so_that_nothing_in_it_runs(ra) -> None:
    """Policy, sandbox, no caching, no guessed types; the original as a download; damage as a page."""
    draft = ra.create()
    kept = ra.service.evidence.add(ra.entry_clerk, draft.id, "agent_id", io.BytesIO(picture()))
    reader = ra.browser(ra.reviewer)
    view, file = (reader.get(f"/evidence/{kept.id}/{name}") for name in ("view?turn=90", "file"))
    for answer in (view, file):
        assert answer.status_code == 200
        assert "default-src 'none'; sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
    assert file.data == picture()
    assert file.headers["Content-Disposition"] == f'attachment; filename="{kept.file_name}"'
    with Image.open(io.BytesIO(view.data)) as turned:
        assert turned.size == (200, 320)
    assert [row["event"] for row in ra.rows(audit_entries)].count("evidence.opened") == 1
    ra.service.evidence.files.path(kept.id, Use.ORIGINAL).unlink()
    lost = reader.get(f"/evidence/{kept.id}/file")
    assert lost.status_code == 503
    assert "is missing" in reader.text
    assert "is missing" in reader.get(f"/applications/{draft.id}").get_data(as_text=True)


def test_another_point_and_a_stranger(ra) -> None:
    """Not found in the same words; a request without a session goes to the sign-in page."""
    draft = ra.create()
    kept = ra.service.evidence.add(ra.entry_clerk, draft.id, "licence", io.BytesIO(picture()))
    with ra.database.transaction() as connection:
        connection.execute(update(applications).values(point="north"))
    reader = ra.browser(ra.reviewer)
    paths = [f"/evidence/{kept.id}/view", f"/evidence/{kept.id}/file"]
    paths += [
        f"/applications/{draft.id}/{name}" for name in ("evidence", "form.pdf", "receipt.pdf", "handover.pdf")
    ]
    for path in paths:
        assert reader.get(path).status_code == 404, path
        assert ra.browser(None).get(path).status_code == 303, path
    assert reader.get("/evidence/00000000-0000-4000-8000-000000000000/file").status_code == 404


def test_rest(ra) -> None:
    """The file as the body, with a key; list, content, removal; refusals with stable codes."""
    draft, clerk = ra.create(), ra.browser(ra.entry_clerk)
    path = f"/v1/applications/{draft.id}/evidence"

    def post(content: bytes, **more: Any) -> Any:
        return clerk.client.post(
            path,
            base_url=BASE,
            data=content,
            query_string={"material": more.pop("material", "licence")},
            headers={"Content-Type": "image/jpeg", "Idempotency-Key": "one", **more},
            environ_overrides={"REMOTE_ADDR": "127.0.0.1"},
        )

    made = post(picture())
    assert made.status_code == 201
    assert post(picture()).json == made.json
    assert post(picture("red")).json["code"] == "REQUEST_KEY_REUSED"
    assert post(b"GIF89a", **{"Idempotency-Key": "two"}).json["code"] == "EVIDENCE_TYPE"
    assert post(b"x", material="nothing").json["code"] == "EVIDENCE_MATERIAL"
    assert clerk.api("GET", f"/applications/{draft.id}/evidence").json["items"] == [made.json]
    assert clerk.api("GET", f"/evidence/{made.json['id']}/content").data == picture()
    assert clerk.api("POST", f"/evidence/{made.json['id']}/remove").json == {"evidence": None}
    large = post(bytes(21_000_000), **{"Idempotency-Key": "three"})
    assert (large.status_code, large.json["code"]) == (413, "EVIDENCE_TOO_LARGE")


def test_submitting_without_what_is_required_leads_to_the_evidence(ra) -> None:
    """The page that takes the files, with what is missing."""
    ra.applications._materials_required = ("licence",)
    draft, clerk = ra.create(), ra.browser(ra.entry_clerk)
    clerk.get(f"/applications/{draft.id}")
    clerk.post(f"/applications/{draft.id}/act", {"act": "submit"})
    assert "Business licence" in clerk.text
    assert "needed as a scan or photo" in clerk.text


def test_doctor_and_drill_name_a_missing_file(ra) -> None:
    """Sound before; after the file has gone, both say which."""
    draft = ra.create()
    kept = ra.service.evidence.add(ra.entry_clerk, draft.id, "licence", io.BytesIO(picture()))
    assert [found.code for found in examine_evidence(RaConfig(), ra.context)] == ["ok"]
    assert list(evidence_faults(ra.context, ra.keys)) == []
    ra.service.evidence.files.path(kept.id, Use.ORIGINAL).unlink()
    with set_language("zh", "onecert.ra"):
        [found] = examine_evidence(RaConfig(), ra.context)
    assert (found.code, kept.id in found.text, "恢复" in found.hint) == ("EVIDENCE_LOST", True, True)
    assert kept.id in " ".join(evidence_faults(ra.context, ra.keys))


def test_a_wrong_policy_stops_the_start(database_url) -> None:
    """A material that does not exist."""
    with pytest.raises(ValueError, match="licenze"):
        RaConfig(materials_required=("new:licenze",))


@pytest.mark.skipif(not DEFAULT_FONT.exists(), reason="without Debian's fonts-noto-cjk no paper is printed")
def test_papers_of_an_application(ra) -> None:
    """Form at any time, receipt once submitted, hand-over slip with a certificate; each print audited."""
    draft, clerk = ra.create(), ra.browser(ra.entry_clerk)
    assert clerk.get(f"/applications/{draft.id}/receipt.pdf").status_code == 409
    issued = ra.dispatch.carry_out(ra.approve(ra.applications.submit(ra.entry_clerk, draft.id)).id)
    for name in ("form", "receipt", "handover"):
        answer = clerk.get(f"/applications/{issued.id}/{name}.pdf")
        assert answer.data.startswith(b"%PDF-"), name
        assert answer.headers["Cache-Control"] == "no-store"
    printed = [row for row in ra.rows(audit_entries) if row["event"] == "paper.printed"]
    assert len(printed) == 3
    assert IDCARD not in str(printed)

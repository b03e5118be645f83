"""Pointers to other lists on the editor's pages and by command: whose root it is and what is granted."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from onecert.server.cli import run
from onecert.server.errors import ServiceError
from onecert.server.web.testing import FrameClient
from onecert.supervision.draft import draft_json
from onecert.testkit.trust_roles import TrustHolders
from onecert.verifier.trust_list.root import load_trust_root

from .conftest import T
from .test_editor_pages import client, page, published, send, stamp  # noqa: F401  the fixture

ROOT = TrustHolders().sign_root(1, at=T)
SHA256 = load_trust_root(ROOT).sha256
FORM = {
    "id": "gd",
    "from": "2026-01-01T00:00",
    "operator_zh": "某省密码管理局",
    "operator_en": "The province's office",
    "location": "https://ca.gd.example/trust-list.json",
    "id_types": ["uscc", "org"],
    "classes": ["organisation"],
    "services": "pearl",
    "policies": "",
}


def pointers(world: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = draft_json(world.editor.preview().record.draft).get("pointers", [])
    return found


def test_a_pointer_is_added_after_its_fingerprint_was_compared(world: Any, client: FrameClient) -> None:  # noqa: F811
    """The root is shown first; only the one whose fingerprint was ticked is taken."""
    published(world, client)
    world.editor.begin_draft(actor="test")
    before = stamp(world)
    send(client, "/draft/pointers/add", 422, stamp=before, **FORM)
    send(client, "/draft/pointers/add", 422, stamp=before, root="{}", **FORM)
    text = send(
        client, "/draft/pointers/add", 200, stamp=before, root_file=(io.BytesIO(ROOT), "root.json"), **FORM
    )
    assert " ".join(SHA256[start : start + 4] for start in range(0, 64, 4)) in text
    assert ROOT.decode()[:40].replace('"', "&#34;") in text  # it need not be chosen again
    assert pointers(world) == []
    other = TrustHolders().sign_root(1, at=T)
    send(client, "/draft/pointers/add", 200, stamp=before, root=other.decode(), compared=SHA256, **FORM)
    assert pointers(world) == []
    send(client, "/draft/pointers/add", stamp=before, root=ROOT.decode(), compared=SHA256, **FORM)
    (added,) = pointers(world)
    assert base64.b64decode(added["root"]) == ROOT
    assert (added["id_types"], added["services"]) == (["uscc", "org"], ["pearl"])
    send(
        client, "/draft/pointers/add", 422, stamp=stamp(world), root=ROOT.decode(), compared=SHA256,
        **{**FORM, "services": ""},
    )  # fmt: skip
    for language in ("zh", "en"):
        for path in ("add", "gd", "gd/edit", "gd/status"):
            page(client, f"/draft/pointers/{path}", language)
    page(client, "/draft/pointers/hk", status=404)
    text = page(client, "/draft/differences")
    assert "The province&#39;s office" in text
    assert "unified social credit code (uscc)" in text
    assert added["root"][:50] not in text  # a fingerprint instead
    assert "gd/" in page(client, "/draft")


def test_a_pointer_is_edited_suspended_and_stays(world: Any, client: FrameClient) -> None:  # noqa: F811
    world.editor.import_draft(world.draft(), actor="test")
    for wrong in ({"id": "GD"}, {"location": "ftp://x/"}, {"id_types": []}, {"policies": "gold"}):
        form = {**FORM, **wrong, "root": ROOT.decode(), "compared": SHA256}
        text = send(client, "/draft/pointers/add", 422, stamp=stamp(world), **form)
        assert "ca.gd.example" in text or "location" in wrong
    send(client, "/draft/pointers/add", stamp=stamp(world), root=ROOT.decode(), compared=SHA256, **FORM)
    send(client, "/draft/pointers/gd/remove", stamp=stamp(world))
    assert pointers(world) == []
    send(client, "/draft/pointers/add", stamp=stamp(world), root=ROOT.decode(), compared=SHA256, **FORM)
    world.publish()
    assert "ca.gd.example" in page(client, "/")
    world.editor.begin_draft(actor="test")
    send(client, "/draft/pointers/gd/remove", 422, stamp=stamp(world))
    scope = {**FORM, "classes": ["organisation", "employee"], "services": ""}
    send(client, "/draft/pointers/gd/edit", stamp=stamp(world), **scope)
    (edited,) = pointers(world)
    assert (edited["classes"], "services" in edited) == (["organisation", "employee"], False)
    assert base64.b64decode(edited["root"]) == ROOT
    status = {"status": "suspended", "from": "2026-11-21T18:00"}
    send(client, "/draft/pointers/gd/status", 422, stamp=stamp(world), **{**status, "status": "terminated"})
    send(
        client, "/draft/pointers/gd/status", 422, stamp=stamp(world), **{**status, "from": "2025-01-01T00:00"}
    )
    send(client, "/draft/pointers/gd/status", stamp=stamp(world), **status)
    text = page(client, "/draft/differences")
    assert "suspended from" in text
    assert "every certification authority" in text
    codes = [change.code for change in world.editor.preview().changes]
    assert codes == ["pointer_status", "pointer_scope"]


@pytest.mark.token
def test_pointers_by_command(world: Any, tmp_path: Path, capsys: Any, softhsm_store: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "softhsm").symlink_to(softhsm_store, target_is_directory=True)

    def shell(*arguments: str, code: int = 0) -> str:
        result = run(["trust-list", "draft", *arguments, "--data", str(data)])
        said = capsys.readouterr()
        assert result == code, said
        return str(said.out) + str(said.err)

    (tmp_path / "draft.json").write_text(json.dumps(world.draft_json()))
    (tmp_path / "root.json").write_bytes(ROOT)
    shell("import", str(tmp_path / "draft.json"))
    scope = ["--location", FORM["location"], "--operator-zh", "某省", "--operator-en", "Province"]
    scope += ["--id-type", "uscc", "--class", "organisation", "--root", str(tmp_path / "root.json")]
    assert SHA256[:4] in shell("pointer", "add", "gd", *scope, code=2)
    shell("pointer", "add", "gd", "--location", "x", code=2)
    assert "new pointer" in shell(
        "pointer", "add", "gd", *scope, "--from", "2026-01-01", "--fingerprint", SHA256.upper()
    )
    shell("pointer", "edit", "gd", "--service", "pearl", "--operator-en", "The province")
    shell("pointer", "status", "suspend", "gd", "--accept-existing")
    shown = shell("pointer", "show")
    assert "gd\tservices\tpearl" in shown
    assert "The province" in shown
    assert "existing certificates stay accepted" in shown
    shell("pointer", "edit", "hk", "--service", "pearl", code=1)
    shell("pointer", "remove", "gd")
    assert shell("pointer", "show") == ""


def test_what_is_unknown_is_said(world: Any) -> None:
    with pytest.raises(ServiceError):
        world.draft().pointer("gd")

"""The snapshot of the register: rows checked one by one, signed on the token, published with the list."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from onecert.supervision.errors import SupervisionError
from onecert.supervision.register_rows import check_rows
from onecert.supervision.status import StatusApp
from onecert.verifier.identity.registry_snapshot import RegistrySnapshot
from onecert.verifier.trust_list import load_trust_timestamp
from onecert.verifier.trust_list.roles import Role

from .conftest import FIRM, T, World

OTHER, THIRD = "91440300MA5DEM0A63", "91440300K00000014K"


def rows(*entries: dict[str, Any]) -> list[bytes]:
    checked = check_rows(b"\n".join(json.dumps(each).encode() for each in entries), is_csv=False)
    assert checked.faults == []
    return checked.lines


def entity(uscc: str, **fields: Any) -> dict[str, Any]:
    return {"uscc": uscc, "names": ["示例科技有限公司"], "state": "active", **fields}


@pytest.fixture
def city(world: World) -> World:
    """A list is published, and root 2 names the register's key."""
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    world.publish()
    key = world.supervision.register.key().public_key()
    world.import_root(world.draft_root(registry_key=key))
    world.supervision.release(actor="test")
    return world


def code(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(SupervisionError) as caught:
        call(*args, **kwargs)
    return caught.value.code


def test_departments_read_what_was_published(city: World, tmp_path: Path) -> None:
    register, out = city.supervision.register, tmp_path / "out"
    made = register.make(rows(entity(OTHER), entity(FIRM)), out)
    assert register.current() is None
    register.publish(out, actor="test")
    city.supervision.release(actor="test")
    assert register.current() == made

    published = city.supervision.published
    snapshot = RegistrySnapshot(published, keys=city.root.roles[Role.REGISTRY])
    found = snapshot.find(f"org:{FIRM[8:17]}", T)
    assert found is not None
    assert found.uscc == FIRM
    timestamp = load_trust_timestamp((published / "trust-timestamp.json").read_bytes(), root=city.root)
    timestamp.check_names(Role.REGISTRY, made.number, made.sha256)
    assert "registry.published" in city.events()


def test_numbers_go_up(city: World, tmp_path: Path) -> None:
    register = city.supervision.register
    first, second = tmp_path / "1", tmp_path / "2"
    assert register.make(rows(entity(FIRM)), first).number == 1
    # Nobody has seen it: made once more elsewhere, it has the same number, and only one can be published.
    assert register.make(rows(entity(OTHER)), second).number == 1
    register.publish(first, actor="test")
    assert code(register.publish, second, actor="test") == "REGISTER_BACKWARDS"
    assert register.make(rows(entity(OTHER)), second).number == 2
    assert register.publish(second, actor="test").number == 2


def test_numbers_go_up_when_the_files_were_lost(city: World, tmp_path: Path) -> None:
    """Departments remember the number that a timestamp named, and would refuse to begin anew."""
    register = city.supervision.register
    for _ in range(2):
        register.make(rows(entity(FIRM)), tmp_path / "out")
        register.publish(tmp_path / "out", actor="test")
        city.supervision.release(actor="test")
    for name in ("registry.json", "registry.jsonl"):
        (city.supervision.published / name).unlink()
    city.clock.advance(timedelta(hours=2))
    city.supervision.release(actor="test")
    made = register.make(rows(entity(FIRM)), tmp_path / "elsewhere")
    assert made.number == 3
    assert register.publish(tmp_path / "elsewhere", actor="test") == made


def test_a_key_that_the_root_does_not_name(world: World, tmp_path: Path) -> None:
    world.officers()
    world.supervision.register.make(rows(entity(FIRM)), tmp_path)
    assert code(world.supervision.register.publish, tmp_path, actor="test") == "REGISTER_KEY_UNKNOWN"
    assert code(world.supervision.register.check, tmp_path / "absent") == "REGISTER_ABSENT"


def test_two_entities_with_one_number(city: World, tmp_path: Path) -> None:
    numbers = {"regno": ["440301103097413"]}
    lines = rows(entity(FIRM, **numbers), entity(OTHER, **numbers))
    assert code(city.supervision.register.make, lines, tmp_path / "out") == "REGISTER_REFUSED"
    assert list((tmp_path / "out").iterdir()) == []


def test_files_that_were_altered_on_the_way(city: World, tmp_path: Path) -> None:
    register = city.supervision.register
    register.make(rows(entity(FIRM)), tmp_path)
    (tmp_path / "registry.jsonl").write_bytes(b"{}\n")
    assert code(register.publish, tmp_path, actor="test") == "REGISTER_REFUSED"
    city.clock.advance(timedelta(days=40))
    register.make(rows(entity(FIRM)), tmp_path)
    assert register.publish(tmp_path, actor="test")


CSV = """uscc,name,state,former_names,regno,from,until
91440300MA5DEM004J,新名称有限公司,存续,旧名称有限公司；更旧名称有限公司,440301103097413,2015-03-01,
91440300MA5DEM0A63,另一家有限公司,注销,,,,2026-11-01
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_spreadsheets(encoding: str) -> None:
    checked = check_rows(CSV.encode(encoding), is_csv=True)
    assert checked.faults == []
    first, second = (json.loads(line) for line in checked.lines)
    assert first["names"] == ["新名称有限公司", "旧名称有限公司", "更旧名称有限公司"]
    assert (first["state"], first["from"]) == ("active", "2015-02-28T16:00:00Z")
    assert (second["state"], second["until"]) == ("cancelled", "2026-10-31T16:00:00Z")


def test_every_wrong_row_is_named() -> None:
    lines = [
        entity(FIRM),
        entity(FIRM[:-1] + "K"),
        entity(FIRM),
        entity(OTHER, state="closed"),
        entity(THIRD, until="tomorrow"),
    ]
    data = b"\n".join(json.dumps(each).encode() for each in lines) + b"\n{\n[]\n"
    assert [fault.line for fault in check_rows(data, is_csv=False).faults] == [2, 3, 4, 5, 6, 7]
    wrong = CSV.replace("2015-03-01", "1 March").replace("注销", "gone") + "x,y\n"
    assert [fault.line for fault in check_rows(wrong.encode(), is_csv=True).faults] == [2, 3, 4]
    assert check_rows(b"name,uscc\na,b\n", is_csv=True).faults[0].line == 1
    assert check_rows(b'uscc,name,state\n"a\n', is_csv=True).faults


def test_departments_fetch_it(city: World, tmp_path: Path) -> None:
    """In pieces, without keeping it in memory, and not twice."""
    city.supervision.register.make(rows(entity(FIRM)), tmp_path)
    city.supervision.register.publish(tmp_path, actor="test")
    client = Client(StatusApp(city.supervision.published, max_age=timedelta(seconds=10)))
    head, data = client.get("/registry.json"), client.get("/registry.jsonl")
    assert head.data == (tmp_path / "registry.json").read_bytes()
    assert (data.data, data.mimetype) == ((tmp_path / "registry.jsonl").read_bytes(), "application/x-ndjson")
    again = client.get("/registry.jsonl", headers={"If-None-Match": data.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    asked = client.head("/registry.jsonl")
    assert (asked.data, asked.content_length) == (b"", len(data.data))
    assert client.get("/bundle.zip").status_code == 404
    assert client.post("/registry.jsonl").status_code == 405

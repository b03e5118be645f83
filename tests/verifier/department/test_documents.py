"""The program in the guide for departments runs as it stands, and what the documents name exists."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from onecert.verifier import CouldNotCheckError
from onecert.verifier.cli import make_parser
from onecert.verifier.fetch import FetchAnswer, FetchRequest

ROOT = Path(__file__).parents[3]
GUIDES = [ROOT / "docs" / "department-developer.md", ROOT / "docs" / "department-developer.zh.md"]
NOW = "datetime.now(UTC)"
THEN = "datetime(2026, 11, 21, 9, tzinfo=UTC)"


def blocks(kind: str, document: Path) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", document.read_text("utf-8"), re.DOTALL)


def program(document: Path) -> str:
    """The login by hand, at our fixed time."""
    (found,) = [each for each in blocks("python", document) if "def challenge" in each]
    assert NOW in found
    return str(found.replace(NOW, THEN))


def test_program_of_the_guide(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A company logs in to the small Flask program; a second answer to one challenge is refused."""
    published = "http://status.example/supervision/"
    pages = {f"{published}trust-list.json": world.trust_list()}
    pages[f"{published}trust-timestamp.json"] = world.timestamp(pages[f"{published}trust-list.json"])
    pages |= {f"http://status.example/ca/{ca}.crl": world.crl(ca) for ca in ("pearl", "harbour", "summit")}

    def fetch(_self: object, request: FetchRequest) -> FetchAnswer:
        if request.url not in pages:
            raise CouldNotCheckError("FETCH_STATUS", url=request.url, status=404)
        return FetchAnswer(data=pages[request.url])

    monkeypatch.setattr("onecert.verifier.fetch.HttpFetch.__call__", fetch)
    monkeypatch.chdir(world.folder)
    Path("trust-root.json").write_bytes(world.root_file)
    Path("session.key").write_bytes(b"k" * 32)
    names: dict[str, Any] = {"__name__": "department"}
    exec(program(ROOT / "docs" / "department-developer.md"), names)
    client = names["app"].test_client()

    for ca in ("pearl", "harbour", "summit"):
        leaf = world.leaf(ca)
        made = client.post("/challenge", json={"browser": "b1"}).get_json()
        answer = {
            "id": made["id"],
            "certificate": leaf.pem.decode(),
            "signature": leaf.sign(made["text"].encode()).hex(),
        }
        assert client.post("/login", json=answer).get_json() == {
            "user": "uscc:91440300MA5DEM004J",
            "name": "示例科技有限公司",
        }
        again = client.post("/login", json=answer)
        assert (again.status_code, again.get_json()["code"]) == (403, "LOGIN_CHALLENGE_USED")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_first_program_is_the_example(guide: Path) -> None:
    """What the guide begins with is the program that ``test_examples.py`` runs."""
    example = (ROOT / "verifier" / "examples" / "flask_app.py").read_text("utf-8")
    assert blocks("python", guide)[0] == example


def test_both_languages_show_the_same_commands() -> None:
    assert blocks("console", GUIDES[0]) == blocks("console", GUIDES[1])


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_command_lines_of_the_guide_are_understood(guide: Path) -> None:
    lines = re.findall(r"^\$ (?:venv/bin/)?onecert-verify (.*)$", guide.read_text("utf-8"), re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        assert make_parser("en").parse_args(line.split()).run


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_files_that_the_guide_names_exist(guide: Path) -> None:
    """Links, their headings, and paths of this repository."""
    text = guide.read_text("utf-8")
    for target, _, heading in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", text)):
        linked = guide.parent / target
        assert linked.exists(), target
        headings = re.findall(r"^#+ (.*)$", linked.read_text("utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
        assert not heading or heading in anchors, (target, heading)
    for path in re.findall(r"`((?:verifier|demo|testkit)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


def test_draft_of_the_supervisions_readme() -> None:
    """The draft shown there has the keys that the importer knows; the importer's own tests read real ones."""
    text = (ROOT / "supervision" / "README.md").read_text("utf-8")
    match = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert match is not None
    service = json.loads(match[1])["services"][0]
    assert {"certificate_file", "identity_profile_file", "history", "samples"} <= service.keys()


def test_codes_named_in_the_guide_exist() -> None:
    from onecert.verifier.messages import codes  # noqa: PLC0415  read late: the catalogue is cached

    named = set(
        re.findall(
            r"`([A-Z]{2,}(?:_[A-Z]+)+)`", (ROOT / "docs" / "department-developer.md").read_text("utf-8")
        )
    )
    assert named
    assert named <= codes()

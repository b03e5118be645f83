"""The house itself: folders, namespace traps, pinned requirements. Broken here, everything else lies."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MEMBERS = ["verifier", "hsm", "server", "ca", "ra", "pmi", "supervision", "testkit"]


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


@pytest.mark.parametrize("member", MEMBERS)
def test_each_member_is_a_distribution_of_its_own(member: str) -> None:
    folder = ROOT / member
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == f"onecert-{member}"
    assert (folder / "README.md").read_text().count("\n") > 10
    assert (folder / "onecert" / member / "py.typed").exists()
    assert (folder / "onecert" / member / "__init__.py").exists()


def test_the_namespace_package_has_no_init_file() -> None:
    """One onecert/__init__.py anywhere would hide every other member."""
    assert list(tracked("*/onecert/__init__.py")) == []


def test_a_member_folder_at_the_root_cannot_be_imported_as_a_package() -> None:
    """Run from the root, `import ca` would find the folder ca/; nothing of ours may do that."""
    wrong = re.compile(rf"^\s*(from|import) ({'|'.join(MEMBERS)})\b", re.MULTILINE)
    assert [str(p) for p in tracked("*.py") if wrong.search(p.read_text())] == []


def test_all_members_are_importable_side_by_side() -> None:
    code = "import " + ", ".join(f"onecert.{m}" for m in MEMBERS)
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd="/")


def test_the_verifier_needs_nothing_but_cryptography() -> None:
    allowed = set(sys.stdlib_module_names) | {"cryptography"}
    foreign = set()
    # For who has the framework or the library; nothing else imports these modules (import-linter holds it).
    extras = {
        "web/flask.py": {"flask"},
        "web/django.py": {"django"},
        "signed_form/xml.py": {"lxml", "signxml"},
        "signed_form/xml_shape.py": {"lxml"},
        "signed_form/pdf.py": {"pyhanko"},
        "decision/cedar.py": {"cedarpy"},
        "gateway/django.py": {"django"},
        "postgresql/server.py": {"psycopg"},
    }
    for path in tracked("verifier/onecert/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            foreign |= {
                (str(path), n)
                for n in names
                if n.split(".")[0] not in allowed
                and not n.startswith("onecert.verifier")
                and n.split(".")[0] not in extras.get(f"{path.parent.name}/{path.name}", ())
            }
    assert foreign == set()


def test_requirements_are_pinned_with_hashes_and_name_no_index() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "--hash=sha256:" in text
        assert not re.search(
            r"^\s*(-i|-f|--(extra-)?index-url|--find-links|--trusted-host)", text, re.MULTILINE
        )
        assert not re.search(r"\w+://", text), path.name


def test_a_requirement_of_a_member_is_pinned() -> None:
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/run.txt").read_text(), re.MULTILINE))
    for member in MEMBERS:
        project = tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]
        for requirement in project["dependencies"]:
            name = re.split(r"[^A-Za-z0-9-]", requirement)[0].lower()
            assert name in pinned or name.startswith("onecert-"), (member, requirement)

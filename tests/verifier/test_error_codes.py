"""The catalogue of codes is what the source raises: nothing missing, dead or untrue."""

from __future__ import annotations

import ast
import importlib.util
import json
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

import onecert.verifier
from onecert.verifier import CouldNotCheckError, MalformedError, RefusedError, VerifyError, error_catalogue
from onecert.verifier.cli import main
from onecert.verifier.error_codes import GENERAL, KINDS
from onecert.verifier.messages import LANGUAGES, codes
from onecert.verifier.web.answers import answer_for

SOURCE = Path(onecert.verifier.__file__).parent
DOCS = Path(__file__).parents[2] / "docs"
CATALOGUE = error_catalogue()
# Rows of messages/ that are no reasons: labels, help, texts of pages.
LABELS = ("HELP_", "LABEL_", "USAGE_", "WEB_", "KIND_", "EXPLAIN_", "ROLE_", "TIME_SOURCE_", "GENERAL_")
LABEL_FILES = {"labels.json", "cli.json", "explain.json", "catalogue.json", "decision_texts.json"}
NO_REASONS = {"TRUST_ROOT_COMPARE"}


@pytest.fixture(scope="module")
def source() -> dict[str, ast.Module]:
    return {str(path): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}


@pytest.fixture(scope="module")
def raised(source: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Code -> kinds of the exceptions and notices made with it, where it stands there as a text."""
    bases: dict[str, list[str]] = {}
    made = defaultdict(set)
    for tree in source.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
            elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                made[node.args[0].value].add(ast.unparse(node.func).rpartition(".")[2])

    def kind_of(name: str) -> str | None:
        known = {
            "MalformedError": "malformed",
            "CouldNotCheckError": "could-not-check",
            "RefusedError": "refused",
            "Notice": "notice",
        }
        if name in known:
            return known[name]
        return next((kind for base in bases.get(name, ()) if (kind := kind_of(base))), None)

    return {
        code: kinds
        for code, names in made.items()
        if isinstance(code, str) and (kinds := {kind for name in names if (kind := kind_of(name))})
    }


def test_every_code_that_is_raised_is_in_the_catalogue(raised: dict[str, set[str]]) -> None:
    """Missing? Add a row to messages/catalogue/codes.json, with the advice that fits."""
    assert len(raised) > 150
    assert raised.keys() - CATALOGUE.keys() == set()


def test_kinds_are_those_of_the_exceptions(raised: dict[str, set[str]]) -> None:
    """A code may be raised as two kinds where a caller hands it on; the catalogue names one of them."""
    wrong = {
        code: (CATALOGUE[code].kind, kinds)
        for code, kinds in raised.items()
        if code in CATALOGUE and CATALOGUE[code].kind not in kinds
    }
    assert wrong == {}


def test_none_is_dead(source: dict[str, ast.Module]) -> None:
    """Every code stands in the source as a text, or is put together from one."""
    texts = {
        node.value
        for tree in source.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    dead = {code for code in CATALOGUE if code not in texts and not _is_put_together(code, texts)}
    assert dead == set()


def _is_put_together(code: str, texts: set[str]) -> bool:
    # f"{name}_EXISTING_ACCEPTED" and f"{kind}_ROLLBACK" have their parts as texts of their own.
    words = code.split("_")
    return any(f"_{'_'.join(words[at:])}" in texts for at in range(1, len(words)))


def test_every_row_of_messages_is_a_code_or_a_label() -> None:
    """A reason that is in messages/ and not in the catalogue would have no advice for the help desk."""
    labels = set()
    for path in (SOURCE / "messages").glob("*.json"):
        rows = json.loads(path.read_text(encoding="utf-8"))
        labels |= {code for code in rows if path.name in LABEL_FILES or code.startswith(LABELS)}
    assert codes() - (labels - CATALOGUE.keys()) - NO_REASONS == CATALOGUE.keys()


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_texts_are_complete(code: str) -> None:
    entry = CATALOGUE[code]
    assert entry.code == code
    assert entry.kind in KINDS
    for language in LANGUAGES:
        assert entry.text(language) != code
        assert len(entry.desk(language)) > 10
    assert any("\u4e00" <= character <= "\u9fff" for character in entry.text("zh") + entry.desk("zh"))
    assert entry.log == f"{code}: {entry.text('en')}"
    assert json.loads(json.dumps(entry.as_dict()))["compatibility"]["sar"].startswith("0x0B000")


def test_no_advice_is_unused() -> None:
    given = json.loads((SOURCE / "messages" / "catalogue" / "desk.json").read_text(encoding="utf-8"))
    assert {entry.advice for entry in CATALOGUE.values()} == given.keys()


@pytest.mark.parametrize(
    ("code", "sar", "bjca"),
    [
        ("ISSUER_UNKNOWN", 0x0B000406, -1),
        ("CERT_EXPIRED", 0x0B000407, -2),
        ("CERT_REVOKED", 0x0B000408, -3),
        ("CERT_HELD", 0x0B000408, -4),
        ("CERT_NOT_YET_VALID", 0x0B000505, -5),
        ("LOGIN_SERVER_KEY", 0x0B000409, None),
        ("LOGIN_SIGNATURE", 0x0B000410, None),
        ("CRL_SIGNER", 0x0B000516, None),
        ("IDENTITY_CONFLICT", None, None),
        ("NO_SUCH_CODE", None, None),
    ],
)
def test_numbers_of_older_interfaces(code: str, sar: int | None, bjca: int | None) -> None:
    """Only where the meaning fits; the general number says that it is the general one."""
    numbers = VerifyError(code).compatibility()
    assert (numbers.sar, numbers.sar_exact) == ((GENERAL.sar, False) if sar is None else (sar, True))
    assert (numbers.bjca, numbers.bjca_exact) == ((GENERAL.bjca, False) if bjca is None else (bjca, True))


def test_no_refusal_looks_like_success() -> None:
    """Zero is good to every older interface."""
    assert all(entry.compatibility.sar and entry.compatibility.bjca for entry in CATALOGUE.values())
    assert all(entry.http_status >= 400 for entry in CATALOGUE.values() if entry.kind != "notice")


@pytest.mark.parametrize("code", sorted(code for code, entry in CATALOGUE.items() if entry.kind != "notice"))
def test_adapters_answer_with_the_status_of_the_catalogue(code: str) -> None:
    kinds = {"malformed": MalformedError, "could-not-check": CouldNotCheckError}
    entry = CATALOGUE[code]
    answer = answer_for(kinds.get(entry.kind, RefusedError)(code), accept="application/json")
    problem = json.loads(answer.body)
    assert (answer.status, problem["status"]) == (entry.http_status, entry.http_status)
    assert problem["desk"] == entry.desk("zh")
    assert problem["compatibility"] == entry.compatibility.as_dict()


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    """All in short, one in full, by the number of an older interface; an unknown one is wrong usage."""
    assert main(["errors", "--language", "en"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(CATALOGUE)
    assert main(["errors", "--language", "zh", "cert_revoked"]) == 0
    shown = capsys.readouterr().out
    assert "0x0B000408" in shown
    assert CATALOGUE["CERT_REVOKED"].desk("zh") in shown
    assert main(["errors", "--json", "0x0B000408"]) == 0
    found = {entry["code"] for entry in json.loads(capsys.readouterr().out)}
    assert {"CERT_REVOKED", "CERT_HELD"} <= found
    assert "ISSUER_UNKNOWN" not in found
    assert main(["errors", "--language", "en", "--", "-4"]) == 0
    assert "CERT_HELD" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["errors", "NO_SUCH_CODE"])
    assert caught.value.code == 2


@pytest.fixture(scope="module")
def make_errors() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_errors", DOCS / "make_errors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_are_fresh(make_errors: ModuleType, language: str) -> None:
    """Stale? ``python docs/make_errors.py`` writes them anew."""
    written = make_errors.PAGES[language].read_text(encoding="utf-8")
    assert written == make_errors.page(language)
    assert all(f"`{code}`" in written for code in CATALOGUE)

"""``onecert token``: results on stdout, talk on stderr, exit codes 0 to 3; and the program of the README."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from onecert.hsm import cli

pytestmark = pytest.mark.token

ROOT = Path(__file__).parents[2]
Run = Callable[..., Result]


@pytest.fixture(params=["zh", "en"])
def language(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(cli, "LANGUAGE", request.param)
    return str(request.param)


@pytest.fixture
def run(softhsm_store: Path, tmp_path: Path) -> Run:
    """Run a command on the token "cli", which is made first."""
    store, pin = str(softhsm_store), str(tmp_path / "pin")

    def run_it(*arguments: str, label: str = f"cli {tmp_path.name[-20:]}") -> Result:
        runner = CliRunner()
        made = runner.invoke(cli.token, ["create", label, "--softhsm", store, "--pin-file", pin])
        assert made.exit_code == 0, made.output
        where = ["--softhsm", store]
        if arguments[0] != "list":
            where += ["--label", label, "--pin-file", pin]
        return runner.invoke(cli.token, [*arguments, *where])

    return run_it


def test_keys_are_made_listed_and_destroyed(run: Run, language: str, tmp_path: Path) -> None:
    made = run("generate", "signing", "--algorithm", "p-384")
    assert made.exit_code == 0
    assert load_pem_public_key(made.stdout.encode()).curve.name == "secp384r1"
    assert run("keys").stdout == "signing\tp-384\n"
    assert run("public-key", "signing").stdout == made.stdout
    assert run("public-key", "signing", "--out", str(tmp_path / "key.pem")).stdout == ""
    assert (tmp_path / "key.pem").read_text() == made.stdout
    shown = run("destroy", "signing")
    assert shown.exit_code == 0
    assert "--apply" in shown.stderr
    assert run("keys").stdout == "signing\tp-384\n"
    assert run("destroy", "signing", "--apply").exit_code == 0
    assert run("keys").stdout == ""
    assert shown.stdout.startswith({"zh": "将销毁", "en": "would destroy"}[language])


def test_tokens_are_listed_and_checked(run: Run, language: str) -> None:
    checked = run("check")
    assert checked.exit_code == 0
    assert {"zh": "正常", "en": "is ready"}[language] in checked.stdout
    assert re.search(r"^cli .*\t[0-9a-f]{16}\tSoftHSM v2$", run("list").stdout, re.MULTILINE)
    listed = json.loads(run("list", "--json").stdout)
    assert any(row["label"].startswith("cli ") for row in listed)


def test_refused_is_1_and_could_not_check_is_3_each_with_a_hint(
    run: Run, language: str, tmp_path: Path, softhsm_store: Path
) -> None:
    missing = run("public-key", "nobody")
    assert missing.exit_code == 1
    assert missing.stdout == ""
    assert {"zh": "提示:", "en": "hint:"}[language] in missing.stderr
    run("generate", "twice")
    assert run("generate", "twice").exit_code == 1
    gone = CliRunner().invoke(
        cli.token,
        ["check", "--label", "no", "--pin-file", str(tmp_path / "pin"), "--softhsm", str(softhsm_store)],
    )
    assert gone.exit_code == 3
    other_store = CliRunner().invoke(cli.token, ["list", "--softhsm", str(tmp_path / "other")])
    assert other_store.exit_code == 3


def test_wrong_usage_is_2(run: Run) -> None:
    assert run("generate", "key", "--algorithm", "rsa-1024").exit_code == 2
    assert CliRunner().invoke(cli.token, ["keys"]).exit_code == 2


def test_an_empty_store_says_so(run_program: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run_program('from onecert.hsm.cli import token; token(["list", "--softhsm", str(STORE)])')
    assert done.stdout == ""
    assert "libsofthsm2.so" in done.stderr


def test_the_program_of_the_readme_runs(tmp_path: Path, softhsm_store: Path) -> None:
    readme = (ROOT / "hsm" / "README.md").read_text()
    program = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert program is not None
    names: dict[str, object] = {"Path": lambda name: softhsm_store if name == "softhsm" else tmp_path / name}
    source = program[1].replace("from pathlib import Path\n", "")
    exec(compile(source, "README.md", "exec"), names)
    assert (tmp_path / "ca.pin").exists()


def test_the_readme_names_every_module_and_setting() -> None:
    readme = (ROOT / "hsm" / "README.md").read_text()
    for path in (ROOT / "hsm/onecert/hsm").glob("*.py"):
        assert path.name == "__init__.py" or f"`{path.name}`" in readme, path.name
    for name in ("label", "pin_file", "module", "softhsm", "sessions"):
        assert f"`{name}`" in readme

"""The `onecert` command as a person meets it: in processes of its own, with a member made for the test."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import click
import httpx
import pytest

from onecert.server import cli
from onecert.server.errors import DatabaseUnavailableError, ServiceError
from onecert.server.logging_setup import JsonLines, set_up_logging
from onecert.verifier.errors import CouldNotCheckError, RefusedError

MEMBER = '''
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from onecert.server.jobs import Job
from onecert.server.members import Member, Service


@dataclass(frozen=True, kw_only=True)
class Config:
    greeting: str = "hello"


def build(config, context):
    def app(environ, start_response):
        """POST /<n> writes note n and its audit entry; nothing is answered before both are durable."""
        number = environ["PATH_INFO"].strip("/")
        if environ["REQUEST_METHOD"] == "POST":
            with context.database.transaction() as connection:
                connection.execute(text("INSERT INTO notes (id) VALUES (:id)"), {"id": int(number)})
                context.audit.record(connection, event="note.written", actor="test:x", subject=number)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{config.greeting} {number}".encode()]

    def work(at):
        with context.database.transaction() as connection:
            context.audit.record(connection, event="job.ran", actor="job:x", subject=at.isoformat())

    return Service(
        app=app,
        jobs=[Job("work", timedelta(seconds=1), work)],
        audit_key=ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1()),
    )


member = Member(
    name="sample",
    config=Config,
    migrations="onecert_sample.migrations",
    catalogue="onecert_sample",
    roles={},
    build=build,
)
'''
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True))
"""
COMMANDS = '''
import click


@click.command()
def broken():
    """Break."""
    raise KeyError("440300190001010015")
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with an installed member `sample` and a command `broken`."""
    site = tmp_path_factory.mktemp("site")
    package = site / "onecert_sample"
    (package / "migrations" / "versions").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "migrations" / "__init__.py").touch()
    (package / "member.py").write_text(MEMBER)
    (package / "commands.py").write_text(COMMANDS)
    (package / "migrations" / "versions" / "0001_notes.py").write_text(MIGRATION)
    info = site / "onecert_sample-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onecert-sample\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[onecert.members]\nsample = onecert_sample.member:member\n"
        "[onecert.commands]\nbroken = onecert_sample.commands:broken\nmissing = onecert_nowhere:x\n"
    )
    return site


def environ(site: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ONECERT_", "LC_", "LANG"))
    }
    return kept | {"PYTHONPATH": str(site)} | more


@pytest.fixture
def onecert(site: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `onecert …` to its end."""

    def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "onecert.server.cli", *map(str, arguments)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environ(site, **more),
            cwd=tmp_path,
            check=False,
            timeout=60,
        )

    return run


class Up:
    """`onecert up` in a process of its own."""

    def __init__(self, site: Path, data: Path, **more: str) -> None:
        command = [
            sys.executable,
            "-m",
            "onecert.server.cli",
            "up",
            "--data",
            str(data),
            "--members",
            "sample",
        ]
        self.process = subprocess.Popen(
            [*command, "--https-port", "0", "--http-port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ(site, **more),
        )
        line = self.process.stdout.readline()
        found = re.fullmatch(r"ready (https://127\.0\.0\.1:\d+/) (http://127\.0\.0\.1:\d+/)\n", line)
        assert found, f"{line!r} {self.process.communicate()[1]}"
        self.https, self.http = found.groups()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err


@pytest.fixture
def up(site: Path, tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(**more: str) -> Up:
        started.append(Up(site, tmp_path / "data", **more))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def test_up_serves_until_sigterm_and_the_trail_is_whole(
    up: Callable[..., Up], onecert: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Start, write, SIGTERM, export, verify; then one changed byte is found and named."""
    running = up(ONECERT_SAMPLE_GREETING="你好")
    assert httpx.post(running.https + "sample/1", verify=False).text == "你好 1"
    assert httpx.get(running.http + "healthz").text == "ok\n"
    code, err = running.stop()
    assert code == 0
    assert "made a self-signed TLS certificate" in err
    assert "Traceback" not in err

    data, file = tmp_path / "data", tmp_path / "audit.jsonl"
    exported = onecert("audit", "export", "sample", "--data", data, "--to", file)
    assert exported.returncode == 0, exported.stderr
    verified = onecert("audit", "verify", file, "--data", data)
    assert verified.returncode == 0, verified.stderr
    assert "whole and unchanged" in verified.stdout
    (key,) = (data / "sample" / "audit-keys").glob("*.pem")
    again = onecert("audit", "verify", file, "--key", key, "--earlier", file)
    assert (again.returncode, again.stderr) == (0, "")

    unknown = onecert("audit", "verify", file, "--data", tmp_path / "nowhere")
    assert unknown.returncode == 3
    assert "--key" in unknown.stderr

    file.write_bytes(file.read_bytes().replace(b"test:x", b"test:y"))
    changed = onecert("audit", "verify", file, "--data", data)
    assert changed.returncode == 1
    assert re.search(r"entry \d+ is not as it was written", changed.stderr)
    in_chinese = onecert("audit", "verify", file, "--data", data, LANG="zh_CN.UTF-8")
    assert in_chinese.returncode == 1
    assert "AUDIT_CHANGED" in in_chinese.stderr


def test_kill_at_any_moment_loses_no_answered_act(
    up: Callable[..., Up],
    onecert: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    site: Path,
) -> None:
    """Write, kill -9 in the middle, start again: what was answered is there, once, with its entry."""
    answered: list[int] = []
    number = 0
    for _ in range(2):
        running = up()
        deadline = time.monotonic() + 0.7
        with httpx.Client(verify=False) as client:
            while time.monotonic() < deadline:
                number += 1
                if client.post(f"{running.https}sample/{number}").status_code == 200:
                    answered.append(number)
        running.stop(signal.SIGKILL)
    running = up()
    assert running.stop()[0] == 0
    file = tmp_path / "audit.jsonl"
    assert onecert("audit", "export", "sample", "--data", tmp_path / "data", "--to", file).returncode == 0
    verified = onecert("audit", "verify", file, "--data", tmp_path / "data")
    assert verified.returncode == 0, verified.stderr
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    written = [int(entry["subject"]) for entry in entries if entry.get("event") == "note.written"]
    assert len(written) == len(set(written))
    assert set(answered) <= set(written)


def test_second_start_on_the_same_port(up: Callable[..., Up], onecert: Callable[..., object]) -> None:
    running = up()
    port = running.http.rstrip("/").rpartition(":")[2]
    second = onecert("up", "--members", "sample", "--data", "other", "--https-port", 0, "--http-port", port)
    assert second.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
    assert "hint: stop what uses it" in second.stderr
    assert "Traceback" not in second.stderr


def test_wrong_settings_stop_the_start(onecert: Callable[..., object], tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('[sample]\ngreting = "x"\n[server]\nhttps_port = "x"\n')
    ended = onecert(
        "up", "--members", "sample", "--data", "d", "--config", "x.toml", ONECERT_SAMPLE_COLOUR="red"
    )
    assert ended.returncode == 1
    for part in ("greting: is not a setting", "https_port: a whole number", "colour: is not a setting"):
        assert part in ended.stderr


def test_database_that_is_away(onecert: Callable[..., object], tmp_path: Path) -> None:
    url = f"postgresql+psycopg://nobody@/none?host={tmp_path}"
    ended = onecert("database", "migrate", "sample", "--data", "d", ONECERT_DATABASE_SAMPLE_URL=url)
    assert ended.returncode == 3
    assert "the database cannot be reached [DATABASE_UNAVAILABLE]" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_lost_database_is_not_replaced_by_an_empty_one(
    onecert: Callable[..., object], tmp_path: Path
) -> None:
    """The file was here and is gone: nothing is begun in its place until somebody gives it up for good."""
    command = ("database", "migrate", "sample", "--data", str(tmp_path / "d"))
    assert onecert(*command).returncode == 0
    file = tmp_path / "d" / "sample" / "sample.db"
    file.unlink()
    ended = onecert(*command)
    assert ended.returncode == 3
    assert "[DATABASE_LOST]" in ended.stderr
    assert str(file) in ended.stderr
    assert "backup" in ended.stderr
    assert not file.exists()
    chinese = onecert(*command, ONECERT_LANGUAGE="zh")
    assert "备份" in chinese.stderr
    file.with_name("sample.db-made").unlink()
    assert onecert(*command).returncode == 0


def test_migrate(onecert: Callable[..., object]) -> None:
    for _ in range(2):
        ended = onecert("database", "migrate", "sample", "--data", "d")
        assert ended.returncode == 0, ended.stderr
        assert "sample: onecert_sample.migrations 0001" in ended.stdout


@pytest.mark.postgres
def test_migrate_on_postgresql_with_a_password_file(
    onecert: Callable[..., object], postgresql_url: str, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("not asked for\n")
    ended = onecert(
        "database",
        "migrate",
        "sample",
        ONECERT_DATABASE_SAMPLE_URL=postgresql_url,
        ONECERT_DATABASE_SAMPLE_SCHEMA=re.search(r"test_\w+", postgresql_url).group(),
        ONECERT_DATABASE_SAMPLE_PASSWORD_FILE="password",
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "missing"),
        (["--version"], 0, "onecert"),
        (["nonsense"], 2, "No such command"),
        (["audit", "verify"], 2, "Missing argument"),
        (["audit", "verify", "no-such-file"], 2, "does not exist"),
        (["audit", "export", "nothing", "--to", "x"], 1, "no service called nothing"),
        (["up", "--members", "nothing"], 1, "MEMBER_UNKNOWN"),
        (["missing"], 3, "ModuleNotFoundError"),
        (["broken"], 3, "unexpected error: KeyError"),
    ],
)
def test_exit_codes(onecert: Callable[..., object], arguments: list[str], code: int, said: str) -> None:
    ended = onecert(*arguments)
    assert ended.returncode == code
    assert said in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert "440300190001010015" not in ended.stderr


def test_trace_on_request(onecert: Callable[..., object]) -> None:
    assert "Traceback" in onecert("--debug", "broken").stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            ServiceError("REFUSED", status=403, text="no %(what)s", hint="ask %(who)s", what="way", who="Li"),
            1,
            "no way",
        ),
        (DatabaseUnavailableError("full"), 3, "hint: make room"),
        (RefusedError("DOCUMENT_TYPE", found="a", expected="b"), 1, "[DOCUMENT_TYPE]"),
        (CouldNotCheckError("NO_ANCHOR"), 3, "[NO_ANCHOR]"),
        (FileNotFoundError(2, "No such file", "/x/y"), 3, "/x/y: No such file"),
        (KeyboardInterrupt(), 1, "stopped"),
        (click.Abort(), 1, "stopped"),
        (click.ClickException("no"), 1, "no"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_errors_become_sentences(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli.onecert, "main", fail)
    monkeypatch.setenv("LANG", "C")
    assert cli.run([]) == code
    assert said in capsys.readouterr().err


# --- logs ---


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, object]]]]:
    stream = StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    set_up_logging("INFO", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)


def test_log_lines_hold_fields_and_no_secrets(log: Callable[[], list[dict[str, object]]]) -> None:
    logging.getLogger("onecert.demo").info(
        "certificate issued",
        extra={
            "serial": "3f9a",
            "pin": "1234",
            "token_pin": "1234",
            "token": "ca",
            "link_token": "x",
            "pin_file": "/x/pin",
            "idcard": "440300190001010015",
            "applicant": "李 440300190001010015",
            "facts": {"password": "x", "list": ["440300190001010015", 3, None]},
        },
    )
    (line,) = log()
    assert line["message"] == "certificate issued"
    assert line["level"] == "info"
    assert line["serial"] == "3f9a"
    assert line["pin_file"] == "/x/pin"
    assert line["applicant"] == "李 [withheld]"
    assert line["facts"] == {"password": "[withheld]", "list": ["[withheld]", 3, None]}
    assert line["token"] == "ca"
    assert {line["pin"], line["token_pin"], line["link_token"], line["idcard"]} == {"[withheld]"}


def test_trace_in_the_log_is_one_line_without_secrets(log: Callable[[], list[dict[str, object]]]) -> None:
    try:
        raise ValueError("-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY----- of 440300190001010015")
    except ValueError:
        logging.getLogger("onecert.demo").exception("it broke")
    (line,) = log()
    assert "MIGH" not in str(line)
    assert "440300190001010015" not in str(line)
    assert "ValueError" in str(line["trace"])


def test_numbers_that_only_look_like_an_identity_card_stay(
    log: Callable[[], list[dict[str, object]]],
) -> None:
    """A wrong check digit, or more digits around it: serial numbers must stay readable."""
    logging.getLogger("onecert.demo").info(
        "numbers", extra={"a": "440300190001010016", "b": "1440300190001010015"}
    )
    (line,) = log()
    assert (line["a"], line["b"]) == ("440300190001010016", "1440300190001010015")
    assert isinstance(logging.getLogger().handlers[0].formatter, JsonLines)

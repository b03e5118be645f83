"""`onecert trust-list` with officers' tokens in SoftHSM: from the first officer to a withdrawal."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from onecert.server.cli import run
from onecert.server.contexts import open_member
from onecert.supervision.member import member
from onecert.verifier.trust_list import Status, load_trust_list, load_trust_root

pytestmark = pytest.mark.token
PIN = "kettle 42"


class Shell:
    """Runs commands on one data folder and keeps what they print."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self.store = data.with_name("offline-root")
        self._capsys = capsys
        self.out = ""
        self.err = ""

    def __call__(self, *arguments: str, code: int = 0, typed: str = PIN) -> str:
        """``typed`` is what the officer types: the PIN, unless a test is about another one."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdin", io.StringIO(typed + "\n"))
            result = run(["trust-list", *arguments, "--data", str(self.data)])
        self.out, self.err = self._capsys.readouterr()
        assert result == code, (arguments, self.out, self.err)
        return self.out

    def offline(self, *arguments: str, code: int = 0) -> str:
        """A command of the machine without network: it gets no data folder."""
        label = f"{abs(hash(self.data)) % 10**6}"
        holder = arguments[arguments.index("--holder") + 1]
        where = ["--store", str(self.store), "--token-label", f"r{label}-{holder}"]
        result = run(["trust-list", "root", *arguments, *where])
        self.out, self.err = self._capsys.readouterr()
        assert result == code, (arguments, self.out, self.err)
        return self.out

    def root(self, *options: str, signers: tuple[str, ...] = ("gu", "xu")) -> Path:
        """Draft the next root and let holders sign it; returns the ceremony's file."""
        file = self.store / "ceremony.json"
        self("root", "draft", *options, "--out", str(file))
        for holder in signers:
            self.offline("sign", str(file), "--holder", holder, "--apply")
        return file

    def first_root(self) -> None:
        """Three holders; two sign the first root."""
        files: list[str] = []
        for holder in ("gu", "xu", "tan"):
            file = str(self.store / f"{holder}.root-key.json")
            self.offline("key", "--holder", holder, "--out", file)
            files += ["--root-key", file]
        self("root", "import", str(self.root(*files, "--threshold", "2")), "--apply")


@pytest.fixture
def shell(
    softhsm_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """A process has one SoftHSM store: the data folder gets the tests' one under its usual name."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "softhsm").symlink_to(softhsm_store, target_is_directory=True)
    (tmp_path / "offline-root").mkdir(mode=0o700)
    (tmp_path / "offline-root" / "softhsm").symlink_to(softhsm_store, target_is_directory=True)
    # Tokens of several tests share that store, so each test's labels differ.
    label = f"{abs(hash(tmp_path)) % 10**6}"
    monkeypatch.setenv("ONECERT_SUPERVISION_OFFICER_TOKEN_PREFIX", f"l{label}-")
    monkeypatch.setenv("ONECERT_SUPERVISION_AUDIT_TOKEN_LABEL", f"audit-{label}")
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    return Shell(data, capsys)


def test_the_whole_way(shell: Shell, world: Any, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for name, number in (("wang", "440300190001010015"), ("li", "44030019000101004X")):
        shell("officer", "add", name, "--name", name.title(), "--person", number)
        assert shell.out.startswith(f"{name}\t")
    assert len(shell("officer", "list").splitlines()) == 2
    shell.first_root()
    shell("officer", "add", "wang", code=1)
    shell("officer", "add", "nobody", code=1)
    shell("officer", "add", "zhao", "--name", "Zhao", code=2)

    root_file = tmp_path / "trust-root.json"
    shell("root", "show", "--out", str(root_file))
    root = load_trust_root(root_file.read_bytes())
    assert json.loads(shell("root", "show", "--json")) == json.loads(root_file.read_text())
    assert root.fingerprint in shell("root", "show")
    assert "list officers: 2 of 2 must sign" in shell.out
    keys = root.list_keys

    draft = tmp_path / "draft.json"
    draft.write_text(json.dumps(world.draft_json()))
    assert "new authority 珠江CA" in shell("draft", "import", str(draft))
    assert "2 more officer(s)" in shell.err
    assert json.loads(shell("draft", "show"))["territory"] == "CN-44"
    shell("publish", "--apply", code=1)
    shell("draft", "sign", "--officer", "wang")
    assert "1 more" in shell.err
    shell("draft", "sign", "--officer", "li")
    assert "ready to publish" in shell.err

    # Without --apply nothing is published.
    assert "would publish the trust list number 1" in shell("publish")
    shell("show", code=1)
    assert "published number 1" in shell("publish", "--apply")
    published = shell.data / "supervision" / "published" / "trust-list.json"
    trust_list = load_trust_list(published.read_bytes(), keys=keys, at=now + timedelta(seconds=1))
    assert trust_list.sequence == 1
    assert "pearl\tgranted\tPearl CA\t珠江CA" in shell("show")
    assert json.loads(shell("show", "--json")) == json.loads(published.read_text())

    # The licence of pearl is withdrawn since this morning.
    start = (now - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "pearl\tlicence withdrawn from" in shell("withdraw", "pearl", "--from", start)
    assert "licence withdrawn" in shell("draft", "diff")
    for name in ("wang", "li"):
        shell("draft", "sign", "--officer", name)
    shell("publish", "--apply")
    trust_list = load_trust_list(
        published.read_bytes(), keys=keys, at=datetime.now(UTC) + timedelta(seconds=1)
    )
    present = trust_list.by_id["pearl"].status_at(datetime.now(UTC))
    assert present is not None
    assert (trust_list.sequence, present.status) == (2, Status.WITHDRAWN)
    assert "pearl\twithdrawn" in shell("show")

    # A draft may be begun, edited in every way, and given up.
    assert "Nothing but number and dates." in shell("draft", "new")
    shell("suspend", "harbour", "--accept-existing")
    shell("grant", "pearl")
    shell(
        "terminate",
        "summit",
        "--from",
        "2027-01-01",
        "--taken-over-by",
        "harbour",
        "--existing-until",
        "2027-06-01",
    )
    shell("compromised", "pearl", "--from", "2027-02-01T00:00:00Z")
    shell("withdraw", "moon", code=1)
    shell("withdraw", "pearl", "--from", "yesterday", code=2)
    shell("draft", "discard")
    shell("draft", "show", code=1)


def test_wrong_files(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "draft.json"
    file.write_text('{"operator": {}}')
    shell("draft", "import", str(file), code=1)
    assert "DRAFT_MALFORMED" in shell.err
    assert "hint" in shell.err
    shell("draft", "import", str(tmp_path / "missing.json"), code=2)
    shell("draft", "sign", "--officer", "wang", code=1)


def test_a_token_that_is_gone(
    shell: Shell, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An officer's token does not answer: no signature was made, and nothing else has changed."""
    shell("officer", "add", "wang", "--name", "Wang", "--person", "440300190001010015")
    draft = tmp_path / "draft.json"
    draft.write_text(json.dumps(world.draft_json()))
    shell("draft", "import", str(draft))
    monkeypatch.setenv("ONECERT_SUPERVISION_OFFICER_TOKEN_PREFIX", "gone-")
    shell("draft", "sign", "--officer", "wang", code=3)
    assert "TOKEN_UNAVAILABLE" in shell.err
    shell("draft", "diff")
    assert "2 more officer(s)" in shell.err


def test_the_service_as_the_server_builds_it(shell: Shell, world: Any, tmp_path: Path) -> None:
    """Member.build with real tokens: pages, status files, readiness, a key for the audit heads, a job."""
    for name, number in (("wang", "440300190001010015"), ("li", "44030019000101004X")):
        shell("officer", "add", name, "--name", name.title(), "--person", number)
    shell.first_root()
    draft = tmp_path / "draft.json"
    draft.write_text(json.dumps(world.draft_json()))
    shell("draft", "import", str(draft))
    for name in ("wang", "li"):
        shell("draft", "sign", "--officer", name)
    shell("publish", "--apply")

    opened = open_member("supervision", shell.data)
    service = member.build(opened.config, opened.context)
    try:
        for check in service.checks.values():
            check()
        assert service.audit_key is not None
        opened.context.audit.sign_head(opened.context.database, service.audit_key)
        for job in service.jobs:
            job.run(datetime.now(UTC))
        assert service.status is not None
        page = Client(service.app).get("/", base_url="https://127.0.0.1:8443/supervision")
        assert page.status_code == 200
        assert "珠江CA" in page.get_data(as_text=True)
        assert Client(service.status).get("/trust-list.json").status_code == 200
    finally:
        service.close()
        opened.close()


def test_the_ceremony_on_two_machines(shell: Shell, tmp_path: Path) -> None:
    """Keys and signatures offline, draft and import at the service; each dry run changes nothing."""
    for name, number in (("wang", "440300190001010015"), ("li", "44030019000101004X")):
        shell("officer", "add", name, "--name", name.title(), "--person", number)
        assert "next root" in shell.err
    file = str(shell.store / "ceremony.json")
    shell("root", "show", code=1)
    assert "ROOT_MISSING" in shell.err
    shell("root", "draft", "--threshold", "2", "--out", file, code=1)
    shell.first_root()
    assert "print this fingerprint" in shell.err
    before = Path(file).read_bytes()
    fingerprint = shell("root", "show").split("\t")[1].splitlines()[0]

    # A holder looks, signs, and cannot sign twice; a stranger's key has no say.
    shell("root", "draft", "--out", file)
    assert fingerprint not in shell.out
    shown = shell.offline("sign", file, "--holder", "gu")
    assert "trust root, version 2" in shown
    assert "nothing was signed" in shell.err
    shell.offline("sign", file, "--holder", "gu", "--apply")
    assert "1 more of the new root's holders" in shell.err
    assert "1 more of the present holders" in shell.err
    shell.offline("sign", file, "--holder", "gu", "--apply", code=1)
    assert "ROOT_SIGNED" in shell.err
    stranger = str(shell.store / "bai.root-key.json")
    shell.offline("key", "--holder", "bai", "--out", stranger)
    shell.offline("key", "--holder", "bai", "--out", stranger)
    assert "had a root key already" in shell.err
    shell.offline("sign", file, "--holder", "bai", "--apply", code=1)
    assert "ROOT_KEY_UNKNOWN" in shell.err
    shell.offline("sign", file, "--holder", "Gu!", "--apply", code=2)
    shell.offline("sign", stranger, "--holder", "gu", code=1)
    assert "ROOT_FILE_MALFORMED" in shell.err

    # One signature is not enough; two are, and without --apply nothing happens.
    shell("root", "import", file, "--apply", code=1)
    assert "ROOT_REFUSED" in shell.err
    shell.offline("sign", file, "--holder", "tan", "--apply")
    assert "ready" in shell.err
    assert "would import\t2" in shell("root", "import", file)
    assert shell("root", "show").startswith("1\t")
    assert "imported\t2" in shell("root", "import", file, "--apply")
    assert "known\t2" in shell("root", "import", file, "--apply")
    # The file of the first root is an older one now.
    Path(file).write_bytes(before)
    shell("root", "import", file, "--apply", code=1)
    assert "ROOT_REFUSED" in shell.err
    assert run(["trust-list", "root", "check", file]) == 0
    shell("officer", "list")

    # An officer leaves: a dry run, then in earnest; with one officer left there is no root to draft.
    assert shell("officer", "remove", "li").startswith("would remove")
    assert len(shell("officer", "list").splitlines()) == 2
    assert shell("officer", "remove", "li", "--apply").startswith("removed\tli")
    shell("officer", "remove", "li", "--apply", code=1)
    shell("root", "draft", "--out", file, code=1)
    assert "OFFICERS_TOO_FEW" in shell.err
    registry = tmp_path / "registry.pem"
    registry.write_text("no key")
    shell("root", "draft", "--registry-key", str(registry), "--out", file, code=1)
    assert "ROOT_FILE_MALFORMED" in shell.err

"""The programs of verifier/README.md run as they stand there, with the clock fixed, and in both languages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

import onecert.verifier
from onecert.verifier.cli import make_parser
from onecert.verifier.fetch import FetchAnswer, FetchRequest, HttpFetch
from onecert.verifier.web import ClientCertificates

MEMBER = Path(__file__).parents[3] / "verifier"
README = (MEMBER / "README.md").read_text(encoding="utf-8")
CHINESE = (MEMBER / "README.zh.md").read_text(encoding="utf-8")


def blocks(kind: str, text: str = README) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


PROGRAMS = blocks("python")


def run(program: str, at: Any, names: dict[str, Any] | None = None) -> None:
    """Programs that go on from each other share their names."""
    names = {} if names is None else names
    exec(program.replace("datetime.now(UTC)", f"datetime.fromisoformat({at.isoformat()!r})"), names)


def test_both_languages_show_the_same_programs() -> None:
    assert blocks("python", CHINESE) == PROGRAMS
    assert blocks("console", CHINESE) == blocks("console")
    assert blocks("nginx", CHINESE) == blocks("nginx")
    assert len(PROGRAMS) == 7


@pytest.mark.parametrize("text", [README, CHINESE], ids=["en", "zh"])
def test_files_that_are_named_exist(text: str) -> None:
    """Links to files, and the modules of the table of files."""
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (MEMBER / link).exists(), link
    library = MEMBER / "onecert" / "verifier"
    for row in re.findall(r"^\| (`[a-z_]+(?:\.py|/)`.*) \|$", text, re.MULTILINE):
        (folder, *names), told = re.findall(r"`([a-z_]+/|[a-z_]+\*?\.py)`", row), row
        inside = library / folder if folder.endswith("/") else library
        for name in (folder, *names):
            assert [*library.glob(name.rstrip("/")), *inside.glob(name.rstrip("/"))], (name, told)


def test_the_proxy_of_the_readme(world: Any) -> None:
    """What the nginx lines send is what the application reads: the certificate, or nothing."""
    (nginx,) = blocks("nginx")
    header = re.search(r"proxy_set_header ([\w-]+) \$ssl_client_escaped_cert;", nginx)
    assert header is not None
    certificates = ClientCertificates(header=header[1])
    leaf = world.leaf()
    variable = "HTTP_" + header[1].upper().replace("-", "_")
    sent = {"REMOTE_ADDR": "127.0.0.1", variable: quote(leaf.pem.decode())}
    presented = certificates.from_environ(sent)
    assert presented is not None
    assert presented.data == leaf.pem
    assert certificates.from_environ(sent | {variable: ""}) is None
    assert certificates.from_environ(sent | {"REMOTE_ADDR": "192.0.2.7"}) is None


def test_the_shortest_program(
    world: Any, pki: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world.folder)
    Path("trust-root.json").write_bytes(world.root_file)
    Path("mirror").mkdir()
    world.publish(Path("mirror"), world.trust_list())
    Path("clerk.crt").write_bytes(world.leaf("summit").pem)
    world.publish_crls()
    run(PROGRAMS[0], pki.T)
    assert capsys.readouterr().out == "uscc:91440300MA5DEM004J\n"


def test_errors(pki: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(PROGRAMS[1], pki.T)
    assert capsys.readouterr().out.startswith("NOT_PEM\n")


@pytest.fixture
def folder(pki: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """root -> issuing CA -> leaf, and the CA once more by another root; CRLs; two clerks, one revoked."""
    monkeypatch.chdir(tmp_path)
    points = x509.CRLDistributionPoints(
        [
            x509.DistributionPoint(
                [x509.UniformResourceIdentifier("http://ca.example/issuing-ca.crl")], None, None, None
            )
        ]
    )
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                AuthorityInformationAccessOID.CA_ISSUERS,
                x509.UniformResourceIdentifier("http://ca.example/issuing-ca.crt"),
            )
        ]
    )
    root_points = x509.CRLDistributionPoints(
        [
            x509.DistributionPoint(
                [x509.UniformResourceIdentifier("http://ca.example/root.crl")], None, None, None
            )
        ]
    )
    root = pki.root()
    ca = pki.ca(root, extra=[(root_points, False)])
    leaf = pki.leaf(ca, extra=[(points, False), (access, False)])
    old = pki.issue("Issuing CA", root, key=ca.key, ca=True, not_after=pki.T - pki.DAY)
    bad = pki.leaf(ca, "Clerk 8")
    pki.revoke(ca, bad)
    parties = {"root": root, "issuing-ca": ca, "old-ca": old, "leaf": leaf, "clerks/7": leaf, "clerks/8": bad}
    Path("clerks").mkdir()
    for name, party in parties.items():
        Path(f"{name}.crt").write_bytes(party.certificate.public_bytes(Encoding.PEM))
    Path("root.crl").write_bytes(pki.crl(root))
    Path("issuing-ca.crl").write_bytes(pki.crl(ca))
    return tmp_path


def test_paths(folder: Path, pki: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    run(PROGRAMS[2], pki.T, names)
    assert "CN=Clerk 7,C=CN\nCN=Issuing CA,C=CN\n" in capsys.readouterr().out
    run(PROGRAMS[3], pki.T, names)
    assert capsys.readouterr().out == "accepted\nCERT_REVOKED\n"
    run(PROGRAMS[4], pki.T, names)
    (shown,) = blocks("text")

    def without_keys(text: str) -> str:
        return re.sub(r"key [0-9a-f]{16}", "key", text)

    assert without_keys(capsys.readouterr().out) == without_keys(shown)


def test_fetching(
    folder: Path, pki: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The network is a table of what lies where."""
    served = {
        f"http://ca.example/{name}": (folder / name).read_bytes() for name in ("issuing-ca.crl", "root.crl")
    }
    served["http://ca.example/issuing-ca.crt"] = x509.load_pem_x509_certificate(
        (folder / "issuing-ca.crt").read_bytes()
    ).public_bytes(Encoding.DER)

    def answer(self: HttpFetch, request: FetchRequest) -> FetchAnswer:
        return FetchAnswer(data=served[request.url])

    monkeypatch.setattr(HttpFetch, "__call__", answer)
    run(PROGRAMS[5], pki.T)
    assert "CN=Clerk 7,C=CN" in capsys.readouterr().out
    assert any((folder / "cache").iterdir())


def test_sm2(sm2_tools: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pki: Any) -> None:
    monkeypatch.chdir(tmp_path)
    private, form = 0x1234567890ABCDEF, b"a form"
    point = sm2_tools.affine(private)
    spki = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
    Path("signer.spki").write_bytes(spki + b"".join(part.to_bytes(32, "big") for part in point))
    Path("form.pdf").write_bytes(form)
    Path("form.sig").write_bytes(sm2_tools.sign(private, form))
    run(PROGRAMS[6], pki.T)
    Path("form.pdf").write_bytes(b"another form")
    with pytest.raises(onecert.verifier.SignatureInvalidError):
        run(PROGRAMS[6], pki.T)


def test_programs_type_check(tmp_path: Path) -> None:
    """mypy --strict accepts the programs as they stand: the package is typed (``py.typed``)."""
    assert (MEMBER / "onecert" / "verifier" / "py.typed").exists()
    parts = [PROGRAMS[0], PROGRAMS[1], "\n".join(PROGRAMS[2:5]), PROGRAMS[5], PROGRAMS[6]]
    files = []
    for number, part in enumerate(parts):
        files.append(tmp_path / f"program_{number}.py")
        files[-1].write_text(part, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            str(MEMBER.parent / "pyproject.toml"),
            *map(str, files),
        ],
        cwd=MEMBER.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_command_lines_are_understood() -> None:
    """Every command line of the README has options that exist and go together."""
    login, console = blocks("console")
    lines = [line.removeprefix("$ onecert-verify ") for line in console.splitlines()]
    assert len(lines) == 10
    in_a_folder = re.findall(r"venv/bin/onecert-verify (.*)", login)
    assert len(in_a_folder) == 1
    for line in [*lines, *in_a_folder]:
        assert make_parser("en").parse_args(line.split()).run


def test_type_checkers_see_the_public_names() -> None:
    """What is loaded at first use, and what type checkers are told, are the same table."""
    tree = ast.parse((MEMBER / "onecert" / "verifier" / "__init__.py").read_text(encoding="utf-8"))
    told = {
        alias.asname: (node.module or "").removeprefix("onecert.verifier.")
        for block in ast.walk(tree)
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == onecert.verifier._PUBLIC


def test_public_names_exist() -> None:
    for name in onecert.verifier.__all__:
        assert getattr(onecert.verifier, name)
    assert set(dir(onecert.verifier)) == set(onecert.verifier.__all__)
    with pytest.raises(AttributeError):
        onecert.verifier.nothing_of_that_name  # type: ignore[attr-defined]

"""`onecert trust-list registry` and `bundle` with keys in SoftHSM: from the office to the department."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from onecert.verifier.cli import main

from .conftest import CA_KEYS, FIRM
from .test_supervision_cli import Shell, shell  # noqa: F401  the fixture

pytestmark = pytest.mark.token


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def site(world: Any, tmp_path: Path) -> Any:
    """A web server with the revocation lists of the CAs, and a draft that names it."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    now = datetime.now(UTC).replace(microsecond=0)
    draft = world.draft_json()
    for service in draft["services"]:
        name = service["id"]
        crl = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(x509.load_pem_x509_certificate(world.certificates[name].encode()).subject)
            .last_update(now - timedelta(hours=1))
            .next_update(now + timedelta(days=1))
            .add_extension(x509.CRLNumber(1), critical=False)
            .sign(CA_KEYS[name], hashes.SHA256())
        )
        (folder / f"{name}.crl").write_bytes(crl.public_bytes(serialization.Encoding.DER))
        address = f"http://127.0.0.1:{server.server_address[1]}/{name}.crl"
        service["supply_points"] = {"crl": [address]}
    (tmp_path / "draft.json").write_text(json.dumps(draft))
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


def test_from_the_office_to_the_disk(shell: Shell, site: Path, tmp_path: Path, capsys: Any) -> None:  # noqa: F811
    for name, number in (("wang", "440300190001010015"), ("li", "44030019000101004X")):
        shell("officer", "add", name, "--name", name.title(), "--person", number)
    shell.first_root()
    shell("draft", "import", str(tmp_path / "draft.json"))
    for name in ("wang", "li"):
        shell("draft", "sign", "--officer", name)
    shell("publish", "--apply")

    # The register: wrong rows are named by their line, and nothing is signed.
    entries, out = tmp_path / "register.csv", tmp_path / "register"
    entries.write_text(f"uscc,name,state\n{FIRM},示例公司,存续\n{FIRM[:-1]}K,打错的公司,存续\n", "utf-8")
    shell("registry", "make", str(entries), "--out", str(out), code=1)
    assert "register.csv:3:" in shell.err
    assert "REGISTER_FAULTS" in shell.err
    entries.write_text(f"uscc,name,state\n{FIRM},示例公司,存续\n", "utf-8")
    assert shell("registry", "make", str(entries), "--out", str(out)).startswith("1\t")
    # Departments do not know its key yet.
    shell("registry", "publish", str(out), code=1)
    assert "REGISTER_KEY_UNKNOWN" in shell.err
    shell("registry", "show", code=1)
    key = tmp_path / "registry.pem"
    shell("registry", "key", "--out", str(key))
    shell("root", "import", str(shell.root("--registry-key", str(key))), "--apply")
    assert "would publish" in shell("registry", "publish", str(out))
    shell("registry", "show", code=1)
    shell("registry", "publish", str(out), "--apply")
    assert shell("registry", "show").startswith("1\t")

    # The bundle: a CA whose list cannot be had stops it, unless somebody says otherwise.
    disk = tmp_path / "disk.zip"
    (site / "pearl.crl").rename(site / "away")
    shell("bundle", "make", "--out", str(disk), code=1)
    assert "BUNDLE_INCOMPLETE" in shell.err
    shell("bundle", "make", "--out", str(disk), "--allow-missing")
    assert "missing: pearl" in shell.err
    disk.unlink()
    (site / "away").rename(site / "pearl.crl")
    assert shell("bundle", "make", "--out", str(disk)).split("\t")[2] == "3"

    # The department.
    pki = tmp_path / "pki"
    pki.mkdir()
    published = shell.data / "supervision" / "published"
    (pki / "trust-root.json").write_bytes((published / "trust-roots" / "1.json").read_bytes())
    assert main(["bundle", "import", str(disk), "--folder", str(pki), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["registry"]["entries"], len(answer["crls"])) == (1, 3)

"""``onecert-verify form`` and ``onecert-verify evidence``: answers, exit codes, both languages.

list -> harbour -> a firm; a timestamp authority below a root of its own, which a command asks through a fake
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.verifier.cli import main
from onecert.verifier.fetch import FetchAnswer

DAY = timedelta(days=1)
AT = "2026-11-21T09:00:00Z"


@pytest.fixture
def desk(office: Any, world: Any, document: bytes, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The files of a department, in the current folder; the authority stamps at T."""
    office.signer = world.leaf("harbour")
    monkeypatch.chdir(office.folder)
    world.publish_crls()
    Path("crls", "office.crl").write_bytes(office.pki.crl(office.root))
    Path("trust-root.json").write_bytes(world.root_file)
    Path("trust-list.json").write_bytes(world.trust_list())
    Path("form.json").write_bytes(document)
    Path("form.p7s").write_bytes(office.stamped(office.now - DAY))
    office.files(office.root, "root")

    def fetch(_self: object, request: Any) -> FetchAnswer:
        return FetchAnswer(data=office.answer(request.body))

    monkeypatch.setattr("onecert.verifier.fetch.HttpFetch.__call__", fetch)
    return office


def command(*arguments: str) -> tuple[str, ...]:
    lists = ("--trust-list", "trust-list.json", "--trust-root", "trust-root.json", "--crls", "crls")
    return ("form", *lists, "--tsa-anchor", "root.crt", "--at", AT, *arguments)


def test_form(desk: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command("--document", "form.json", "form.p7s"), "--language", "zh"]) == 0
    out = capsys.readouterr().out
    assert "uscc:91440300MA5DEM004J" in out
    assert "签名上的时间戳" in out
    assert main([*command("--document", "form.json", "form.p7s"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signers"][0]["time_source"] == "timestamp"


def test_refusals(desk: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """1 for a no, 2 for wrong usage, 3 for what nobody can tell."""
    Path("other.json").write_bytes(b"another form")
    assert main([*command("--document", "other.json", "form.p7s"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "CMS_DIGEST"
    assert main(list(command("form.p7s"))) == 1
    assert main(list(command("--document", "absent", "form.p7s"))) == 3
    for wrong in (
        ("form", "form.p7s"),
        command("--anchor", "root.crt", "form.p7s"),
        command("--stamp", "u", "x"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(list(wrong))
        assert caught.value.code == 2


def test_record_and_years_later(desk: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """form --evidence-out --stamp, then evidence two years later with the officers' keys and a root alone."""
    made = ("--evidence-out", "record.json", "--stamp", "http://tsa.example/")
    assert main(list(command("--document", "form.json", *made, "form.p7s"))) == 0
    trusted = ("--trust-root", "trust-root.json", "--tsa-anchor", "root.crt", "--at", "2027-10-21T09:00:00Z")
    capsys.readouterr()
    assert main(["evidence", *trusted, "--document", "form.json", "record.json", "--language", "en"]) == 0
    out = capsys.readouterr().out
    assert "Archive timestamp" in out
    assert "2026-11-21 09:00:00Z" in out
    assert main(["evidence", *trusted, "record.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["document_seen"] is False
    record = json.loads(Path("record.json").read_bytes())
    record["verdict"]["signers"][0]["identity"]["name"] = "另一家公司"
    Path("record.json").write_text(json.dumps(record))
    assert main(["evidence", *trusted, "record.json", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "EVIDENCE_ALTERED"


def test_renewal(desk: Any, capsys: pytest.CaptureFixture[str]) -> None:
    made = ("--evidence-out", "record.json", "--stamp", "http://tsa.example/")
    assert main(list(command("--document", "form.json", *made, "form.p7s"))) == 0
    arguments = ["evidence", "--trust-root", "trust-root.json", "--tsa-anchor", "root.crt", "--crls", "crls"]
    arguments += ["--at", AT, "--renew", "http://tsa.example/", "--out", "renewed.json", "record.json"]
    assert main(arguments) == 0
    assert len(json.loads(Path("renewed.json").read_bytes())["archive"]) == 2
    with pytest.raises(SystemExit):
        main([*arguments[:-3], "record.json"])


def test_raw(desk: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A raw signature over canonical JSON, under explicit anchors."""
    desk.signer = desk.pki.leaf(desk.ca, "Firm")
    Path("form.json").write_bytes(b'{ "amount": 1.0 }')
    Path("form.sig").write_bytes(desk.signer.key.sign(b'{"amount":1}', ec.ECDSA(hashes.SHA256())))
    Path("ca.crl").write_bytes(desk.pki.crl(desk.ca))
    Path("ca.der").write_bytes(desk.ca.der)
    Path("firm.der").write_bytes(desk.signer.der)
    trusted = (
        "--anchor",
        "root.crt",
        "--intermediate",
        "ca.der",
        "--crl",
        "ca.crl",
        "--crl",
        "crls/office.crl",
    )
    arguments = ["form", *trusted, "--raw", "firm.der", "--document", "form.json", "--at", AT, "form.sig"]
    assert main(arguments) == 0
    assert main([*arguments, "--document-form", "bytes"]) == 1
    capsys.readouterr()
    assert main([*arguments, "--require-timestamp", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "FORM_TIME_NOT_PROVED"


def test_kinds(desk: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """JWS, XML and PDF are asked for by name; a file of another kind is refused as such."""
    for kind, code in (("jws", "DOCUMENT_MALFORMED"), ("xml", "XML_MALFORMED"), ("pdf", "PDF_MALFORMED")):
        assert main([*command("--kind", kind, "form.p7s"), "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["code"] == code
    with pytest.raises(SystemExit) as caught:
        main([*command("--kind", "xml", "--raw", "root.crt", "form.p7s")])
    assert caught.value.code == 2
    assert "--raw --kind" in capsys.readouterr().err


def test_countersigners_are_shown(desk: Any, world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Who vouches for the signer stands below him."""
    other, attributes = world.leaf("harbour", name="会计"), desk.attributes(b"a form")
    value = desk.signer.key.sign(desk.pki.tlv(0x31, *sorted(attributes)), ec.ECDSA(hashes.SHA256()))
    digest_of = desk.attribute("1.2.840.113549.1.9.4", desk.pki.tlv(0x04, hashlib.sha256(value).digest()))
    counter = desk.attribute("1.2.840.113549.1.9.6", desk.signer_info([digest_of], party=other))
    info = desk.signer_info(attributes, sign=lambda _: value, unsigned=[counter])
    Path("form.p7s").write_bytes(desk.signed_data(None, info, certificates=[desk.signer.der, other.der]))
    Path("form.json").write_bytes(b"a form")
    assert main([*command("--document", "form.json", "form.p7s"), "--language", "zh"]) == 0
    assert "副署人" in capsys.readouterr().out

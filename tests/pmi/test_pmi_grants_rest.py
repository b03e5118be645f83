"""Grants, batches and the catalogue for programs and at the command line: each field, act and refusal."""

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.pmi.cli import pmi as commands
from onecert.pmi.commands import batches as batch_commands
from onecert.pmi.errors import GrantStateError, RequestWrongError
from onecert.pmi.grants.errors import NotYoursError
from onecert.server.operators.errors import RoleRequiredError

pytestmark = pytest.mark.token


def pem(certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@pytest.fixture
def wide(pmi, lab):
    pmi.publish_catalogue(lab.WIDE_CATALOGUE)
    return pmi


def test_every_field_of_a_grant(wide) -> None:
    officer = wide.client(wide.officer)
    body = {
        "authority": "tax-office",
        "holder_pem": pem(wide.holder),
        "attributes": {"region": ["440303"], "group": ["tax", "audit"]},
        "roles": ["urn:onecert:role:tax.reader"],
        "targets": ["urn:app:1"],
        "target_groups": ["urn:group:1"],
        "holder_form": "entity",
        "short_lived": True,
        "audit_identity": "drawn",
    }
    shown = officer.post("/v1/grants", json={**body, "preview": True})
    assert (shown.status_code, shown.get_json()["serial"]) == (200, None)
    answer = officer.post("/v1/grants", json=body)
    assert answer.status_code == 201, answer.get_json()
    grant = answer.get_json()
    assert grant["attributes"]["group"] == ["audit", "tax"]
    assert (grant["holder_form"], grant["short_lived"], len(grant["audit_identity"])) == ("entity", True, 40)
    listed = officer.get("/v1/grants?state=issued").get_json()
    assert [row["id"] for row in listed["grants"]] == [grant["id"]]


FAULTS = [
    ({"attributes": ["x"]}, "attributes"),
    ({"attributes": {"group": "tax"}}, "group"),
    ({"attributes": {}}, "attributes"),
    ({"short_lived": "yes"}, "short_lived"),
    ({"holder_form": "thumbprint"}, "holder_form"),
    ({"holder_form": 7}, "holder_form"),
    ({"audit_identity": "zz"}, "audit_identity"),
    ({"target_groups": ["no uri"]}, "target_groups"),
    ({"kind": "delegation"}, "kind"),
    ({"source": "batch:1"}, "source"),
]


def test_fields_with_a_fault(wide) -> None:
    """One fault each; the answer names the field."""
    body = {"authority": "tax-office", "holder_pem": pem(wide.holder), "attributes": {"group": ["tax"]}}
    client = wide.client(wide.officer)
    for changes, field in FAULTS:
        answer = client.post("/v1/grants", json={**body, **changes})
        assert (answer.status_code, answer.get_json()["code"]) == (422, "REQUEST_WRONG"), field
        assert field in answer.get_json()["detail"]
        assert answer.get_json()["hint"]


def test_an_error_is_said_in_both_languages(wide) -> None:
    body = {"authority": "tax-office", "holder_pem": pem(wide.holder), "attributes": {"region": ["1"]}}
    for language, text in (("zh", "目录"), ("en", "catalogue")):
        answer = wide.client(wide.officer).post(f"/v1/grants?language={language}", json=body)
        assert answer.get_json()["code"] == "ATTRIBUTE_VALUE"
        assert text in answer.get_json()["hint"]


def test_a_grant_is_refused_with_a_reason(pmi, lab) -> None:
    grant = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), pmi.officer)
    approver = pmi.client(pmi.approver)
    assert approver.post(f"/v1/grants/{grant.id}/refuse", json={"why": ""}).status_code == 422
    answer = approver.post(f"/v1/grants/{grant.id}/refuse", json={"why": "not in office yet"})
    refused = answer.get_json()
    assert (refused["state"], refused["refused_by"], refused["refused_why"]) == (
        "refused",
        "approver",
        "not in office yet",
    )
    assert approver.post(f"/v1/grants/{grant.id}/refuse", json={"why": "again"}).get_json() == refused
    with pytest.raises(GrantStateError):
        pmi.parts.grants.approve(grant.id, pmi.approver, content_sha256=grant.content_sha256)
    assert pmi.events().count("grant.refused") == 1


def test_only_who_asked_takes_a_grant_back(pmi, lab) -> None:
    grant = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), pmi.officer)
    other = pmi.operator("other", "attribute.officer")
    with pytest.raises(NotYoursError):
        pmi.parts.grants.withdraw(grant.id, other)
    with pytest.raises(RoleRequiredError):
        pmi.parts.grants.refuse(grant.id, pmi.officer, "no")
    with pytest.raises(RequestWrongError):
        pmi.parts.grants.refuse(grant.id, pmi.approver, "x" * 501)
    taken = pmi.client(pmi.officer).post(f"/v1/grants/{grant.id}/withdraw", json={}).get_json()
    assert (taken["state"], taken["refused_by"]) == ("refused", "officer")
    issued = pmi.grant(lab.READER_ROLE)
    with pytest.raises(GrantStateError):
        pmi.parts.grants.withdraw(issued.id, pmi.officer)


def test_a_batch_over_http(wide, lab) -> None:
    officer, approver = wide.client(wide.officer), wide.client(wide.approver)
    rows = [
        {"holder": pem(wide.holder), "role": [lab.APPROVER_ROLE], "until": "2026-12-01"},
        {"holder": "0" * 64, "role": [lab.READER_ROLE]},
        {"holder": pem(wide.other), "region": ["440303"], "holder_form": "key"},
        "nonsense",
    ]
    body = {"authority": "tax-office", "rows": rows}
    kept_out = officer.post("/v1/batches", json=body)
    assert kept_out.status_code == 422
    assert [(row["row"], row["code"]) for row in kept_out.get_json()["wrong"]] == [
        (2, "REQUEST_WRONG"),
        (4, "REQUEST_WRONG"),
    ]
    answer = officer.post("/v1/batches", json={**body, "only_good": True})
    batch = answer.get_json()
    assert (answer.status_code, batch["state"], batch["rows"]) == (202, "waiting", 2)
    assert officer.post(f"/v1/batches/{batch['id']}/approve", json={"content_sha256": ""}).status_code == 403
    shown = {"content_sha256": batch["content_sha256"]}
    done = approver.post(f"/v1/batches/{batch['id']}/approve", json=shown).get_json()
    assert (done["state"], done["counts"]) == ("done", {"issued": 2})
    assert officer.get(f"/v1/batches/{batch['id']}").get_json()["finished_at"]
    found = officer.get(f"/v1/batches/{batch['id']}/grants?per_page=1").get_json()["grants"]
    rest = officer.get(f"/v1/batches/{batch['id']}/grants?after={found[0]['id']}").get_json()["grants"]
    assert len(found + rest) == 2
    assert officer.get("/v1/batches?state=done").get_json()["total"] == 1
    for wrong in ({"rows": []}, {"rows": "x"}, {"rows": [{}] * 5001}, {"rows": rows, "id": "7"}):
        answer = officer.post("/v1/batches", json={"authority": "tax-office", **wrong})
        assert (answer.status_code, answer.get_json()["code"]) == (422, "REQUEST_WRONG")
    assert officer.get("/v1/batches/unknown").status_code == 404
    assert officer.get("/v1/batches?state=x").status_code == 422


def test_the_catalogue_over_http(wide, lab) -> None:
    auditor = wide.client(wide.auditor)
    content = auditor.get("/v1/catalogue").get_json()
    assert (content["version"], content["exclusions"][0]["name"]) == (2, "four-eyes")
    assert "region" in [each["name"] for each in content["attributes"]]
    assert auditor.get("/v1/catalogue?version=1").get_json()["attributes"] == []
    assert auditor.get("/v1/catalogue?version=7").status_code == 409
    assert wide.client().get("/v1/catalogue").status_code == 401


def test_a_batch_by_commands(wide, lab, tmp_path: Path, monkeypatch, capsys) -> None:
    """From a file with certificates beside it to its receipts."""

    @contextmanager
    def opened(*_where):
        yield wide.parts

    monkeypatch.setattr(batch_commands, "opened_parts", opened)
    (tmp_path / "zhang.pem").write_text(pem(wide.holder), encoding="ascii")
    sheet = tmp_path / "rows.csv"
    sheet.write_text(f"holder,role\nzhang.pem,{lab.APPROVER_ROLE}\nnobody.pem,x\n", encoding="utf-8")

    def run(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        code = commands.main(list(map(str, arguments)), standalone_mode=False)
        return code or 0, capsys.readouterr().out

    code, out = run("batch", "request", sheet, "--operator", "officer")
    assert (code, [row["row"] for row in json.loads(out)["wrong"]]) == (1, [2])
    assert run("batch", "request", sheet, "--operator", "officer", "--apply")[0] == 1
    code, out = run("batch", "request", sheet, "--operator", "officer", "--only-good", "--apply")
    made = json.loads(out)
    assert (code, made["state"]) == (0, "waiting")
    assert json.loads(run("batch", "approve", made["id"], "--operator", "approver")[1])["state"] == "waiting"
    done = json.loads(run("batch", "approve", made["id"], "--operator", "approver", "--apply")[1])
    assert done["state"] == "done"
    lines = run("batch", "show", made["id"], "--certificates")[1].splitlines()
    ((serial, der),) = wide.parts.batches.certificates_of(made["id"])
    assert lines[1] == f"{serial} {hashlib.sha256(der).hexdigest()}"

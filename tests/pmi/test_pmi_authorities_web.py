"""Authorities and delegations by REST and by commands: shown first, done as shown, refused with a code."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.pmi.authorities.errors import AttributesNotPermittedError
from onecert.server.cli import run

V1 = "/v1/authorities"


@pytest.fixture
def tree(pmi, lab):
    pmi.bureau = pmi.add_authority("bureau")
    pmi.branch = pmi.add_authority("branch")
    pmi.to_bureau = pmi.delegate("tax-office", pmi.bureau, lab.READER_ROLE, depth=1)
    pmi.parts.publisher.renew(pmi.clock.now())
    return pmi


def test_authorities_are_read(tree, lab) -> None:
    auditor = tree.client(tree.auditor)
    found = auditor.get(V1).get_json()
    assert [(each["name"], each["kind"], each["state"]) for each in found["authorities"]] == [
        ("branch", "aa", "active"),
        ("bureau", "aa", "active"),
        ("tax-office", "soa", "active"),
    ]
    bureau = auditor.get(f"{V1}/bureau").get_json()
    assert bureau["held"][0]["path"] == [tree.to_bureau.serial]
    assert bureau["held"][0]["depth"] == 1
    assert auditor.get(f"{V1}/tax-office").get_json()["held"] is None
    tree_found = auditor.get(f"{V1}/tree").get_json()["tree"]
    assert [each["holder"] for each in tree_found["tax-office"]] == ["bureau"]
    assert auditor.get(f"{V1}/nobody").get_json()["code"] == "AUTHORITY_UNKNOWN"
    assert tree.client().get(V1).status_code == 401
    # A delegation, asked for and approved.
    first, second = tree.client(tree.administrator), tree.client(tree.second)
    body = {"to": "branch", "roles": [lab.READER_ROLE], "depth": 0, "permitted": ["C=CN"]}
    asked = first.post(f"{V1}/bureau/delegations", json=body)
    assert asked.status_code == 202, asked.get_json()
    grant = asked.get_json()
    approved = second.post(
        f"/v1/grants/{grant['id']}/approve", json={"content_sha256": grant["content_sha256"]}
    )
    assert approved.get_json()["state"] == "issued"
    below = first.get(f"{V1}/tree").get_json()["tree"]["tax-office"][0]["delegations"]
    assert [(each["holder"], each["constraints"]) for each in below] == [
        ("branch", {"depth": 0, "permitted": ["C=CN"]})
    ]


REFUSED = [
    ({"to": "nobody"}, 404, "AUTHORITY_UNKNOWN"),
    ({"to": "tax-office"}, 409, "DELEGATE_IS_SOURCE"),
    ({"to": "bureau"}, 409, "DELEGATION_LOOP"),
    ({"holder_pem": "x"}, 422, "REQUEST_WRONG"),
    ({"depth": "deep"}, 422, "REQUEST_WRONG"),
    ({"depth": 1}, 403, "EXCEEDS_DELEGATION"),
    ({"permitted": ["=,="]}, 422, "REQUEST_WRONG"),
    ({"roles": ["urn:onecert:role:tax.approver"]}, 403, "EXCEEDS_DELEGATION"),
    ({"roles": ["urn:x:\u202e<script>"]}, 422, "ROLE_UNKNOWN"),
    ({"roles": []}, 422, "REQUEST_WRONG"),
    ({"not_after": "2099-01-01T00:00:00Z"}, 422, "VALIDITY_WRONG"),
    ({"holder_form": "name"}, 422, "REQUEST_WRONG"),
    ({"surprise": 1}, 422, "REQUEST_WRONG"),
]


def test_a_delegation_is_refused(tree, lab) -> None:
    client = tree.client(tree.administrator)
    for changes, status, code in REFUSED:
        body = {"to": "branch", "roles": [lab.READER_ROLE], "depth": 0, **changes}
        answer = client.post(f"{V1}/bureau/delegations", json=body)
        found = answer.get_json()
        assert (answer.status_code, found["code"]) == (status, code), (changes, found)
        assert found["hint"]
    # The same in Chinese, with the fact of the verifier's finding.
    body = {"to": "branch", "roles": [lab.APPROVER_ROLE]}
    headers = {"Accept-Language": "zh"}
    found = client.post(f"{V1}/bureau/delegations", json=body, headers=headers).get_json()
    assert found["detail"].startswith("属性权威 bureau 不能授予这些内容")
    assert lab.APPROVER_ROLE in found["detail"]


def test_an_act_by_rest_is_shown_first(tree) -> None:
    client = tree.client(tree.administrator)
    shown = client.post(f"{V1}/bureau/suspend", json={}).get_json()
    assert [each["serial"] for each in shown["held"]] == [tree.to_bureau.serial]
    assert client.get(f"{V1}/bureau").get_json()["state"] == "active"
    done = client.post(f"{V1}/bureau/suspend", json={"content_sha256": shown["content_sha256"]})
    assert done.get_json()["is_done"]
    assert client.get(f"{V1}/bureau").get_json()["state"] == "suspended"
    stale = client.post(f"{V1}/bureau/resume", json={"content_sha256": shown["content_sha256"]})
    assert (stale.status_code, stale.get_json()["code"]) == (409, "AUTHORITY_ACT_CHANGED")
    assert tree.client(tree.officer).post(f"{V1}/bureau/suspend", json={}).status_code == 403
    # A source is revoked by two people.
    body = {"reason": "cessationOfOperation"}
    first, second = tree.client(tree.administrator), tree.client(tree.second)
    body["content_sha256"] = first.post(f"{V1}/tax-office/revoke", json=body).get_json()["content_sha256"]
    assert first.post(f"{V1}/tax-office/revoke", json=body).status_code == 202
    waiting = second.get(f"{V1}/tax-office").get_json()["waits_for_second"]
    assert (waiting["requested_by"], waiting["content_sha256"]) == ("administrator", body["content_sha256"])
    assert second.post(f"{V1}/tax-office/revoke", json=body).get_json()["is_done"]


def test_aa_controls_bind_at_issuing(pmi, lab) -> None:
    """The certificate of the authority permits groups and no roles: nothing else is signed."""
    certificate = pmi.request_authority("narrow", kind="soa")
    controls = bytes.fromhex("300f a00a 0608 2b06 0105 0507 0a04 0101 00")
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
        .public_key(certificate.public_key())
    )
    for extension in certificate.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    oid = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.6")
    builder = builder.add_extension(x509.UnrecognizedExtension(oid, controls), critical=False)
    pmi.install(builder.sign(pmi.ca.key, hashes.SHA256()), "narrow")
    pmi.publish_catalogue(lab.CATALOGUE.replace('["tax-office"]', '["tax-office", "narrow"]'))
    with pytest.raises(AttributesNotPermittedError) as caught:
        pmi.grant(lab.READER_ROLE, authority="narrow")
    assert caught.value.code == "AA_CONTROLS"


# --- commands ---


@pytest.fixture
def command(tree, monkeypatch, capsys):
    """``command("authority", …)`` on the PMI of this test; returns exit code, JSON lines, stdout, stderr."""
    for module in ("authority", "delegation", "grants"):
        monkeypatch.setattr(
            f"onecert.pmi.commands.{module}.opened_parts", lambda _data, _config: nullcontext(tree.parts)
        )
    monkeypatch.setenv("ONECERT_LANGUAGE", "en")

    def call(*arguments: object) -> tuple[int, list, str, str]:
        capsys.readouterr()
        code = run(["pmi", *map(str, arguments)])
        told = capsys.readouterr()
        rows = [json.loads(line) for line in told.out.splitlines() if line.startswith("{")]
        return code, rows, told.out, told.err

    return call


def test_the_whole_way_of_a_delegation_by_commands(command, tree, lab, tmp_path: Path) -> None:
    ask = ("delegation", "grant", "bureau", "--to", "branch", "--role", lab.READER_ROLE, "--depth", "0")
    code, (shown,), _out, said = command(*ask, "--operator", "administrator")
    assert (code, shown["state"]) == (0, "waiting")
    assert "--apply" in said
    code, (waiting,), _out, _said = command(*ask, "--operator", "administrator", "--apply")
    code, (issued,), _out, _said = command("approve", waiting["id"], "--operator", "second", "--apply")
    assert (code, issued["state"]) == (0, "issued")
    _code, rows, _out, _said = command("delegation", "list")
    assert [(row["authority"], row["holder"]) for row in rows] == [
        ("tax-office", "bureau"),
        ("bureau", "branch"),
    ]
    _code, _rows, out, _said = command("delegation", "tree")
    assert [line.split(" (")[0] for line in out.splitlines()] == ["tax-office", "  bureau", "    branch"]
    revoke = ("delegation", "revoke", issued["serial"], "--reason", "privilegeWithdrawn")
    code, (row,), _out, _said = command(*revoke, "--operator", "administrator", "--apply")
    assert (code, row["status"]) == (0, "revoked")
    # An authority elsewhere is named by its certificate.
    file = tmp_path / "branch.pem"
    file.write_bytes(tree.branch.public_bytes(Encoding.PEM))
    ask = ("delegation", "grant", "bureau", "--role", lab.READER_ROLE, "--operator", "administrator")
    assert command(*ask, "--certificate", file)[0] == 0
    code, _rows, _out, said = command(*ask)
    assert (code, "REQUEST_WRONG" in said) == (1, True)
    assert command(*ask, "--to", "branch", "--attribute", "group")[0] == 1


def test_suspend_resume_and_revoke_by_commands(command, tree) -> None:
    _code, (shown,), _out, said = command("authority", "suspend", "bureau", "--operator", "administrator")
    assert (shown["state"], shown["below"]) == ("active", [])
    assert "--apply" in said
    for act in ("suspend", "resume"):
        code, (done,), _out, _said = command("authority", act, "bureau", "--operator", "second", "--apply")
        assert (code, done["is_done"]) == (0, True)
    revoke = ("authority", "revoke", "tax-office", "--reason", "cessationOfOperation", "--apply")
    _code, (first,), _out, said = command(*revoke, "--operator", "administrator")
    assert not first["is_done"]
    assert "another administrator" in said
    _code, (second,), _out, said = command(*revoke, "--operator", "second")
    assert second["is_done"]
    assert "CA" in said
    assert command("authority", "suspend", "tax-office", "--operator", "second", "--apply")[0] == 1
    _code, (found,), _out, _said = command("authority", "show", "tax-office")
    assert [row["state"] for row in found["history"]] == ["active", "revoked"]


def test_a_new_key_by_commands(command, tree, tmp_path: Path) -> None:
    csr, file, chain = (tmp_path / name for name in ("aa.csr", "aa.pem", "chain.pem"))
    chain.write_bytes(tree.ca.certificate.public_bytes(Encoding.PEM))
    code, _rows, _out, said = command("authority", "renew", "bureau", "--csr", csr, "--new-key")
    assert (code, "given anew" in said) == (0, True)
    request = x509.load_pem_x509_csr(csr.read_bytes())
    assert request.is_signature_valid
    bits = ("digital_signature", "crl_sign")
    file.write_bytes(tree.ca.issue("bureau", request.public_key(), bits=bits).public_bytes(Encoding.PEM))
    install = ("authority", "install", "bureau", "--certificate", file, "--chain", chain)
    code, (row,), _out, _said = command(*install)
    assert (code, row["acrl"].rpartition("/")[2]) == (0, "bureau.2.acrl")
    _code, rows, _out, _said = command("authority", "list")
    assert {row["name"]: row["generation"] for row in rows} == {"branch": 1, "bureau": 2, "tax-office": 1}
    assert command("authority", "renew", "bureau", "--csr", csr)[0] == 0
    assert x509.load_pem_x509_csr(csr.read_bytes()).public_key() == request.public_key()

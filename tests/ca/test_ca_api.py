"""REST, commands and the member as the server sees it: what goes over the wire, what commands print."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import inspect

import onecert.ca.commands.parts as cli_module
from onecert.ca import models
from onecert.ca.cli import ca
from onecert.ca.errors import CaError, NoAuthorityError, TokenGoneError
from onecert.ca.issuing.system_certificates import SystemCertificates
from onecert.ca.member import check_authorities, member
from onecert.ca.rest.openapi import document
from onecert.server.database import Database, migrate
from onecert.server.errors import ServiceError
from onecert.server.members import load_member
from onecert.verifier.attribute_certificate import TrustedAuthority

JOSE = {"Content-Type": "application/jose+json"}
CEREMONIES = Path(__file__).parents[2] / "demo" / "ceremonies"


@pytest.fixture
def client(lite: Any) -> Any:
    return lite.service.app.test_client()


# ------------------------------------------------------------------ REST


def test_order_over_http(lite: Any, client: Any) -> None:
    """201 with certificate and chain; posted again 200 with the same body; found by its number."""
    body = lite.order()
    order = lite.parts.desk.open_order(body).id
    first = client.post("/v1/orders", data=body, headers=JOSE | {"Idempotency-Key": order})
    assert first.status_code == 201
    assert set(first.json) == {"order", "serial", "certificate_pem", "chain_pem", "status"}
    again = client.post("/v1/orders", data=body, headers=JOSE)
    assert (again.status_code, again.json) == (200, first.json)
    assert client.get(f"/v1/orders/{order}").json == {
        "order": order, "authority": "harbour", "serial": first.json["serial"], "status": "issued",
    }  # fmt: skip
    certificate = x509.load_pem_x509_certificate(first.json["certificate_pem"].encode())
    issuer = x509.load_pem_x509_certificate(first.json["chain_pem"][0].encode())
    certificate.verify_directly_issued_by(issuer)


def test_refusals_are_problems_in_both_languages(lite: Any, client: Any) -> None:
    body = lite.order(subject={"common_name": "名" * 65, "country": "CN", "organization": "甲"})
    english = client.post("/v1/orders", data=body, headers=JOSE | {"Accept-Language": "en"})
    assert english.status_code == 422
    assert english.content_type == "application/problem+json"
    assert english.json["code"] == "FIELD_LENGTH"
    assert "common_name" in english.json["detail"]
    chinese = client.post("/v1/orders", data=body, headers=JOSE | {"Accept-Language": "zh"})
    assert chinese.json["detail"] == "字段“名称”有 65 个字符；最多允许 64 个。"


def test_the_door_answers_as_the_frame_does(lite: Any, client: Any) -> None:
    """An order past the frame has the headers of one that the frame answers."""
    body = lite.order()
    by_door = client.post("/v1/orders", data=body, headers=JOSE)
    by_frame = client.post("/v1/orders?", data=body, headers=JOSE | {"Transfer-Encoding": "identity"})
    assert by_door.status_code == 201
    assert by_frame.status_code == 200
    assert by_door.json == by_frame.json
    assert dict(by_door.headers) == dict(by_frame.headers)


def test_the_frame_words_what_the_door_refuses(
    lite: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is tried twice, whether it was refused or broke."""
    tried = []

    def issue(_self: Any, document: bytes, **_kwargs: Any) -> Any:
        tried.append(document)
        raise TokenGoneError("ca") if document == b"1" else ZeroDivisionError

    monkeypatch.setattr(type(lite.parts.issuance), "issue", issue)
    gone = client.post("/v1/orders", data=b"1", headers=JOSE)
    assert (gone.status_code, gone.content_type) == (503, "application/problem+json")
    broken = client.post("/v1/orders", data=b"2", headers=JOSE)
    assert (broken.status_code, broken.content_type) == (500, "application/problem+json")
    assert tried == [b"1", b"2"]


def test_order_that_is_too_long_is_refused(client: Any) -> None:
    assert client.post("/v1/orders", data=b"x" * 65537, headers=JOSE).status_code == 413


def test_other_idempotency_key_is_refused(lite: Any, client: Any) -> None:
    answer = client.post("/v1/orders", data=lite.order(), headers=JOSE | {"Idempotency-Key": "another-one"})
    assert (answer.status_code, answer.json["code"]) == (409, "ORDER_ALTERED")
    answer = client.post(
        "/v1/revocations",
        data=lite.revocation(lite.issue().record.serial),
        headers=JOSE | {"Idempotency-Key": "another-one"},
    )
    assert (answer.status_code, answer.json["code"]) == (409, "ORDER_ALTERED")


def test_unsigned_and_oversized_bodies_are_refused(client: Any) -> None:
    assert client.post("/v1/orders", data=b"{}", headers=JOSE).json["code"] == "ORDER_MALFORMED"
    assert client.post("/v1/orders", data=b"x" * 100_000, headers=JOSE).status_code == 413


def test_token_gone_is_503_and_the_order_goes_through_later(lite: Any, client: Any) -> None:
    body = lite.order()
    lite.token.gone = True
    answer = client.post("/v1/orders", data=body, headers=JOSE)
    assert (answer.status_code, answer.json["code"]) == (503, "TOKEN_UNAVAILABLE")
    assert answer.headers["Retry-After"]
    lite.token.gone = False
    assert client.post("/v1/orders", data=body, headers=JOSE).status_code == 201


def test_database_gone_is_503(lite: Any, client: Any) -> None:
    body = lite.order()
    path = lite.context.database.path
    path.rename(path.with_name("away.db"))
    answer = client.post("/v1/orders", data=body, headers=JOSE)
    assert (answer.status_code, answer.json["code"]) == (503, "DATABASE_UNAVAILABLE")


def test_revocation_and_status_over_http(lite: Any, client: Any) -> None:
    serial = lite.issue().record.serial
    address = f"/v1/certificates/harbour/{serial.upper()}"
    assert client.get(address).json["status"] == "good"
    answer = client.post("/v1/revocations", data=lite.revocation(serial, reason="superseded"), headers=JOSE)
    assert answer.status_code == 200
    assert answer.json == {
        "serial": serial, "revoked_at": "2026-11-21T09:00:00Z", "reason": "superseded", "crl_number": 2,
    }  # fmt: skip
    found = client.get(address).json
    assert (found["status"], found["reason"]) == ("revoked", "superseded")
    assert "certificate_pem" not in found
    assert "uscc" not in json.dumps(found)


@pytest.mark.parametrize(
    "path", ["/v1/orders/none", "/v1/certificates/harbour/4f00", "/v1/certificates/nobody/4f", "/v1/x"]
)
def test_what_is_not_there_is_404(client: Any, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_authorities_say_what_each_profile_needs(client: Any) -> None:
    (harbour,) = client.get("/v1/authorities").json["authorities"]
    assert harbour["name"] == "harbour"
    assert harbour["title"] == {"zh": "海港CA", "en": "Harbour CA"}
    organisation = next(each for each in harbour["profiles"] if each["name"] == "organisation")
    assert organisation["version"] == 1
    assert organisation["identity_required"] == ["uscc"]
    assert organisation["identity_optional"] == ["agent_idcard"]
    assert organisation["subject"]["common_name"]["max_length"] == 64


def test_openapi_describes_every_address_and_no_other(lite: Any, client: Any) -> None:
    described = client.get("/v1/openapi.json").json
    assert described == json.loads(json.dumps(document()))
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in lite.service.app.url_map.iter_rules()
        if rule.rule.startswith("/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    listed = {(path, method) for path, methods in described["paths"].items() for method in methods}
    assert served == listed


# ------------------------------------------------------------------ the member


def test_member_is_found_by_its_entry_point() -> None:
    assert load_member("ca") is member


def test_checks_say_what_is_wrong(lite: Any) -> None:
    service = lite.service
    for check in service.checks.values():
        check()
    lite.token.gone = True
    with pytest.raises(TokenGoneError):
        service.checks["token"]()


def test_without_a_ceremony_it_starts_and_says_so(empty_world: Any) -> None:
    assert empty_world.service.app.test_client().get("/v1/authorities").json == {"authorities": []}
    with pytest.raises(NoAuthorityError):
        check_authorities(empty_world.parts)


def test_starts_without_its_token_and_serves_status(lite: Any) -> None:
    lite.token.gone = True
    lite.restart()
    service = lite.service
    assert service.audit_key is None
    assert service.app.test_client().get("/v1/authorities").status_code == 200


def test_jobs_do_nothing_twice(lite: Any) -> None:
    before = lite.parts.publisher.latest("harbour")
    for _ in range(2):
        for job in lite.service.jobs:
            job.run(lite.clock.now())
    assert lite.parts.publisher.latest("harbour") == before


def test_models_agree_with_the_migrations(database_url: str) -> None:
    database = Database(database_url)
    migrate(database, "onecert.server.migrations", "onecert.ca.migrations")
    with database.reading() as connection:
        inspector = inspect(connection)
        for table in models.metadata.sorted_tables:
            columns = {(column["name"], column["nullable"]) for column in inspector.get_columns(table.name)}
            assert columns == {(column.name, bool(column.nullable)) for column in table.columns}
            primary = inspector.get_pk_constraint(table.name)["constrained_columns"]
            assert primary == [column.name for column in table.primary_key]
            indexes = {index["name"] for index in inspector.get_indexes(table.name)}
            assert {index.name for index in table.indexes} <= indexes
    database.close()


# ------------------------------------------------------------------ certificates of the system


def system(world: Any) -> SystemCertificates:
    return SystemCertificates(world.parts, actor="command:test")


def request_of(world: Any, csr: Any, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "authority": "operations",
        "profile": "tls-server",
        "csr_pem": csr(),
        "subject": {"country": "CN", "common_name": "本机"},
        "names": ("localhost", "127.0.0.1"),
        "approved_by": ("alice", "bob"),
    }
    return system(world).check(**(arguments | changes))


def order_of(world: Any, request: Any, pem: str, people: tuple[str, ...]) -> Any:
    return system(world).order("operations", request, csr_pem=pem, approved_by=people)


def test_system_certificate(empty_world: Any, csr: Any) -> None:
    empty_world.hold("operations")
    pem = csr()
    request = request_of(empty_world, csr, csr_pem=pem)
    first = system(empty_world).issue(
        "operations", request, order_of(empty_world, request, pem, ("alice", "bob"))
    )
    again = system(empty_world).issue(
        "operations", request, order_of(empty_world, request, pem, ("bob", "alice"))
    )
    assert first.serial == again.serial
    certificate = x509.load_der_x509_certificate(first.certificate_der or b"")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_what_an_attribute_authority_may_give(empty_world: Any, csr: Any) -> None:
    """aaControls as ordered: the verifier reads it back, with what is needed to check the status."""
    empty_world.hold("operations")
    pem = csr()
    changes = {"profile": "attribute-authority", "csr_pem": pem, "names": ()}
    request = request_of(empty_world, csr, **changes, may_give=("2.5.4.72", "1.3.6.1.5.5.7.10.4"))
    record = system(empty_world).issue(
        "operations", request, order_of(empty_world, request, pem, ("alice", "bob"))
    )
    trusted = TrustedAuthority.from_certificate(record.certificate_der or b"")
    assert trusted.controls is not None
    assert trusted.controls.permit("2.5.4.72")
    assert not trusted.controls.permit("2.5.4.55")
    assert trusted.may_sign_lists
    extensions = x509.load_der_x509_certificate(record.certificate_der or b"").extensions
    assert extensions.get_extension_for_class(x509.CRLDistributionPoints)
    assert extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    unlimited = request_of(empty_world, csr, **changes)
    assert unlimited.may_give == ()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"may_give": ("2.5.4.72",)}, "FIELD_NOT_ALLOWED"),
        ({"profile": "attribute-authority", "may_give": ("role",)}, "FIELD_ALPHABET"),
        ({"approved_by": ("alice",)}, "TWO_PEOPLE"),
        ({"approved_by": ("alice", " alice ")}, "TWO_PEOPLE"),
        ({"authority": "harbour"}, "NOT_OFFERED"),
        ({"profile": "organisation"}, "NOT_OFFERED"),
        ({"names": ()}, "FIELD_MISSING"),
        ({"names": ("bad_host",)}, "FIELD_ALPHABET"),
        ({"names": ("*.example.cn",)}, "FIELD_ALPHABET"),
        ({"csr_pem": "nonsense"}, "CSR_MALFORMED"),
    ],
)
def test_system_certificate_is_refused(empty_world: Any, csr: Any, changes: Any, code: str) -> None:
    empty_world.hold("operations")
    with pytest.raises(CaError) as caught:
        request_of(empty_world, csr, **changes)
    assert caught.value.code == code


# ------------------------------------------------------------------ commands


@pytest.fixture
def command(lite: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `onecert ca …` on the world of this test."""

    class Opened:
        config, context = lite.config, lite.context

        def close(self) -> None:
            """The world closes its database itself."""

    monkeypatch.setattr(cli_module, "open_member", lambda *_args, **_kwargs: Opened())
    monkeypatch.setattr(cli_module, "assemble", lambda *_args, **_kwargs: lite.parts)
    monkeypatch.setattr(cli_module, "root_token", lambda *_args, **_kwargs: lite.roots)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(ca, list(arguments), catch_exceptions=True)

    return run


def test_revoke_is_a_dry_run_until_apply(lite: Any, command: Any) -> None:
    serial = lite.issue().record.serial
    arguments = ["revoke", "--authority", "harbour", "--serial", serial, "--reason", "keyCompromise"]
    shown = command(*arguments)
    assert shown.exit_code == 0
    assert serial in shown.stderr
    assert shown.stdout == ""
    assert lite.parts.ledger.certificate("harbour", serial).status == "good"

    done = command(*arguments, "--apply")
    assert json.loads(done.stdout)["crl_number"] == 2
    assert lite.serials_on_list() == {serial}
    for more in ([], ["--apply"]):
        refused = command(*arguments, *more).exception
        assert isinstance(refused, ServiceError)
        assert refused.code == "ALREADY_REVOKED"


def test_reports(lite: Any, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`report`: the key to register, how far it is, what stands in the way, everything once more."""
    settings = replace(lite.config, issuance_reports=("harbour", "operations:city-operations"))
    lite.parts = replace(lite.parts, config=settings)
    lite.issue()
    pem = command("report", "key").stdout
    assert pem.startswith("-----BEGIN PUBLIC KEY-----")
    assert command("report", "key").stdout == pem
    harbour, operations = map(json.loads, command("report", "status").stdout.splitlines())
    assert (harbour["service"], operations["service"]) == ("harbour", "city-operations")
    assert harbour["oldest_unreported"] is not None
    assert operations["oldest_unreported"] is None

    def away(_service: str) -> Any:
        raise httpx.ConnectError("away")

    monkeypatch.setattr(lite.context.__class__, "client", lambda _self, service: away(service))
    refused = command("report", "send").exception
    assert isinstance(refused, ServiceError)
    assert refused.code == "SUPERVISION_AWAY"
    assert "--apply" in command("report", "again", "harbour").stderr
    assert command("report", "again", "harbour", "--apply").exit_code == 0
    unknown = command("report", "again", "moon", "--apply").exception
    assert isinstance(unknown, ServiceError)
    assert unknown.code == "NOT_REPORTING"


def test_revoking_an_issuing_authority_renews_the_roots_list(lite: Any, command: Any) -> None:
    serial = lite.parts.authorities.get("harbour").serial
    done = command(
        "revoke", "--authority", "harbour-root", "--serial", serial, "--reason", "cACompromise", "--apply"
    )
    assert json.loads(done.stdout)["crl_number"] == 2
    assert lite.serials_on_list("harbour-root") == {serial}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (
            ["revoke", "--authority", "nobody", "--serial", "4f", "--reason", "superseded"],
            "AUTHORITY_UNKNOWN",
        ),
        (
            ["revoke", "--authority", "harbour", "--serial", "4f", "--reason", "superseded"],
            "CERTIFICATE_UNKNOWN",
        ),
        (["revoke", "--authority", "harbour", "--serial", "4f", "--reason", "boredom"], "REASON_UNKNOWN"),
        (["crl", "publish", "--authority", "nobody"], "AUTHORITY_UNKNOWN"),
    ],
)
def test_commands_refuse(command: Any, arguments: list[str], code: str) -> None:
    refused = command(*arguments).exception
    assert isinstance(refused, ServiceError)
    assert refused.code == code


def test_registration_authorities_by_command(lite: Any, command: Any, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    added = command(
        "registration-authority", "add", "second", "--key", str(key), "--scope", "harbour:citizen"
    )
    assert json.loads(added.stdout)["scopes"] == ["harbour:citizen"]
    names = [
        json.loads(line)["name"] for line in command("registration-authority", "list").stdout.splitlines()
    ]
    assert names == ["ra", "second"]
    taken = command("registration-authority", "add", "third", "--key", str(key), "--scope", "harbour:*")
    assert getattr(taken.exception, "code", "") == "REGISTRATION_AUTHORITY_TAKEN"
    wrong = command("registration-authority", "add", "second", "--key", str(key), "--scope", "harbour")
    assert wrong.exception is not None
    assert command("registration-authority", "remove", "second").exit_code in {0, 1}
    assert len(command("registration-authority", "list").stdout.splitlines()) == 1


def test_lists_authorities_and_shows_a_certificate(lite: Any, command: Any) -> None:
    serial = lite.issue().record.serial
    listed = [json.loads(line) for line in command("authorities").stdout.splitlines()]
    assert [each["name"] for each in listed] == ["harbour", "harbour-root"]
    shown = json.loads(command("certificate", "show", "--authority", "harbour", "--serial", serial).stdout)
    assert shown["status"] == "good"
    pem = command("certificate", "show", "--authority", "harbour", "--serial", serial, "--pem").stdout
    assert f"{x509.load_pem_x509_certificate(pem.encode()).serial_number:x}" == serial
    assert json.loads(command("crl", "publish").stdout)["number"] == 2
    assert json.loads(command("crl", "publish", "--authority", "harbour-root").stdout)["number"] == 2


def test_ceremony_by_command(lite: Any, command: Any, tmp_path: Path) -> None:
    file, record = str(CEREMONIES / "operations.toml"), tmp_path / "record.json"
    shown = command("ceremony", file)
    assert shown.exit_code == 0
    assert "operations-root" in shown.stdout
    assert "operations" not in [authority.name for authority in lite.parts.authorities.reload()]
    done = command("ceremony", file, "--apply", "--record", str(record))
    assert done.exit_code == 0, done.output
    assert done.stdout.count("\n+ ") == 9
    assert "payload" in json.loads(record.read_text())
    again = command("ceremony", file, "--apply")
    assert "\n+ " not in again.stdout


def test_issue_by_command(lite: Any, command: Any, csr: Any, tmp_path: Path) -> None:
    lite.hold("operations")
    file = tmp_path / "request.pem"
    file.write_text(csr())
    arguments = [
        "issue", "--authority", "operations", "--profile", "operator", "--csr", str(file),
        "--common-name", "值班员",
        "--organization", "一证通运营中心", "--organizational-unit", "安全组",
        "--approved-by", "alice", "--approved-by", "bob",
    ]  # fmt: skip
    assert command(*arguments).stdout == ""
    issued = command(*arguments, "--apply").stdout
    assert issued.count("BEGIN CERTIFICATE") == 3


# ------------------------------------------------------------------ README


def test_readme_opens_with_a_command_that_works(tmp_path: Path) -> None:
    """The first block of the README, run as it stands, on a fresh data folder."""
    readme = (Path(str(files("onecert.ca"))).parents[1] / "README.md").read_text()
    block = readme.split("```console\n")[1].split("```")[0]
    commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    assert commands
    program = Path(sys.executable).with_name("onecert")
    for line in commands:
        done = subprocess.run(
            ["/bin/sh", "-c", line.replace("onecert ", f"{program} ", 1)],
            check=False, capture_output=True, text=True, cwd=CEREMONIES.parents[1],
            env={"PATH": "/usr/bin:/bin", "ONECERT_DATA": str(tmp_path / "data"), "LANG": "C.UTF-8"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

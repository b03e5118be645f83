"""The life line of a certificate, and who may ask for it: over the wire and by command."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_lists import revoke, with_lists
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

import onecert.ca.commands.parts as cli_module
from onecert.ca.cli import ca
from onecert.ca.rest.openapi import document
from onecert.ca.search.history import history, history_lines
from onecert.ca.search.questions import HISTORY_READ, HISTORY_TYPE, SEARCH_TYPE, masked_entity
from onecert.server.documents import sign_document
from onecert.server.languages import set_language
from onecert.server.models import audit_entries
from onecert.server.operators import Operator
from onecert.server.web import access

IDCARD = "440300190001010015"


def told(world: Any, record: Any, **options: Any) -> dict[str, Any]:
    return history(
        world.context.database, world.parts.authorities, record.authority, record.serial, **options
    )


def question(world: Any, typ: str, *, key: Any = None, **changes: Any) -> bytes:
    payload = {
        "registration_authority": "ra",
        "created_at": world.clock.now().isoformat(),
        "asked_by": ["clerk1"],
    }
    return sign_document(payload | changes, typ=typ, keys=[key or world.ra_key])


def renewed(world: Any, old: Any) -> Any:
    return world.issue(
        kind="renew",
        replaces={"authority": old.authority, "serial": old.serial},
        revoke_replaced={"reason": "superseded", "when": "issued"},
    ).record


def test_life_from_order_to_list(world: Any) -> None:
    """Ordered, issued, held, released, renewed, revoked; and the lists that said so, partitions included."""
    with_lists(world, partitions=2)
    old = world.issue().record
    for reason in ("certificateHold", "removeFromCRL"):
        world.clock.advance(world.clock.now().resolution * 1_000_000)
        revoke(world, old.serial, reason=reason)
    world.clock.advance(world.clock.now().resolution * 1_000_000)
    new = renewed(world, old)

    life = told(world, old)

    assert [event["event"] for event in life["events"]][:2] == ["order.received", "certificate.issued"]
    assert [event["at"] for event in life["events"]] == sorted(event["at"] for event in life["events"])
    lists = [event for event in life["events"] if event["event"] == "list.first"]
    assert [event["details"]["reason"] for event in lists if event["details"]["crl_partition"] == 0] == [
        "certificateHold", "removeFromCRL", "superseded"
    ]  # fmt: skip
    assert {event["details"]["crl_partition"] for event in lists} == {0, old.crl_partition}
    names = {event["event"] for event in life["events"]}
    assert {
        "certificate.held",
        "certificate.released",
        "certificate.followed",
        "certificate.revoked",
    } <= names
    assert life["followed_by"][0]["serial"] == new.serial
    assert told(world, new)["follows"]["serial"] == old.serial
    certificate = x509.load_pem_x509_certificate(life["certificate_pem"].encode())
    assert f"{certificate.serial_number:x}" == old.serial
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(life["chain_pem"][0].encode()))
    assert any(new.serial in line for line in history_lines(life))


def test_signed_search_stays_in_the_scope_of_its_signer(world: Any) -> None:
    record = world.issue().record
    other = ec.generate_private_key(ec.SECP256R1())
    world.register("harbour:employee", name="narrow", key=other)
    client = world.service.app.test_client()
    own = client.post("/v1/searches", data=question(world, SEARCH_TYPE, where={"name": "虚构"}))
    assert [each["serial"] for each in own.json["certificates"]] == [record.serial]
    narrow = {"registration_authority": "narrow", "key": other}
    nothing = client.post("/v1/searches", data=question(world, SEARCH_TYPE, where={"name": "虚构"}, **narrow))
    assert nothing.json["certificates"] == []
    asked = question(world, HISTORY_TYPE, authority="harbour", serial=record.serial, **narrow)
    assert client.post("/v1/histories", data=asked).status_code == 403
    asked = question(world, HISTORY_TYPE, authority="harbour", serial=record.serial)
    assert client.post("/v1/histories", data=asked).json["certificate"]["serial"] == record.serial
    with world.context.database.reading() as connection:
        query = select(audit_entries.c.details).where(audit_entries.c.event == "certificates.searched")
        details = [json.loads(each) for each in connection.scalars(query)]
    # The fields that were asked for, and not what stood in them.
    assert details[0] == {"asked_by": ["clerk1"], "fields": ["name"], "found": 1}


@pytest.mark.parametrize(
    ("typ", "changes", "code"),
    [
        (SEARCH_TYPE, {}, "ORDER_MALFORMED"),
        (SEARCH_TYPE, {"where": []}, "ORDER_MALFORMED"),
        (SEARCH_TYPE, {"where": {}, "more": 1}, "ORDER_MALFORMED"),
        (SEARCH_TYPE, {"where": {}, "asked_by": []}, "ORDER_MALFORMED"),
        (SEARCH_TYPE, {"where": {"colour": "red"}}, "SEARCH_FIELD"),
        (SEARCH_TYPE, {"where": {}, "limit": 0}, "SEARCH_FIELD"),
        (SEARCH_TYPE, {"where": {}, "limit": 1001}, "SEARCH_FIELD"),
        (SEARCH_TYPE, {"where": {}, "limit": True}, "SEARCH_FIELD"),
        (SEARCH_TYPE, {"where": {}, "limit": "5"}, "SEARCH_FIELD"),
        (SEARCH_TYPE, {"where": {}, "after": 5}, "SEARCH_FIELD"),
        (SEARCH_TYPE, {"where": {}, "after": "W10"}, "SEARCH_CURSOR"),
        (SEARCH_TYPE, {"where": {}, "created_at": "2026-11-01T00:00:00+00:00"}, "ORDER_TIME"),
        (SEARCH_TYPE, {"where": {}, "key": ec.generate_private_key(ec.SECP256R1())}, "ORDER_SIGNATURE"),
        (HISTORY_TYPE, {"authority": "harbour", "serial": "4f00"}, "CERTIFICATE_UNKNOWN"),
        (HISTORY_TYPE, {"authority": "harbour", "serial": "xyz"}, "SEARCH_FIELD"),
        (HISTORY_TYPE, {"authority": "pearl", "serial": "4f00"}, "ORDER_OUT_OF_SCOPE"),
        (HISTORY_TYPE, {"authority": "harbour"}, "ORDER_MALFORMED"),
    ],
)
def test_wrong_question_is_refused(lite: Any, typ: str, changes: dict[str, Any], code: str) -> None:
    client = lite.service.app.test_client()
    path = "/v1/searches" if typ == SEARCH_TYPE else "/v1/histories"
    answer = client.post(path, data=question(lite, typ, **changes))
    assert (answer.json["code"], answer.content_type) == (code, "application/problem+json")


def test_public_learns_no_names(lite: Any) -> None:
    """Without a signature or a session there is the status by serial and nothing else."""
    record = lite.issue().record
    client = lite.service.app.test_client()
    for path in ("/v1/certificates", f"/v1/certificates/harbour/{record.serial}/history"):
        answer = client.get(path, headers={"Accept": "application/json"})
        assert answer.status_code in {401, 403}
        assert record.subject.encode() not in answer.data
    status = client.get(f"/v1/certificates/harbour/{record.serial}")
    assert status.json["status"] == "good"
    assert "subject" not in status.json


@pytest.fixture
def operator(lite: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client that comes with the certificate of an operator who has the role `ca.operator`."""
    until = lite.clock.now() + timedelta(days=1)
    account = Operator(
        id="op1", name="Operator", roles=frozenset({"ca.operator"}), person="person1", valid_until=until
    )
    monkeypatch.setattr(access, "_find_operator", lambda: account)
    return lite.service.app.test_client()


def test_operator_searches_and_reads_a_life(lite: Any, operator: Any) -> None:
    first, second = lite.issue().record, lite.issue().record
    page = operator.get("/v1/certificates", query_string={"name": "虚构", "limit": "1"}).json
    rest = operator.get(
        "/v1/certificates", query_string={"name": "虚构", "limit": "1", "after": page["next"]}
    ).json
    found = [each["serial"] for each in page["certificates"] + rest["certificates"]]
    assert found == [second.serial, first.serial]
    assert page["certificates"][0]["entity"] == "uscc:91440300MA5DEM004J"
    life = operator.get(f"/v1/certificates/harbour/{first.serial.upper()}/history").json
    assert life["certificate"]["serial"] == first.serial
    # An organisation's certificate may name its agent.
    assert readings(lite) == [("operator:op1", f"harbour/{first.serial}", {"masked": True})]
    assert operator.get("/v1/certificates/harbour/4f00/history").status_code == 404
    assert len(readings(lite)) == 1  # nothing was read


def readings(world: Any) -> list[tuple[str, str, dict[str, Any]]]:
    entry = audit_entries.c
    query = select(entry.actor, entry.subject, entry.details).where(entry.event == HISTORY_READ)
    with world.context.database.reading() as connection:
        rows = connection.execute(query.order_by(entry.seq)).all()
    return [(row.actor, row.subject, json.loads(row.details)) for row in rows]


def test_however_often_somebody_looks_no_act_is_pushed_out(
    lite: Any, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More readings than the life line has room for, before the revocation that it must tell of."""
    monkeypatch.setattr("onecert.ca.search.history._EVENTS_MAX", 3)
    record = lite.issue().record
    assert told(lite, record)["readings"] == {"count": 0, "last": None}
    for _ in range(4):
        operator.get(f"/v1/certificates/harbour/{record.serial}/history")
    revoke(lite, record.serial)

    life = told(lite, record)

    names = {event["event"] for event in life["events"]}
    assert {"certificate.issued", "certificate.revoked"} <= names
    assert HISTORY_READ not in names
    assert life["readings"]["count"] == 4
    assert life["readings"]["last"]["actor"] == "operator:op1"
    for language, told_last in (("en", "(the last of 4 times)"), ("zh", "（共 4 次，此为最近一次）")):
        with set_language(language, "onecert.ca"):
            assert history_lines(life)[-1].endswith(told_last)


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ("colour=red", 400, "SEARCH_FIELD"),
        ("limit=0", 400, "SEARCH_FIELD"),
        ("limit=1001", 400, "SEARCH_FIELD"),
        ("limit=-1", 400, "SEARCH_FIELD"),
        ("limit=%D9%A3", 400, "SEARCH_FIELD"),
        ("limit=99999999999999999999", 400, "SEARCH_FIELD"),
        ("name=%00%00", 400, "SEARCH_FIELD"),
        ("name=ab&name=cd", 400, "SEARCH_FIELD"),
        ("status=%27--", 400, "SEARCH_FIELD"),
        ("after=", 400, "SEARCH_CURSOR"),
        ("after=W10", 400, "SEARCH_CURSOR"),
    ],
)
def test_wrong_parameter_is_a_problem(operator: Any, asked: str, status: int, code: str) -> None:
    answer = operator.get(f"/v1/certificates?{asked}")
    assert (answer.status_code, answer.json.get("code")) == (status, code)


@pytest.mark.parametrize(
    "path", ["nobody/4f00", "harbour/4f00", "harbour/zz", f"harbour/{'4' * 200}", "a%00b/4f"]
)
def test_history_of_nothing_is_a_problem(operator: Any, path: str) -> None:
    answer = operator.get(f"/v1/certificates/{path}/history")
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_description_is_valid() -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="needs openapi-spec-validator")
    validator.validate(document())


@pytest.mark.parametrize(
    ("entity", "masked"),
    [
        ("uscc:91440300MA5DEM004J", "uscc:91440300MA5DEM004J"),
        (f"idcard:{IDCARD}", "idcard:440300********0015"),
        (f"employee:91440300MA5DEM004J:{IDCARD}", "employee:91440300MA5DEM004J:440300********0015"),
        ("passport:E12345678", "passport:E******78"),
        ("officer:1", "officer:1*1"),
        ("system:ocsp:OCSP", "system:ocsp:OCSP"),
    ],
)
def test_numbers_of_people_are_masked(entity: str, masked: str) -> None:
    assert masked_entity(entity) == masked


@pytest.fixture
def run(lite: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs `onecert ca …` on the world's database."""

    class Opened:
        config, context = lite.config, lite.context

        def close(self) -> None:
            """The world stays open."""

    monkeypatch.setattr(cli_module, "open_member", lambda *_args, **_options: Opened())
    monkeypatch.setattr(cli_module, "assemble", lambda *_args, **_options: lite.parts)
    monkeypatch.setattr(lite.parts.token, "close", lambda: None)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(ca, [*arguments, "--data", str(Path())], catch_exceptions=False)

    return run


def test_commands_list_and_tell(lite: Any, run: Callable[..., Any]) -> None:
    old = lite.issue().record
    new = renewed(lite, old)
    lines = run("certificate", "list", "--name", "虚构", "--status", "good").output.splitlines()
    assert [json.loads(line)["serial"] for line in lines] == [new.serial]
    assert len(run("certificate", "list", "--limit", "1").output.splitlines()) == 1
    text = run("certificate", "history", "--authority", "harbour", "--serial", old.serial).output
    assert "certificate.issued" in text
    assert new.serial in text
    life = json.loads(
        run("certificate", "history", "--authority", "harbour", "--serial", old.serial, "--json").output
    )
    assert life["followed_by"][0]["kind"] == "renew"
    assert [subject for _actor, subject, _details in readings(lite)] == [f"harbour/{old.serial}"] * 2
    assert json.loads(run("certificate", "index").output) == {"segments": 0}


def test_openapi_describes_what_is_answered(lite: Any) -> None:
    lite.issue()
    client = lite.service.app.test_client()
    described = document()["paths"]
    answer = client.post("/v1/searches", data=question(lite, SEARCH_TYPE, where={})).json
    page = described["/v1/searches"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(answer) == set(page["properties"])
    assert set(answer["certificates"][0]) == set(page["properties"]["certificates"]["items"]["properties"])
    certificate = answer["certificates"][0]
    asked = question(lite, HISTORY_TYPE, authority=certificate["authority"], serial=certificate["serial"])
    life = described["/v1/histories"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(client.post("/v1/histories", data=asked).json) == set(life["properties"])


def test_authorities_are_answered_as_described(lite: Any) -> None:
    schemas = document()["paths"]["/v1/authorities"]["get"]["responses"]["200"]["content"]
    described = schemas["application/json"]["schema"]["properties"]["authorities"]["items"]
    answer = lite.service.app.test_client().get("/v1/authorities").json["authorities"]
    for authority in answer:
        assert sorted(authority) == described["required"]
        profiles = described["properties"]["profiles"]["items"]
        assert all(sorted(each) == profiles["required"] for each in authority["profiles"])
    assert {each["state"] for each in answer} == {"active"}

"""Bad input over HTTP: each answered with a code, a sentence and a next step in both languages, and with
nothing on record; the right order goes through afterwards.

Token, database and disk that are gone: tests/integration/test_outage.py, on running services.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import select

from onecert.ca import models
from onecert.ca.issuing.order_notices import REVOCATION_TYPE
from onecert.ca.issuing.orders import ORDER_TYPE
from onecert.server.documents import sign_document
from onecert.server.models import audit_entries

JOSE = {"Content-Type": "application/jose+json"}
USCC, OTHER_USCC, IDCARD = "91440300MA5DEM004J", "91440300MA5DEM0A63", "440300190001010015"
Answers = tuple[Any, Any]


class Counter:
    """The registration authority's software, with everything that can be wrong in it."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.client = world.service.app.test_client()

    def post(self, document: bytes, path: str = "/v1/orders", **headers: str) -> Any:
        return self.client.post(path, data=document, headers=JOSE | headers)

    def sign(self, payload: dict[str, Any], typ: str = ORDER_TYPE) -> bytes:
        return sign_document(payload, typ=typ, keys=[self.world.ra_key])

    def record(self) -> str:
        """Everything on record, as one hash."""
        rows = []
        with self.world.context.database.reading() as connection:
            for table in (*models.metadata.sorted_tables, audit_entries):
                rows += [str(row) for row in connection.execute(select(table))]
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def refuses(self, document: bytes, code: str, status: int, **headers: str) -> Answers:
        """Post it in both languages; the answers, after every check that is the same for all."""
        before = self.record()
        english, chinese = (
            self.post(document, **headers, **{"Accept-Language": language}) for language in ("en", "zh")
        )
        for answer in (english, chinese):
            assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
            assert answer.content_type == "application/problem+json"
            assert "%(" not in answer.json["detail"] + answer.json["hint"]
            for number in (USCC, OTHER_USCC, IDCARD):
                assert number not in answer.text
        for part in ("detail", "hint"):
            assert english.json[part] != chinese.json[part]
            assert any("一" <= character <= "鿿" for character in chinese.json[part])
        assert self.record() == before
        return english, chinese


@pytest.fixture
def counter(lite: Any) -> Counter:
    return Counter(lite)


def with_csr(make: Callable[[Any], str]) -> Callable[[Any, Any], dict[str, Any]]:
    return lambda _world, csr: {"csr_pem": make(csr)}


def with_subject(**changes: str | None) -> Callable[[Any, Any], dict[str, Any]]:
    def build(world: Any, _csr: Any) -> dict[str, Any]:
        merged = world.order_payload()["subject"] | changes
        return {"subject": {name: value for name, value in merged.items() if value is not None}}

    return build


def with_fields(**changes: Any) -> Callable[[Any, Any], dict[str, Any]]:
    return lambda _world, _csr: changes


def another_signature(csr: Any) -> str:
    """The last octets, which belong to the signature, are other ones."""
    lines = csr().splitlines()
    lines[-2] = lines[-2][:4] + ("B" if lines[-2][4] != "B" else "C") + lines[-2][5:]
    return "\n".join(lines)


BAD: dict[str, tuple[Callable[[Any, Any], dict[str, Any]], str, int]] = {
    "no csr": (with_csr(lambda _csr: ""), "CSR_MALFORMED", 400),
    "csr is text": (with_csr(lambda _csr: "hello"), "CSR_MALFORMED", 400),
    "csr cut short": (with_csr(lambda csr: csr()[:200]), "CSR_MALFORMED", 400),
    "csr is not ascii": (with_csr(lambda csr: "请求" + csr()), "CSR_MALFORMED", 400),
    "two csrs": (with_csr(lambda csr: csr() + csr()), "CSR_MALFORMED", 400),
    "csr too long": (with_csr(lambda csr: csr() + "\n" * 20_000), "CSR_MALFORMED", 400),
    "csr signature": (with_csr(another_signature), "CSR_SIGNATURE", 422),
    "rsa 1024": (with_csr(lambda csr: csr(rsa.generate_private_key(65537, 1024))), "KEY_KIND", 422),
    "foreign curve": (with_csr(lambda csr: csr(ec.generate_private_key(ec.SECP256K1()))), "KEY_KIND", 422),
    "exponent 3": (with_csr(lambda csr: csr(rsa.generate_private_key(3, 2048))), "KEY_WEAK", 422),
    "unknown profile": (with_fields(profile="wizard"), "PROFILE_UNKNOWN", 422),
    "unknown version": (with_fields(profile_version=9), "PROFILE_VERSION", 409),
    "check digit": (with_fields(identity={"uscc": "91440300MA5DEM004K"}), "IDENTITY_WRONG", 422),
    "id in lower case": (with_fields(identity={"uscc": USCC.lower()}), "IDENTITY_WRONG", 422),
    "id too short": (with_fields(identity={"uscc": USCC[:-1]}), "IDENTITY_WRONG", 422),
    "id of another kind": (with_fields(identity={"uscc": IDCARD}), "IDENTITY_WRONG", 422),
    "agent's id": (
        with_fields(identity={"uscc": USCC, "agent_idcard": "440300190002300013"}),
        "IDENTITY_WRONG",
        422,
    ),
    "no id": (with_fields(identity={}), "FIELD_MISSING", 422),
    "name of 65": (with_subject(common_name="名" * 65), "FIELD_LENGTH", 422),
    "town of 200": (with_subject(locality="市" * 200), "FIELD_LENGTH", 422),
    "invisible character": (with_subject(common_name="深圳\u200b公司"), "FIELD_ALPHABET", 422),
    "right to left": (with_subject(common_name="深圳\u202e公司"), "FIELD_ALPHABET", 422),
    "cyrillic": (with_subject(organization="Оkно"), "FIELD_ALPHABET", 422),
    "nul": (with_subject(organization="甲\x00乙"), "FIELD_ALPHABET", 422),
    "blank at the end": (with_subject(common_name="深圳公司 "), "FIELD_ALPHABET", 422),
    "another country": (with_subject(country="US"), "FIELD_VALUE", 422),
    "no name": (with_subject(common_name=None), "FIELD_MISSING", 422),
    "one approver twice": (with_fields(approved_by=["wang", "wang"]), "TWO_PEOPLE", 403),
    "approved by one": (with_fields(approved_by=["wang"]), "TWO_PEOPLE", 403),
    "a field too many": (with_fields(discount="yes"), "ORDER_MALFORMED", 400),
    "order of yesterday": (with_fields(created_at="2026-11-19T09:00:00+00:00"), "ORDER_TIME", 403),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_order_is_refused_and_leaves_nothing(counter: Counter, csr: Any, name: str) -> None:
    """One thing wrong at a time; then the same order with that put right, under the same number."""
    build, code, status = BAD[name]
    payload = counter.world.order_payload()
    counter.refuses(counter.sign(payload | build(counter.world, csr)), code, status)
    assert counter.post(counter.sign(payload)).status_code == 201


def test_a_key_of_another_holder(counter: Counter, csr: Any) -> None:
    shared = csr()
    assert counter.post(counter.world.order(csr_pem=shared)).status_code == 201
    counter.refuses(counter.world.order(csr_pem=shared, identity={"uscc": OTHER_USCC}), "KEY_REPEATED", 422)


def test_a_key_that_was_compromised(counter: Counter, csr: Any) -> None:
    shared = csr()
    serial = counter.post(counter.world.order(csr_pem=shared)).json["serial"]
    assert counter.post(counter.world.revocation(serial), "/v1/revocations").status_code == 200
    counter.refuses(counter.world.order(csr_pem=shared), "KEY_BLOCKED", 422)


def test_a_replayed_order_brings_the_same_certificate(counter: Counter) -> None:
    """The same bytes again, now and after a week: no second certificate, nothing new on record."""
    document = counter.world.order()
    first = counter.post(document)
    before = counter.record()
    for days in (0, 7):
        counter.world.clock.advance(timedelta(days=days))
        again = counter.post(document)
        assert (again.status_code, again.json) == (200, first.json)
    assert counter.record() == before


def test_an_altered_order(counter: Counter) -> None:
    """Altered on its way; signed anew with another content under the same number; under another key of
    idempotency; signed by nobody known; a revocation posted as an order; cut short."""
    payload = counter.world.order_payload()
    document = counter.sign(payload)
    on_its_way = json.loads(document)
    on_its_way["payload"] = on_its_way["payload"][:-8] + "AAAAAAAA"
    counter.refuses(json.dumps(on_its_way).encode(), "ORDER_SIGNATURE", 401)
    stranger = ec.generate_private_key(ec.SECP256R1())
    counter.refuses(sign_document(payload, typ=ORDER_TYPE, keys=[stranger]), "ORDER_SIGNATURE", 401)
    counter.refuses(counter.sign(payload, REVOCATION_TYPE), "ORDER_SIGNATURE", 401)
    counter.refuses(document[:-20], "ORDER_MALFORMED", 400)
    counter.refuses(document, "ORDER_ALTERED", 409, **{"Idempotency-Key": "another"})
    assert counter.post(document).status_code == 201
    altered = counter.sign(payload | {"identity": {"uscc": OTHER_USCC}})
    counter.refuses(altered, "ORDER_ALTERED", 409)


def test_an_sm2_request_is_named(counter: Counter, tmp_path: Path) -> None:
    """Many USB keys make SM2 requests; the sentence says that it is the kind of key."""
    key, request = tmp_path / "sm2.key", tmp_path / "sm2.csr"
    for arguments in (
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", key],
        ["req", "-new", "-key", key, "-sm3", "-subj", "/CN=x", "-out", request],
    ):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
    english, _chinese = counter.refuses(counter.world.order(csr_pem=request.read_text()), "KEY_KIND", 422)
    assert "“sm2”" in english.json["detail"]

"""Bad input at the counter: each fault named with code, sentence and next step in both languages, and nothing
kept; the right application goes through afterwards. Two clerks who are one person approve nothing.

Over the wire to the real CA: tests/integration/test_outage.py.
"""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from ra_fakes import IDCARD, OTHER_USCC, USCC, idcard, make_csr, make_key
from sqlalchemy import select

from onecert.ra.models import metadata
from onecert.server.models import audit_entries

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def body(ra, **changes: str) -> dict[str, Any]:
    """A complete application; `changes` are fields, `csr_pem` and `authority`."""
    entry = ra.entry()
    outer = {name: changes.pop(name) for name in ("csr_pem", "authority", "type") if name in changes}
    made = {"type": "organisation", "authority": "pearl", "csr_pem": entry.csr, "submit": True}
    return {**made, "fields": {**entry.fields, **changes}, **outer}


def record(ra) -> str:
    """Everything on record, as one hash."""
    rows = []
    with ra.database.reading() as connection:
        for table in (*metadata.sorted_tables, audit_entries):
            rows += [str(row) for row in connection.execute(select(table))]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def is_said(english: dict[str, str], chinese: dict[str, str]) -> bool:
    """A sentence and a next step, each in its own language, without anybody's number."""
    for part in ("detail", "hint"):
        assert english[part] != chinese[part]
        assert "%(" not in english[part] + chinese[part]
        assert any("一" <= character <= "鿿" for character in chinese[part])
    assert IDCARD not in str(english) + str(chinese)
    return True


def refused(
    ra, wanted: dict[str, Any], *, path: str = "/applications", by: Any = None, **headers: str
) -> Any:
    """Send it in both languages; the English problem, after what is the same for all."""
    browsers = [ra.browser(by or ra.entry_clerk, language=language) for language in ("en", "zh")]
    ra.directory.listing()
    before = record(ra)
    english, chinese = (browser.api("POST", path, wanted, **headers) for browser in browsers)
    assert english.status_code == chinese.status_code
    assert english.content_type == chinese.content_type == "application/problem+json"
    assert english.json["code"] == chinese.json["code"]
    assert is_said(english.json, chinese.json)
    for one, other in zip(english.json.get("errors", []), chinese.json.get("errors", []), strict=True):
        assert (one["field"], one["code"]) == (other["field"], other["code"])
        assert is_said(one, other)
    assert record(ra) == before
    return english


def altered(csr: str) -> str:
    lines = csr.splitlines()
    lines[-2] = lines[-2][:4] + ("B" if lines[-2][4] != "B" else "C") + lines[-2][5:]
    return "\n".join(lines)


BAD: dict[str, tuple[Callable[[], dict[str, str]], str, str]] = {
    "no csr": (lambda: {"csr_pem": ""}, "csr", "CSR_MISSING"),
    "csr is text": (lambda: {"csr_pem": "你好"}, "csr", "CSR_MALFORMED"),
    "csr cut short": (lambda: {"csr_pem": make_csr()[:200]}, "csr", "CSR_MALFORMED"),
    "two csrs": (lambda: {"csr_pem": make_csr() + make_csr()}, "csr", "CSR_NOT_ONE"),
    "csr too long": (lambda: {"csr_pem": make_csr() + "\n" * 20_000}, "csr", "CSR_TOO_LONG"),
    "csr signature": (lambda: {"csr_pem": altered(make_csr())}, "csr", "CSR_SIGNATURE"),
    "rsa 1024": (lambda: {"csr_pem": make_csr(make_key("rsa-1024"))}, "csr", "KEY_WEAK"),
    "exponent 3": (lambda: {"csr_pem": make_csr(rsa.generate_private_key(3, 2048))}, "csr", "KEY_WEAK"),
    "foreign curve": (
        lambda: {"csr_pem": make_csr(ec.generate_private_key(ec.SECP256K1()))},
        "csr",
        "KEY_TYPE",
    ),
    "check digit": (lambda: {"uscc": "91440300MA5DEM004K"}, "uscc", "ID_CHECK_DIGIT"),
    "id too short": (lambda: {"uscc": USCC[:-1]}, "uscc", "ID_LENGTH"),
    "letter o": (lambda: {"uscc": "9144O300MA5DEM004J"}, "uscc", "ID_CHARACTER"),
    "agent's id": (lambda: {"agent_idcard": "440300190001010016"}, "agent_idcard", "ID_CHECK_DIGIT"),
    "nobody's id": (lambda: {"agent_idcard": "999999190001010015"}, "agent_idcard", "ID_TEST"),
    "name of 65": (lambda: {"organization_name": "名" * 65}, "organization_name", "FIELD_TOO_LONG"),
    "name of 2000": (lambda: {"organization_name": "名" * 2000}, "organization_name", "FIELD_TOO_LONG"),
    "cyrillic": (lambda: {"organization_name": "Окно有限公司"}, "organization_name", "FIELD_ALPHABET"),
    "invisible": (lambda: {"organization_name": "甲\u200b乙"}, "organization_name", "FIELD_ALPHABET"),
    "nul": (lambda: {"locality": "\x00"}, "locality", "FIELD_ALPHABET"),
    "mobile": (lambda: {"mobile": "12345"}, "mobile", "FIELD_FORM"),
    "no name": (lambda: {"organization_name": ""}, "organization_name", "FIELD_MISSING"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_application_is_refused_and_leaves_nothing(ra, name: str) -> None:
    """One thing wrong at a time; then the right application with the same idempotency key."""
    build, field, code = BAD[name]
    answer = refused(ra, body(ra, **build()), Idempotency_Key="k1")
    assert (answer.status_code, answer.json["code"]) == (422, "FIELDS_INVALID")
    assert [(fault["field"], fault["code"]) for fault in answer.json["errors"]] == [(field, code)]
    right = ra.browser(ra.entry_clerk).api("POST", "/applications", body(ra), Idempotency_Key="k1")
    assert (right.status_code, right.json["state"]) == (201, "submitted")


def test_unknown_authority_and_profile(ra) -> None:
    """An authority that is not there; one that does not issue this type."""
    assert refused(ra, body(ra, authority="nowhere")).json["code"] == "AUTHORITY_UNKNOWN"
    listing = ra.ca._authority

    def without_citizens(name: str) -> dict[str, Any]:
        made = listing(name)
        made["profiles"] = [each for each in made["profiles"] if each["name"] != "organisation"]
        return made

    ra.ca._authority = without_citizens
    ra.clock.advance(ra.service.config.authorities_keep * 2)
    assert refused(ra, body(ra)).json["code"] == "PROFILE_UNKNOWN"


def test_a_repeated_key(ra) -> None:
    """The key of another application, of another firm."""
    shared = make_csr(make_key())
    ra.submit(ra.entry(csr=shared))
    answer = refused(ra, body(ra, csr_pem=shared, uscc=OTHER_USCC, organization_name="深圳市另一家有限公司"))
    assert (answer.status_code, answer.json["code"]) == (409, "KEY_REPEATED")


def test_two_clerks_who_are_one_person(ra) -> None:
    """The settings permit one person two accounts; as second person neither counts."""
    ra.operators.config = dataclasses.replace(ra.operators.config, allow_same_person=True)
    twin = ra.operator("wang2", "clerk.review", person=idcard(101))
    made = ra.submit()
    seen = {"content_sha256": made.content_sha256}
    answer = refused(ra, seen, path=f"/applications/{made.id}/approve", by=twin)
    assert (answer.status_code, answer.json["code"]) == (403, "SAME_PERSON")
    assert ra.load(made.id).state == "submitted"
    assert ra.ca.posts == []

"""Issuing: one order, one certificate; each way an order can be wrong, with its code and nothing kept."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import func, select

from onecert.ca import models
from onecert.ca.certificates.names import SubjectRule, checked_subject
from onecert.ca.errors import CaError, TokenGoneError
from onecert.ca.issuing.order_notices import open_revocation
from onecert.ca.issuing.orders import ORDER_TYPE
from onecert.server.documents import sign_document
from onecert.server.errors import DatabaseUnavailableError
from onecert.server.models import audit_entries

USCC = "91440300MA5DEM004J"


def count(world: Any, table: Any) -> int:
    with world.context.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def refused(world: Any, document: bytes, code: str, status: int) -> CaError:
    """The order must be refused with this code, and nothing may be on record of it."""
    before = count(world, models.orders), count(world, models.certificates), count(world, models.keys)
    with pytest.raises(CaError) as caught:
        world.parts.issuance.issue(document)
    assert (caught.value.code, caught.value.status) == (code, status)
    assert before == (
        count(world, models.orders),
        count(world, models.certificates),
        count(world, models.keys),
    )
    return caught.value


def test_an_order_becomes_a_certificate(world: Any) -> None:
    """RA -> CA harbour: the certificate says what was ordered, on record and audited in one go."""
    issued = world.issue()

    certificate = x509.load_der_x509_certificate(issued.record.certificate_der)
    harbour = x509.load_der_x509_certificate(world.parts.authorities.get("harbour").certificate_der)
    certificate.verify_directly_issued_by(harbour)
    assert issued.is_new
    assert f"{certificate.serial_number:x}" == issued.record.serial
    assert certificate.serial_number.to_bytes(17, "big")[0] == 0x4F
    assert certificate.not_valid_before_utc == world.clock.now()
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lifetime == timedelta(days=1095) - timedelta(seconds=1)
    assert "深圳市虚构贸易有限公司" in certificate.subject.rfc4514_string()
    assert len(issued.chain_pem) == 2
    with world.context.database.reading() as connection:
        entries = (
            connection.execute(
                select(audit_entries).where(audit_entries.c.event == "certificate.issued").order_by("seq")
            )
            .mappings()
            .all()
        )
    assert entries[-1]["subject"] == f"harbour/{issued.record.serial}"
    assert entries[-1]["actor"] == "ra:ra"
    assert json.loads(entries[-1]["details"])["approved_by"] == ["clerk1", "clerk2"]
    assert "440300" not in entries[-1]["details"]


def test_the_same_order_again_is_the_same_certificate(world: Any) -> None:
    payload = world.order_payload()
    first = world.parts.issuance.issue(sign_document(payload, typ=ORDER_TYPE, keys=[world.ra_key]))
    again = world.parts.issuance.issue(sign_document(payload, typ=ORDER_TYPE, keys=[world.ra_key]))

    assert not again.is_new
    assert again.as_json() == first.as_json()


def test_an_old_order_that_is_known_is_answered(world: Any) -> None:
    """Posted again after a week: the same certificate, although a new order of that age is refused."""
    document = world.order()
    first = world.parts.issuance.issue(document)
    world.clock.advance(timedelta(days=7))
    assert world.parts.issuance.issue(document).as_json() == first.as_json()


def test_a_known_order_is_answered_whatever_has_changed(world: Any, csr: Any) -> None:
    """Token away, then another version of the profile in force: still the same certificate."""
    document = world.order()
    first = world.parts.issuance.issue(document)
    world.token.gone = True
    world.restart()
    assert world.parts.issuance.issue(document).as_json() == first.as_json()
    with world.context.database.transaction() as connection:
        connection.execute(models.profiles.update().values(in_force=False))
    world.restart()
    assert world.parts.issuance.issue(document).as_json() == first.as_json()
    assert count(world, models.certificates) == count(world, models.orders)


def test_concurrent_posts_of_one_order_make_one_certificate(world: Any) -> None:
    document = world.order()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _n: world.parts.issuance.issue(document), range(16)))

    assert len({json.dumps(result.as_json()) for result in results}) == 1
    assert sum(result.is_new for result in results) == 1
    assert count(world, models.orders) == 1 + count_ceremony_orders(world)


def count_ceremony_orders(world: Any) -> int:
    with world.context.database.reading() as connection:
        query = select(func.count()).where(~models.orders.c.ordered_by.startswith("ra:"))
        return connection.execute(query.select_from(models.orders)).scalar_one()


def test_many_orders_at_once_all_get_their_own(world: Any) -> None:
    documents = [world.order(identity={"uscc": "91440300MA5DEM004J"}) for _ in range(24)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(world.parts.issuance.issue, documents))
    assert len({result.record.serial for result in results}) == 24
    with world.context.database.reading() as connection:
        numbers = connection.execute(
            select(models.key_numbers.c.number).where(
                models.key_numbers.c.entity == "uscc:91440300MA5DEM004J"
            )
        ).scalars()
        assert sorted(numbers) == list(range(1, 25))


# ------------------------------------------------------------------ the order itself


def test_altered_order_is_refused(lite: Any) -> None:
    document = json.loads(lite.order())
    document["payload"] = document["payload"][:-8] + "AAAAAAAA"
    refused(lite, json.dumps(document).encode(), "ORDER_SIGNATURE", 401)


def test_order_of_an_unknown_signer_is_refused(lite: Any) -> None:
    refused(lite, lite.order(key=ec.generate_private_key(ec.SECP256R1())), "ORDER_SIGNATURE", 401)


def test_order_that_names_another_signer_is_refused(lite: Any) -> None:
    refused(lite, lite.order(registration_authority="other"), "ORDER_SIGNER", 403)


def test_removed_registration_authority_is_refused_at_once(lite: Any) -> None:
    lite.parts.registration_authorities.remove("ra", actor="command:test")
    refused(lite, lite.order(), "ORDER_SIGNATURE", 401)


@pytest.mark.parametrize("garbage", [b"", b"{}", b"[]", b"\xff", b'{"signatures":[{"protected":"e30"}]}'])
def test_garbage_is_refused(lite: Any, garbage: bytes) -> None:
    refused(lite, garbage, "ORDER_MALFORMED", 400)


def test_order_out_of_scope_is_refused(lite: Any) -> None:
    """The RA may order citizens' certificates only."""
    lite.register("harbour:citizen")
    refused(lite, lite.order(), "ORDER_OUT_OF_SCOPE", 403)


def test_order_for_the_root_is_out_of_scope(lite: Any) -> None:
    refused(lite, lite.order(authority="harbour-root", profile="issuing"), "ORDER_OUT_OF_SCOPE", 403)


@pytest.mark.parametrize("age", [timedelta(days=2), timedelta(minutes=-6)])
def test_order_of_another_time_is_refused(lite: Any, age: timedelta) -> None:
    refused(lite, lite.order(created_at=(lite.clock.now() - age).isoformat()), "ORDER_TIME", 403)


def test_known_number_with_other_content_is_refused(lite: Any) -> None:
    payload = lite.order_payload()
    lite.parts.issuance.issue(sign_document(payload, typ=ORDER_TYPE, keys=[lite.ra_key]))
    altered = payload | {"identity": {"uscc": "91440300MA5DEM0A63"}}
    document = sign_document(altered, typ=ORDER_TYPE, keys=[lite.ra_key])
    refused(lite, document, "ORDER_ALTERED", 409)


def test_one_approver_twice_is_refused(lite: Any) -> None:
    refused(lite, lite.order(approved_by=["clerk1", "clerk1"]), "TWO_PEOPLE", 403)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order", "x"),
        ("created_at", "yesterday"),
        ("created_at", "2026-11-21T09:00:00"),
        ("profile_version", "1"),
        ("profile_version", True),
        ("subject", []),
        ("subject", {"common_name": 1}),
        ("identity", {"uscc": None}),
        ("application_sha256", "nothing"),
        ("approved_by", []),
        ("approved_by", "clerk1"),
        ("surprise", "field"),
    ],
)
def test_wrong_field_is_named(lite: Any, field: str, value: Any) -> None:
    error = refused(lite, lite.order(**{field: value}), "ORDER_MALFORMED", 400)
    assert error.facts["field"] == field


def test_unknown_authority_and_profile_are_refused(lite: Any) -> None:
    lite.register("harbour:*", "nowhere:*")
    refused(lite, lite.order(authority="nowhere"), "AUTHORITY_UNKNOWN", 404)
    refused(lite, lite.order(profile="wizard"), "PROFILE_UNKNOWN", 422)
    error = refused(lite, lite.order(profile_version=2), "PROFILE_VERSION", 409)
    assert error.facts["in_force"] == 1


# ------------------------------------------------------------------ the request and its key


@pytest.mark.parametrize(
    "csr_pem",
    [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        "x" * 20000,
    ],
)
def test_malformed_csr_is_refused(lite: Any, csr_pem: str) -> None:
    refused(lite, lite.order(csr_pem=csr_pem), "CSR_MALFORMED", 400)


def test_two_requests_in_one_are_refused(lite: Any, csr: Any) -> None:
    refused(lite, lite.order(csr_pem=csr() + csr()), "CSR_MALFORMED", 400)


def test_csr_whose_signature_fails_is_refused(lite: Any, csr: Any) -> None:
    lines = csr().splitlines()
    swapped = "B" if lines[-2][4] != "B" else "C"
    lines[-2] = lines[-2][:4] + swapped + lines[-2][5:]
    refused(lite, lite.order(csr_pem="\n".join(lines)), "CSR_SIGNATURE", 422)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), "rsa-1024"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "secp521r1"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
    ],
)
def test_kinds_of_keys_not_in_the_profile_are_refused(lite: Any, csr: Any, make: Any, kind: str) -> None:
    error = refused(lite, lite.order(csr_pem=csr(make())), "KEY_KIND", 422)
    assert error.facts["kind"] == kind


def test_small_exponent_is_refused(lite: Any, csr: Any) -> None:
    refused(lite, lite.order(csr_pem=csr(rsa.generate_private_key(3, 2048))), "KEY_WEAK", 422)


def test_key_of_another_holder_is_refused(world: Any, csr: Any) -> None:
    """One key, two firms: the second is refused, the first may have more certificates for it."""
    shared = csr()
    world.issue(csr_pem=shared)
    refused(world, world.order(csr_pem=shared, identity={"uscc": "91440300MA5DEM0A63"}), "KEY_REPEATED", 422)
    assert world.issue(csr_pem=shared).is_new


def test_key_revoked_as_compromised_is_never_certified_again(world: Any, csr: Any) -> None:
    shared = csr()
    issued = world.issue(csr_pem=shared)
    world.parts.revocation.revoke(open_revocation(world.parts.desk, world.revocation(issued.record.serial)))
    refused(world, world.order(csr_pem=shared), "KEY_BLOCKED", 422)


# ------------------------------------------------------------------ subject and numbers


@pytest.mark.parametrize(
    ("subject", "code", "field"),
    [
        ({"common_name": None}, "FIELD_MISSING", "common_name"),
        ({"common_name": "名" * 65}, "FIELD_LENGTH", "common_name"),
        ({"common_name": "名称\u200b"}, "FIELD_ALPHABET", "common_name"),
        ({"common_name": " 名称"}, "FIELD_ALPHABET", "common_name"),
        ({"organization": "Ωmega"}, "FIELD_ALPHABET", "organization"),
        ({"country": "US"}, "FIELD_VALUE", "country"),
        ({"title": "经理"}, "FIELD_NOT_ALLOWED", "title"),
    ],
)
def test_wrong_subject_is_refused(lite: Any, changed: Any, subject: Any, code: str, field: str) -> None:
    subject = changed(lite.order_payload()["subject"], **subject)
    error = refused(lite, lite.order(subject=subject), code, 422)
    assert error.facts["field"] == field


@pytest.mark.parametrize("name", ["张〇", "\U00020bb7\U000242ee"])
def test_rare_characters_of_personal_names_are_names(name: str) -> None:
    """〇 (U+3007) is no letter in Unicode, but stands in names; so do characters of extension B."""
    rules = {"common_name": SubjectRule(required=True)}
    assert checked_subject({"common_name": name}, rules) == {"common_name": name}


@pytest.mark.parametrize(
    ("identity", "code", "field"),
    [
        ({}, "FIELD_MISSING", "identity.uscc"),
        ({"uscc": "91440300MA5DEM004K"}, "IDENTITY_WRONG", "uscc"),
        ({"uscc": "91440300ma5dem004j"}, "IDENTITY_WRONG", "uscc"),
        (
            {"uscc": USCC, "agent_idcard": "440300190001010016"},
            "IDENTITY_WRONG",
            "agent_idcard",
        ),
        (
            {"uscc": USCC, "idcard": "440300190001010015"},
            "FIELD_NOT_ALLOWED",
            "identity.idcard",
        ),
    ],
)
def test_wrong_id_is_refused_and_not_repeated(lite: Any, identity: Any, code: str, field: str) -> None:
    error = refused(lite, lite.order(identity=identity), code, 422)
    assert error.facts["field"] == field
    assert not any(value in str(error) for value in identity.values())


# ------------------------------------------------------------------ outages


def test_token_gone_is_not_now_and_finished_later(world: Any) -> None:
    """The token vanishes after the checks: 503, the intent stays, the order is filled when it is back."""
    document = world.order()
    world.issue()
    world.token.gone = True
    with pytest.raises(TokenGoneError) as caught:
        world.parts.issuance.issue(document)
    assert caught.value.status == 503
    waiting = world.parts.ledger.unfinished()
    assert len(waiting) == 1
    # Whoever comes while the token is known to be away leaves nothing behind, however long it lasts.
    later = world.order()
    with pytest.raises(TokenGoneError):
        world.parts.issuance.issue(later)
    assert len(world.parts.ledger.unfinished()) == 1

    world.token.gone = False
    world.clock.advance(timedelta(minutes=30))
    assert world.parts.issuance.issue(later).is_new
    issued = world.parts.issuance.issue(document)
    assert issued.record.serial == waiting[0].serial
    assert world.parts.ledger.unfinished() == []


def test_database_gone_is_not_now(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    document = lite.order()
    lite.context.database.path.rename(lite.context.database.path.with_name("away.db"))
    with pytest.raises(DatabaseUnavailableError):
        lite.parts.issuance.issue(document)
    lite.context.database.path.with_name("away.db").rename(lite.context.database.path)
    assert lite.parts.issuance.issue(document).is_new


def issue_many(world: Any, number: int) -> None:
    for _ in range(number):
        world.issue()


def test_full_disk_leaves_nothing_half_done(lite: Any) -> None:
    """SQLite may not grow any more: the order is refused for now, and goes through when there is room."""
    document = lite.order()
    with lite.context.database.transaction() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    before = count(lite, models.orders)

    def limit(to: int) -> None:
        # The limit is one of the connection, and the pool hands the same one out again.
        with lite.context.database.transaction() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count={to}")

    limit(pages)
    with pytest.raises(DatabaseUnavailableError) as caught:
        issue_many(lite, 50)
    assert caught.value.kind == "full"
    for record in lite.parts.ledger.unfinished():
        assert record.certificate_der is None
    limit(1 << 30)
    assert lite.parts.issuance.issue(document).is_new
    lite.parts.recovery.run(lite.clock.now())
    assert lite.parts.ledger.unfinished() == []
    assert count(lite, models.orders) > before


def test_an_order_may_ask_for_an_earlier_end(world: Any) -> None:
    """A certificate for a short term: the end is the one that was asked for, to the second."""
    end = world.clock.now() + timedelta(days=30)
    issued = world.parts.issuance.issue(world.order(not_after=end.isoformat()))
    certificate = x509.load_der_x509_certificate(issued.record.certificate_der)
    assert certificate.not_valid_after_utc == end
    assert certificate.not_valid_before_utc == world.clock.now()


@pytest.mark.parametrize(
    "shift",
    [
        timedelta(0),
        timedelta(days=-1),
        timedelta(days=1095),
        timedelta(days=9999),
        timedelta(days=1, milliseconds=5),
    ],
)
def test_an_end_outside_the_profiles_term_is_refused(world: Any, shift: timedelta) -> None:
    end = world.clock.now() + shift
    refused(world, world.order(not_after=end.isoformat()), "CERTIFICATE_TERM", 422)

"""What went wrong at other CAs and what their users complain about, each as a test that shows it cannot here.

`ELSEWHERE` names the tests that stand where they belong; the others are below. The incidents are public: the
trackers of Mozilla, of the projects named, and their post-mortems.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ca_batches import Sender
from ca_lists import revoke
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID
from sqlalchemy import func, select
from test_ca_ocsp import call, post

from onecert.ca import models
from onecert.ca.errors import TryAgainError
from onecert.ca.issuing.ledger import INTENDED
from onecert.ca.issuing.order_notices import open_revocation
from onecert.server.errors import ServiceError
from onecert.server.models import audit_entries

TESTS = Path(__file__).parents[1]

# Incident or complaint -> the tests, as FILE::TEST.
ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "EJBCA 2019: 63 random bits in millions of serials": (
        "ca/test_ca_profiles.py::test_serials_have_128_random_bits_and_a_fixed_lead",
    ),
    "WoSign 2015: backdated certificates": (
        "ca/test_ca_profiles_term.py::test_backdating_is_bounded_and_takes_nothing_from_the_rule",
    ),
    "SSL.com 2025: what was signed under load was lost": (
        "ca/test_ca_crash.py::test_process_that_dies_at_each_commit",
        "integration/test_crash.py::test_killed_at_random_moments_nothing_is_lost_doubled_or_turned_back",
    ),
    "Let's Encrypt 2021: valid for ninety days and one second": (
        "ca/test_ca_profiles_term.py::test_days_have_no_extra_second",
        "ca/test_ca_profiles.py::test_lifetime_is_exact_to_the_second",
    ),
    "Let's Encrypt 2022: lists with a tenth of the revoked": (
        "ca/test_ca_revoke.py::test_incomplete_list_is_never_published",
        "ca/test_ca_crl_partitions.py::test_incomplete_partition_is_never_published",
        "ca/test_ca_crl_partitions.py::test_partition_that_no_list_is_made_for_is_found",
    ),
    "Let's Encrypt 2023: the profile changed between two steps of an order": (
        "ca/test_ca_profiles_frozen.py::test_changed_between_check_and_record",
        "ca/test_ca_profiles_frozen.py::test_changed_between_record_and_signature",
        "ca/test_ca_profiles_frozen.py::test_changed_under_a_batch",
    ),
    "HARICA 2024: OCSP answers with too late a next update": (
        "ca/test_ca_ocsp.py::test_answers_are_linted_before_they_leave",
        "ca/test_ca_ocsp_ahead.py::test_an_answer_past_its_end_is_never_served",
    ),
    "Let's Encrypt 2016: one overloaded database took issuing and OCSP down": (
        "ca/test_ca_status_process.py::test_served_while_ca_database_and_token_are_gone_and_after_a_restart",
    ),
    "Vault 2024: an OCSP answer signed by the wrong issuer was believed": (
        "verifier/test_ocsp.py::test_responder_of_another_ca",
    ),
    "Smart cards 2008: the CA was down, its list lapsed, nobody could sign in": (
        "ca/test_ca_revoke.py::test_alarm_at_half_life",
    ),
    "django-x509 193: the record had a serial that no certificate had": (
        "ca/test_ca_renewal.py::test_revoked_after_renewal_by_the_serial_that_was_signed",
    ),
    "Vault 3827, django-ca 167: the list lapsed because nobody was revoked": (
        "ca/test_ca_revoke.py::test_list_is_renewed_by_the_timer_though_nobody_was_revoked",
    ),
    "OpenBao 3051: revoked, and not on the list until the timer": (
        "ca/test_ca_revoke.py::test_revoked_certificate_is_on_the_next_list_at_once",
    ),
    "Vault 31752: lists stopped for twenty days and nothing said so": (
        "ca/test_ca_crl_partitions.py::test_timer_renews_every_list_and_the_alarm_names_the_one_that_is_late",
    ),
    "Vault 9176: each revocation costs as much as the list is long": (
        "ca/test_ca_crl_kept.py::test_a_change_touches_one_segment",
        "ca/test_ca_crl_partitions.py::test_after_a_revocation_only_lists_that_change_are_made",
    ),
    "step-ca 507, Vault 27249: what was issued cannot be found": (
        "ca/test_ca_search.py::test_found_by_every_field",
    ),
    "step-ca 1170: no person in between": (
        "ca/test_ca_issue.py::test_one_approver_twice_is_refused",
        "ca/test_ca_profiles_signed.py::test_one_officer_is_not_enough",
    ),
    "django-ca 185: who may use one CA may use all": (
        "ca/test_ca_issue.py::test_order_out_of_scope_is_refused",
        "ca/test_ca_history.py::test_signed_search_stays_in_the_scope_of_its_signer",
    ),
    "step-ca 937: works until the token's session is lost": (
        "hsm/test_hsm_traps.py::test_lost_sessions_are_opened_anew_while_threads_sign",
    ),
    "cfssl 329: threads log each other out": (
        "hsm/test_hsm_traps.py::test_eight_threads_share_four_sessions",
        "hsm/test_hsm_traps.py::test_closing_one_of_two_token_objects_leaves_the_other_logged_in",
    ),
    "oxide 44: failed logins use all sessions up": (
        "hsm/test_hsm_tokens.py::test_wrong_pins_leave_no_session_behind",
    ),
    "EJBCA 504: a hold with an invalidity date could not be released": (
        "ca/test_ca_revoke.py::test_hold_with_invalidity_date_can_be_released",
    ),
    "EJBCA 53, Dogtag 5177: upgrades that stop the service": (
        "ca/test_ca_rolling_restart.py::test_issues_before_during_and_after_the_migration_of_the_next_release",
    ),
    "Dogtag 5270: searches that read everything": (
        "ca/test_ca_search.py::test_no_search_reads_a_table_from_end_to_end",
    ),
    "django-ca: OCSP answers in a hash that was not asked for": (
        "ca/test_ca_ocsp.py::test_good_then_revoked_at_once_in_the_hash_asked_for",
        "ca/test_ca_ocsp_ahead.py::test_a_certid_of_another_hash_is_answered_live",
    ),
    "django-ca: the nonce is dropped": ("ca/test_ca_ocsp.py::test_nonce_is_echoed",),
    "django-ca: an internal error for what was never issued": (
        "ca/test_ca_ocsp.py::test_never_issued_is_unknown",
    ),
    "django-ca: expired certificates stay on the list": (
        "ca/test_ca_revoke.py::test_expired_certificate_leaves_the_list_after_one_more",
    ),
    "django-ca: database is locked under load": (
        "server/test_database.py::test_writers_in_threads_wait_for_each_other",
        "ca/test_ca_issue.py::test_many_orders_at_once_all_get_their_own",
    ),
    "UCM: audit entries outside of the act's transaction, failures swallowed": (
        "server/test_audit.py::test_entry_falls_with_the_act",
        "server/test_audit.py::test_act_fails_when_the_entry_cannot_be_written",
    ),
    "UCM: newest entries cut off, or everything written anew, unnoticed": (
        "server/test_audit_export.py::test_tail_removed_in_the_database",
        "server/test_audit_export.py::test_chain_written_anew_meets_the_signed_head",
    ),
    "Boulder: the clock and the full disk": (
        "ca/test_ca_revoke.py::test_clock_that_went_back_stops_lists",
        "ca/test_ca_issue.py::test_full_disk_leaves_nothing_half_done",
    ),
    "Boulder: a number that goes back is refused": (
        "ca/test_ca_revoke.py::test_older_list_never_replaces_a_newer_file",
        "ca/test_ca_crl_served.py::test_number_that_went_back_is_an_alarm",
    ),
}


@cache
def _tests_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and any(node.body)
    )


@pytest.mark.parametrize("incident", ELSEWHERE)
def test_incident_has_its_test(incident: str) -> None:
    """Whoever renames or removes one of these tests says here what stands in its place."""
    for name in ELSEWHERE[incident]:
        file, _colons, test = name.partition("::")
        assert (TESTS / file).is_file(), name
        assert test in _tests_in(file), name


def ask(world: Any, serial: str) -> Any:
    """What OCSP says about a serial, whether there is a certificate or not."""
    issuer = x509.load_der_x509_certificate(world.parts.authorities.get("harbour").certificate_der)
    name = hashlib.sha1(issuer.subject.public_bytes()).digest()
    key = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest
    builder = ocsp.OCSPRequestBuilder()
    made = builder.add_certificate_by_hash(name, key, int(serial, 16), hashes.SHA1()).build()
    _status, _headers, content = post(world.service.status, made.public_bytes(serialization.Encoding.DER))
    return ocsp.load_der_ocsp_response(content)


def total(world: Any, table: Any, *conditions: Any) -> int:
    with world.context.database.reading() as connection:
        return int(
            connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
        )


def test_serial_is_on_record_when_the_key_is_used(lite: Any) -> None:
    """EJBCA and WoSign: serials that nobody had stored could be used twice, or never be found again."""
    seen: list[Any] = []
    key = lite.token.keys["ca-harbour"]
    real = key.inner.sign

    def sign(data: bytes, algorithm: Any) -> bytes:
        seen.extend(lite.parts.ledger.unfinished())
        signature: bytes = real(data, algorithm)
        return signature

    key.sign = sign
    issued = lite.issue().record
    del key.sign
    assert [(each.serial, each.state) for each in seen] == [(issued.serial, INTENDED)]
    assert x509.load_der_x509_certificate(issued.certificate_der).tbs_certificate_bytes == seen[0].tbs_der


def test_no_serial_is_used_twice(lite: Any) -> None:
    """WoSign 2015: 313 certificates with one serial. Even a generator that repeats itself makes none."""
    first = lite.issue().record
    lite.parts.certifier._serials = lambda: int(first.serial, 16)
    with pytest.raises(TryAgainError):
        lite.issue()
    of_serial = models.certificates.c.serial == first.serial
    assert total(lite, models.certificates, of_serial) == 1
    assert lite.parts.ledger.unfinished() == []


@pytest.fixture
def unstorable(lite: Any) -> Any:
    """Boulder's cert_storage_failed_test: the database refuses to take the finished certificate."""
    with lite.context.database.transaction() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER no_store BEFORE UPDATE OF state ON ca_certificates"
            " WHEN NEW.state = 'issued' BEGIN SELECT RAISE(ABORT, 'not stored'); END"
        )
    document = lite.order()
    with pytest.raises(Exception, match="not stored"):
        lite.parts.issuance.issue(document)
    (lite.left,) = lite.parts.ledger.unfinished()
    lite.document = document
    return lite


def test_status_exists_before_the_signature_does(unstorable: Any) -> None:
    """SSL.com 2025 and Let's Encrypt 2019: certificates that were out, and OCSP knew nothing of them."""
    answer = ask(unstorable, unstorable.left.serial)
    assert answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD


def test_what_was_signed_and_not_stored_can_be_revoked(unstorable: Any) -> None:
    """Boulder PR 5813: the serial alone is enough."""
    revoke(unstorable, unstorable.left.serial)
    assert unstorable.serials_on_list() == {unstorable.left.serial}
    assert ask(unstorable, unstorable.left.serial).certificate_status is ocsp.OCSPCertStatus.REVOKED


def test_what_was_signed_and_not_stored_is_stored_later(unstorable: Any) -> None:
    """SSL.com 2025: what the signer did and the record are brought together at every start."""
    with unstorable.context.database.transaction() as connection:
        connection.exec_driver_sql("DROP TRIGGER no_store")
    unstorable.restart()
    unstorable.parts.recovery.run(unstorable.clock.now())
    again = unstorable.parts.issuance.issue(unstorable.document)
    assert (again.record.serial, again.record.state, again.is_new) == (
        unstorable.left.serial,
        "issued",
        False,
    )


@pytest.mark.parametrize("wrong", [0, 1, 3, 6])
def test_each_line_of_a_list_is_checked_for_itself(lite: Any, wrong: int) -> None:
    """Let's Encrypt 2020: a loop checked one name as often as there were names, and none of the others."""
    orders = [lite.order_payload() for _ in range(7)]
    orders[wrong] |= {"identity": {"uscc": "91440300MA5DEM004K", "agent_idcard": "440300190001010015"}}
    sender = Sender(lite)
    batch = sender.send(*orders)
    lite.parts.batch_work.run()
    refused = [number for number, line in enumerate(sender.results(batch)) if "serial" not in line]
    assert refused == [wrong]


ACTS = ("keyCompromise", "certificateHold", "removeFromCRL")


@pytest.mark.parametrize("reason", ACTS)
def test_no_status_changes_without_its_audit_entry(
    world: Any, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """Let's Encrypt 2020, GTS: statuses changed and no log entry said so."""
    serial = world.issue().record.serial
    if reason == "removeFromCRL":
        revoke(world, serial, reason="certificateHold")
    before = world.parts.ledger.certificate("harbour", serial)
    entries = total(world, audit_entries)
    document = world.revocation(serial, reason=reason)
    with monkeypatch.context() as patch:
        patch.setattr(type(world.context.audit), "record_many", _no_room)
        with pytest.raises(ServiceError):
            world.parts.revocation.revoke(open_revocation(world.parts.desk, document))
    assert world.parts.ledger.certificate("harbour", serial) == before
    assert total(world, audit_entries) == entries

    world.parts.revocation.revoke(open_revocation(world.parts.desk, document))
    assert world.parts.ledger.certificate("harbour", serial).status != before.status
    about = audit_entries.c.subject == f"harbour/{serial}"
    assert total(world, audit_entries, about, audit_entries.c.event != "certificate.issued") == (
        2 if reason == "removeFromCRL" else 1
    )


def _no_room(*_arguments: Any, **_named: Any) -> None:
    raise ServiceError("AUDIT", status=503, text="no room")


def test_every_address_in_a_certificate_answers(lite: Any) -> None:
    """GTS 2022: a responder had moved, and the address in the certificates was not found."""
    issued = lite.issue().record
    certificate = x509.load_der_x509_certificate(issued.certificate_der)
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    status, served = lite.context.status_url, []
    for address in [name.value for point in points for name in point.full_name or ()] + [
        each.access_location.value
        for each in access
        if each.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    ]:
        assert address.startswith(f"{status}/"), address
        code, _headers, content = call(lite.service.status, address.removeprefix(status))
        served.append((code, len(content) > 100))
    assert served
    assert set(served) == {(200, True)}
    responders = [
        each.access_location.value
        for each in access
        if each.access_method == AuthorityInformationAccessOID.OCSP
    ]
    assert responders == [f"{status}/harbour/ocsp"]
    assert ask(lite, issued.serial).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_keys_are_found_once_and_not_for_every_signature(lite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """django-ca and UCM load the CA's key anew for each certificate, which costs more than the signature."""
    lite.restart()
    asked: list[str] = []
    find = lite.token.key
    monkeypatch.setattr(lite.token, "key", lambda label: asked.append(label) or find(label))
    lite.restart()
    for _ in range(5):
        lite.issue()
    assert asked.count("ca-harbour") == 1

"""Further and re-keyed authorities, and orders that go to the next one from a moment on."""

from __future__ import annotations

import json
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_ceremonies import (
    DAY,
    T,
    ceremony,
    certificate_of,
    head,
    hold,
    issuing_file,
    openssl_accepts,
    rekeyed_file,
    table,
)
from ca_mass_revocations import People
from cryptography import x509
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates
from sqlalchemy import func, select

from onecert.ca import models
from onecert.ca.ceremonies.ceremony import RECORD_TYPE
from onecert.ca.ceremonies.file import ceremony_from_text
from onecert.ca.errors import (
    CeremonyChangedError,
    CeremonyFileError,
    IssuerExpiresError,
    OrderOutOfScopeError,
    UnknownAuthorityError,
)
from onecert.ca.issuing.order_notices import open_revocation
from onecert.verifier import TrustAnchor, validate_path
from onecert.verifier.jws import key_id, verify_document
from onecert.verifier.purposes import ANY
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

OFF = RevocationPolicy(mode=RevocationMode.OFF)
DEMO = Path(__file__).parents[2] / "demo" / "ceremonies"
FROM = "2026-12-01T00:00:00+08:00"


def leaf_of(issued: Any) -> x509.Certificate:
    return x509.load_der_x509_certificate(issued.record.certificate_der)


def test_a_further_issuing_authority_below_the_root(lite: Any) -> None:
    made = hold(lite, issuing_file())
    second, root = certificate_of(lite, "harbour-b"), certificate_of(lite, "harbour-root")
    second.verify_directly_issued_by(root)
    keys = {key_id(root.public_key()): root.public_key()}
    payload = verify_document(made.record(), typ=RECORD_TYPE, keys=keys)
    assert (payload["kind"], [each["name"] for each in payload["authorities"]]) == ("issuing", ["harbour-b"])
    lite.register("harbour:*", "harbour-b:*")
    leaf_of(lite.issue(authority="harbour-b")).verify_directly_issued_by(second)
    assert lite.issue().record.authority == "harbour"


def test_a_re_keyed_authority_has_the_name_and_another_key(lite: Any) -> None:
    """Old and new keep status: each its own list, its own certificates, its own responder."""
    old_leaf = lite.issue()
    hold(lite, rekeyed_file())
    old, new = certificate_of(lite, "harbour"), certificate_of(lite, "harbour-b")
    assert new.subject.public_bytes() == old.subject.public_bytes()
    assert new.public_key() != old.public_key()
    assert new.serial_number != old.serial_number
    lite.register("harbour:*", "harbour-b:*")
    new_leaf = lite.issue(authority="harbour-b")
    for name, issued, issuer in (("harbour", old_leaf, old), ("harbour-b", new_leaf, new)):
        leaf_of(issued).verify_directly_issued_by(issuer)
        lite.parts.publisher.publish(name)
        assert lite.crl(name).is_signature_valid(issuer.public_key())
        assert lite.parts.ocsp_delegates.current(lite.parts.authorities.get(name)) is not None


def total(world: Any) -> int:
    with world.context.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(models.certificates)).scalar_one()


@pytest.mark.parametrize("steps", range(8))
def test_interrupted_after_any_step_goes_on(lite: Any, steps: int) -> None:
    before = total(lite)
    interrupted = ceremony(lite, rekeyed_file()).hold()
    for _ in range(min(steps, 7)):
        next(interrupted, None)
    interrupted.close()
    lite.restart()
    hold(lite, rekeyed_file())
    assert total(lite) == before + 2  # the authority and its responder
    assert not any(step.changed for step in ceremony(lite, rekeyed_file()).hold())


def test_orders_go_to_the_next_authority_from_the_moment_on(lite: Any) -> None:
    hold(lite, rekeyed_file(orders_from=FROM))
    document = lite.order()
    first = lite.parts.issuance.issue(document)
    assert first.record.authority == "harbour"
    lite.clock.advance(10 * DAY)
    lite.parts.authorities.reload()
    # Posted again: the same certificate, of the old authority.
    again = lite.parts.issuance.issue(document)
    assert (again.is_new, again.record.serial, again.record.authority) == (
        False,
        first.record.serial,
        "harbour",
    )
    assert again.chain_pem == first.chain_pem
    second = lite.issue()
    assert second.record.authority == "harbour-b"
    leaf_of(second).verify_directly_issued_by(certificate_of(lite, "harbour-b"))
    # And the other way round: a revocation finds who issued it.
    for issued in (first, second):
        order = open_revocation(lite.parts.desk, lite.revocation(issued.record.serial))
        located = lite.parts.issuance.lines.revocation(order)
        assert located.authority == issued.record.authority
        lite.parts.revocation.revoke(located)
        assert lite.parts.ledger.certificate(located.authority, issued.record.serial).status == "revoked"


def test_the_second_before_the_moment_nothing_changes(lite: Any) -> None:
    hold(lite, rekeyed_file(orders_from="2026-11-22T09:00:00Z"))
    lite.clock.advance(DAY - timedelta(seconds=1))
    assert lite.issue().record.authority == "harbour"
    lite.clock.advance(timedelta(seconds=1))
    assert lite.issue().record.authority == "harbour-b"


def test_a_third_one_follows_the_second(lite: Any) -> None:
    hold(lite, issuing_file(line='"harbour"', orders_from=FROM))
    hold(lite, issuing_file("harbour-c", line='"harbour"', orders_from="2026-12-05T00:00:00Z"))
    for days, name in ((1, "harbour"), (10, "harbour-b"), (9, "harbour-c")):
        lite.clock.advance(days * DAY)
        assert lite.issue().record.authority == name


def test_what_can_be_ordered_is_what_the_next_one_offers(lite: Any) -> None:
    hold(lite, rekeyed_file(orders_from=FROM))
    client = lite.service.app.test_client()

    def shown() -> dict[str, Any]:
        listed = json.loads(client.get("/v1/authorities").data)["authorities"]
        return {each["name"]: each for each in listed}

    assert shown()["harbour"]["filled_by"] == "harbour"
    assert len(shown()["harbour"]["profiles"]) == 3
    assert shown()["harbour-b"]["profiles"] == []
    lite.clock.advance(11 * DAY)
    assert shown()["harbour"]["filled_by"] == "harbour-b"
    assert [each["name"] for each in shown()["harbour"]["profiles"]] == ["ocsp", "organisation"]


# ------------------------------------------------------------------ roots


def root_file(name: str = "harbour-root-b", **keys: Any) -> str:
    return head(f"{name}-2027", "root") + table("root", name, **({"rekeys": '"harbour-root"'} | keys))


def test_a_re_keyed_root_and_its_roll_over_certificates(lite: Any, tmp_path: Path) -> None:
    """Who trusts either root accepts a holder below the other one (RFC 9810, section 4.4)."""
    made = hold(lite, root_file(validity_days=9000))
    old, new = certificate_of(lite, "harbour-root"), certificate_of(lite, "harbour-root-b")
    new.verify_directly_issued_by(new)
    assert old.subject.public_bytes() == new.subject.public_bytes()
    bundle = load_der_pkcs7_certificates(lite.parts.files.path("harbour-root", "p7c").read_bytes())
    joined = {each.public_key() == new.public_key(): each for each in bundle if each not in {old, new}}
    new_with_old, old_with_new = joined[True], joined[False]
    new_with_old.verify_directly_issued_by(old)
    old_with_new.verify_directly_issued_by(new)
    assert old_with_new.not_valid_before_utc == old.not_valid_before_utc
    assert old_with_new.not_valid_after_utc == old.not_valid_after_utc
    assert new_with_old.not_valid_before_utc == new.not_valid_before_utc
    assert new_with_old.not_valid_after_utc == old.not_valid_after_utc
    hold(lite, issuing_file("harbour-c", issuer='"harbour-root-b"'))
    cases = [
        ("harbour", old, new, old_with_new),
        ("harbour-c", new, old, new_with_old),
    ]
    for name, own, other, between in cases:
        issuing = certificate_of(lite, name)
        issuing.verify_directly_issued_by(own)
        validate_path(
            issuing,
            candidates=[between],
            anchors=[TrustAnchor.from_certificate(other)],
            at=T + timedelta(hours=1),
            purpose=ANY,
            revocation_policy=OFF,
        )
        assert openssl_accepts(tmp_path, issuing, other, [between])
        assert not openssl_accepts(tmp_path, issuing, other, [])
    payload = verify_document(
        made.record(), typ=RECORD_TYPE, keys={key_id(new.public_key()): new.public_key()}
    )
    assert {each["issuer"] for each in payload["certificates"]} == {"harbour-root", "harbour-root-b"}


@pytest.mark.parametrize("steps", range(10))
def test_interrupted_roll_over_goes_on(lite: Any, steps: int) -> None:
    before = total(lite)
    text = root_file(validity_days=9000)
    interrupted = ceremony(lite, text).hold()
    for _ in range(steps):
        next(interrupted, None)
    interrupted.close()
    lite.restart()
    hold(lite, text)
    assert total(lite) == before + 3
    assert lite.crl("harbour-root-b") is not None


def test_a_new_root_must_outlive_the_old_one(lite: Any) -> None:
    with pytest.raises(IssuerExpiresError):
        list(ceremony(lite, root_file(validity_days=1000)).preview())


# ------------------------------------------------------------------ faults


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (issuing_file(issuer='"harbour"'), "certifies holders, not authorities"),
        (issuing_file(issuer='"nobody"'), "there is no authority"),
        (rekeyed_file(rekeys='"nobody"'), "not an authority of this kind"),
        (rekeyed_file(rekeys='"harbour-root"'), "not an authority of this kind"),
        (issuing_file(line='"nobody"', orders_from=FROM), "no name that orders are made by"),
    ],
)
def test_what_the_record_contradicts_is_named(lite: Any, text: str, fault: str) -> None:
    for act in ("preview", "hold"):
        with pytest.raises(CeremonyFileError, match=fault):
            list(getattr(ceremony(lite, text), act)())


def test_an_authority_is_re_keyed_once(lite: Any) -> None:
    hold(lite, rekeyed_file())
    with pytest.raises(CeremonyFileError, match="re-keyed before"):
        list(ceremony(lite, rekeyed_file("harbour-c")).preview())


def test_the_name_of_an_authority_of_another_ceremony_is_refused(lite: Any) -> None:
    hold(lite, issuing_file())
    text = issuing_file().replace('name = "harbour-b-2027"', 'name = "again-2027"')
    with pytest.raises(CeremonyChangedError):
        list(ceremony(lite, text).hold())


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('issuer = "harbour-root"', "issuer = 7", "“issuer” names"),
        ('issuer = "harbour-root"', "", "“issuer” names"),
        ("[issuing]", "[issuing]\norders_from = 2027-01-01", "moment with offset"),
        ("[issuing]", "[issuing]\norders_from = 2027-01-01T00:00:00Z", "needs “line”"),
        ("[issuing]", '[issuing]\nline = "harbour"', "needs “orders_from”"),
        ("[issuing]", '[issuing]\nrekeys = "harbour"', "leave “subject” out"),
        ('kind = "issuing"', 'kind = "root"', "has no place in a ceremony"),
        ('kind = "issuing"', 'kind = "party"', "“kind” is one of"),
        ('kind = "issuing"', "kind = 3", "“kind” is one of"),
        ("validity_days = 3000", "validity_days = true", "validity_days"),
        ("[issuing]", '[issuing]\npolicies = ["x"]', "object identifiers"),
    ],
)
def test_faults_are_named(old: str, new: str, fault: str) -> None:
    text = issuing_file()
    assert old in text
    changed = text.replace(old, new, 1)
    with pytest.raises(CeremonyFileError) as caught:
        ceremony_from_text(changed, tomllib.loads(changed))
    assert fault in str(caught.value)


def test_the_files_of_the_demo_can_be_previewed(empty_world: Any) -> None:
    empty_world.hold()
    for name in ("harbour-2", "harbour-root-2", "bridge"):
        text = (DEMO / f"{name}.toml").read_text(encoding="utf-8")
        assert list(ceremony(empty_world, text).preview())


def test_an_unknown_name_is_still_unknown(lite: Any) -> None:
    hold(lite, rekeyed_file(orders_from=FROM))
    with pytest.raises(UnknownAuthorityError):
        lite.parts.authorities.filling("nobody", T)


def test_the_checker_finds_nothing_wrong_with_all_of_it(lite: Any) -> None:
    """Cross-certificates, roll-overs and orders of a line are read again as they were reviewed."""
    hold(lite, root_file(validity_days=9000))
    hold(lite, rekeyed_file(orders_from=FROM))
    hold(
        lite, (Path(__file__).parents[2] / "demo" / "ceremonies" / "bridge.toml").read_text(encoding="utf-8")
    )
    lite.issue()
    lite.clock.advance(10 * DAY)
    assert lite.issue().record.authority == "harbour-b"
    found = [each for page in lite.parts.checker.pages() for each in page.findings]
    assert found == []


def following(world: Any, old: Any, kind: str = "renew", **more: Any) -> bytes:
    """An order by the name of the line, also for the certificate that it follows."""
    replaces = {"authority": "harbour", "serial": old.record.serial}
    document: bytes = world.order(kind=kind, replaces=replaces, **more)
    return document


def test_a_renewal_goes_on_across_the_line(lite: Any) -> None:
    """The RA knows one name: the old one is of the first authority, the next two of the second."""
    hold(lite, rekeyed_file(orders_from=FROM))
    first = lite.issue()
    lite.clock.advance(10 * DAY)
    lite.parts.authorities.reload()
    said = {"reason": "superseded", "when": "issued"}
    second = lite.parts.issuance.issue(following(lite, first, revoke_replaced=said))
    again = following(lite, second, revoke_replaced=said)
    third = lite.parts.issuance.issue(again)
    assert [each.record.authority for each in (first, second, third)] == ["harbour", "harbour-b", "harbour-b"]
    for issued, status in ((first, "revoked"), (second, "revoked"), (third, "good")):
        assert lite.parts.ledger.certificate(issued.record.authority, issued.record.serial).status == status
    assert lite.parts.issuance.issue(again).record.serial == third.record.serial
    lost = lite.parts.issuance.issue(
        following(lite, third, "replace", revoke_replaced={"reason": "keyCompromise"})
    )
    assert lite.parts.ledger.certificate("harbour-b", third.record.serial).reason == "keyCompromise"
    assert lost.record.authority == "harbour-b"
    found = [each for page in lite.parts.checker.pages() for each in page.findings]
    assert found == []


def test_scopes_are_of_the_line(lite: Any) -> None:
    """Nothing has to be registered anew: who may act by the name of the line may do so on its members."""
    hold(lite, rekeyed_file(orders_from=FROM))
    lite.register("harbour:organisation")
    lite.clock.advance(10 * DAY)
    lite.parts.authorities.reload()
    issued = lite.issue().record
    assert issued.authority == "harbour-b"
    order = open_revocation(lite.parts.desk, lite.revocation(issued.serial, authority="harbour-b"))
    assert order.authority == "harbour-b"
    lite.register("pearl:organisation")
    with pytest.raises(OrderOutOfScopeError):
        open_revocation(lite.parts.desk, lite.revocation(issued.serial, authority="harbour-b"))


def test_a_mass_revocation_is_about_one_key(lite: Any) -> None:
    """Everything of the first authority: what the second one issued by the same name stays, and is named."""
    hold(lite, rekeyed_file(orders_from=FROM))
    old = lite.issue().record
    lite.clock.advance(10 * DAY)
    lite.parts.authorities.reload()
    new = lite.issue().record
    assert lite.parts.authorities.others_of_line("harbour") == ["harbour-b"]
    assert lite.parts.authorities.others_of_line("harbour-b") == ["harbour"]
    people = People(lite)
    made = people.propose()
    assert made.certificates == 1
    people.confirm(made)
    lite.parts.mass_revocation_work.run()
    assert lite.parts.ledger.certificate("harbour", old.serial).status == "revoked"
    assert lite.parts.ledger.certificate("harbour-b", new.serial).status == "good"
    # The RA of the line may propose for the next authority too, in a proposal of its own.
    people.confirm(people.propose(authority="harbour-b"))
    lite.parts.mass_revocation_work.run()
    assert lite.parts.ledger.certificate("harbour-b", new.serial).status == "revoked"

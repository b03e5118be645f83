"""Authorities suspended, resumed and revoked with all under them; renewed; a new key beside the old one.

tax-office (source) -> bureau -> branch; each gives the reader to somebody.
"""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from cryptography import x509

from onecert.hsm import KeyAlgorithm
from onecert.pmi.authorities.errors import (
    AuthorityActError,
    AuthorityKeyWaitsError,
    AuthorityStateError,
    NoDelegationError,
)
from onecert.pmi.authorities.examining import examine
from onecert.pmi.authorities.requests import sign_request
from onecert.pmi.errors import (
    AuthorityExistsError,
    AuthorityNotReadyError,
    AuthorityUnfitError,
    AuthorityUnknownError,
    ReasonUnknownError,
)
from onecert.server.errors import ServiceError
from onecert.server.operators import RoleRequiredError
from onecert.verifier.attribute_certificate import AttributeCertificateVerifier, RevocationLists

DAY = timedelta(days=1)


def grow(pmi, lab):
    pmi.bureau = pmi.add_authority("bureau")
    pmi.branch = pmi.add_authority("branch")
    pmi.to_bureau = pmi.delegate("tax-office", pmi.bureau, lab.READER_ROLE, depth=1)
    pmi.to_branch = pmi.delegate("bureau", pmi.branch, lab.READER_ROLE)
    pmi.given = {
        name: pmi.grant(lab.READER_ROLE, authority=name) for name in ("tax-office", "bureau", "branch")
    }
    return pmi


@pytest.fixture
def tree(pmi, lab):
    return grow(pmi, lab)


def act(pmi, what: str, name: str, operator=None, **values):
    states = pmi.parts.authority_states
    shown = states.survey(name, what, **values)
    done = getattr(states, what)(
        name, operator or pmi.administrator, content_sha256=shown.content_sha256, **values
    )
    pmi.clock.advance(timedelta(minutes=1))
    return done


def states(pmi) -> dict[str, str]:
    serials = {"to bureau": pmi.to_bureau.serial, "to branch": pmi.to_branch.serial}
    serials |= {name: grant.serial for name, grant in pmi.given.items()}
    with pmi.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT serial, state FROM pmi_certificates").all()
    by_serial = dict(rows)
    return {name: by_serial[serial] for name, serial in serials.items()}


def on_list(pmi, name: str) -> dict[int, str]:
    with pmi.database.reading() as connection:
        newest = pmi.parts.publisher.newest(connection, name)
    entries = x509.load_der_x509_crl(newest.der)
    return {
        entry.serial_number: entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        for entry in entries
    }


def can_read(pmi, name: str) -> bool:
    """Whether this one certificate alone is enough."""
    return pmi.decide("read", attribute_certificates=(pmi.certificate_der(pmi.given[name]),)).is_permitted


# --- suspended and resumed ---


def test_a_suspended_authority_gives_nothing_and_counts_for_nothing(tree, lab) -> None:
    # 1. What is shown is everything under it.
    shown = tree.parts.authority_states.survey("bureau", "suspend")
    assert [each.serial for each in shown.given_to] == [tree.to_bureau.serial]
    assert [each.serial for each in shown.below] == [tree.to_branch.serial]
    assert (dict(shown.certificates), shown.holders) == ({"branch": 1, "bureau": 1}, 1)
    assert shown.authorities == ("branch", "bureau", "tax-office")
    assert not shown.needs_second
    # 2. It is done.
    done = act(tree, "suspend", "bureau")
    assert done.is_done
    assert done.changed == 2
    assert states(tree) == {
        "to bureau": "held",
        "to branch": "held",
        "tax-office": "issued",
        "bureau": "issued",
        "branch": "issued",
    }
    assert on_list(tree, "tax-office") == {int(tree.to_bureau.serial, 16): "certificateHold"}
    assert [can_read(tree, name) for name in ("tax-office", "bureau", "branch")] == [True, False, False]
    with pytest.raises(AuthorityStateError):
        tree.grant(lab.READER_ROLE, authority="bureau", holder=tree.other)
    with pytest.raises(NoDelegationError):
        tree.grant(lab.READER_ROLE, authority="branch", holder=tree.other)
    # An administrator releases the delegation by hand: it is the suspension that has to end.
    with pytest.raises(AuthorityStateError):
        tree.parts.revocations.release(tree.to_bureau.serial, operator=tree.administrator)


def test_resumed_everything_counts_again_and_the_past_stays(tree) -> None:
    act(tree, "suspend", "bureau", each=True)
    assert set(states(tree).values()) == {"held", "issued"}
    assert states(tree)["branch"] == "held"
    then = tree.clock.now()
    tree.clock.advance(DAY)
    act(tree, "resume", "bureau")
    assert set(states(tree).values()) == {"issued"}
    assert on_list(tree, "tax-office") == {}
    assert can_read(tree, "branch")
    with tree.database.reading() as connection:
        history = tree.parts.authority_states.history(connection, "bureau")
    assert [(row["state"], row["reason"]) for row in history] == [
        ("active", None),
        ("suspended", "certificateHold"),
        ("active", None),
    ]
    assert history[1]["since"] < then < history[2]["since"]
    assert history[1]["changed_by"] == "operator:administrator"


def test_what_another_suspension_holds_stays_on_hold(tree) -> None:
    act(tree, "suspend", "branch")
    act(tree, "suspend", "bureau")
    act(tree, "resume", "branch")
    assert states(tree)["to branch"] == "held"
    assert not can_read(tree, "branch")
    act(tree, "resume", "bureau")
    assert states(tree)["to branch"] == "issued"
    assert can_read(tree, "branch")
    # One person is enough for a source, too.
    act(tree, "suspend", "tax-office")
    assert [can_read(tree, name) for name in tree.given] == [False, False, False]
    act(tree, "resume", "tax-office")
    assert [can_read(tree, name) for name in tree.given] == [True, True, True]


def test_an_officers_hold_outlives_a_suspension(tree) -> None:
    tree.parts.revocations.hold(tree.given["branch"].serial, operator=tree.officer)
    act(tree, "suspend", "bureau", each=True)
    act(tree, "resume", "bureau")
    assert states(tree)["branch"] == "held"
    assert states(tree)["bureau"] == "issued"


# --- revoked ---


def test_revoked_with_its_chain(tree) -> None:
    done = act(tree, "revoke", "bureau", reason="aACompromise")
    assert done.is_done
    found = states(tree)
    assert (found["to bureau"], found["to branch"]) == ("revoked", "revoked")
    assert (found["bureau"], found["branch"]) == ("issued", "issued")
    assert on_list(tree, "tax-office") == {int(tree.to_bureau.serial, 16): "aACompromise"}
    assert on_list(tree, "bureau") == {int(tree.to_branch.serial, 16): "aACompromise"}
    assert [can_read(tree, name) for name in ("tax-office", "bureau", "branch")] == [True, False, False]
    with pytest.raises(AuthorityStateError):
        tree.parts.authority_states.survey("bureau", "resume")


def test_revoked_one_by_one(tree) -> None:
    act(tree, "revoke", "bureau", reason="cessationOfOperation", each=True)
    assert states(tree)["branch"] == "revoked"
    assert int(tree.given["branch"].serial, 16) in on_list(tree, "branch")
    assert states(tree)["tax-office"] == "issued"


def test_a_hold_before_keeps_its_date(tree) -> None:
    act(tree, "suspend", "bureau")
    began = tree.clock.now() - timedelta(minutes=1)
    act(tree, "revoke", "bureau", reason="privilegeWithdrawn")
    with tree.database.reading() as connection:
        sql = "SELECT revoked_at FROM pmi_certificates WHERE serial = ?"
        row = connection.exec_driver_sql(sql, (tree.to_bureau.serial,)).one()
        open_holds = connection.exec_driver_sql("SELECT 1 FROM pmi_holds WHERE released_at IS NULL").all()
    assert str(row.revoked_at).startswith(f"{began:%Y-%m-%dT%H:%M}")
    assert open_holds == []


def test_a_source_is_revoked_by_two_people(tree) -> None:
    first = act(tree, "revoke", "tax-office", reason="cessationOfOperation")
    assert not first.is_done
    assert can_read(tree, "tax-office")
    again = act(tree, "revoke", "tax-office", reason="cessationOfOperation")
    assert not again.is_done  # the same person again changes nothing
    shown = tree.parts.authority_states.survey("tax-office", "revoke", reason="cessationOfOperation")
    assert shown.waiting == shown.content_sha256
    assert shown.waiting_for == "administrator"
    done = act(tree, "revoke", "tax-office", tree.second, reason="cessationOfOperation")
    assert done.is_done
    assert states(tree)["to bureau"] == "revoked"
    assert [can_read(tree, name) for name in tree.given] == [False, False, False]
    assert tree.events().count("authority.revocation_requested") == 1
    assert tree.events().count("authority.revoked") == 1


def test_only_what_was_shown_is_done(tree, lab) -> None:
    """A delegation more, and it must be looked at again; a certificate more does not matter."""
    shown = tree.parts.authority_states.survey("bureau", "revoke", reason="aACompromise")
    tree.grant(lab.READER_ROLE, authority="bureau", holder=tree.other)
    assert tree.parts.authority_states.survey("bureau", "revoke", reason="aACompromise").content_sha256 == (
        shown.content_sha256
    )
    tree.delegate("bureau", tree.branch, lab.READER_ROLE)
    for reason in ("aACompromise", "privilegeWithdrawn"):
        with pytest.raises(AuthorityActError):
            tree.parts.authority_states.revoke(
                "bureau", tree.administrator, content_sha256=shown.content_sha256, reason=reason
            )
    assert states(tree)["to bureau"] == "issued"


def test_a_certificate_that_is_being_signed_is_given_up(tree, lab, monkeypatch) -> None:
    """The authority is suspended between the record and the signature: nothing is given out."""
    sign = tree.parts.signer.sign

    def suspended_meanwhile(*args):
        signed = sign(*args)
        monkeypatch.setattr(tree.parts.signer, "sign", sign)
        act(tree, "suspend", "bureau")
        return signed

    monkeypatch.setattr(tree.parts.signer, "sign", suspended_meanwhile)
    with pytest.raises(ServiceError):
        tree.grant(lab.READER_ROLE, authority="bureau", holder=tree.other)
    with tree.database.reading() as connection:
        sql = "SELECT state FROM pmi_certificates WHERE state NOT IN ('issued', 'held')"
        assert connection.exec_driver_sql(sql).scalars().all() == ["abandoned"]


def test_wrong_people_names_and_reasons(tree, monkeypatch) -> None:
    survey = tree.parts.authority_states.survey
    with pytest.raises(RoleRequiredError):
        act(tree, "suspend", "bureau", tree.officer)
    with pytest.raises(AuthorityUnknownError):
        survey("büro", "suspend")
    with pytest.raises(ReasonUnknownError):
        survey("bureau", "revoke", reason="anger")
    with pytest.raises(AuthorityStateError):
        survey("bureau", "resume")
    tree.request_authority("desk", kind="aa")
    with pytest.raises(AuthorityNotReadyError):
        survey("desk", "suspend")
    with pytest.raises(AuthorityExistsError):
        tree.request_authority("desk", kind="soa")
    # An audit entry that fails takes the act back.
    monkeypatch.setattr(type(tree.context.audit), "record", lambda *_args, **_values: pytest.fail("no audit"))
    with pytest.raises(pytest.fail.Exception):
        act(tree, "suspend", "bureau")
    assert set(states(tree).values()) == {"issued"}


def test_two_operators_at_once(pmi_on_both, lab) -> None:
    """Both saw the same; one suspends, the other is told that it is suspended."""
    pmi = grow(pmi_on_both, lab)
    shown = pmi.parts.authority_states.survey("bureau", "suspend").content_sha256
    results: list[object] = []

    def suspend(operator) -> None:
        try:
            results.append(pmi.parts.authority_states.suspend("bureau", operator, content_sha256=shown))
        except ServiceError as exc:
            results.append(exc.code)

    threads = [threading.Thread(target=suspend, args=(who,)) for who in (pmi.administrator, pmi.second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(getattr(each, "is_done", each)) for each in results) == ["AUTHORITY_STATE", "True"]
    assert pmi.events().count("authority.suspended") == 1
    act(pmi, "resume", "bureau")
    assert set(states(pmi).values()) == {"issued"}
    act(pmi, "revoke", "bureau", reason="aACompromise", each=True)
    assert states(pmi)["branch"] == "revoked"


# --- renewed ---


def new_key(pmi, name: str) -> x509.Certificate:
    with pmi.database.transaction() as connection:
        label, authority = pmi.parts.key_renewals.request(
            connection, name, KeyAlgorithm("p-256"), actor="command:test"
        )
    subject = authority.certificate.certificate.subject
    request = sign_request(pmi.parts.token, label, KeyAlgorithm("p-256"), subject)
    public_key = x509.load_pem_x509_csr(request).public_key()
    return pmi.ca.issue(name, public_key, bits=("digital_signature", "crl_sign"))


def install_key(pmi, name: str, certificate: x509.Certificate):
    with pmi.database.transaction() as connection:
        return pmi.parts.key_renewals.install(
            connection,
            name,
            certificate,
            [pmi.ca.certificate],
            signer=pmi.parts.signer,
            actor="command:test",
        )


def test_a_new_key_beside_the_old_one(tree, lab) -> None:
    """Both are known, each has its list, and what the old one signed stays good until it ends."""
    old = tree.given["tax-office"]
    install_key(tree, "tax-office", new_key(tree, "tax-office"))
    new = tree.grant(lab.READER_ROLE, holder=tree.other)
    tree.parts.publisher.renew(tree.clock.now())
    tree.parts.revocations.revoke(old.serial, reason="superseded", operator=tree.officer)
    with tree.database.reading() as connection:
        keys = tree.parts.authorities.every_key(connection)
        lists = [tree.parts.publisher.newest(connection, "tax-office", number) for number in (1, 2)]
    assert [
        (each.generation, each.acrl_url.rpartition("/")[2]) for each in keys if each.name == "tax-office"
    ] == [
        (1, "tax-office.acrl"),
        (2, "tax-office.2.acrl"),
    ]
    assert all(
        int(old.serial, 16) in {e.serial_number for e in x509.load_der_x509_crl(each.der)} for each in lists
    )
    trust = tree.stranger().trust
    trust = type(trust)(
        authorities=tuple(each.trusted([lab.READER_ROLE]) for each in keys if each.name == "tax-office")
    )
    verifier = AttributeCertificateVerifier(
        trust=trust, status=RevocationLists(trust, [each.der for each in lists])
    )
    for grant, holder, codes in ((old, tree.holder, ["REVOKED"]), (new, tree.other, [])):
        explained = verifier.explain(tree.certificate_der(grant), holder=holder, at=tree.clock.now())
        assert [finding.code for finding in explained.findings] == codes
    assert can_read(tree, "bureau")  # a delegation that the old key signed
    assert tree.decide("read", holder=tree.other).is_permitted
    # It is let go when nothing under it lasts.
    with tree.database.reading() as connection:
        assert [each.generation for each in tree.parts.authorities.earlier(connection, tree.clock.now())] == [
            1
        ]
        assert tree.parts.authorities.earlier(connection, tree.clock.now() + 2000 * DAY) == []


def test_a_new_key_is_refused_with_a_wrong_certificate(tree) -> None:
    with pytest.raises(AuthorityKeyWaitsError):
        install_key(tree, "tax-office", tree.authority_certificate)
    wanted = new_key(tree, "tax-office")
    assert new_key(tree, "tax-office").public_key() == wanted.public_key()  # asked again: the same key
    other_name = tree.ca.issue("tax", wanted.public_key(), bits=("digital_signature", "crl_sign"))
    shorter = tree.ca.issue(
        "tax-office",
        wanted.public_key(),
        bits=("digital_signature", "crl_sign"),
        not_after=tree.clock.now() + DAY,
    )
    for certificate in (tree.authority_certificate, other_name, shorter):
        with pytest.raises(AuthorityUnfitError):
            install_key(tree, "tax-office", certificate)
    # A certificate that ends soon is named by the doctor.
    findings = list(examine(tree.config, tree.context))
    assert {finding.code for finding in findings} == {"ok"}
    tree.clock.advance(950 * DAY)
    findings = list(examine(tree.config, tree.context))
    assert [(finding.code, finding.subject) for finding in findings if finding.is_fault] == [
        ("AUTHORITY_ENDS", f"authority {name}") for name in ("branch", "bureau", "tax-office")
    ]
    tree.parts.key_renewals.warn(tree.clock.now())

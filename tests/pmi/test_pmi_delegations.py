"""Delegations on record: who may give what, by whom, and what is refused; cannot give what is not held.

tax-office (source) -> bureau -> branch; the roles are tax.approver and tax.reader.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.pmi.authorities.errors import (
    AuthorityStateError,
    DelegateIsSourceError,
    DelegateUnfitError,
    DelegationExceededError,
    DelegationLoopError,
    NoDelegationError,
)
from onecert.pmi.errors import RequestWrongError, ValidityWrongError
from onecert.server.operators import RoleRequiredError, SamePersonError
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    Delegation,
    Delegations,
    RevocationLists,
)

DAY = timedelta(days=1)


@pytest.fixture
def tree(pmi, lab):
    """tax-office -> bureau, which may delegate once more; branch has nothing yet."""
    pmi.bureau = pmi.add_authority("bureau")
    pmi.branch = pmi.add_authority("branch")
    pmi.above = pmi.delegate("tax-office", pmi.bureau, lab.APPROVER_ROLE, lab.READER_ROLE, depth=1)
    pmi.parts.publisher.renew(pmi.clock.now())
    return pmi


def grant(pmi, authority: str, *roles: str, **changes):
    return pmi.grant(*roles, authority=authority, **changes)


def record(pmi, serial: str):
    with pmi.database.reading() as connection:
        sql = "SELECT under, kind, key_sha256 FROM pmi_certificates WHERE serial = ?"
        return connection.exec_driver_sql(sql, (serial,)).one()


def elsewhere(pmi, *delegations) -> AttributeCertificateVerifier:
    """A relying party that knows the source alone, with the lists and delegations that were published."""
    trust = pmi.stranger().trust
    source = Delegations(Delegation.of(pmi.certificate_der(each), holder) for each, holder in delegations)
    lists = RevocationLists(trust, delegations=source)
    with pmi.database.reading() as connection:
        for each in pmi.parts.authorities.all(connection):
            newest = pmi.parts.publisher.newest(connection, each.name)
            if newest is not None:
                lists.add(newest.der)
    return AttributeCertificateVerifier(trust=trust, status=lists, delegations=source)


def test_what_was_delegated_is_given_and_accepted_everywhere(tree, lab) -> None:
    below = tree.delegate("bureau", tree.branch, lab.READER_ROLE)
    given = grant(tree, "branch", lab.READER_ROLE)
    assert record(tree, given.serial).under == below.serial
    assert record(tree, below.serial).under == tree.above.serial
    tree.parts.publisher.renew(tree.clock.now())
    verifier = elsewhere(tree, (tree.above, tree.bureau), (below, tree.branch))
    verified = verifier.verify(tree.certificate_der(given), holder=tree.holder, at=tree.clock.now())
    assert [role.name for role in verified.roles] == [lab.READER_ROLE]
    assert tree.decide("read").is_permitted


def test_nobody_gives_what_he_does_not_hold(tree, lab) -> None:
    with pytest.raises(NoDelegationError) as nothing:
        grant(tree, "branch", lab.READER_ROLE)
    assert (nothing.value.code, nothing.value.status) == ("NO_DELEGATION", 403)
    tree.delegate("bureau", tree.branch, lab.READER_ROLE)
    for act in (
        lambda: grant(tree, "branch", lab.APPROVER_ROLE),
        lambda: tree.delegate("branch", tree.bureau, lab.READER_ROLE),
        lambda: grant(tree, "branch", lab.READER_ROLE, not_after=tree.above.not_after + DAY),
    ):
        with pytest.raises((DelegationExceededError, DelegationLoopError, ValidityWrongError)):
            act()
    # The findings are those of the verifier.
    with pytest.raises(DelegationExceededError) as caught:
        grant(tree, "branch", lab.APPROVER_ROLE)
    assert caught.value.code == "EXCEEDS_DELEGATION"
    assert [finding.facts["what"] for finding in caught.value.findings] == ["attributes"]
    assert lab.APPROVER_ROLE in str(caught.value)


def test_the_depth_ends_the_tree(tree, lab) -> None:
    tree.delegate("bureau", tree.branch, lab.READER_ROLE, depth=0)
    desk = tree.add_authority("desk")
    with pytest.raises(DelegationExceededError) as caught:
        tree.delegate("branch", desk, lab.READER_ROLE)
    assert caught.value.findings[0].facts["what"] == "depth"
    with pytest.raises(DelegationExceededError):
        tree.delegate("bureau", desk, lab.READER_ROLE, depth=1)


def test_the_name_space_binds_holders(tree, lab) -> None:
    tree.delegate("bureau", tree.branch, lab.READER_ROLE, permitted=["CN=李四,C=CN"])
    with pytest.raises(DelegationExceededError) as caught:
        grant(tree, "branch", lab.READER_ROLE)
    assert caught.value.findings[0].facts["what"] == "names"
    assert grant(tree, "branch", lab.READER_ROLE, holder=tree.other).serial


def test_a_period_outside_is_refused(tree, lab) -> None:
    until = tree.clock.now() + 10 * DAY
    tree.delegate("bureau", tree.branch, lab.READER_ROLE, not_after=until)
    with pytest.raises(DelegationExceededError) as caught:
        grant(tree, "branch", lab.READER_ROLE, not_after=until + DAY)
    assert caught.value.findings[0].facts["what"] == "time"
    # Nothing asked for: as long as the delegation lasts.
    assert grant(tree, "branch", lab.READER_ROLE).not_after == until
    tree.clock.advance(11 * DAY)
    with pytest.raises(NoDelegationError):
        grant(tree, "branch", lab.READER_ROLE)


def test_constraints_that_cannot_be_read(tree, lab) -> None:
    for constraints in (
        {"permitted": ["not a name"]},
        {"permitted": ["CN=a\x00b"]},
        {"excluded": ["CN=" + "a" * 600]},
        {"depth": -1},
        {"depth": "two"},
        {"depth": 10**9},
    ):
        with pytest.raises(RequestWrongError):
            tree.delegate("tax-office", tree.branch, lab.READER_ROLE, **constraints)
    # Nothing is delegated to one that is suspended.
    shown = tree.parts.authority_states.survey("branch", "suspend")
    tree.parts.authority_states.suspend("branch", tree.administrator, content_sha256=shown.content_sha256)
    with pytest.raises(AuthorityStateError) as caught:
        tree.delegate("bureau", tree.branch, lab.READER_ROLE)
    assert caught.value.code == "AUTHORITY_STATE"


def test_loops_are_refused_and_forks_are_not(tree, lab) -> None:
    tree.delegate("bureau", tree.branch, lab.READER_ROLE, depth=0)
    for giver, receiver in (("branch", tree.bureau), ("bureau", tree.bureau), ("branch", tree.branch)):
        with pytest.raises(DelegationLoopError) as caught:
            tree.delegate(giver, receiver, lab.READER_ROLE)
        assert caught.value.code == "DELEGATION_LOOP"
    with pytest.raises(DelegateIsSourceError):
        tree.delegate("bureau", tree.authority_certificate, lab.READER_ROLE)
    fork = tree.delegate("tax-office", tree.branch, lab.APPROVER_ROLE)
    assert record(tree, grant(tree, "branch", lab.APPROVER_ROLE).serial).under == fork.serial


def test_two_delegations_are_not_added_up(tree, lab) -> None:
    """One holds the approver, one the reader: no certificate has both."""
    tree.delegate("tax-office", tree.branch, lab.APPROVER_ROLE)
    tree.delegate("tax-office", tree.branch, lab.READER_ROLE)
    assert grant(tree, "branch", lab.APPROVER_ROLE).serial
    assert grant(tree, "branch", lab.READER_ROLE).serial
    with pytest.raises(DelegationExceededError):
        grant(tree, "branch", lab.APPROVER_ROLE, lab.READER_ROLE)


def test_a_delegation_wants_two_administrators(tree, lab) -> None:
    """An officer asks for none, an approver approves none, and nobody approves his own."""
    asked = tree.asked(
        lab.READER_ROLE,
        holder=tree.branch,
        authority="tax-office",
        kind="delegation",
        holder_form="key",
    )
    with pytest.raises(RoleRequiredError):
        tree.parts.grants.request(asked, tree.officer)
    waiting = tree.parts.grants.request(asked, tree.administrator)
    assert waiting.state == "waiting"
    with pytest.raises(RoleRequiredError):
        tree.parts.grants.approve(waiting.id, tree.approver, content_sha256=waiting.content_sha256)
    with pytest.raises(SamePersonError):
        tree.parts.grants.approve(waiting.id, tree.administrator, content_sha256=waiting.content_sha256)
    with pytest.raises(RoleRequiredError):
        tree.parts.grants.refuse(waiting.id, tree.approver, "no")
    ordinary = tree.parts.grants.request(tree.asked(lab.APPROVER_ROLE), tree.officer)
    with pytest.raises(RoleRequiredError):
        tree.parts.grants.approve(ordinary.id, tree.second, content_sha256=ordinary.content_sha256)
    # An authority elsewhere is judged by its certificate; its delegation is exported.
    key = ec.generate_private_key(ec.SECP256R1())
    outside = tree.ca.issue("outside", key.public_key(), bits=("digital_signature", "crl_sign"))
    given = tree.delegate("bureau", outside, lab.READER_ROLE)
    assert record(tree, given.serial).under == tree.above.serial
    with pytest.raises(DelegateUnfitError):
        tree.delegate("bureau", tree.ca.certificate, lab.READER_ROLE)
    with pytest.raises(DelegateUnfitError):
        tree.delegate("bureau", tree.holder, lab.READER_ROLE)
    assert tree.certificate_der(given)


def test_a_revoked_delegation_takes_its_tree_with_it(tree, lab) -> None:
    below = tree.delegate("bureau", tree.branch, lab.READER_ROLE)
    given = grant(tree, "branch", lab.READER_ROLE)
    tree.parts.revocations.revoke(tree.above.serial, reason="privilegeWithdrawn", operator=tree.administrator)
    with pytest.raises(NoDelegationError):
        grant(tree, "branch", lab.READER_ROLE, holder=tree.other)
    assert not tree.decide("read").is_permitted
    verifier = elsewhere(tree, (tree.above, tree.bureau), (below, tree.branch))
    explained = verifier.explain(tree.certificate_der(given), holder=tree.holder, at=tree.clock.now())
    assert "DELEGATION_REVOKED" in {finding.code for finding in explained.findings}


def test_the_same_key_with_a_new_certificate_keeps_its_delegations(tree, lab) -> None:
    renewed = tree.ca.issue(
        "bureau",
        tree.bureau.public_key(),
        bits=("digital_signature", "crl_sign"),
        not_after=lab.T + 2000 * DAY,
    )
    tree.install(renewed, "bureau")
    given = grant(tree, "bureau", lab.READER_ROLE)
    assert record(tree, given.serial).under == tree.above.serial
    assert tree.decide("read").is_permitted
    assert renewed.public_bytes(Encoding.DER) != tree.bureau.public_bytes(Encoding.DER)

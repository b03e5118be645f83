"""Who may ask, who may agree, and for how long; each rule broken once."""

import uuid
from datetime import timedelta

import pytest

from onecert.pmi.errors import (
    AuthorityNotReadyError,
    AuthorityUnknownError,
    ContentChangedError,
    GrantConflictError,
    GrantStateError,
    GrantUnknownError,
    NoCatalogueError,
    RequestWrongError,
    RoleNotAssignableError,
    RoleUnknownError,
    ValidityWrongError,
)
from onecert.server.operators.errors import OperatorExpiredError, RoleRequiredError, SamePersonError
from onecert.verifier.errors import RefusedError

pytestmark = pytest.mark.token


def test_a_role_with_a_second_person_waits(pmi, lab) -> None:
    grant = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), pmi.officer)
    assert (grant.state, grant.serial) == ("waiting", None)

    approved = pmi.parts.grants.approve(grant.id, pmi.approver, content_sha256=grant.content_sha256)
    assert (approved.state, approved.approved_by) == ("issued", "approver")
    again = pmi.parts.grants.approve(grant.id, pmi.approver, content_sha256=grant.content_sha256)
    assert again.serial == approved.serial


def test_a_role_without_one_is_issued_at_once(pmi, lab) -> None:
    grant = pmi.parts.grants.request(pmi.asked(lab.READER_ROLE), pmi.officer)
    assert grant.state == "issued"
    assert grant.not_after - grant.not_before == timedelta(days=30)


def test_nobody_approves_their_own_grant(pmi, lab) -> None:
    """Two accounts, one natural person."""
    pmi.operators.config = type(pmi.operators.config)(allow_same_person=True)
    twin = pmi.operator("twin", "attribute.approver", person=lab.id_number(1))
    grant = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), pmi.officer)
    with pytest.raises(SamePersonError):
        pmi.parts.grants.approve(grant.id, twin, content_sha256=grant.content_sha256)
    assert pmi.parts.grants.load(grant.id).state == "waiting"


def test_what_is_approved_is_what_was_shown(pmi, lab) -> None:
    grant = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), pmi.officer)
    with pytest.raises(ContentChangedError):
        pmi.parts.grants.approve(grant.id, pmi.approver, content_sha256="0" * 64)
    with pmi.database.transaction() as connection:
        changed = '{"role": ["urn:onecert:role:tax.reader"]}'
        connection.exec_driver_sql(f"UPDATE pmi_grants SET attributes = '{changed}'")
    with pytest.raises(ContentChangedError):
        pmi.parts.grants.approve(grant.id, pmi.approver, content_sha256=grant.content_sha256)


@pytest.mark.parametrize("who", ["approver", "auditor"])
def test_only_an_officer_asks(pmi, who: str) -> None:
    with pytest.raises(RoleRequiredError):
        pmi.parts.grants.request(pmi.asked(), getattr(pmi, who))


def test_only_an_approver_approves(pmi, lab) -> None:
    grant = pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE), pmi.officer)
    for who in (pmi.officer, pmi.auditor):
        with pytest.raises(RoleRequiredError):
            pmi.parts.grants.approve(grant.id, who, content_sha256=grant.content_sha256)


def test_only_an_officer_or_approver_revokes(pmi, lab) -> None:
    grant = pmi.grant(lab.READER_ROLE)
    with pytest.raises(RoleRequiredError):
        pmi.parts.revocations.revoke(grant.serial, reason="unspecified", operator=pmi.auditor)


def test_an_account_that_has_run_out_does_nothing(pmi) -> None:
    pmi.clock.advance(timedelta(days=301))
    with pytest.raises(OperatorExpiredError):
        pmi.parts.grants.request(pmi.asked(), pmi.officer)


def test_the_same_grant_twice_is_one_grant(pmi, lab) -> None:
    grant_id = str(uuid.uuid4())
    first = pmi.parts.grants.request(pmi.asked(lab.READER_ROLE, id=grant_id), pmi.officer)
    pmi.clock.advance(timedelta(hours=1))
    second = pmi.parts.grants.request(pmi.asked(lab.READER_ROLE, id=grant_id), pmi.officer)
    assert second == first
    assert pmi.events().count("attribute_certificate.issued") == 1
    with pytest.raises(GrantConflictError):
        pmi.parts.grants.request(pmi.asked(lab.APPROVER_ROLE, id=grant_id), pmi.officer)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"authority": "nobody"}, AuthorityUnknownError),
        ({"roles": ("urn:onecert:role:none",)}, RoleUnknownError),
        ({"roles": ("urn:onecert:role:police.chief",)}, RoleNotAssignableError),
        ({"roles": ()}, RequestWrongError),
        ({"roles": ("urn:onecert:role:tax.reader",) * 2}, RequestWrongError),
        ({"targets": ("no uri",)}, RequestWrongError),
        ({"id": "17"}, RequestWrongError),
        ({"not_before": timedelta(days=-1)}, ValidityWrongError),
        ({"not_after": timedelta(days=31)}, ValidityWrongError),
        ({"not_after": timedelta(seconds=-1)}, ValidityWrongError),
    ],
)
def test_what_cannot_be_granted(pmi, lab, changes: dict, error: type[Exception]) -> None:
    for field in ("not_before", "not_after"):
        if field in changes:
            changes = {**changes, field: lab.T + changes[field]}
    with pytest.raises(error):
        pmi.parts.grants.request(pmi.asked(**changes), pmi.officer)
    assert pmi.parts.grants.page()[1] == 0


def test_never_longer_than_the_holders_certificate(pmi, lab) -> None:
    key = lab.ec.generate_private_key(lab.ec.SECP256R1()).public_key()
    short = pmi.ca.issue("短期", key, not_after=lab.T + timedelta(days=3))
    pmi.holders.know(short, "uscc:91440300MA5DEM0A63")
    grant = pmi.grant(lab.READER_ROLE, holder=short)
    assert grant.not_after == lab.T + timedelta(days=3)


def test_a_holder_who_is_refused_gets_nothing(pmi) -> None:
    stranger = pmi.ca.holder("无名")
    with pytest.raises(RefusedError):
        pmi.parts.grants.request(pmi.asked(holder=stranger), pmi.officer)


def test_unknown_grants(pmi) -> None:
    with pytest.raises(GrantUnknownError):
        pmi.parts.grants.load("nothing")
    with pytest.raises(GrantUnknownError):
        pmi.parts.grants.approve("nothing", pmi.approver, content_sha256="")


def test_a_preview_keeps_nothing(pmi, lab) -> None:
    shown = pmi.parts.grants.preview(pmi.asked(lab.READER_ROLE), pmi.officer)
    assert shown.roles == (lab.READER_ROLE,)
    assert pmi.parts.grants.page() == ([], 0)
    assert "grant.requested" not in pmi.events()


def test_without_catalogue_or_certificate(bare_pmi) -> None:
    officer = bare_pmi.operator("officer", "attribute.officer")
    certificate = bare_pmi.request_authority()
    with pytest.raises(AuthorityNotReadyError):
        bare_pmi.parts.grants.request(bare_pmi.asked(), officer)
    bare_pmi.install(certificate)
    with pytest.raises(NoCatalogueError):
        bare_pmi.parts.grants.request(bare_pmi.asked(), officer)


def test_an_approved_grant_cannot_be_approved_by_a_third(pmi, lab) -> None:
    grant = pmi.grant(lab.APPROVER_ROLE)
    third = pmi.operator("third", "attribute.approver")
    with pytest.raises(GrantStateError):
        pmi.parts.grants.approve(grant.id, third, content_sha256=grant.content_sha256)

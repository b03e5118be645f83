"""The whole way: a role is granted and permits, is revoked and denies; on both databases."""

from datetime import timedelta

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.serialization import Encoding
from pyasn1.codec.der import decoder, encoder
from pyasn1_alt_modules import rfc5755

from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.decision import Resource
from onecert.verifier.errors import RefusedError

pytestmark = pytest.mark.token


def test_a_role_grants_is_revoked_and_denies(pmi_on_both, lab) -> None:
    """Without the role: deny. Granted by one, approved by another: permit. Revoked: deny, and why."""
    pmi = pmi_on_both
    before = pmi.decide()
    assert (before.decision, before.answer.result) == ("deny", "not_applicable")

    grant = pmi.grant(lab.APPROVER_ROLE)
    permitted = pmi.decide()
    assert permitted.decision == "permit"
    assert permitted.answer.rules == ("approver-approves",)
    assert permitted.answer.obligations == ("record the file number",)
    assert permitted.roles == (lab.APPROVER_ROLE,)

    der = pmi.certificate_der(grant)
    record, acrl = pmi.parts.revocations.revoke(
        grant.serial, reason="privilegeWithdrawn", operator=pmi.officer
    )
    assert record.state == "revoked"
    assert acrl is not None
    assert pmi.decide().decision == "deny"
    pushed = pmi.decide(attribute_certificates=[der])
    assert pushed.decision == "deny"
    assert [(reason.kind, reason.code) for reason in pushed.reasons] == [
        ("rule", "NO_RULE"),
        ("certificate", "REVOKED"),
    ]
    assert [event for event in pmi.events() if event.startswith(("grant.", "attribute_"))] == [
        "grant.requested",
        "grant.approved",
        "attribute_certificate.issued",
        "attribute_certificate.revoked",
    ]


def test_another_holder_gets_nothing_from_it(pmi, lab) -> None:
    """Zhang San's attribute certificate, pushed with Li Si's identity certificate."""
    der = pmi.certificate_der(pmi.grant(lab.APPROVER_ROLE))
    decided = pmi.decide(holder=pmi.other, attribute_certificates=[der])
    assert decided.decision == "deny"
    assert [reason.code for reason in decided.reasons] == ["NO_RULE", "HOLDER"]


def test_a_forbid_wins(pmi, lab) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    audited = Resource(type="Form", id="7", attributes={"amount": 1, "under_audit": True})
    decided = pmi.decide(resource=audited)
    assert (decided.decision, decided.answer.rules) == ("deny", ("nothing-under-audit",))


def test_a_rule_that_cannot_be_evaluated_never_permits(pmi, lab) -> None:
    """Cedar skips a forbid that fails to evaluate and would permit; we do not."""
    pmi.grant(lab.APPROVER_ROLE)
    odd = Resource(type="Form", id="7", attributes={"amount": 1, "under_audit": "yes"})
    decided = pmi.decide(resource=odd)
    assert (decided.decision, decided.answer.result) == ("deny", "indeterminate")
    assert "RULE_ERROR" in [reason.code for reason in decided.reasons]


def test_a_relying_party_elsewhere_sees_the_same(pmi, lab) -> None:
    """It knows the authority's certificate and the published list, and nothing else of us."""
    grant = pmi.grant(lab.APPROVER_ROLE, lab.READER_ROLE)
    der = pmi.certificate_der(grant)
    verified = pmi.stranger().verify(der, holder=pmi.holder, at=pmi.clock.now())
    assert sorted(role.name for role in verified.roles) == [lab.APPROVER_ROLE, lab.READER_ROLE]

    pmi.clock.advance(timedelta(minutes=1))
    pmi.parts.revocations.revoke(grant.serial, reason="affiliationChanged", operator=pmi.officer)
    with pytest.raises(RefusedError) as caught:
        pmi.stranger().verify(der, holder=pmi.holder, at=pmi.clock.now())
    assert caught.value.code == "REVOKED"
    assert caught.value.facts["reason"] == "affiliationChanged"


@pytest.mark.parametrize("algorithm", ["p-256", "p-384", "rsa-2048", "ed25519"])
def test_every_kind_of_authority_key(bare_pmi, lab, algorithm: str) -> None:
    bare_pmi.set_up(algorithm)
    grant = bare_pmi.grant(lab.READER_ROLE)
    der = bare_pmi.certificate_der(grant)
    assert bare_pmi.stranger().verify(der, holder=bare_pmi.holder, at=lab.T).roles


def test_other_libraries_read_what_we_issue(pmi, lab) -> None:
    """asn1crypto and pyasn1-alt-modules parse it, and write the same octets again."""
    grant = pmi.grant(lab.APPROVER_ROLE, targets=("urn:app:tax",))
    der = pmi.certificate_der(grant)

    theirs = cms.AttributeCertificateV2.load(der, strict=True)
    assert theirs["ac_info"]["version"].native == "v2"
    assert f"{theirs['ac_info']['serial_number'].native:x}" == grant.serial
    issuer = theirs["ac_info"]["issuer"].chosen["issuer_name"][0].chosen
    assert issuer.untag().dump() == pmi.authority_certificate.subject.public_bytes()
    assert theirs["ac_info"]["holder"]["base_certificate_id"]["serial"].native == pmi.holder.serial_number

    read, rest = decoder.decode(der, asn1Spec=rfc5755.AttributeCertificate())
    assert not rest
    assert encoder.encode(read) == der


def test_a_refused_holder_decides_nothing(pmi) -> None:
    stranger = pmi.ca.holder("无名")
    with pytest.raises(RefusedError) as caught:
        pmi.decide(certificate=stranger.public_bytes(Encoding.PEM))
    assert caught.value.code == "CERT_ISSUER_NOT_LISTED"


def test_targets_bind(pmi, lab) -> None:
    pmi.grant(lab.APPROVER_ROLE, targets=("urn:app:tax",))
    assert pmi.decide().decision == "deny"
    assert pmi.decide(target=TargetIdentity.from_uris("urn:app:land")).decision == "deny"
    assert pmi.decide(target=TargetIdentity.from_uris("urn:app:tax")).decision == "permit"


def test_an_expired_certificate_denies(pmi, lab) -> None:
    der = pmi.certificate_der(pmi.grant(lab.APPROVER_ROLE, not_after=lab.T + lab.DAY))
    pmi.clock.advance(timedelta(days=1, seconds=1))
    decided = pmi.decide(attribute_certificates=[der])
    assert "EXPIRED" in [reason.code for reason in decided.reasons]
    assert decided.decision == "deny"

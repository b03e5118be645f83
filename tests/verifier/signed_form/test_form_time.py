"""The signer is judged at the time that a timestamp proves, with what is known today.

root -> issuing CA -> signer; a timestamp authority below the root; S is the time of the timestamp, T is now.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from onecert.verifier import (
    CouldNotCheckError,
    RefusedError,
    RevocationEvidence,
    RevokedError,
    VerifyError,
)
from onecert.verifier.path import PathParameters
from onecert.verifier.revocation import RevocationMode, RevocationPolicy, RevocationSources
from onecert.verifier.signatures import DEFAULT_ALGORITHMS

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SUPERSEDED = x509.ReasonFlags.superseded


def test_proved_time(office: Any) -> None:
    """Signed and stamped two days ago: judged then; the lists of today are newer, so nothing is missed."""
    form = office.verify(office.stamped(office.now - 2 * DAY), timestamps=office.timestamps())
    signer = form.signer
    assert (signer.time.source, signer.signed_at) == ("timestamp", office.now - 2 * DAY)
    assert signer.timestamp.authority == "CN=Timestamps,C=CN"
    assert signer.warnings == ()
    assert form.as_dict()["signers"][0]["time_source"] == "timestamp"


def test_revoked_after_signing(office: Any) -> None:
    """Stamped two days ago, revoked yesterday: accepted, and said."""
    office.pki.revoke(office.ca, office.signer, at=office.now - DAY)
    form = office.verify(office.stamped(office.now - 2 * DAY), timestamps=office.timestamps())
    assert "FORM_REVOKED_AFTER_SIGNING" in form.signer.warnings


def test_revoked_before_signing(office: Any) -> None:
    """Revoked two days ago, stamped yesterday: refused, with both times."""
    office.pki.revoke(office.ca, office.signer, at=office.now - 2 * DAY)
    with pytest.raises(RevokedError) as caught:
        office.verify(office.stamped(office.now - DAY), timestamps=office.timestamps())
    assert caught.value.code == "FORM_REVOKED_BEFORE_SIGNING"
    assert caught.value.revoked_at == office.now - 2 * DAY
    assert caught.value.facts["signed_at"] == office.now - DAY


def test_revoked_in_the_second_of_the_stamp(office: Any) -> None:
    """A tie goes against the signer; so does a revocation within the accuracy of the stamp."""
    stamped = office.stamped(office.now - DAY, accuracy=office.pki.tlv(0x30, b"\x02\x01\x1e"))
    for seconds, code in ((30, "FORM_REVOKED_BEFORE_SIGNING"), (31, "")):
        office.ca.revoked.clear()
        office.pki.revoke(office.ca, office.signer, at=office.now - DAY + timedelta(seconds=seconds))
        try:
            office.verify(stamped, timestamps=office.timestamps())
            found = ""
        except VerifyError as error:
            found = error.code
        assert found == code


def test_revoked_and_no_timestamp(office: Any) -> None:
    """Nothing proves that the signature is older than the revocation."""
    office.pki.revoke(office.ca, office.signer, at=office.now - DAY)
    with pytest.raises(RevokedError) as caught:
        office.verify(office.cms(), timestamps=office.timestamps())
    assert caught.value.code == "FORM_REVOKED_TIME_NOT_PROVED"


def test_key_compromised_before_signing(office: Any) -> None:
    """Stamped two days ago, revoked yesterday, but the key was lost three days ago."""
    lost = x509.InvalidityDate((office.now - 3 * DAY).replace(tzinfo=None))
    office.pki.revoke(office.ca, office.signer, at=office.now - DAY, extra=[(lost, False)])
    with pytest.raises(RevokedError) as caught:
        office.verify(office.stamped(office.now - 2 * DAY), timestamps=office.timestamps())
    assert caught.value.code == "FORM_KEY_INVALID_SINCE"


def test_hold_that_was_lifted(office: Any) -> None:
    """On hold when he signed, released since: the newest list counts."""
    hold = x509.ReasonFlags.certificate_hold
    office.pki.revoke(office.ca, office.signer, at=office.now - 3 * DAY, reason=hold)
    then = office.pki.crl(office.ca, this_update=office.now - 2 * DAY - HOUR, next_update=office.now - DAY)
    stamped = office.stamped(office.now - 2 * DAY)
    root_crl = office.pki.crl(office.root)
    with pytest.raises(RevokedError):
        office.verify(stamped, timestamps=office.timestamps(), trust=office.trust(root_crl, then))
    now = office.pki.crl(office.ca, entries=[])
    office.verify(stamped, timestamps=office.timestamps(), trust=office.trust(root_crl, then, now))


def test_expired_since(office: Any) -> None:
    """The certificate ended yesterday; stamped before, with a list from then: good. Unstamped: refused."""
    office.signer = office.pki.leaf(office.ca, "Firm", not_after=office.now - DAY)
    lists = [
        office.pki.crl(office.root),
        office.pki.crl(office.ca, this_update=office.now - 2 * DAY + HOUR, next_update=office.now - DAY),
    ]
    trust = office.trust(*lists)
    form = office.verify(office.stamped(office.now - 2 * DAY), timestamps=office.timestamps(), trust=trust)
    assert form.signer.warnings == ()
    with pytest.raises(RefusedError) as caught:
        office.verify(office.cms(), trust=trust)
    assert caught.value.code == "CERT_EXPIRED"


def test_silence_about_an_expired_certificate_is_no_answer(office: Any) -> None:
    """Only a list from after the expiry is there: the certificate may have left it."""
    office.signer = office.pki.leaf(office.ca, "Firm", not_after=office.now - DAY)
    with pytest.raises(CouldNotCheckError) as caught:
        office.verify(office.stamped(office.now - 2 * DAY), timestamps=office.timestamps())
    assert caught.value.code == "REVOCATION_UNKNOWN"


def test_status_older_than_the_signature(office: Any) -> None:
    """The newest list is from before the signature: a warning, or refused when more is asked for."""
    stamped = office.stamped(office.now - HOUR / 2)
    form = office.verify(stamped, timestamps=office.timestamps())
    assert form.signer.warnings == ("FORM_STATUS_BEFORE_SIGNING",)
    with pytest.raises(CouldNotCheckError) as caught:
        office.verify(stamped, timestamps=office.timestamps(), require_later_status=True)
    assert caught.value.code == "FORM_STATUS_BEFORE_SIGNING"


def test_list_between_signature_and_now(office: Any) -> None:
    """No list is current any more, but one was made after the signature: it speaks for that time."""
    old = {"this_update": office.now - 5 * DAY, "next_update": office.now - 4 * DAY}
    trust = office.trust(*(office.pki.crl(issuer, **old) for issuer in (office.root, office.ca)))
    form = office.verify(office.stamped(office.now - 6 * DAY), timestamps=office.timestamps(), trust=trust)
    assert form.signer.warnings == ()
    with pytest.raises(CouldNotCheckError):
        office.verify(office.stamped(office.now - 3 * DAY), timestamps=office.timestamps(), trust=trust)


def test_ca_revoked_since(office: Any) -> None:
    """The issuing CA was superseded yesterday: what it said before counts, its list of today does not."""
    office.pki.revoke(office.root, office.ca, at=office.now - DAY, reason=SUPERSEDED)
    stamped = office.stamped(office.now - 3 * DAY)
    root_crl = office.pki.crl(office.root)
    before = office.pki.crl(office.ca, this_update=office.now - 2 * DAY, next_update=office.now)
    form = office.verify(stamped, timestamps=office.timestamps(), trust=office.trust(root_crl, before))
    assert "FORM_REVOKED_AFTER_SIGNING" in form.signer.warnings
    trust = office.trust(root_crl, office.pki.crl(office.ca))
    with pytest.raises(CouldNotCheckError):
        office.verify(stamped, timestamps=office.timestamps(), trust=trust)


def test_ca_compromised_since(office: Any) -> None:
    """The issuing CA's key was lost yesterday: only a signature that names its certificate stands."""
    office.pki.revoke(office.root, office.ca, at=office.now - DAY)
    before = office.pki.crl(office.ca, this_update=office.now - 2 * DAY, next_update=office.now)
    trust = office.trust(office.pki.crl(office.root), before)
    then, timestamps = office.now - 3 * DAY, office.timestamps()
    assert office.verify(office.stamped(then, bound=True), timestamps=timestamps, trust=trust)
    with pytest.raises(RefusedError) as caught:
        office.verify(office.stamped(then), timestamps=timestamps, trust=trust)
    assert caught.value.code == "FORM_CERTIFICATE_NOT_BOUND"


@pytest.mark.parametrize(("days", "fine"), [(1, True), (3, False)])
def test_ocsp_from_after_the_signature(office: Any, days: int, fine: bool) -> None:
    """Stamped two days ago; an OCSP answer of today says since when the certificate is revoked."""
    pki, revoked_at = office.pki, office.now - days * DAY
    answer = pki.ocsp(office.ca, office.signer, status="revoked", revoked_at=revoked_at, reason=4)
    evidence = RevocationEvidence(crls=[pki.crl(office.root)], ocsp=[answer])
    trust = replace(office.trust(), evidence=evidence)
    stamped = office.stamped(office.now - 2 * DAY)
    if fine:
        form = office.verify(stamped, timestamps=office.timestamps(), trust=trust)
        assert "FORM_REVOKED_AFTER_SIGNING" in form.signer.warnings
        return
    with pytest.raises(RevokedError) as caught:
        office.verify(stamped, timestamps=office.timestamps(), trust=trust)
    assert caught.value.code == "FORM_REVOKED_BEFORE_SIGNING"


def test_algorithm_that_ended_since(office: Any) -> None:
    """ECDSA with SHA-256 accepted until yesterday: good for what was stamped before."""
    algorithms = replace(
        DEFAULT_ALGORITHMS,
        algorithms=dict.fromkeys(DEFAULT_ALGORITHMS.algorithms) | {"ecdsa-sha256": office.now - DAY},
    )
    # Today's lists are signed with it too: this is about the form alone.
    off = RevocationPolicy(mode=RevocationMode.OFF)
    trust = office.trust(parameters=PathParameters(algorithms=algorithms, revocation=off))
    office.verify(office.stamped(office.now - 2 * DAY), timestamps=office.timestamps(), trust=trust)
    with pytest.raises(RefusedError) as caught:
        office.verify(office.cms(), trust=trust)
    assert caught.value.code == "ALGORITHM_NOT_ALLOWED"


def test_timestamp_nobody_trusts(office: Any, new_authority: Any) -> None:
    """A stamp of a stranger, or no trust in any: judged now, and the reason is said."""
    stranger = new_authority(office.pki, office.pki.root("Elsewhere"))
    form = office.verify(office.stamped(office.now - DAY, authority=stranger), timestamps=office.timestamps())
    assert form.signer.time.source == "now"
    assert form.signer.time.failure.code == "ISSUER_UNKNOWN"
    assert "ISSUER_UNKNOWN" in form.signer.notices[0].text("en")
    form = office.verify(office.stamped(office.now - DAY))
    assert form.signer.time.failure.code == "FORM_NO_TIMESTAMP_TRUST"
    with pytest.raises(RefusedError) as caught:
        office.verify(office.cms(), timestamps=office.timestamps(), require_timestamp=True)
    assert caught.value.code == "FORM_TIME_NOT_PROVED"


def test_claimed_time_proves_nothing(office: Any, document: bytes) -> None:
    """signing-time before the revocation, but no stamp: refused. After the stamp: a warning."""
    claimed = office.pki.tlv(0x17, (office.now - 5 * DAY).strftime("%y%m%d%H%M%SZ").encode())
    attributes = [*office.attributes(document), office.attribute("1.2.840.113549.1.9.5", claimed)]
    message = office.signed_data(None, office.signer_info(attributes))
    assert office.verify(message).signer.claimed_at == office.now - 5 * DAY
    office.pki.revoke(office.ca, office.signer, at=office.now - DAY)
    with pytest.raises(RevokedError):
        office.verify(message)


def test_timestamp_of_a_compromised_authority(office: Any) -> None:
    """The authority was revoked for key compromise after the stamp: its stamps prove nothing any more."""
    office.pki.revoke(office.root, office.authority, at=office.now - HOUR)
    form = office.verify(office.stamped(office.now - DAY), timestamps=office.timestamps())
    assert form.signer.time.failure.code == "TIMESTAMP_AUTHORITY_REVOKED"
    office.root.revoked.clear()
    office.pki.revoke(office.root, office.authority, at=office.now - HOUR, reason=SUPERSEDED)
    form = office.verify(office.stamped(office.now - DAY), timestamps=office.timestamps())
    assert form.signer.time.is_proved


def test_authority_ended_before_the_signers_certificate(office: Any, new_authority: Any) -> None:
    """The authority's certificate ended yesterday, the signer's has not: judged as of now, and said."""
    authority = new_authority(office.pki, office.root, "Old", not_after=office.now - DAY)
    stamped = office.stamped(office.now - 2 * DAY, authority=authority)
    then = office.pki.crl(office.root, this_update=office.now - 2 * DAY + HOUR)
    timestamps = office.timestamps(then, *office.pki.crls(office.root))
    signer = office.verify(stamped, timestamps=timestamps).signer
    assert signer.time.source == "now"
    assert "TIMESTAMP_AUTHORITY_ENDED" in str(dict(signer.notices[0].facts)["reason"])
    with pytest.raises(RefusedError) as caught:
        office.verify(stamped, timestamps=timestamps, require_timestamp=True)
    assert caught.value.code == "FORM_TIME_NOT_PROVED"


def test_status_of_a_responder_stands_on_lists(office: Any) -> None:
    """Only OCSP may speak for end certificates. The responder's own status cannot be asked of itself: the
    list of the CA says it, as in ordinary paths, and a responder that is on it answers nothing."""
    pki = office.pki
    ocsp_signing = [ExtendedKeyUsageOID.OCSP_SIGNING]
    responder = pki.leaf(office.ca, "Responder", extended=ocsp_signing)
    policy = RevocationPolicy(sources=RevocationSources.OCSP, ca_sources=RevocationSources.CRL)

    def verify() -> Any:
        answers = [pki.ocsp(office.ca, office.signer, responder=responder)]
        evidence = RevocationEvidence(crls=pki.crls(office.root, office.ca), ocsp=answers)
        parameters = PathParameters(revocation=policy)
        trust = replace(office.trust(), evidence=evidence, parameters=parameters)
        return office.verify(office.stamped(office.now - DAY), timestamps=office.timestamps(), trust=trust)

    assert [source.kind for source in verify().signer.judged.judged.path.sources] == ["crl", "ocsp"]
    pki.revoke(office.ca, responder)
    with pytest.raises(CouldNotCheckError):
        verify()

"""Signed forms through the façade: the trust list names the signer and says what his CA was worth then.

list -> harbour (P-256) -> a firm's certificate; a timestamp authority below a root of its own
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from onecert.verifier import (
    RefusedError,
    RevocationEvidence,
    RevocationPolicy,
    Verifier,
    VerifyError,
    load_trust_list,
)
from onecert.verifier.signed_form import (
    EvidenceTrust,
    check_evidence,
    load_evidence,
    make_evidence,
    verify_form,
)

DAY, YEAR = timedelta(days=1), timedelta(days=365)
FIRM = "uscc:91440300MA5DEM004J"
CITIZEN = {"1.2.156.10260.4.1.1": b"\xa0\x14\x13\x12440300190001010015"}


@pytest.fixture
def firm(office: Any, world: Any) -> Any:
    """The office, whose signer is now a firm of the trust list."""
    office.signer = world.leaf("harbour")
    return office


def verifier(world: Any, office: Any, **changes: Any) -> Verifier:
    data = changes.pop("data", None) or world.trust_list()
    lists = changes.pop("crls", None) or [world.crl(ca) for ca in ("pearl", "harbour", "summit")]
    return Verifier(
        trust_list=load_trust_list(data, keys=world.list_keys, at=office.now),
        evidence=RevocationEvidence(crls=lists),
        application="tax",
        **changes,
    )


def test_the_signer_has_a_name(firm: Any, world: Any, document: bytes) -> None:
    form = verify_form(
        document,
        firm.stamped(firm.now - DAY),
        verifier=verifier(world, firm),
        timestamps=firm.timestamps(),
        at=firm.now,
    )
    assert form.signer.identity.id == FIRM
    assert form.signer.time.is_proved
    assert form.as_dict()["signers"][0]["ca_status"] == "granted"


@pytest.mark.parametrize(
    ("status", "days", "code"),
    [
        ("withdrawn", 1, ""),  # withdrawn after the proved time: accepted
        ("withdrawn", 3, "CA_WITHDRAWN"),
        ("key_compromised", 1, ""),  # a timestamp proves that the signature is older
        ("key_compromised", 3, "CA_KEY_COMPROMISED"),
        ("suspended", 3, "CA_SUSPENDED"),
    ],
)
def test_state_of_the_service(
    firm: Any, world: Any, document: bytes, status: str, days: int, code: str
) -> None:
    """Stamped two days ago; the service changed its state one or three days ago (the rule table)."""
    data = world.trust_list(status={"harbour": [(status, firm.now - days * DAY)]})
    inputs: dict[str, Any] = {"verifier": verifier(world, firm, data=data), "at": firm.now}
    stamped = firm.stamped(firm.now - 2 * DAY, bound=True)
    if not code:
        assert verify_form(document, stamped, timestamps=firm.timestamps(), **inputs)
        with pytest.raises(RefusedError):
            verify_form(document, firm.cms(), **inputs)
        return
    with pytest.raises(VerifyError) as caught:
        verify_form(document, stamped, timestamps=firm.timestamps(), **inputs)
    assert caught.value.code == code


def test_offline_evidence_does_not_keep_a_withdrawn_ca(firm: Any, world: Any, document: bytes) -> None:
    """harbour's licence has ended, its certificates still count while their status is answered. A list that
    is over, though allowed offline, answers nothing, whether the time is proved or not."""

    def run_out(lote: dict[str, Any]) -> None:
        for service in lote["TrustedEntitiesList"][0]["TrustedEntityServices"]:
            info = service["ServiceInformation"]
            if info["ServiceDigitalIdentity"]["OtherIds"] == ["harbour"]:
                terms = {"existing_until": "2027-01-01T00:00:00Z"}
                kind = "urn:onecert:extension:status-terms"
                info["ServiceInformationExtensions"].append({"Type": kind, "Critical": True, "Value": terms})

    data = world.trust_list(status={"harbour": [("withdrawn", firm.now - 4 * DAY)]}, change=run_out)
    policy = RevocationPolicy(allow_offline=5 * DAY)
    judge = verifier(world, firm, data=data, revocation=policy)
    for signature in (firm.cms(), firm.stamped(firm.now - DAY)):
        inputs: dict[str, Any] = {"verifier": judge, "timestamps": firm.timestamps()}
        form = verify_form(document, signature, at=firm.now, **inputs)
        assert "CA_WITHDRAWN_EXISTING_ACCEPTED" in form.signer.warnings
        over = world.crl("harbour", this_update=firm.now - 3 * DAY)
        inputs["verifier"] = verifier(world, firm, data=data, revocation=policy, crls=[over])
        with pytest.raises(RefusedError) as caught:
            verify_form(document, signature, at=firm.now, **inputs)
        assert caught.value.code == "CA_WITHDRAWN"


def test_thief_of_a_ca_key(firm: Any, world: Any, document: bytes) -> None:
    """Stamped two days ago, the CA's key lost yesterday: a thief may have written the certificate since. Only
    a signature that names its certificate stands."""
    data = world.trust_list(status={"harbour": [("key_compromised", firm.now - DAY)]})
    inputs: dict[str, Any] = {"verifier": verifier(world, firm, data=data), "timestamps": firm.timestamps()}
    assert verify_form(document, firm.stamped(firm.now - 2 * DAY, bound=True), at=firm.now, **inputs)
    with pytest.raises(RefusedError) as caught:
        verify_form(document, firm.stamped(firm.now - 2 * DAY), at=firm.now, **inputs)
    assert caught.value.code == "FORM_CERTIFICATE_NOT_BOUND"


def test_signer_of_a_ca_that_is_not_listed(firm: Any, world: Any, document: bytes) -> None:
    firm.signer = world.leaf("stranger")
    with pytest.raises(RefusedError) as caught:
        verify_form(document, firm.cms(), verifier=verifier(world, firm), at=firm.now)
    assert caught.value.code == "ISSUER_UNKNOWN"


def recorded(firm: Any, world: Any, document: bytes, *, archived: bool = True, **changes: Any) -> bytes:
    data = world.trust_list()
    form = verify_form(
        document,
        firm.stamped(firm.now - DAY),
        verifier=verifier(world, firm, data=data, **changes),
        timestamps=firm.timestamps(),
        at=firm.now,
    )
    stamp = (lambda content, _: firm.token(content, firm.now)) if archived else None
    return make_evidence(form, at=firm.now, stamp=stamp)


@pytest.mark.parametrize("archived", [True, False])
def test_record_years_later(firm: Any, world: Any, document: bytes, archived: bool) -> None:
    """The list has ended, the CA may be gone: the list is in the record, its keys are the checker's."""
    record = recorded(firm, world, document, archived=archived)
    # The timestamp authority below the root of the office ends in ten years, the root with it.
    at = firm.now + 300 * DAY
    trust = EvidenceTrust(timestamps=firm.timestamps(firm.pki.crl(firm.root)), list_keys=world.list_keys)
    checked = check_evidence(record, document, trust=trust, at=at)
    assert checked.form.signer.identity.id == FIRM
    assert checked.form.signer.judged.list_sequence == 1
    assert checked.warnings == ()
    with pytest.raises(VerifyError) as caught:
        check_evidence(record, document, trust=EvidenceTrust(timestamps=trust.timestamps), at=at)
    assert caught.value.code == "EVIDENCE_NO_LIST_KEYS"


def test_record_with_another_list(firm: Any, world: Any, document: bytes) -> None:
    """Only the list that the form was judged by goes into its record."""
    data = world.trust_list()
    form = verify_form(document, firm.cms(), verifier=verifier(world, firm, data=data), at=firm.now)
    for same in (None, data):
        assert load_evidence(make_evidence(form, at=firm.now, trust_list=same)).trust_list == data
    for wrong in (world.trust_list(2), b"{}", b"no list"):
        with pytest.raises(RefusedError) as caught:
            make_evidence(form, at=firm.now, trust_list=wrong)
        assert caught.value.code == "EVIDENCE_LIST"


def test_record_with_a_list_of_strangers(firm: Any, world: Any, document: bytes) -> None:
    """A list that the officers did not sign proves nothing, however well the record hangs together."""
    record = recorded(firm, world, document)
    keys = world.list_keys
    others = type(keys)(1, {"x": firm.pki.key().public_key()})
    with pytest.raises(VerifyError) as caught:
        check_evidence(
            record,
            document,
            trust=EvidenceTrust(timestamps=firm.timestamps(), list_keys=others),
            at=firm.now + DAY,
        )
    assert caught.value.code == "TRUST_LIST_SIGNATURE"


def test_record_of_a_citizen(firm: Any, world: Any, document: bytes) -> None:
    """The id of a citizen takes the department's key; without it the recorded one is shown, and said."""
    firm.signer = world.leaf("harbour", extensions=CITIZEN, name="王小明")
    key = b"k" * 32
    record = recorded(firm, world, document, pairwise_key=key)
    identity = json.loads(record)["verdict"]["signers"][0]["identity"]
    assert "440300190001010015" not in record.decode()
    at = firm.now + YEAR / 2
    trust = EvidenceTrust(timestamps=firm.timestamps(), list_keys=world.list_keys, pairwise_key=key)
    checked = check_evidence(record, document, trust=trust, at=at)
    assert checked.form.signer.identity.id == identity["id"]
    bare = EvidenceTrust(timestamps=firm.timestamps(), list_keys=world.list_keys)
    assert "EVIDENCE_IDENTITY_AS_RECORDED" in check_evidence(record, document, trust=bare, at=at).warnings
    wrong = EvidenceTrust(timestamps=firm.timestamps(), list_keys=world.list_keys, pairwise_key=b"w" * 32)
    with pytest.raises(RefusedError) as caught:
        check_evidence(record, document, trust=wrong, at=at)
    assert caught.value.code == "EVIDENCE_VERDICT"

"""Timestamps of authorities on the trust list, without anything that the department has configured.

list -> harbour (CA) -> a firm, which signs; city-tsa (timestamp authority) -> a unit that stamps
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

import pytest

from onecert.verifier import RefusedError, RevocationEvidence, Verifier, VerifyError, load_trust_list
from onecert.verifier.signed_form import verify_form

DAY = timedelta(days=1)
STATUS = "urn:onecert:service-status:"


@pytest.fixture
def firm(office: Any, world: Any) -> Any:
    office.signer = world.leaf("harbour")
    return office


def written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def tsa(firm: Any, *states: tuple[str, datetime], kind: str = "tsa") -> dict[str, Any]:
    history = [
        {"ServiceStatus": STATUS + status, "StatusStartingTime": written(start)}
        for status, start in (("granted", firm.now - 900 * DAY), *states)
    ]
    certificate = base64.b64encode(firm.root.der).decode()
    return {
        "ServiceInformation": {
            "ServiceTypeIdentifier": f"urn:onecert:service-type:{kind}",
            "ServiceName": [{"lang": "zh", "value": "城市时间戳"}, {"lang": "en", "value": "City stamps"}],
            "ServiceDigitalIdentity": {
                "X509Certificates": [{"val": certificate}],
                "OtherIds": ["city-tsa"],
            },
            **history[-1],
        },
        "ServiceHistory": history[:-1],
    }


def verifier(firm: Any, world: Any, *services: dict[str, Any], **changes: Any) -> Verifier:
    def change(content: dict[str, Any]) -> None:
        content["TrustedEntitiesList"][0]["TrustedEntityServices"] += services

    lists = [world.crl("harbour"), *firm.pki.crls(firm.root, firm.ca)]
    return Verifier(
        trust_list=load_trust_list(
            world.trust_list(change=change, **changes), keys=world.list_keys, at=firm.now
        ),
        evidence=RevocationEvidence(crls=lists),
        application="tax",
    )


def test_an_authority_of_the_list_proves_the_time(firm: Any, world: Any, document: bytes) -> None:
    """Its service is all that is needed; without it nothing proves the time."""
    stamped = firm.stamped(firm.now - DAY)
    form = verify_form(document, stamped, verifier=verifier(firm, world, tsa(firm)), at=firm.now)
    assert form.signer.time.is_proved
    assert form.signer.signed_at == firm.now - DAY
    unknown = verify_form(document, stamped, verifier=verifier(firm, world), at=firm.now)
    assert not unknown.signer.time.is_proved
    assert unknown.signer.time.failure is not None
    assert unknown.signer.time.failure.code == "FORM_NO_TIMESTAMP_TRUST"


@pytest.mark.parametrize(
    ("status", "days", "code"),
    [
        ("withdrawn", 1, ""),  # stamped two days ago, when it was granted
        ("withdrawn", 3, "CA_WITHDRAWN"),
        ("suspended", 1, ""),
        ("suspended", 3, "CA_SUSPENDED"),
        ("terminated", 3, "CA_TERMINATED"),
        ("key_compromised", 3, "CA_KEY_COMPROMISED"),
        ("key_compromised", 1, "CA_KEY_COMPROMISED"),  # a thief writes any time that he likes
    ],
)
def test_state_of_the_authority(
    firm: Any, world: Any, document: bytes, status: str, days: int, code: str
) -> None:
    """harbour's licence ended yesterday: what was signed before counts when a timestamp proves it."""
    judge = verifier(
        firm,
        world,
        tsa(firm, (status, firm.now - days * DAY)),
        status={"harbour": [("withdrawn", firm.now - DAY)]},
    )
    stamped = firm.stamped(firm.now - 2 * DAY)
    if not code:
        assert verify_form(document, stamped, verifier=judge, at=firm.now).signer.time.is_proved
        return
    with pytest.raises(RefusedError) as caught:
        verify_form(document, stamped, verifier=judge, at=firm.now)
    assert caught.value.code == "CA_WITHDRAWN"
    accepted = verify_form(
        document,
        stamped,
        verifier=verifier(firm, world, tsa(firm, (status, firm.now - days * DAY))),
        at=firm.now,
    )
    assert accepted.signer.time.failure is not None
    assert accepted.signer.time.failure.code == code


def test_stamped_before_the_grant(firm: Any, world: Any, document: bytes) -> None:
    service = tsa(firm)
    service["ServiceInformation"]["StatusStartingTime"] = written(firm.now - DAY)
    form = verify_form(
        document, firm.stamped(firm.now - 2 * DAY), verifier=verifier(firm, world, service), at=firm.now
    )
    assert form.signer.time.failure is not None
    assert form.signer.time.failure.code == "CA_NOT_GRANTED_AT_ISSUE"


def test_a_ca_stamps_no_times(firm: Any, world: Any, document: bytes) -> None:
    """The unit's issuer is listed as a CA for holders: its timestamps are nobody's."""
    judge = verifier(firm, world, tsa(firm, kind="ca"))
    form = verify_form(document, firm.stamped(firm.now - DAY), verifier=judge, at=firm.now)
    assert not form.signer.time.is_proved


def test_an_authority_names_no_holders(firm: Any, world: Any, document: bytes) -> None:
    """A signer below a timestamp authority is below no CA of the list."""
    firm.signer = firm.pki.leaf(firm.root, "Firm", key_usage=firm.pki.usage("digital_signature"))
    with pytest.raises(VerifyError) as caught:
        verify_form(document, firm.cms(), verifier=verifier(firm, world, tsa(firm)), at=firm.now)
    assert caught.value.code == "ISSUER_UNKNOWN"


def test_what_the_department_configures_counts_instead(firm: Any, world: Any, document: bytes) -> None:
    judge = verifier(firm, world, tsa(firm, ("withdrawn", firm.now - 3 * DAY)))
    stamped = firm.stamped(firm.now - 2 * DAY)
    form = verify_form(document, stamped, verifier=judge, timestamps=firm.timestamps(), at=firm.now)
    assert form.signer.time.is_proved

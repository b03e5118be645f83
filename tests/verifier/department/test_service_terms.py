"""What the list allows a service to sign: policies, algorithms with an end, and what it has promised.

harbour (P-256) signs its leaves with ecdsa-sha256; pearl (RSA-2048) with rsa-sha256.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from onecert.verifier.certificate import parse_certificate
from onecert.verifier.errors import RefusedError
from onecert.verifier.evidence import CrlFolder
from onecert.verifier.service_terms import ServiceTermsError
from onecert.verifier.signed_form.signers import ListedSigners, SignerQuestion
from onecert.verifier.trust_list import TrustListError, load_trust_list, parse_trust_list
from onecert.verifier.verifier import Verifier

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
EXTENSION = "urn:onecert:extension:"
GOLD, SILVER = "1.2.156.99.1", "1.2.156.99.2"
ANY_POLICY = "2.5.29.32.0"
Change = Callable[[dict[str, Any]], None]


def described(ca: str, name: str, value: Any, *, critical: bool = True) -> Change:
    """A list in which the service has one more extension."""

    def change(content: dict[str, Any]) -> None:
        for service in content["TrustedEntitiesList"][0]["TrustedEntityServices"]:
            information = service["ServiceInformation"]
            if information["ServiceDigitalIdentity"]["OtherIds"] == [ca]:
                information["ServiceInformationExtensions"].append(
                    {"Type": EXTENSION + name, "Critical": critical, "Value": value}
                )

    return change


def make(world: Any, change: Change) -> Verifier:
    trust_list = load_trust_list(world.trust_list(change=change), keys=world.list_keys, at=T)
    return Verifier(trust_list=trust_list, evidence=CrlFolder(world.publish_crls()), application="tax")


def policies(*oids: str) -> dict[str, bytes]:
    rows = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids]
    return {"2.5.29.32": x509.CertificatePolicies(rows).public_bytes()} if rows else {}


def harbour_leaf(world: Any, *oids: str) -> bytes:
    number = world.leaf().certificate.extensions[-1]
    return world.leaf(extensions={number.oid.dotted_string: number.value.value, **policies(*oids)}).der


@pytest.mark.parametrize(
    ("of_leaf", "accepted"),
    [
        ((GOLD,), True),
        ((SILVER, GOLD), True),
        ((ANY_POLICY,), True),  # RFC 5280: it stands for each of them
        ((SILVER,), False),
        ((), False),
    ],
)
def test_only_accepted_policies(world: Any, of_leaf: tuple[str, ...], accepted: bool) -> None:
    verifier = make(world, described("harbour", "policies", {"accepted": [GOLD, "1.2.156.99.3"]}))
    leaf = harbour_leaf(world, *of_leaf)
    if accepted:
        assert verifier.verify(leaf, at=T).service.id == "harbour"
        assert verifier.explain(leaf, at=T).accepted
        return
    with pytest.raises(ServiceTermsError) as caught:
        verifier.verify(leaf, at=T)
    error = caught.value
    assert (error.code, error.facts["found"]) == ("CA_POLICY_NOT_ACCEPTED", sorted(of_leaf))
    assert "海港CA" in error.text("zh")
    assert GOLD in error.text("en")
    assert verifier.explain(leaf, at=T).answer.code == "CA_POLICY_NOT_ACCEPTED"


def test_policies_of_one_service_say_nothing_about_others(world: Any) -> None:
    verifier = make(world, described("harbour", "policies", {"accepted": [GOLD]}))
    assert verifier.verify(world.leaf("pearl").der, at=T).service.id == "pearl"


@pytest.mark.parametrize(
    ("ca", "rows", "code"),
    [
        ("harbour", [{"name": "ecdsa-sha256"}], None),
        ("harbour", [{"name": "sm2-sm3"}, {"name": "ecdsa-sha256", "until": "2026-11-21T09:00:01Z"}], None),
        ("harbour", [{"name": "ecdsa-sha256", "until": "2026-11-21T09:00:00Z"}], "CA_ALGORITHM_ENDED"),
        ("harbour", [{"name": "sm2-sm3"}, {"name": "of-tomorrow"}], "CA_ALGORITHM_NOT_ACCEPTED"),
        ("pearl", [{"name": "rsa-sha256", "rsa_min_bits": 2048}], None),
        ("pearl", [{"name": "rsa-sha256", "rsa_min_bits": 3072}], "CA_KEY_TOO_SHORT"),
    ],
)
def test_only_accepted_algorithms(world: Any, ca: str, rows: list[dict[str, Any]], code: str | None) -> None:
    verifier = make(world, described(ca, "algorithms", {"accepted": rows}))
    leaf = world.leaf(ca, key=rsa.generate_private_key(65537, 2048) if ca == "pearl" else None)
    if code is None:
        assert verifier.verify(leaf.der, at=T).service.id == ca
        return
    with pytest.raises(RefusedError) as caught:
        verifier.verify(leaf.der, at=T)
    assert caught.value.code == code
    assert caught.value.text("zh") not in {code, caught.value.text("en")}


@pytest.mark.parametrize(
    ("proved", "accepted"), [(T - 3 * DAY, True), (T - 2 * DAY, False), (T - DAY, False), (None, False)]
)
def test_an_old_algorithm_counts_for_signatures_of_its_time(
    world: Any, proved: datetime | None, accepted: bool
) -> None:
    """It ended two days ago: a signature is good when a timestamp proves that it is older."""
    rows = [{"name": "ecdsa-sha256", "until": "2026-11-19T09:00:00Z"}]
    verifier = make(world, described("harbour", "algorithms", {"accepted": rows}))
    question = SignerQuestion(
        certificate=parse_certificate(world.leaf().der),
        at=proved or T,
        known_at=T,
        time_proved=proved is not None,
    )
    if accepted:
        assert ListedSigners(verifier).judge(question).ca_service == "harbour"
        return
    with pytest.raises(ServiceTermsError) as caught:
        ListedSigners(verifier).judge(question)
    assert caught.value.code == "CA_ALGORITHM_ENDED"


def test_promises_are_shown_and_refuse_nothing(world: Any) -> None:
    promised = {"revocation_hours": 24, "crl_hours": 12, "ocsp_permille": 999}
    verifier = make(world, described("harbour", "sla", promised, critical=False))
    service = verifier.verify(world.leaf().der, at=T).service
    assert service.service_level is not None
    assert service.service_level.crl_hours == 12
    assert service.as_dict(T)["service_level"] == promised
    assert service.as_dict(T)["type"] == "ca"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("policies", {"accepted": []}),
        ("policies", {"accepted": ["gold"]}),
        ("policies", {"accepted": [GOLD, GOLD]}),
        ("policies", {"accepted": [GOLD], "more": 1}),
        ("policies", [GOLD]),
        ("algorithms", {"accepted": []}),
        ("algorithms", {"accepted": [{"name": "RSA"}]}),
        ("algorithms", {"accepted": [{"name": "rsa-sha1"}, {"name": "rsa-sha1"}]}),
        ("algorithms", {"accepted": [{"name": "rsa-sha1", "until": "2026"}]}),
        ("algorithms", {"accepted": [{"name": "rsa-sha1", "rsa_min_bits": 1}]}),
        ("algorithms", {"accepted": [{"name": "rsa-sha1", "curve": "x"}]}),
        ("sla", {"crl_hours": 0}),
        ("sla", {"ocsp_permille": 1001}),
        ("sla", {"statement": "ftp://x"}),
        ("sla", {"bonus": 1}),
    ],
)
def test_wrong_values_refuse_the_list(world: Any, name: str, value: Any) -> None:
    with pytest.raises(TrustListError) as caught:
        parse_trust_list(world.payload(change=described("harbour", name, value)))
    assert caught.value.code == "TRUST_LIST_MALFORMED"


def test_a_timestamp_authority_issues_no_certificates_to_holders(world: Any) -> None:
    """harbour becomes a timestamp authority: its certificates are nobody's, and it is an anchor for times."""

    def change(content: dict[str, Any]) -> None:
        service = content["TrustedEntitiesList"][0]["TrustedEntityServices"][1]
        service["ServiceInformation"]["ServiceTypeIdentifier"] = "urn:onecert:service-type:tsa"

    verifier = make(world, change)
    trust_list = verifier.trust_list(T)
    assert {anchor.label for anchor in trust_list.anchors} == {"pearl", "summit"}
    assert [anchor.label for anchor in trust_list.timestamp_anchors] == ["harbour"]
    assert trust_list.by_id["harbour"].as_dict(T)["type"] == "tsa"
    with pytest.raises(RefusedError) as caught:
        verifier.verify(world.leaf().der, at=T)
    assert caught.value.code == "ISSUER_UNKNOWN"

"""The façade: certificates of three CAs, one identity; every refusal with its code in both languages."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier.errors import CouldNotCheckError, RefusedError, VerifyError
from onecert.verifier.evidence import CrlFolder
from onecert.verifier.fetch import CrlFetcher, FetchAnswer, FetchRequest, TrustListUrl
from onecert.verifier.purposes import ANY, ENCRYPTION, LOGIN, SIGNING, Purpose
from onecert.verifier.revocation import RevocationEvidence, RevocationMode, RevocationPolicy
from onecert.verifier.revocation import crl as crl_module
from onecert.verifier.signatures import verify_signature
from onecert.verifier.trust_list import FileState, MemoryState, TrustListFolder, load_trust_list
from onecert.verifier.validators import VALIDATORS_MAX
from onecert.verifier.verifier import VerifiedCertificate, Verifier

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
FIRM = "91440300MA5DEM004J"


def make(world: Any, data: bytes | None = None, **more: Any) -> Verifier:
    settings = {
        "trust_list": load_trust_list(data or world.trust_list(), keys=world.list_keys, at=T),
        "evidence": CrlFolder(world.publish_crls()),
        "application": "tax",
        **more,
    }
    return Verifier(**settings)


def refusal(verifier: Verifier, leaf: Any, *, at: datetime = T, **more: Any) -> VerifyError:
    with pytest.raises(VerifyError) as caught:
        verifier.verify(leaf.der if hasattr(leaf, "der") else leaf, at=at, **more)
    error = caught.value
    assert error.text("zh") not in {error.code, error.text("en")}
    return error


@pytest.mark.parametrize("ca", ["pearl", "harbour", "summit"])
def test_one_firm_with_a_certificate_from_each_ca_is_one_identity(world: Any, ca: str) -> None:
    result = make(world).verify(world.leaf(ca).pem, at=T)
    assert isinstance(result, VerifiedCertificate)
    assert result.identity.id == f"uscc:{FIRM}"
    assert (result.service.id, result.identity.ca_service) == (ca, ca)
    assert result.list_sequence == 1
    assert result.warnings == ()
    assert result.oldest_evidence == timedelta(hours=1)
    assert result.as_dict()["id"] == f"uscc:{FIRM}"
    assert result.as_dict()["issue_time"] == "claimed"


def test_renewal_and_second_key_keep_the_identity(world: Any) -> None:
    verifier = make(world)
    ids = {verifier.verify(world.leaf("pearl").der, at=T).identity.id for _ in range(2)}
    assert ids == {f"uscc:{FIRM}"}


def test_revoked_and_held(world: Any) -> None:
    revoked, held = world.leaf(), world.leaf()
    world.revoke("harbour", revoked)
    world.revoke("harbour", held, x509.ReasonFlags.certificate_hold)
    verifier = make(world)
    assert refusal(verifier, revoked).code == "CERT_REVOKED"
    assert refusal(verifier, held).code == "CERT_HELD"


def test_new_list_in_the_folder_is_used(world: Any) -> None:
    """Accepted, then revoked and a new list written: refused at the next look, without a restart."""
    leaf = world.leaf()
    verifier = make(world)
    verifier.verify(leaf.der, at=T)
    world.revoke("harbour", leaf)
    (world.folder / "crls" / "harbour.crl").write_bytes(world.crl("harbour", number=2, this_update=T))
    assert refusal(verifier, leaf, at=T + timedelta(seconds=2)).code == "CERT_REVOKED"


def test_broken_file_in_the_folder_stops_nobody(world: Any) -> None:
    verifier = make(world)
    leaf = world.leaf()
    verifier.verify(leaf.der, at=T)
    (world.folder / "crls" / "harbour.crl").write_bytes(b"half a li")
    (world.folder / "crls" / "other.crl").write_bytes(b"")
    verifier.verify(leaf.der, at=T + timedelta(seconds=2))


def test_without_lists_it_could_not_be_checked(world: Any) -> None:
    leaf = world.leaf()
    for evidence in (None, CrlFolder(world.folder / "nothing"), RevocationEvidence()):
        error = refusal(make(world, evidence=evidence), leaf)
        assert isinstance(error, CouldNotCheckError)
        assert error.code == "REVOCATION_UNKNOWN"
    error = refusal(make(world), leaf, at=T + 2 * DAY)  # the lists are over
    assert error.code == "REVOCATION_UNKNOWN"


def test_softer_policy_says_so(world: Any) -> None:
    policy = RevocationPolicy(mode=RevocationMode.PREFER)
    result = make(world, evidence=None, revocation=policy).verify(world.leaf().der, at=T)
    assert result.warnings == ("REVOCATION_NOT_CHECKED",)
    assert result.oldest_evidence is None
    assert result.warning_texts("zh")


def test_expired_tampered_unknown(world: Any) -> None:
    verifier = make(world)
    assert refusal(verifier, world.leaf(not_after=T - DAY)).code == "CERT_EXPIRED"
    assert refusal(verifier, world.leaf(not_before=T + DAY)).code == "CERT_NOT_YET_VALID"
    assert refusal(verifier, world.leaf("stranger")).code == "ISSUER_UNKNOWN"
    der = bytearray(world.leaf().der)
    der[-5] ^= 1
    assert refusal(verifier, bytes(der)).code == "CERT_SIGNATURE_INVALID"
    assert refusal(verifier, b"").code in {"NOT_DER", "NOT_PEM"}


def test_encryption_certificate_does_not_log_in(world: Any) -> None:
    """Dual certificates share subject and id; only the signing one authenticates."""
    verifier = make(world)
    encryption = world.leaf(usages=("key_encipherment", "data_encipherment"))
    forms_only = world.leaf(usages=("content_commitment",))
    assert refusal(verifier, encryption).code == "KEY_USAGE"
    assert refusal(verifier, forms_only).code == "KEY_USAGE"
    assert verifier.verify(forms_only.der, at=T, purpose=SIGNING).identity.id == f"uscc:{FIRM}"


def test_certificate_without_key_usage_logs_in_only_where_its_profile_says_so(world: Any) -> None:
    def allow(lote: dict[str, Any]) -> None:
        for service in lote["TrustedEntitiesList"][0]["TrustedEntityServices"]:
            info = service["ServiceInformation"]
            if info["ServiceDigitalIdentity"]["OtherIds"] == ["pearl"]:
                info["ServiceInformationExtensions"][0]["Value"]["login_without_key_usage"] = True

    assert refusal(make(world), world.leaf("pearl", usages=())).code == "KEY_USAGE"
    verifier = make(world, world.trust_list(change=allow))
    assert verifier.verify(world.leaf("pearl", usages=()).der, at=T).identity.id == f"uscc:{FIRM}"
    assert refusal(verifier, world.leaf("harbour", usages=())).code == "KEY_USAGE"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("withdrawn", "CA_WITHDRAWN"),
        ("suspended", "CA_SUSPENDED"),
        ("terminated", "CA_TERMINATED"),
        ("key_compromised", "CA_KEY_COMPROMISED"),
    ],
)
def test_state_of_the_ca(world: Any, status: str, code: str) -> None:
    """pearl lost its licence yesterday; harbour works on."""
    data = world.trust_list(status={"pearl": [(status, T - DAY)]})
    verifier = make(world, data)
    error = refusal(verifier, world.leaf("pearl"))
    assert error.code == code
    assert "珠江CA" in error.text("zh")
    assert isinstance(error, RefusedError)
    verifier.verify(world.leaf("harbour").der, at=T)


def test_certificate_issued_after_the_withdrawal(world: Any) -> None:
    verifier = make(world, world.trust_list(status={"pearl": [("withdrawn", T - 20 * DAY)]}))
    assert refusal(verifier, world.leaf("pearl")).code == "CA_NOT_GRANTED_AT_ISSUE"
    assert refusal(verifier, world.leaf("pearl"), issued_at=T - 30 * DAY).code == "CA_WITHDRAWN"


def test_service_without_profile_names_nobody(world: Any) -> None:
    def drop(lote: dict[str, Any]) -> None:
        for service in lote["TrustedEntitiesList"][0]["TrustedEntityServices"]:
            service["ServiceInformation"].pop("ServiceInformationExtensions")

    assert refusal(make(world, world.trust_list(change=drop)), world.leaf()).code == "CA_PROFILE_MISSING"


def test_profile_of_the_path_counts_not_the_issuer_text(world: Any) -> None:
    """harbour issues a certificate that looks like pearl's: pearl's place is not read."""
    leaf = world.leaf("harbour", extensions={"2.16.156.112548": b"\x0c\x12" + b"9" * 18})
    assert refusal(make(world), leaf).code == "CLASS_UNKNOWN"


def test_list_over_time(world: Any) -> None:
    """A new list is picked up from its folder; an older one is not used; one held back is no answer."""
    mirror, state = world.folder / "mirror", FileState(world.folder / "state.json")
    mirror.mkdir()
    world.publish(mirror, world.trust_list(1))
    verifier = make(world, trust_list=TrustListFolder(mirror, root=world.root, state=state))
    leaf = world.leaf("pearl")
    assert verifier.verify(leaf.der, at=T).list_sequence == 1
    world.publish(mirror, world.trust_list(2, status={"pearl": [("suspended", T - DAY)]}), 2)
    assert refusal(verifier, leaf).code == "CA_SUSPENDED"
    assert verifier.trust_list(T).sequence == 2
    world.publish(mirror, world.trust_list(1))
    assert refusal(verifier, leaf).code == "CA_SUSPENDED"
    restarted = make(world, trust_list=TrustListFolder(mirror, root=world.root, state=state))
    assert refusal(restarted, leaf).code == "TRUST_LIST_ROLLBACK"
    world.publish(mirror, world.trust_list(1), 3)
    restarted = make(world, trust_list=TrustListFolder(mirror, root=world.root, state=state))
    assert refusal(restarted, leaf).code == "TRUST_LIST_ROLLBACK"
    world.publish(mirror, world.trust_list(3), 4)
    assert verifier.verify(leaf.der, at=T).list_sequence == 3
    assert refusal(verifier, leaf, at=T + DAY).code == "TRUST_TIMESTAMP_EXPIRED"
    world.publish(mirror, world.trust_list(3), 5, at=T + 31 * DAY)
    assert refusal(verifier, leaf, at=T + 31 * DAY).code == "TRUST_LIST_EXPIRED"


class Web:
    """A network of a few addresses; an address may fail."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def __call__(self, request: FetchRequest) -> FetchAnswer:
        self.asked.append(request.url)
        if request.url not in self.pages:
            raise CouldNotCheckError("FETCH_STATUS", url=request.url, status=404)
        return FetchAnswer(data=self.pages[request.url])


def test_everything_fetched(world: Any, tmp_path: Path) -> None:
    """List, CRLs and OCSP come over the network, from the addresses of the list only."""
    leaf = world.leaf("harbour")
    listed = world.trust_list()
    web = Web(
        {
            "http://lists.example/trust-list.json": listed,
            "http://lists.example/trust-timestamp.json": world.timestamp(listed, lasts=7 * DAY),
        }
    )
    for ca in ("pearl", "harbour", "summit"):
        web.pages[f"http://status.example/ca/{ca}.crl"] = world.crl(ca)
    web.pages["http://status.example/ca/harbour/ocsp"] = world.ocsp("harbour", leaf)
    source = TrustListUrl(
        "http://lists.example/trust-list.json",
        folder=tmp_path / "cache",
        root=world.root,
        state=MemoryState(),
        fetch=web,
    )
    evidence = CrlFetcher(tmp_path / "cache", fetch=web, use_ocsp=True)
    # The builder of cryptography stamps answers with the real time (producedAt): let any clock pass here.
    policy = RevocationPolicy(clock_skew=timedelta(days=36_500))
    verifier = make(world, trust_list=source, evidence=evidence, revocation=policy)
    result = verifier.verify(leaf.der, at=T)
    assert {item.kind for item in result.path.evidence} == {"crl", "ocsp"}
    # The network goes away: what was fetched serves until it is over.
    web.pages.clear()
    verifier.verify(leaf.der, at=T + timedelta(hours=2))
    assert refusal(verifier, leaf, at=T + 2 * DAY).code == "REVOCATION_UNKNOWN"
    # The network comes back with something that is no list, then with an older list.
    web.pages["http://status.example/ca/harbour.crl"] = b"<html>"
    web.pages["http://lists.example/trust-timestamp.json"] = b"<html>"
    verifier.verify(leaf.der, at=T + timedelta(hours=4))
    # OCSP says revoked.
    web.pages["http://status.example/ca/harbour/ocsp"] = world.ocsp("harbour", leaf, good=False)
    assert refusal(verifier, leaf, at=T + timedelta(minutes=30)).code == "CERT_REVOKED"


def test_list_that_was_never_fetched(world: Any, tmp_path: Path) -> None:
    source = TrustListUrl(
        "http://lists.example/x",
        folder=tmp_path / "x",
        root=world.root,
        state=MemoryState(),
        fetch=Web({}),
    )
    assert refusal(make(world, trust_list=source), world.leaf()).code == "TRUST_LIST_MISSING"


def test_policy_for_each_purpose(world: Any) -> None:
    """Forms are accepted without evidence, logins are not; a purpose that is not named is strict."""
    soft = RevocationPolicy(mode=RevocationMode.PREFER)
    verifier = make(world, evidence=None, revocation={SIGNING: soft})
    leaf = world.leaf()
    assert verifier.verify(leaf.der, at=T, purpose=SIGNING).warnings == ("REVOCATION_NOT_CHECKED",)
    for purpose in (LOGIN, ENCRYPTION, ANY):
        other = world.leaf(usages=("digital_signature", "key_encipherment"))
        assert refusal(verifier, other, purpose=purpose).code == "REVOCATION_UNKNOWN"
    assert verifier.revocation_policy(SIGNING) is soft
    assert verifier.revocation_policy(LOGIN) == RevocationPolicy()


def test_warning_tells_what_was_tried(world: Any) -> None:
    """A list that is over was at hand, and one that its CA did not sign: the warning names both."""
    policy = RevocationPolicy(mode=RevocationMode.PREFER)
    forged = world.crl("stranger").replace(b"stranger", "海港CA".encode())
    verifier = make(
        world,
        evidence=RevocationEvidence(crls=[world.crl("harbour", this_update=T - 9 * DAY), forged]),
        revocation=policy,
    )
    result = verifier.verify(world.leaf().der, at=T)
    (text,) = result.warning_texts("en")
    assert "CRL_STALE" in text
    assert "海港CA" in text
    assert "ocsp: NO_EVIDENCE" in text
    assert result.oldest_evidence is None


def test_offline_login_tells_the_age_at_each_call(world: Any) -> None:
    """The department has been without network for a day and a half; its policy allows two days."""
    policy = RevocationPolicy(allow_offline=2 * DAY)
    verifier = make(world, revocation=policy)
    for later, age in ((DAY, "1 day, 1:00:00"), (DAY + timedelta(hours=11), "1 day, 12:00:00")):
        result = verifier.verify(world.leaf().der, at=T + later)
        assert result.warnings == ("REVOCATION_STALE",)
        assert age in result.warning_texts("en")[0]
        assert result.oldest_evidence == later + timedelta(hours=1)
    assert refusal(verifier, world.leaf(), at=T + 3 * DAY).code == "REVOCATION_UNKNOWN"


def test_lists_are_checked_once_for_all_purposes(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Login, signing and encryption share one list object: one signature check over its bytes."""
    checked: list[bytes] = []

    def counting(key: Any, algorithm: Any, signature: bytes, data: bytes, **more: Any) -> None:
        checked.append(data)
        verify_signature(key, algorithm, signature, data, **more)

    monkeypatch.setattr(crl_module, "verify_signature", counting)
    verifier = make(world)
    leaf = world.leaf(usages=("digital_signature", "key_encipherment"))
    for purpose in (LOGIN, SIGNING, ENCRYPTION, ANY):
        assert verifier.verify(leaf.der, at=T, purpose=purpose).oldest_evidence == timedelta(hours=1)
    assert len(checked) == 1


def test_the_memory_of_purposes_is_bounded(world: Any) -> None:
    """A program that makes a new purpose for each call costs time, not memory."""
    verifier = make(world)
    leaf = world.leaf()
    for number in range(VALIDATORS_MAX + 5):
        assert verifier.verify(leaf.der, at=T, purpose=Purpose(name=f"use {number}"))
    assert len(verifier._validators) == VALIDATORS_MAX


def test_threads_share_a_verifier(world: Any) -> None:
    """Eight threads, two purposes, one revoked certificate: each gets its own answer."""
    good, bad = world.leaf(), world.leaf()
    world.revoke("harbour", bad)
    verifier = make(world)

    def ask(number: int) -> str:
        purpose = (LOGIN, SIGNING)[number % 2]
        try:
            return verifier.verify((good, bad)[number // 2 % 2].der, at=T, purpose=purpose).identity.id
        except VerifyError as exc:
            return exc.code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(64)))
    assert answers == [f"uscc:{FIRM}", f"uscc:{FIRM}", "CERT_REVOKED", "CERT_REVOKED"] * 16


def test_offline_evidence_does_not_keep_a_withdrawn_ca(world: Any) -> None:
    """pearl's licence has ended and its certificates still count while their status is answered: by a list
    that is over nothing is answered any more."""

    def run_out(lote: dict[str, Any]) -> None:
        for service in lote["TrustedEntitiesList"][0]["TrustedEntityServices"]:
            info = service["ServiceInformation"]
            if info["ServiceDigitalIdentity"]["OtherIds"] == ["pearl"]:
                info["ServiceInformationExtensions"].append(
                    {
                        "Type": "urn:onecert:extension:status-terms",
                        "Critical": True,
                        "Value": {"existing_until": "2027-01-01T00:00:00Z"},
                    }
                )

    data = world.trust_list(status={"pearl": [("withdrawn", T - DAY)]}, change=run_out)
    verifier = make(world, data, revocation=RevocationPolicy(allow_offline=5 * DAY))
    leaf = world.leaf("pearl")
    assert verifier.verify(leaf.der, at=T).warnings == ("CA_WITHDRAWN_EXISTING_ACCEPTED",)
    assert refusal(verifier, leaf, at=T + 2 * DAY).code == "CA_WITHDRAWN"


def test_many_at_once(world: Any) -> None:
    """Certificates of three CAs, one revoked, one that is none, some from strangers: each its own answer."""
    leaves = [world.leaf(ca).der for ca in ("pearl", "harbour", "summit") for _ in range(3)]
    revoked = world.leaf("harbour")
    world.revoke("harbour", revoked)
    verifier = make(world)
    targets = [leaves[0], revoked.der, b"no certificate", *leaves[1:]]
    answers = list(verifier.verify_many(iter(targets), at=T, purpose=SIGNING, threads=2))
    assert len(answers) == len(targets)
    for target, answer in zip(targets, answers, strict=True):
        if isinstance(answer, VerifyError):
            assert answer.code == refusal(verifier, target, purpose=SIGNING).code
        else:
            alone = verifier.verify(target, at=T, purpose=SIGNING)
            assert (answer.identity, answer.warnings) == (alone.identity, alone.warnings)
    codes = [answer.code for answer in answers if isinstance(answer, VerifyError)]
    assert codes == ["CERT_REVOKED", "NOT_PEM"]
    with pytest.raises(CouldNotCheckError):
        verifier.verify_many(targets, at=T + 400 * DAY)

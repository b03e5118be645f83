"""The signed trust list: what is accepted, and every way in which a list is wrong."""

import base64
import contextlib
import copy
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from onecert.server.documents import sign_document
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import key_id
from onecert.verifier.trust_list import (
    FileState,
    FixedTrustList,
    MemoryState,
    Role,
    RoleKeys,
    Status,
    SupplyKind,
    TrustList,
    load_trust_list,
    parse_trust_list,
)
from onecert.verifier.trust_list.errors import TrustListError, TrustListUnavailableError
from onecert.verifier.trust_list.load import seen_list

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
OFFICERS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
KEYS = RoleKeys(2, {key_id(k.public_key()): k.public_key() for k in OFFICERS})
TYP = "onecert-trust-list+json"
PROFILE = json.loads((Path(__file__).parents[2] / "demo/profiles/pearl.json").read_text("utf-8"))


def ca_certificate(name: str, *, ca: bool = True, key: ec.EllipticCurvePrivateKey | None = None) -> str:
    """A self-signed CA certificate, base64 of DER."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(T - 1000 * DAY)
        .not_valid_after(T + 1000 * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


CA_KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("pearl", "harbour")}
CERTIFICATES = {name: ca_certificate(name, key=key) for name, key in CA_KEYS.items()}


def texts(zh: str, en: str) -> list[dict[str, str]]:
    return [{"lang": "zh", "value": zh}, {"lang": "en", "value": en}]


def service(name: str) -> dict[str, Any]:
    return {
        "ServiceInformation": {
            "ServiceTypeIdentifier": "urn:onecert:service-type:ca",
            "ServiceName": texts("珠江CA", "Pearl CA"),
            "ServiceDigitalIdentity": {
                "X509Certificates": [{"val": CERTIFICATES[name]}],
                "OtherIds": [name],
            },
            "ServiceStatus": "urn:onecert:service-status:granted",
            "StatusStartingTime": "2025-01-01T00:00:00Z",
            "ServiceSupplyPoints": [
                {"ServiceType": "urn:onecert:supply-point:crl", "uriValue": "http://127.0.0.1/ca/pearl.crl"}
            ],
            "ServiceInformationExtensions": [
                {"Type": "urn:onecert:extension:identity-profile", "Critical": True, "Value": PROFILE},
                {"Type": "urn:onecert:extension:contact", "Critical": False, "Value": {"hotline": "0755-1"}},
                {"Type": "urn:example:unknown", "Critical": False, "Value": {"any": ["thing"]}},
            ],
        }
    }


def payload(sequence: int = 5) -> dict[str, Any]:
    return {
        "LoTE": {
            "ListAndSchemeInformation": {
                "LoTEVersionIdentifier": 1,
                "LoTEType": "urn:onecert:lote:licensed-certification-authorities",
                "LoTESequenceNumber": sequence,
                "SchemeOperatorName": texts("示例管理局", "Example office"),
                "SchemeTerritory": "CN-44",
                "HistoricalInformationPeriod": 65535,
                "ListIssueDateTime": "2026-11-21T08:00:00Z",
                "NextUpdate": "2026-12-21T08:00:00Z",
            },
            "TrustedEntitiesList": [
                {
                    "TrustedEntityInformation": {"TEName": texts("珠江公司", "Pearl Ltd")},
                    "TrustedEntityServices": [service("pearl"), service("harbour")],
                }
            ],
        }
    }


def signed(content: dict[str, Any] | None = None, signers: int = 2, typ: str = TYP) -> bytes:
    return sign_document(content or payload(), typ=typ, keys=OFFICERS[:signers])


def refusal(data: bytes, **more: Any) -> str:
    with pytest.raises(VerifyError) as caught:
        load_trust_list(data, **{"keys": KEYS, "at": T, **more})
    assert caught.value.text("zh")
    assert caught.value.text("zh") != caught.value.code
    return caught.value.code


def test_a_good_list_is_read() -> None:
    trust_list = load_trust_list(signed(), keys=KEYS, at=T)
    assert (trust_list.sequence, len(trust_list.services)) == (5, 2)
    pearl = trust_list.by_id["pearl"]
    assert (pearl.name.get("zh"), pearl.name.get("en"), pearl.entity.zh) == ("珠江CA", "Pearl CA", "珠江公司")
    assert pearl.urls(SupplyKind.CRL) == ("http://127.0.0.1/ca/pearl.crl",)
    assert pearl.urls(SupplyKind.OCSP) == ()
    assert pearl.identity_profile is not None
    assert pearl.identity_profile.name == "pearl"
    assert pearl.contact.hotline == "0755-1"
    assert [anchor.label for anchor in trust_list.anchors] == ["pearl", "harbour"]
    assert next(iter(trust_list)) is pearl
    current = pearl.status_at(T)
    assert current is not None
    assert current.status is Status.GRANTED
    assert pearl.status_at(datetime(2024, 1, 1, tzinfo=UTC)) is None


def test_history_of_the_standard_is_newest_first() -> None:
    content = payload()
    one = content["LoTE"]["TrustedEntitiesList"][0]["TrustedEntityServices"][0]
    one["ServiceInformation"]["ServiceStatus"] = "urn:onecert:service-status:terminated"
    one["ServiceInformation"]["StatusStartingTime"] = "2026-06-01T00:00:00Z"
    terms = {"existing_until": "2027-01-01T00:00:00Z", "taken_over_by": "harbour"}
    one["ServiceInformation"]["ServiceInformationExtensions"].append(
        {"Type": "urn:onecert:extension:status-terms", "Critical": True, "Value": terms}
    )
    one["ServiceHistory"] = [
        {
            "ServiceStatus": "urn:onecert:service-status:suspended",
            "StatusStartingTime": "2026-05-01T00:00:00Z",
            "ServiceInformationExtensions": [
                {
                    "Type": "urn:onecert:extension:status-terms",
                    "Critical": True,
                    "Value": {"on_suspend": "accept_existing"},
                }
            ],
        },
        {
            "ServiceStatus": "urn:onecert:service-status:granted",
            "StatusStartingTime": "2025-01-01T00:00:00Z",
        },
    ]
    history = parse_trust_list(content).by_id["pearl"].history
    assert [entry.status for entry in history] == [Status.GRANTED, Status.SUSPENDED, Status.TERMINATED]
    assert history[1].accept_existing
    assert history[2].taken_over_by == "harbour"


def test_signatures() -> None:
    """One officer is not enough, neither is one officer twice, another type, or a stranger."""
    assert refusal(signed(signers=1)) == "TRUST_LIST_SIGNATURE"
    twice = json.loads(signed(signers=1))
    twice["signatures"] *= 2
    assert refusal(json.dumps(twice).encode()) in {"TRUST_LIST_SIGNATURE", "TRUST_LIST_MALFORMED"}
    assert refusal(signed(typ="onecert-order+json")) == "TRUST_LIST_SIGNATURE"
    strangers = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    assert refusal(sign_document(payload(), typ=TYP, keys=strangers)) == "TRUST_LIST_SIGNATURE"
    altered = json.loads(signed())
    altered["payload"] = json.loads(signed(payload(6)))["payload"]
    assert refusal(json.dumps(altered).encode()) == "TRUST_LIST_SIGNATURE"
    assert load_trust_list(signed(signers=3), keys=KEYS, at=T).sequence == 5


def test_bytes_that_are_no_list() -> None:
    for data in (
        b"",
        b"{}",
        b"\xff" * 100,
        b"[" * 100_000,
        signed()[:-20],
        b'{"payload":"","signatures":[]}',
    ):
        assert refusal(data) == "TRUST_LIST_MALFORMED"


def test_times() -> None:
    assert refusal(signed(), at=datetime(2026, 12, 21, 8, tzinfo=UTC)) == "TRUST_LIST_EXPIRED"
    assert refusal(signed(), at=datetime(2026, 11, 21, 7, 54, tzinfo=UTC)) == "TRUST_LIST_FUTURE"
    skewed = datetime(2026, 11, 21, 7, 56, tzinfo=UTC)
    source = FixedTrustList(load_trust_list(signed(), keys=KEYS, at=skewed))
    assert source.current(T).sequence == 5
    with pytest.raises(TrustListUnavailableError):
        source.current(T + 40 * DAY)


def memory(_: Path) -> MemoryState:
    return MemoryState()


def file(folder: Path) -> FileState:
    return FileState(folder / "state" / "trust-list.json")


@pytest.mark.parametrize("make", [memory, file])
def test_a_list_never_goes_backwards(make: Callable[[Path], Any], tmp_path: Path) -> None:
    """5 is accepted, 4 then refused; another 5 refused; 5 again, 5 with one more signature and 9 accepted."""
    state = make(tmp_path)
    load_trust_list(signed(payload(5)), keys=KEYS, at=T, state=state)
    assert refusal(signed(payload(4)), state=state) == "TRUST_LIST_ROLLBACK"
    other = payload(5)
    other["LoTE"]["ListAndSchemeInformation"]["NextUpdate"] = "2026-12-22T08:00:00Z"
    assert refusal(signed(other), state=state) == "TRUST_LIST_FORK"
    load_trust_list(signed(payload(5)), keys=KEYS, at=T, state=state)
    load_trust_list(signed(payload(5), signers=3), keys=KEYS, at=T, state=state)
    load_trust_list(signed(payload(9)), keys=KEYS, at=T, state=state)
    assert refusal(signed(payload(5)), state=state) == "TRUST_LIST_ROLLBACK"


def test_file_state_survives_a_restart_and_refuses_to_work_blind(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    load_trust_list(signed(payload(5)), keys=KEYS, at=T, state=FileState(path))
    assert refusal(signed(payload(4)), state=FileState(path)) == "TRUST_LIST_ROLLBACK"
    for broken in ("", "{}", '{"sequence": 0, "sha256": "x"}', "[1]"):
        path.write_text(broken)
        assert refusal(signed(payload(9)), state=FileState(path)) == "TRUST_LIST_STATE"
    assert refusal(signed(), state=FileState(Path("/dev/null/state"))) == "TRUST_LIST_STATE"


def test_file_state_under_many_writers(tmp_path: Path) -> None:
    """Threads present lists in any order; the highest stays."""
    path = tmp_path / "state.json"
    lists = [parse_trust_list(payload(n)) for n in range(1, 21)]

    def present(trust_list: TrustList) -> None:
        with contextlib.suppress(TrustListError):
            FileState(path).advance({Role.LIST: seen_list(trust_list, KEYS)})

    threads = [threading.Thread(target=present, args=(one,)) for one in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert json.loads(path.read_text())["list"]["number"] == 20
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.json", "state.json.lock"]


def mutated(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    content = copy.deepcopy(payload())
    change(content["LoTE"])
    return content


def info(lote: dict[str, Any]) -> dict[str, Any]:
    return lote["ListAndSchemeInformation"]


def services(lote: dict[str, Any]) -> list[dict[str, Any]]:
    return lote["TrustedEntitiesList"][0]["TrustedEntityServices"]


def first(lote: dict[str, Any]) -> dict[str, Any]:
    return services(lote)[0]["ServiceInformation"]


def put(
    get: Callable[[dict[str, Any]], dict[str, Any]], key: str, value: Any
) -> Callable[[dict[str, Any]], None]:
    return lambda lote: get(lote).__setitem__(key, value)


def drop(get: Callable[[dict[str, Any]], dict[str, Any]], key: str) -> Callable[[dict[str, Any]], None]:
    return lambda lote: get(lote).__delitem__(key)


def identity(lote: dict[str, Any]) -> dict[str, Any]:
    return first(lote)["ServiceDigitalIdentity"]


def extension(name: str, critical: bool, value: Any) -> list[dict[str, Any]]:
    return [{"Type": f"urn:onecert:extension:{name}", "Critical": critical, "Value": value}]


@pytest.mark.parametrize(
    "change",
    [
        put(info, "Surprise", 1),
        put(info, "LoTEVersionIdentifier", 2),
        put(info, "LoTEType", "urn:other"),
        put(info, "LoTESequenceNumber", 0),
        put(info, "LoTESequenceNumber", True),
        put(info, "LoTESequenceNumber", "5"),
        drop(info, "NextUpdate"),
        put(info, "NextUpdate", "2026-11-21T08:00:00Z"),  # not after the issue
        put(info, "NextUpdate", "2027-11-21T08:00:00Z"),  # too long
        put(info, "NextUpdate", "2026-12-21T08:00:00+00:00"),
        put(info, "NextUpdate", "2026-12-21 08:00:00"),
        put(info, "HistoricalInformationPeriod", 30),
        put(info, "SchemeOperatorName", texts("只有中文", "x")[:1]),
        put(info, "SchemeOperatorName", texts("a", "b")[:1] * 2),
        put(info, "PointersToOtherLoTE", [{"LoTELocation": "file:///etc/passwd"}]),
        put(first, "Surprise", 1),
        put(first, "ServiceStatus", "urn:onecert:service-status:fine"),
        put(first, "ServiceTypeIdentifier", "urn:other"),
        put(
            first,
            "ServiceSupplyPoints",
            [{"ServiceType": "urn:onecert:supply-point:crl", "uriValue": "ftp://x"}],
        ),
        put(identity, "OtherIds", ["Pearl CA"]),
        put(identity, "OtherIds", ["harbour"]),  # two services, one id
        put(identity, "OtherIds", []),
        put(identity, "X509Certificates", []),
        put(identity, "X509Certificates", [{"val": "!!"}]),
        put(identity, "X509Certificates", [{"val": "AAAA"}]),
        put(identity, "X509Certificates", [{"val": CERTIFICATES["harbour"]}]),  # two services, one key
        put(identity, "X509Certificates", [{"val": CERTIFICATES["pearl"]}, {"val": ca_certificate("x")}]),
        put(identity, "X509Certificates", [{"val": ca_certificate("leaf", ca=False)}]),
        put(first, "ServiceInformationExtensions", extension("identity-profile", True, {"name": "x"})),
        put(first, "ServiceInformationExtensions", extension("contact", False, {}) * 2),
        put(first, "ServiceInformationExtensions", extension("status-terms", True, {"on_suspend": "maybe"})),
        put(
            first,
            "ServiceInformationExtensions",
            extension("status-terms", True, {"on_suspend": "accept_existing"}),
        ),
        put(
            first,
            "ServiceInformationExtensions",
            extension("status-terms", True, {"existing_until": "2027-01-01T00:00:00Z"}),
        ),
        lambda lote: lote.update(TrustedEntitiesList={}),
        lambda lote: lote.update(Surprise={}),
        lambda lote: lote["TrustedEntitiesList"][0].update(TrustedEntityServices=[]),
        lambda lote: lote["TrustedEntitiesList"].append("x"),
    ],
)
def test_wrong_content_is_refused_with_its_place(change: Callable[[dict[str, Any]], None]) -> None:
    assert refusal(signed(mutated(change))) == "TRUST_LIST_MALFORMED"


def test_unknown_critical_extension_is_refused() -> None:
    for target in (
        put(info, "SchemeExtensions", extension("new", True, 1)),
        put(first, "ServiceInformationExtensions", extension("new", True, 1)),
    ):
        assert refusal(signed(mutated(target))) == "TRUST_LIST_CRITICAL_EXTENSION"
    harmless = mutated(put(info, "SchemeExtensions", extension("new", False, {"x": [1]})))
    assert load_trust_list(signed(harmless), keys=KEYS, at=T)


def entry(status: str, start: str) -> dict[str, Any]:
    return {"ServiceStatus": f"urn:onecert:service-status:{status}", "StatusStartingTime": start}


@pytest.mark.parametrize(
    "history",
    [
        [entry("withdrawn", "2024-01-01T00:00:00Z")],  # begins without a grant
        [entry("suspended", "2025-01-01T00:00:00Z"), entry("granted", "2024-01-01T00:00:00Z")],
        [entry("key_compromised", "2024-06-01T00:00:00Z"), entry("granted", "2024-01-01T00:00:00Z")],
    ],
)
def test_impossible_histories_are_refused(history: list[dict[str, Any]]) -> None:
    content = payload()
    services(content["LoTE"])[0]["ServiceHistory"] = history
    assert refusal(signed(content)) == "TRUST_LIST_HISTORY"


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in pairs for found in _places(inner, (*path, key)))]


PLACES = [place for place in _places(payload()) if place]


@given(
    st.sampled_from(PLACES),
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers()) | st.just({}),
)
def test_any_value_in_any_place_gives_a_list_or_our_error(place: tuple[Any, ...], value: Any) -> None:
    content = copy.deepcopy(payload())
    target: Any = content
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with contextlib.suppress(VerifyError):
        parse_trust_list(content)


def test_a_long_list_loads() -> None:
    """500 services of five operators."""
    content = payload()
    many = []
    for number in range(500):
        one = copy.deepcopy(service("pearl"))
        certificate = ca_certificate(f"ca-{number}")
        one["ServiceInformation"]["ServiceDigitalIdentity"] = {
            "X509Certificates": [{"val": certificate}],
            "OtherIds": [f"ca-{number}"],
        }
        many.append(one)
    content["LoTE"]["TrustedEntitiesList"] = [
        {
            "TrustedEntityInformation": {"TEName": texts("珠江公司", "Pearl Ltd")},
            "TrustedEntityServices": many[start : start + 100],
        }
        for start in range(0, 500, 100)
    ]
    data = signed(content)
    assert len(load_trust_list(data, keys=KEYS, at=T).services) == 500

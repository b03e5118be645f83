"""A list is read in parts, and what was read before is not read again: nothing else may come of that.

Every test compares ``read_trust_list`` with reading the whole text, by the list or the code of the refusal.
"""

import base64
import copy
import hashlib
import json
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

from onecert.verifier.errors import MalformedError, VerifyError
from onecert.verifier.jws import load_json
from onecert.verifier.trust_list import TrustList, parse_trust_list
from onecert.verifier.trust_list.parse import MEMORY, read_trust_list
from onecert.verifier.trust_list.parts import PartMemory, PartReader

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
PROFILES = Path(__file__).parents[2] / "demo/profiles"
STATUS = "urn:onecert:service-status:"
EXTENSION = "urn:onecert:extension:"


def certificate(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(T)
        .not_valid_after(T + timedelta(days=1000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(built.public_bytes(serialization.Encoding.DER)).decode()


CERTIFICATES = {name: certificate(name) for name in ("pearl", "harbour", "summit")}


def texts(zh: str, en: str) -> list[dict[str, str]]:
    return [{"lang": "zh", "value": zh}, {"lang": "en", "value": en}]


def extension(name: str, critical: bool, value: Any) -> dict[str, Any]:
    return {"Type": EXTENSION + name, "Critical": critical, "Value": value}


def service(name: str) -> dict[str, Any]:
    """Pearl was suspended once; harbour has an extension that nobody knows; summit has no history member."""
    profile = json.loads((PROFILES / f"{name}.json").read_text("utf-8"))
    extensions = [extension("identity-profile", True, profile), extension("contact", False, {"hotline": "1"})]
    if name == "harbour":
        extensions.append(extension("unknown", False, {"any": ["thing", 1, None, True]}))
    information = {
        "ServiceTypeIdentifier": "urn:onecert:service-type:ca",
        "ServiceName": texts("某CA", name),
        "ServiceDigitalIdentity": {"X509Certificates": [{"val": CERTIFICATES[name]}], "OtherIds": [name]},
        "ServiceStatus": STATUS + "granted",
        "StatusStartingTime": "2025-01-01T00:00:00Z",
        "ServiceSupplyPoints": [
            {"ServiceType": "urn:onecert:supply-point:crl", "uriValue": f"http://{name}.example/ca.crl"}
        ],
        "ServiceInformationExtensions": extensions,
    }
    if name == "summit":
        return {"ServiceInformation": information}
    if name == "harbour":
        return {"ServiceInformation": information, "ServiceHistory": []}
    terms = extension("status-terms", True, {"on_suspend": "accept_existing"})
    history = [
        {
            "ServiceStatus": STATUS + "suspended",
            "StatusStartingTime": "2024-06-01T00:00:00Z",
            "ServiceInformationExtensions": [terms],
        },
        {"ServiceStatus": STATUS + "granted", "StatusStartingTime": "2024-01-01T00:00:00Z"},
    ]
    return {"ServiceInformation": information, "ServiceHistory": history}


def content() -> dict[str, Any]:
    """Pearl and summit belong to one operator, harbour to another."""
    entities = [
        {
            "TrustedEntityInformation": {"TEName": texts("公司", operator)},
            "TrustedEntityServices": [service(name) for name in names],
        }
        for operator, names in (("One Ltd", ("pearl", "summit")), ("Other Ltd", ("harbour",)))
    ]
    head = {
        "LoTEVersionIdentifier": 1,
        "LoTEType": "urn:onecert:lote:licensed-certification-authorities",
        "LoTESequenceNumber": 5,
        "SchemeOperatorName": texts("示例管理局", "Example office"),
        "HistoricalInformationPeriod": 65535,
        "ListIssueDateTime": "2026-11-21T08:00:00Z",
        "NextUpdate": "2026-12-21T08:00:00Z",
    }
    return {"LoTE": {"ListAndSchemeInformation": head, "TrustedEntitiesList": entities}}


CONTENT = content()


def written(payload: Any) -> bytes:
    """As lists are written."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


OCTETS = written(CONTENT)


def by_whole(octets: bytes) -> TrustList | str:
    try:
        payload = load_json(octets, max_bytes=1_000_000)
        return parse_trust_list(payload, sha256=hashlib.sha256(octets).hexdigest())
    except MalformedError:
        return "TRUST_LIST_MALFORMED"
    except VerifyError as error:
        return error.code


def by_parts(octets: bytes) -> TrustList | str:
    try:
        return read_trust_list(octets)
    except VerifyError as error:
        return error.code


def check_alike(octets: bytes) -> TrustList | str:
    """Read with an empty memory, and again, when parts are remembered."""
    whole = by_whole(octets)
    MEMORY.clear()
    assert by_parts(octets) == whole
    assert by_parts(octets) == whole
    return whole


def test_a_list_as_written() -> None:
    found = check_alike(OCTETS)
    assert isinstance(found, TrustList)
    assert [(s.id, s.entity.en, len(s.history)) for s in found] == [
        ("pearl", "One Ltd", 3),
        ("summit", "One Ltd", 1),
        ("harbour", "Other Ltd", 1),
    ]


def test_services_that_did_not_change_are_the_same_objects() -> None:
    """Then their names, keys and readings of certificates need not be made again either."""
    changed = copy.deepcopy(CONTENT)
    changed["LoTE"]["ListAndSchemeInformation"]["LoTESequenceNumber"] = 6
    summit = changed["LoTE"]["TrustedEntitiesList"][0]["TrustedEntityServices"][1]["ServiceInformation"]
    summit["ServiceStatus"] = STATUS + "withdrawn"
    summit["StatusStartingTime"] = "2026-01-01T00:00:00Z"
    assert check_alike(written(changed)) == "TRUST_LIST_HISTORY"
    granted = {"ServiceStatus": STATUS + "granted", "StatusStartingTime": "2025-01-01T00:00:00Z"}
    changed["LoTE"]["TrustedEntitiesList"][0]["TrustedEntityServices"][1]["ServiceHistory"] = [granted]
    before = read_trust_list(OCTETS)
    again = read_trust_list(written(changed))
    assert again.by_id["pearl"] is before.by_id["pearl"]
    assert again.by_id["summit"].history[-1].status.value == "withdrawn"
    assert again.by_id["summit"].identity_profile is before.by_id["summit"].identity_profile


@pytest.mark.parametrize("word", ["NaN", "Infinity", "null", "{}", "ServiceInformation", "，“”"])
def test_words_in_a_list_do_not_keep_it_from_being_remembered(word: str) -> None:
    """Base64 of some hundred certificates spells any three letters somewhere."""
    changed = copy.deepcopy(CONTENT)
    extensions = first(changed)["ServiceInformation"]["ServiceInformationExtensions"]
    extensions[1]["Value"]["hotline"] = word
    found = read_trust_list(written(changed))
    assert found.by_id["pearl"].contact.hotline == word
    assert read_trust_list(written(changed)).by_id["pearl"] is found.by_id["pearl"]


def test_the_operator_is_not_remembered_with_the_service() -> None:
    read_trust_list(OCTETS)
    renamed = copy.deepcopy(CONTENT)
    renamed["LoTE"]["TrustedEntitiesList"][0]["TrustedEntityInformation"]["TEName"] = texts("新名", "New Ltd")
    found = check_alike(written(renamed))
    assert isinstance(found, TrustList)
    assert found.by_id["pearl"].entity.en == "New Ltd"


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def lote(payload: dict[str, Any]) -> Any:
    return payload["LoTE"]


def first(payload: dict[str, Any]) -> Any:
    return lote(payload)["TrustedEntitiesList"][0]["TrustedEntityServices"][0]


def unknown(value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda payload: first(payload)["ServiceInformation"]["ServiceInformationExtensions"].append(
        extension("unknown", False, value)
    )


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        (unknown(deep(16)), True),
        (unknown(deep(17)), False),
        (unknown({"ServiceInformation": {"x": 1}}), True),  # looks like a service
        (unknown([{"ServiceInformation": {}}, {"ServiceHistory": []}]), True),
        (unknown('{"ServiceInformation":'), True),  # is escaped, and so does not look like one
        (unknown('"ServiceInformationExtensions":,"ServiceName":'), True),
        (unknown({"ServiceInformationExtensions": 1, "ServiceName": 2}), True),
        (unknown(["NaN", "-Infinity"]), True),
        (unknown(float("nan")), False),
        (unknown(float("inf")), False),
        (unknown(float("-inf")), False),
        (unknown(1.5), False),
        (unknown(10**30), False),
        (lambda payload: first(payload)["ServiceHistory"].append({"ServiceInformation": {}}), False),
        (lambda payload: lote(payload)["TrustedEntitiesList"].append({"ServiceInformation": {}}), False),
        (
            lambda payload: lote(payload)["ListAndSchemeInformation"].update(
                SchemeExtensions=[extension("x", False, {"ServiceInformation": {"not": "read"}})]
            ),
            True,
        ),
        (lambda payload: lote(payload).update(TrustedEntitiesList=[]), True),
        (lambda payload: payload.update(more={"ServiceInformation": {}}), False),
        (lambda payload: payload.update(more=1), False),
    ],
)
def test_lists_of_another_form(change: Callable[[dict[str, Any]], None], accepted: bool) -> None:
    changed = copy.deepcopy(CONTENT)
    change(changed)
    assert isinstance(check_alike(written(changed)), TrustList) is accepted


@pytest.mark.parametrize(
    "respell",
    [
        lambda payload: json.dumps(payload).encode(),
        lambda payload: json.dumps(payload, indent=2, sort_keys=True).encode(),
        lambda payload: json.dumps(payload, separators=(",", ":")).encode(),
        lambda payload: b" " + written(payload) + b"\n",
    ],
)
def test_lists_in_another_spelling(respell: Callable[[Any], bytes]) -> None:
    found = check_alike(respell(CONTENT))
    assert isinstance(found, TrustList)
    assert found.services == read_trust_list(OCTETS).services


@pytest.mark.parametrize(
    "octets",
    [
        OCTETS.replace(b'"OtherIds":', b'"OtherIds":[],"OtherIds":', 1),  # a key twice, in a service
        OCTETS.replace(b'"ServiceName":', b'"ServiceName":[],"ServiceName":', 1),
        OCTETS.replace(b'"hotline":', b'"hotline":"2","hotline":', 1),  # in its extensions
        OCTETS.replace(b'"LoTEType":', b'"LoTEType":"x","LoTEType":', 1),  # outside of services
        OCTETS.replace(b'"thing"', b"[" * 5000 + b"]" * 5000),
        OCTETS.replace(b'"harbour"', b'"harb\xff"'),
        OCTETS.replace(b'"Other Ltd"', b'"\\ud800"'),
        OCTETS.replace(b'"name":"pearl"', b'"name":"\\udc00"'),
        OCTETS.replace(b'"pearl"', b'"pe\narl"'),
        OCTETS.replace(b'{"ServiceInformation":', b'NaN,{"ServiceInformation":', 1),
        OCTETS.replace(b'{"ServiceInformation":', b'-Infinity,{"ServiceInformation":', 1),
        OCTETS.replace(b'{"ServiceInformation":', b'"{"ServiceInformation":', 1),
        OCTETS[:-1],
        OCTETS + b"}",
        OCTETS + OCTETS,
        b"",
        b"NaN",
        b'{"ServiceInformation":]}]}}',
    ],
)
def test_wrong_octets(octets: bytes) -> None:
    assert octets != OCTETS
    assert check_alike(octets) == "TRUST_LIST_MALFORMED"


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in pairs for found in _places(inner, (*path, key)))]


PLACES = [place for place in _places(CONTENT) if place]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["NaN", '{"Service']),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["ServiceInformation", "ServiceHistory", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.sampled_from(PLACES), VALUES)
def test_any_value_in_any_place(place: tuple[Any, ...], value: Any) -> None:
    changed = copy.deepcopy(CONTENT)
    target: Any = changed
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    check_alike(written(changed))


# Where the text is cut, and what could mislead the cutting.
TOKENS = [
    *(b'{"ServiceInformation":', b'{"ServiceHistory":', b']},{"TrustedEntityInformation":', b"]}]}}"),
    *(b'"ServiceInformationExtensions":', b',"ServiceName":', b'"TrustedEntityServices":['),
    *(
        b"NaN",
        b"Na",
        b"N",
        b"Infinity",
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"1",
        b" ",
        b"{}",
        b"\xff",
    ),
]
CUTS = sorted(
    {at for token in TOKENS[:7] for at in range(len(OCTETS)) if OCTETS.startswith(token, at)}
    | {0, len(OCTETS)}
)
POSITIONS = st.sampled_from(CUTS).flatmap(
    lambda at: st.integers(max(0, at - 3), min(len(OCTETS), at + 36))
) | st.integers(0, len(OCTETS))


@given(st.lists(st.tuples(POSITIONS, st.integers(0, 40), st.sampled_from([b"", *TOKENS])), max_size=3))
def test_any_damage(edits: list[tuple[int, int, bytes]]) -> None:
    """Octets taken out and tokens put in, mostly around the places where the text is cut."""
    octets = OCTETS
    for at, length, token in edits:
        octets = octets[:at] + token + octets[at + length % 7 * (length > 20) :]
    check_alike(octets)


@given(st.tuples(POSITIONS, POSITIONS, POSITIONS))
def test_any_piece_put_elsewhere(where: tuple[int, int, int]) -> None:
    start, end, target = where
    start, end = min(start, end), max(start, end)
    check_alike(OCTETS[:target] + OCTETS[start:end] + OCTETS[target:])
    check_alike(OCTETS[:start] + OCTETS[end:])


def test_the_memory_is_bounded() -> None:
    memory = PartMemory(max_bytes=100, max_parts=3)
    for number in range(10):
        memory.keep(b"%d" % number * 40, None, number)
    assert len(memory) == 2
    assert memory.get(b"9" * 40, None) == 9
    assert memory.get(b"7" * 40, None) is None
    assert memory.get(b"9" * 40, "other context") is None
    memory.keep(b"x" * 101, None, 1)
    assert memory.get(b"x" * 101, None) is None
    for number in range(10):
        memory.keep(b"%d" % number, None, number)
    assert len(memory) == 3
    memory.clear()
    assert len(memory) == 0
    memory.keep(b"x" * 100, None, 1)
    assert len(memory) == 1


def test_the_longest_unused_part_is_forgotten() -> None:
    memory = PartMemory(max_bytes=100, max_parts=2)
    memory.keep(b"a", None, 1)
    memory.keep(b"b", None, 2)
    assert memory.get(b"a", None) == 1
    memory.keep(b"c", None, 3)
    assert (memory.get(b"a", None), memory.get(b"b", None)) == (1, None)


def test_what_is_refused_is_not_remembered() -> None:
    memory = PartMemory()
    reader = PartReader(memory)
    entity = reader.open(OCTETS)["LoTE"]["TrustedEntitiesList"][0]

    def refuse(_: Any) -> str:
        raise ValueError("not a service")

    with pytest.raises(ValueError, match="not a service"):
        reader.read(entity["TrustedEntityServices"][0], "x", refuse)
    assert len(memory) == 0

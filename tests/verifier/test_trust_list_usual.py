"""A service in the usual spelling is matched by one pattern: the same as the reader of nodes, or nothing.

``test_trust_list_parts`` compares whole lists; here single services are changed octet by octet.
"""

import base64
import json
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

from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import load_json
from onecert.verifier.strict_json import Node
from onecert.verifier.trust_list import LocalText, TrustedService
from onecert.verifier.trust_list.fields import CriticalExtensionError
from onecert.verifier.trust_list.parts import NotInPartsError, PartMemory, PartReader
from onecert.verifier.trust_list.services import read_service, read_usual_services
from onecert.verifier.trust_list.usual import find_usual

PROFILE = Path(__file__).parents[2] / "demo/profiles/harbour.json"


def certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "某CA")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 7, start, start + timedelta(days=1000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(built.public_bytes(serialization.Encoding.DER)).decode()


def extension(name: str, critical: bool, value: Any) -> dict[str, Any]:
    return {"Type": f"urn:onecert:extension:{name}", "Critical": critical, "Value": value}


def service(**changes: Any) -> dict[str, Any]:
    """Granted once; a change of ``None`` takes a member of ServiceInformation away."""
    information = {
        "ServiceTypeIdentifier": "urn:onecert:service-type:ca",
        "ServiceName": [{"lang": "zh", "value": "某CA"}, {"lang": "en", "value": "harbour"}],
        "ServiceDigitalIdentity": {"X509Certificates": [{"val": CERTIFICATE}], "OtherIds": ["harbour"]},
        "ServiceStatus": "urn:onecert:service-status:granted",
        "StatusStartingTime": "2025-01-01T00:00:00Z",
        "ServiceSupplyPoints": [
            {"ServiceType": f"urn:onecert:supply-point:{kind}", "uriValue": f"http://harbour.example/{kind}"}
            for kind in ("crl", "ocsp")
        ],
        "ServiceInformationExtensions": [
            extension("identity-profile", True, json.loads(PROFILE.read_text("utf-8"))),
            extension("contact", False, {"hotline": "1"}),
            extension("unknown", False, {"any": ["thing", 1, None, True]}),
        ],
    } | changes
    return {
        "ServiceHistory": [],
        "ServiceInformation": {key: value for key, value in information.items() if value is not None},
    }


def written(value: Any) -> bytes:
    """As lists are written."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


CERTIFICATE = certificate()
ENTITY = LocalText("公司", "Company")
OCTETS = written(service())
FAULTS = (VerifyError, ValueError, CriticalExtensionError, NotInPartsError)


def by_nodes(octets: bytes) -> TrustedService | None:
    try:
        return read_service(Node(load_json(octets, max_bytes=1_000_000), ""), ENTITY, None)
    except FAULTS:
        return None


def by_pattern(octets: bytes) -> TrustedService | None:
    try:
        return read_usual_services([(octets, ENTITY)], PartReader(PartMemory()))[0]
    except FAULTS:
        return None


@pytest.mark.parametrize(
    "octets",
    [
        OCTETS,
        written(service(ServiceInformationExtensions=None, ServiceSupplyPoints=None)),
        written(service(ServiceSupplyPoints=[])),
        written({"ServiceInformation": service()["ServiceInformation"]}),
    ],
)
def test_what_is_usual(octets: bytes) -> None:
    """With or without a history member, extensions, addresses: no nodes are needed."""
    found = by_pattern(octets)
    assert found is not None
    assert found == by_nodes(octets)


@pytest.mark.parametrize(
    "octets",
    [
        written(service(ServiceName=[{"lang": "zh", "value": "\\"}, {"lang": "en", "value": "x"}])),
        written(service() | {"ServiceHistory": [{"ServiceStatus": "x"}]}),
        OCTETS.replace(b"status:granted", b"status:suspended"),
        OCTETS.replace(b":", b": "),
        OCTETS[:-1],
        b"",
    ],
)
def test_what_is_left_to_the_nodes(octets: bytes) -> None:
    assert find_usual(octets) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"harbour"}', '" "}'),  # a blank name
        ('"harbour"}', '"' + "x" * 201 + '"}'),
        ('"lang":"en"', '"lang":"zh"'),
        ("supply-point:crl", "supply-point:map"),
        ("http://harbour", "ftp://harbour"),
        ('"hotline":"1"', '"hotline":"1","hotline":"2"'),
        ('"any":["thing"', '"any":[' + "[" * 17 + "]" * 17),
        ('false,"Type":"urn:onecert:extension:unknown"', 'true,"Type":"urn:onecert:extension:unknown"'),
        ("2025-01-01T", "2025-13-01T"),
        ('"val":"M', '"val":"*'),
        ('"val":"M', '"val":"=M'),
        ('"val":"MII', '"val":"MI='),
        ('"OtherIds":["harbour"]', '"OtherIds":["harbour","other"]'),
    ],
)
def test_a_fault_is_never_passed_over(old: str, new: str) -> None:
    wrong = OCTETS.replace(old.encode(), new.encode(), 1)
    assert wrong != OCTETS
    assert by_pattern(wrong) is None
    assert by_nodes(wrong) is None


PIECES = st.sampled_from(
    [
        *(b'"', b"\\", b",", b"{", b"}", b"[", b"]", b":", b"null", b"=", b"\xff", b"\x00", b" "),
        *(b'"ServiceName":', b'"ServiceInformationExtensions":', b'"ServiceHistory":[],', b"[],", b"},{"),
        *(b'{"lang":"zh","value":"', b'"x":1,', b"\\u0041", b"https://x", b"-Infinity"),
    ]
) | st.binary(max_size=3)


@given(st.integers(0, len(OCTETS)), st.integers(0, 30), PIECES)
def test_any_change_gives_the_same_or_nothing(place: int, length: int, piece: bytes) -> None:
    changed = OCTETS[:place] + piece + OCTETS[place + length :]
    found = by_pattern(changed)
    assert found is None or found == by_nodes(changed)


@given(st.text(st.characters(codec="utf-8"), max_size=210))
def test_any_name(name: str) -> None:
    changed = json.loads(OCTETS)
    changed["ServiceInformation"]["ServiceName"][1]["value"] = name
    octets = written(changed)
    found = by_pattern(octets)
    assert found is None or found == by_nodes(octets)
    if by_nodes(octets) is not None and name.isprintable() and not set(name) & set('"\\'):
        assert found is not None

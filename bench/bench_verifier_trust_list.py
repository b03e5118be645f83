"""`verifier.trust_list.*`: what a signed list of 500 services takes to load, everything checked."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import place
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from harness import LESS_IS_BETTER, Amount, Contender, Row, Seconds, Supply, benchmark
from pki import DAY, ECDSA_SHA256, NOW, named

from onecert.server.documents import sign_document
from onecert.verifier.jws import key_id
from onecert.verifier.trust_list import RoleKeys, load_trust_list
from onecert.verifier.trust_list.parse import MEMORY

SERVICES, OPERATORS, CHANGED = 500, 63, 5
PROCESSES = 3


@benchmark("verifier.trust_list.first.500")
def first(name: str) -> Iterator[Row]:
    """The first list of a process: no part of it was seen before."""
    lists = Lists()
    document = lists.next_document(changed=0)

    def load() -> None:
        MEMORY.clear()
        lists.load(document)

    yield _row(Seconds(work=load), lists, document)


@benchmark("verifier.trust_list.changed.500")
def changed(name: str) -> Iterator[Row]:
    """The next list, in which five services are described anew; each list is loaded once."""
    lists = Lists()
    document = lists.next_document(changed=0)
    lists.load(document)
    supply = Supply(lambda: lists.next_document(changed=CHANGED), per_second=20)
    yield _row(Seconds(work=lambda: lists.load(supply.take()), prepare=supply.refill), lists, document)


@benchmark("verifier.trust_list.process.500")
def process(name: str) -> Iterator[Row]:
    """The first list of a new process, in milliseconds of the processor; imports are not counted."""
    lists = Lists()
    folder = place.new_folder("list")
    (folder / "list.json").write_bytes(lists.next_document(changed=0))
    (folder / "keys.pem").write_bytes(lists.keys_pem())
    program = str(Path(__file__).with_name("first_load.py"))

    def spent(who: str) -> Callable[[], float]:
        command = [sys.executable, program, who, str(folder / "list.json"), str(folder / "keys.pem")]
        return lambda: min(
            float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
            for _ in range(PROCESSES)
        )

    yield Row(
        unit=f"ms{LESS_IS_BETTER}",
        ours=Amount(work=spent("ours")),
        floor=Amount(work=spent("checks"), name="two bare signature checks over its bytes"),
        notes=[f"the best of {PROCESSES} processes, each round"],
    )


def _row(ours: Contender, lists: Lists, document: bytes) -> Row:
    return Row(
        unit=f"s{LESS_IS_BETTER}",
        ours=ours,
        floor=Seconds(work=lists.bare_checks(document), name="two bare signature checks over its bytes"),
        peers=[
            Seconds(
                work=lists.unchecked_reading(document),
                name="these, json.loads and cryptography's certificates; nothing else is checked",
            )
        ],
    )


class Lists:
    """Signed lists of CAs that each have eight services, one profile and one hotline, as licensed CAs do."""

    def __init__(self) -> None:
        self._officers = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        self._keys = RoleKeys(2, {key_id(key.public_key()): key.public_key() for key in self._officers})
        self._numbers = itertools.count(1)

    def load(self, document: bytes) -> None:
        """What a department does when it gets a list."""
        assert len(load_trust_list(document, keys=self._keys, at=NOW).services) == SERVICES

    def keys_pem(self) -> bytes:
        """The officers' public keys."""
        form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return b"".join(officer.public_key().public_bytes(*form) for officer in self._officers)

    def next_document(self, *, changed: int) -> bytes:
        """A list with the next number; in ``changed`` services, other ones each time, a profile is new."""
        number = next(self._numbers)
        payload = copy.deepcopy(self._payload)
        payload["LoTE"]["ListAndSchemeInformation"]["LoTESequenceNumber"] = number
        services = [s for e in payload["LoTE"]["TrustedEntitiesList"] for s in e["TrustedEntityServices"]]
        for step in range(changed):
            information = services[(number * changed + step) * 101 % SERVICES]["ServiceInformation"]
            information["ServiceInformationExtensions"][0]["Value"]["version"] += number
        return sign_document(payload, typ="onecert-trust-list+json", keys=self._officers)

    def bare_checks(self, document: bytes) -> Callable[[], None]:
        """The signatures, with all that belongs to them taken apart before."""
        opened = json.loads(document)
        signed = []
        for entry, officer in zip(opened["signatures"], self._officers, strict=True):
            data = f"{entry['protected']}.{opened['payload']}".encode()
            signed.append((officer.public_key(), officer.sign(data, ECDSA_SHA256), data))

        def check() -> None:
            for key, signature, data in signed:
                key.verify(signature, data, ECDSA_SHA256)

        return check

    def unchecked_reading(self, document: bytes) -> Callable[[], None]:
        """What a program does that trusts whoever wrote the list to have made no mistake."""
        check = self.bare_checks(document)

        def read() -> None:
            check()
            text = json.loads(document)["payload"]
            payload = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            for entity in payload["LoTE"]["TrustedEntitiesList"]:
                for service in entity["TrustedEntityServices"]:
                    identity = service["ServiceInformation"]["ServiceDigitalIdentity"]
                    der = base64.b64decode(identity["X509Certificates"][0]["val"])
                    x509.load_der_x509_certificate(der)

        return read

    @cached_property
    def _payload(self) -> dict[str, Any]:
        profile = json.loads((place.ROOT / "demo" / "profiles" / "harbour.json").read_text("utf-8"))
        entities = []
        for operator in range(OPERATORS):
            numbers = range(operator, SERVICES, OPERATORS)
            mine = copy.deepcopy(profile) | {"name": f"profile-{operator}"}
            entities.append(
                {
                    "TrustedEntityInformation": {
                        "TEName": _texts(f"第{operator}公司", f"Company {operator}")
                    },
                    "TrustedEntityServices": [_service(number, mine, operator) for number in numbers],
                }
            )
        scheme = {
            "LoTEVersionIdentifier": 1,
            "LoTEType": "urn:onecert:lote:licensed-certification-authorities",
            "LoTESequenceNumber": 1,
            "SchemeOperatorName": _texts("示例管理局", "Example office"),
            "HistoricalInformationPeriod": 65535,
            "ListIssueDateTime": f"{NOW - DAY:%Y-%m-%dT%H:%M:%SZ}",
            "NextUpdate": f"{NOW + 30 * DAY:%Y-%m-%dT%H:%M:%SZ}",
        }
        return {"LoTE": {"ListAndSchemeInformation": scheme, "TrustedEntitiesList": entities}}


def _service(number: int, profile: dict[str, Any], operator: int) -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = named(f"签发机构 {number}")
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - 400 * DAY)
        .not_valid_after(NOW + 3650 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    val = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
    return {
        "ServiceInformation": {
            "ServiceTypeIdentifier": "urn:onecert:service-type:ca",
            "ServiceName": _texts(f"第{number}签发机构", f"Issuing CA {number}"),
            "ServiceDigitalIdentity": {"X509Certificates": [{"val": val}], "OtherIds": [f"ca-{number}"]},
            "ServiceStatus": "urn:onecert:service-status:granted",
            "StatusStartingTime": f"{NOW - (400 + operator) * DAY:%Y-%m-%dT%H:%M:%SZ}",
            "ServiceSupplyPoints": [
                {
                    "ServiceType": f"urn:onecert:supply-point:{kind}",
                    "uriValue": f"http://status.example/{number}/{kind}",
                }
                for kind in ("crl", "ocsp")
            ],
            "ServiceInformationExtensions": [
                {"Type": f"urn:onecert:extension:{name}", "Critical": critical, "Value": value}
                for name, critical, value in (
                    ("identity-profile", True, copy.deepcopy(profile)),
                    ("contact", False, {"hotline": f"0755-{operator:04}"}),
                )
            ],
        },
        "ServiceHistory": [],
    }


def _texts(zh: str, en: str) -> list[dict[str, str]]:
    return [{"lang": "zh", "value": zh}, {"lang": "en", "value": en}]

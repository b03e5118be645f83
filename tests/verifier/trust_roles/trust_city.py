"""A city that publishes, and departments that look: shared by the tests of this folder."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onecert.testkit.documents import sign_document
from onecert.testkit.trust_roles import RoleHolders, TrustHolders, make_keys
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.published import LIST_FILE, ROOT_FILE, TIMESTAMP_FILE, root_file

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Files = dict[str, bytes]


@cache
def authority() -> str:
    """The certificate of the one CA on all lists here, base64 of DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Pearl CA")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(T - 1000 * DAY)
        .not_valid_after(T + 1000 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def texts(text: str) -> list[dict[str, str]]:
    return [{"lang": "zh", "value": text}, {"lang": "en", "value": text}]


def list_payload(sequence: int, *, at: datetime = T, lasts: timedelta = 30 * DAY) -> dict[str, Any]:
    information = {
        "ServiceTypeIdentifier": v.SERVICE_TYPE_CA,
        "ServiceName": texts("Pearl"),
        "ServiceDigitalIdentity": {"X509Certificates": [{"val": authority()}], "OtherIds": ["pearl"]},
        "ServiceStatus": v.Status.GRANTED.uri,
        "StatusStartingTime": "2025-01-01T00:00:00Z",
    }
    return {
        "LoTE": {
            "ListAndSchemeInformation": {
                "LoTEVersionIdentifier": v.LOTE_VERSION,
                "LoTEType": v.LOTE_TYPE,
                "LoTESequenceNumber": sequence,
                "SchemeOperatorName": texts("Office"),
                "HistoricalInformationPeriod": 65535,
                "ListIssueDateTime": format_time(at),
                "NextUpdate": format_time(at + lasts),
            },
            "TrustedEntitiesList": [
                {
                    "TrustedEntityInformation": {"TEName": texts("Pearl Ltd")},
                    "TrustedEntityServices": [{"ServiceInformation": information}],
                }
            ],
        }
    }


@dataclass
class City:
    """Publishes as it should; a test changes one thing, in ``holders`` or in ``files``."""

    holders: TrustHolders = field(default_factory=TrustHolders)
    files: Files = field(default_factory=dict)
    at: datetime = T
    version: int = 0
    sequence: int = 0
    stamp: int = 0

    @property
    def first(self) -> bytes:
        """What is on paper."""
        return self.files[root_file(1)]

    def publish_root(self, *, before: RoleHolders | None = None) -> None:
        """The next root, signed by its holders and, when others held it before, by those."""
        self.version += 1
        data = self.holders.sign_root(self.version, at=self.at, before=before)
        self.files[root_file(self.version)] = self.files[ROOT_FILE] = data

    def new_holders(self) -> None:
        """The root changes hands."""
        before = self.holders.root
        self.holders.root = RoleHolders(make_keys(2), 2)
        self.publish_root(before=before)

    def publish_list(self, *, step: int = 1, lasts: timedelta = 30 * DAY) -> None:
        self.sequence += step
        payload = list_payload(self.sequence, at=self.at, lasts=lasts)
        self.files[LIST_FILE] = sign_document(payload, typ=v.TYP, keys=self.holders.list.keys)

    def publish_timestamp(self, *, step: int = 1, lasts: timedelta = DAY) -> None:
        self.stamp += step
        self.files[TIMESTAMP_FILE] = self.holders.sign_timestamp(
            self.stamp,
            at=self.at,
            lasts=lasts,
            root=self.files[ROOT_FILE],
            trust_list=self.files[LIST_FILE],
        )

    def publish(self) -> City:
        """A new list with its timestamp, and the first root before that."""
        if not self.version:
            self.publish_root()
        self.publish_list()
        self.publish_timestamp()
        return self


def getter(files: Files, asked: list[str] | None = None) -> Callable[[str, int], bytes]:
    """How to get a file of this name."""

    def get(name: str, max_bytes: int) -> bytes:
        if asked is not None:
            asked.append(name)
        if name not in files:
            raise CouldNotCheckError("FETCH_STATUS", url=name, status=404)
        assert len(files[name]) <= max_bytes
        return files[name]

    return get

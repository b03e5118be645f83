"""Certificates and lists to verify: root, issuing CA, leaves as a licensed CA writes them, CRLs."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import harness
import place
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from orders import uscc

from onecert.ca import der
from onecert.ca.certificates.draft import Issuer
from onecert.ca.lists.crl import draft_crl, entry_der
from onecert.ca.signatures.algorithms import sign, signed
from onecert.server.documents import sign_document
from onecert.testkit.trust_roles import TrustHolders
from onecert.verifier.trust_list import RoleKeys, load_trust_root
from onecert.verifier.trust_list.published import LIST_FILE, ROOT_FILE, TIMESTAMP_FILE
from onecert.verifier.trust_list.vocabulary import TYP

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
DER = serialization.Encoding.DER
LEAVES = 256
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_NUMBERS = itertools.count(50_000_000)


def make_key(kind: str) -> Any:
    """A key in memory."""
    if kind == "rsa2048":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def named(common_name: str) -> x509.Name:
    """A subject as our CAs write it."""
    oids = (x509.NameOID.COUNTRY_NAME, x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME)
    texts = ("CN", f"{common_name}公司", common_name)
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in zip(oids, texts, strict=True)])


def usage(*names: str) -> x509.KeyUsage:
    """Key usage with these bits."""
    return x509.KeyUsage(**{name: name in names for name in _USAGES})


class Pki:
    """Root, issuing CA and leaves with keys of one kind. The demo's harbour CA, or its pearl CA for RSA."""

    def __init__(self, kind: str) -> None:
        self.kind, self.at = kind, NOW
        self.service = "pearl" if kind == "rsa2048" else "harbour"
        self.root_key, self.key = make_key(kind), make_key(kind)
        self.root = self._ca("根证书", self.root_key, None)
        self.issuing = self._ca("签发机构 1", self.key, self.root)
        self.root_der, self.issuing_der = self.root.public_bytes(DER), self.issuing.public_bytes(DER)
        # Many leaves, so that no memory of one of them can help; a few keys, because RSA keys cost seconds.
        self.leaf_keys = [make_key(kind) for _ in range(8)]
        self.leaves = [self.leaf(self.leaf_keys[number % 8]) for number in range(LEAVES)]
        self.leaves_der = [leaf.public_bytes(DER) for leaf in self.leaves]

    @cached_property
    def web_leaves_der(self) -> list[bytes]:
        """As many leaves as the profile of the web wants them, with a DNS name and clientAuth."""
        names = x509.SubjectAlternativeName([x509.DNSName("clerk.example")])
        purposes = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH])
        extra = ((names, False), (purposes, False))
        return [self.leaf(self.leaf_keys[number % 8], extra).public_bytes(DER) for number in range(LEAVES)]

    def _ca(self, name: str, key: Any, issuer: x509.Certificate | None) -> x509.Certificate:
        subject = named(f"{self.service} {name}")
        path_length = 1 if issuer is None else 0
        builder = (
            self._builder(
                subject if issuer is None else issuer.subject, subject, key.public_key(), 3650 * DAY
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(usage("key_cert_sign", "crl_sign"), critical=True)
        )
        if issuer is not None:
            above: Any = issuer.public_key()
            key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(above)
            builder = builder.add_extension(key_id, critical=False)
        return builder.sign(self.root_key, hashes.SHA256())

    @staticmethod
    def _builder(
        issuer: x509.Name, subject: x509.Name, public_key: Any, life: timedelta
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )

    def leaf(self, key: Any, extra: Iterable[tuple[x509.ExtensionType, bool]] = ()) -> x509.Certificate:
        """The certificate of another invented organisation."""
        number = uscc(next(_NUMBERS))
        url = f"http://status.example/ca/{self.service}"
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(f"{url}.crl")], None, None, None)
        access = x509.AccessDescription(
            x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(f"{url}/ocsp")
        )
        policy = x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.58888.8.2.1"), None)
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            self._builder(self.issuing.subject, named(f"示例{number[8:]}"), key.public_key(), 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage("digital_signature", "content_commitment"), critical=True)
            .add_extension(authority_key, critical=False)
            .add_extension(x509.CRLDistributionPoints([point]), critical=False)
            .add_extension(x509.AuthorityInformationAccess([access]), critical=False)
            .add_extension(x509.CertificatePolicies([policy]), critical=False)
            .add_extension(self._identity(number), critical=False)
        )
        for value, critical in extra:
            builder = builder.add_extension(value, critical)
        return builder.sign(self.key, hashes.SHA256())

    def authority(self, public_key: Any) -> x509.Certificate:
        """The certificate of an attribute authority."""
        builder = (
            self._builder(self.issuing.subject, named("税务局"), public_key, 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage("digital_signature", "crl_sign"), critical=True)
        )
        return builder.sign(self.key, hashes.SHA256())

    def _identity(self, number: str) -> x509.UnrecognizedExtension:
        """How each of the demo's CAs writes an organisation's number."""
        if self.service == "harbour":
            value = der.set_of(der.explicit(0, der.printable(number)))
            return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.156.10260.4.1.4"), value)
        text = f"10001@0006ZZ1{base64.b64encode(number.encode()).decode()}"
        return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.16.156.112548"), der.utf8(text))

    def crl(self, entries: int) -> bytes:
        """The issuing CA's list with so many entries, none of them one of our leaves."""
        return self.list_of(revoked_entries(entries))

    def list_of(self, entries: list[bytes]) -> bytes:
        """The issuing CA's list with these encoded entries."""
        return self._list(self.issuing, self.key, entries)

    @cached_property
    def root_crl(self) -> bytes:
        """The root's list, empty."""
        return self._list(self.root, self.root_key, [])

    def _list(self, issuer: x509.Certificate, key: Any, entries: list[bytes]) -> bytes:
        known = Issuer(
            name=self.service,
            subject_der=issuer.subject.public_bytes(),
            public_key=key.public_key(),
            key_id=x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest,
            not_before=NOW - DAY,
            not_after=NOW + DAY,
        )
        draft = draft_crl(known, number=7, this_update=NOW - DAY, next_update=NOW + 7 * DAY, entries=entries)
        return signed(draft.tbs_der, known.algorithm, sign(key, draft.tbs_der))

    def check_leaf_signature(self, number: int) -> None:
        """One bare signature check: the issuing CA's on a leaf that is loaded already."""
        leaf = self.leaves[number]
        check_signature(self._public, leaf.signature, leaf.tbs_certificate_bytes)

    def check_issuing_signature(self) -> None:
        """The same for the root's on the issuing CA."""
        check_signature(self._root_public, self.issuing.signature, self.issuing.tbs_certificate_bytes)

    @cached_property
    def _public(self) -> Any:
        return self.key.public_key()

    @cached_property
    def _root_public(self) -> Any:
        return self.root_key.public_key()

    def trust_list(self) -> tuple[bytes, RoleKeys]:
        """A signed list with the issuing CA as its one service, and the keys of the two who signed it."""
        holders = TrustHolders()
        return self._signed_list(holders), load_trust_root(holders.sign_root(at=NOW - DAY)).list_keys

    def write_trust(self, folder: Path) -> None:
        """The same list as it is published, with its root and a timestamp that is good for a week."""
        holders, begin = TrustHolders(), NOW - timedelta(hours=1)
        root, listed = holders.sign_root(at=begin), self._signed_list(holders)
        stamped = holders.sign_timestamp(at=begin, lasts=7 * DAY, root=root, trust_list=listed)
        for name, data in ((ROOT_FILE, root), (LIST_FILE, listed), (TIMESTAMP_FILE, stamped)):
            (folder / name).write_bytes(data)

    def _signed_list(self, holders: TrustHolders) -> bytes:
        return sign_document(self._list_payload(), typ=TYP, keys=holders.list.keys)

    def _list_payload(self) -> dict[str, Any]:
        profile = json.loads((place.ROOT / "demo" / "profiles" / f"{self.service}.json").read_text("utf-8"))
        since = {
            "ServiceStatus": "urn:onecert:service-status:granted",
            "StatusStartingTime": _time(NOW - 400 * DAY),
        }
        information = {
            "ServiceTypeIdentifier": "urn:onecert:service-type:ca",
            "ServiceName": _texts("示例CA", "Example CA"),
            "ServiceDigitalIdentity": {
                "X509Certificates": [{"val": base64.b64encode(self.issuing_der).decode()}],
                "OtherIds": [self.service],
            },
            **since,
            "ServiceSupplyPoints": [
                {
                    "ServiceType": "urn:onecert:supply-point:crl",
                    "uriValue": f"http://status.example/ca/{self.service}.crl",
                }
            ],
            "ServiceInformationExtensions": [
                {"Type": "urn:onecert:extension:identity-profile", "Critical": True, "Value": profile}
            ],
        }
        scheme = {
            "LoTEVersionIdentifier": 1,
            "LoTEType": "urn:onecert:lote:licensed-certification-authorities",
            "LoTESequenceNumber": 1,
            "SchemeOperatorName": _texts("示例管理局", "Example office"),
            "HistoricalInformationPeriod": 65535,
            "ListIssueDateTime": _time(NOW - DAY),
            "NextUpdate": _time(NOW + 30 * DAY),
        }
        entity = {
            "TrustedEntityInformation": {"TEName": _texts("公司", "Ltd")},
            "TrustedEntityServices": [{"ServiceInformation": information, "ServiceHistory": []}],
        }
        return {"LoTE": {"ListAndSchemeInformation": scheme, "TrustedEntitiesList": [entity]}}


def _texts(zh: str, en: str) -> list[dict[str, str]]:
    return [{"lang": "zh", "value": zh}, {"lang": "en", "value": en}]


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def check_signature(key: Any, signature: bytes, data: bytes) -> None:
    """A bare signature check by cryptography: what no verifier can do without."""
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, _PKCS1, _SHA256)
    else:
        key.verify(signature, data, ECDSA_SHA256)


_PKCS1, _SHA256 = padding.PKCS1v15(), hashes.SHA256()
ECDSA_SHA256 = ec.ECDSA(_SHA256)


def revoked_serial(number: int) -> int:
    """The serial of an entry: 16 octets, spread as random ones are, and never one of our leaves'."""
    return 0x4A << 120 | (number * 0x9E3779B97F4A7C15F39CC0605CEDC834) % (1 << 120)


def revoked_entries(count: int) -> list[bytes]:
    """Encoded entries of a list; all have the form of the first, so they are cut from it."""
    first = revoked_serial(0).to_bytes(16, "big")
    head, _, tail = entry_der(revoked_serial(0), NOW - 2 * DAY, "keyCompromise", None).partition(first)
    return [head + revoked_serial(number).to_bytes(16, "big") + tail for number in range(count)]


def varied_entries(count: int) -> list[bytes]:
    """Entries in 30 forms, mixed: serials of 8 to 20 octets, with and without reasons and dates."""
    forms = []
    for size, reason, invalid in itertools.product(
        (8, 9, 13, 16, 20), ("unspecified", "keyCompromise", "superseded"), (None, NOW - 9 * DAY)
    ):
        mark = b"\x4a" + b"\xa5" * (size - 1)
        head, _, tail = entry_der(int.from_bytes(mark), NOW - 2 * DAY, reason, invalid).partition(mark)
        forms.append((head + mark[:1], size - 1, tail))
    entries = []
    for number in range(count):
        head, size, tail = forms[number * 7919 % 30 if number % 3 else number % 30]
        serial = number * 0x9E3779B97F4A7C15F39CC0605CEDC834D3A1 % (1 << 8 * size)
        entries.append(head + serial.to_bytes(size, "big") + tail)
    return entries


@cache
def pki(kind: str) -> Pki:
    """One of each kind in this process."""
    return Pki(kind)


@cache
def big_crl(kind: str) -> bytes:
    """The list of a million (or as many as the run was told), made once."""
    return pki(kind).crl(harness.sizes.entries)

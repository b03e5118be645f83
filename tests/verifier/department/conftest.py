"""A small world for the façade: three CA services on a signed list, their CRLs, and leaves to be broken.

pearl (RSA-2048), harbour (P-256), summit (P-384)     <- services of the list, each self-signed
  └─ leaf                                              <- everything valid; a test changes one thing
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID
from flask import Flask

from onecert.server.documents import sign_document
from onecert.testkit.trust_roles import RoleHolders, TrustHolders
from onecert.verifier import RevocationEvidence, Verifier, load_trust_list
from onecert.verifier.trust_list import RoleKeys, TrustRoot, load_trust_root
from onecert.verifier.web import ClientCertificates, gate
from onecert.verifier.web.flask import OneCert

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
FIRM = "91440300MA5DEM004J"
PERSON = "440300190001010015"
PROFILES = Path(__file__).parents[3] / "demo" / "profiles"
OFFICERS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
HOLDERS = TrustHolders(list=RoleHolders(tuple(OFFICERS), 2))
ROOT_FILE = HOLDERS.sign_root(at=T - DAY)
CA_KEYS: dict[str, Any] = {
    "pearl": rsa.generate_private_key(65537, 2048),
    "harbour": ec.generate_private_key(ec.SECP256R1()),
    "summit": ec.generate_private_key(ec.SECP384R1()),
    "stranger": ec.generate_private_key(ec.SECP256R1()),
}
NAMES = {"pearl": "珠江CA", "harbour": "海港CA", "summit": "高峰CA"}


def tlv(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


def identity_extensions(ca: str, number: str, key_number: int = 10001) -> dict[str, bytes]:
    """How each CA writes a firm's number (see demo/profiles)."""
    if ca == "harbour":
        return {"1.2.156.10260.4.1.4": tlv(0x31, tlv(0xA0, tlv(0x13, number.encode())))}
    if ca == "summit":
        return {
            "1.3.6.1.4.1.58888.7.1": tlv(0x0C, number.encode()),
            "1.3.6.1.4.1.58888.7.2": tlv(0x0C, b"001"),
        }
    value = base64.b64encode(number.encode()).decode()
    return {"2.16.156.112548": tlv(0x0C, f"{key_number}@0006ZZ1{value}".encode())}


@dataclass
class Leaf:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))


@dataclass
class World:
    """Makes certificates, lists and the trust list; all files go below ``folder``."""

    folder: Path
    cas: dict[str, x509.Certificate] = field(default_factory=dict)
    revoked: dict[str, list[tuple[int, x509.ReasonFlags]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, key in CA_KEYS.items():
            subject = x509.Name(
                [
                    x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
                    x509.NameAttribute(NameOID.COMMON_NAME, NAMES.get(name, name)),
                ]
            )
            ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            self.cas[name] = (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(subject)
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(T - 1000 * DAY)
                .not_valid_after(T + 1000 * DAY)
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(usage("key_cert_sign", "crl_sign"), critical=True)
                .add_extension(ski, critical=False)
                .sign(key, hashes.SHA256())
            )
            self.revoked[name] = []

    def leaf(
        self,
        ca: str = "harbour",
        *,
        number: str = FIRM,
        name: str = "示例科技有限公司",
        extensions: dict[str, bytes] | None = None,
        usages: tuple[str, ...] = ("digital_signature", "content_commitment"),
        not_before: datetime = T - 10 * DAY,
        not_after: datetime = T + 355 * DAY,
        key: Any = None,
    ) -> Leaf:
        key = key or ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.cas[ca].subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(CA_KEYS[ca].public_key()), critical=False
            )
        )
        if usages:
            builder = builder.add_extension(usage(*usages), critical=True)
        values = identity_extensions(ca, number) if extensions is None else extensions
        for oid, value in values.items():
            unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
            builder = builder.add_extension(unknown, critical=False)
        return Leaf(builder.sign(CA_KEYS[ca], hashes.SHA256()), key)

    def revoke(self, ca: str, leaf: Leaf, reason: x509.ReasonFlags = x509.ReasonFlags.key_compromise) -> None:
        self.revoked[ca].append((leaf.certificate.serial_number, reason))

    def crl(self, ca: str, *, this_update: datetime = T - timedelta(hours=1), number: int = 1) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.cas[ca].subject)
            .last_update(this_update)
            .next_update(this_update + DAY)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(CA_KEYS[ca].public_key()), critical=False
            )
        )
        for serial, reason in self.revoked[ca]:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(this_update)
                .add_extension(x509.CRLReason(reason), critical=False)
                .build()
            )
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(CA_KEYS[ca], hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def ocsp(self, ca: str, leaf: Leaf, *, good: bool = True) -> bytes:
        answer = ocsp.OCSPResponseBuilder().add_response(
            cert=leaf.certificate,
            issuer=self.cas[ca],
            algorithm=hashes.SHA1(),
            cert_status=ocsp.OCSPCertStatus.GOOD if good else ocsp.OCSPCertStatus.REVOKED,
            this_update=T - timedelta(minutes=1),
            next_update=T + timedelta(hours=1),
            revocation_time=None if good else T - DAY,
            revocation_reason=None if good else x509.ReasonFlags.key_compromise,
        )
        answer = answer.responder_id(ocsp.OCSPResponderEncoding.HASH, self.cas[ca])
        return answer.sign(CA_KEYS[ca], hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def publish_crls(self, *cas: str) -> Path:
        folder = self.folder / "crls"
        folder.mkdir(exist_ok=True)
        for ca in cas or NAMES:
            (folder / f"{ca}.crl").write_bytes(self.crl(ca))
        return folder

    def payload(
        self,
        sequence: int = 1,
        *,
        status: dict[str, list[tuple[str, datetime]]] | None = None,
        change: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        services = []
        for name, zh in NAMES.items():
            history = [("granted", T - 500 * DAY), *(status or {}).get(name, [])]
            profile = json.loads((PROFILES / f"{name}.json").read_text("utf-8"))
            der = self.cas[name].public_bytes(serialization.Encoding.DER)
            services.append(
                {
                    "ServiceInformation": {
                        "ServiceTypeIdentifier": "urn:onecert:service-type:ca",
                        "ServiceName": texts(zh, f"{name.title()} CA"),
                        "ServiceDigitalIdentity": {
                            "X509Certificates": [{"val": base64.b64encode(der).decode()}],
                            "OtherIds": [name],
                        },
                        **entry(*history[-1]),
                        "ServiceSupplyPoints": [
                            {
                                "ServiceType": f"urn:onecert:supply-point:{kind}",
                                "uriValue": f"http://status.example/ca/{name}{suffix}",
                            }
                            for kind, suffix in (("crl", ".crl"), ("ocsp", "/ocsp"))
                        ],
                        "ServiceInformationExtensions": [
                            {
                                "Type": "urn:onecert:extension:identity-profile",
                                "Critical": True,
                                "Value": profile,
                            }
                        ],
                    },
                    "ServiceHistory": [entry(*one) for one in history[:-1]],
                }
            )
        content: dict[str, Any] = {
            "LoTE": {
                "ListAndSchemeInformation": {
                    "LoTEVersionIdentifier": 1,
                    "LoTEType": "urn:onecert:lote:licensed-certification-authorities",
                    "LoTESequenceNumber": sequence,
                    "SchemeOperatorName": texts("示例管理局", "Example office"),
                    "HistoricalInformationPeriod": 65535,
                    "ListIssueDateTime": time(T - DAY),
                    "NextUpdate": time(T + 30 * DAY),
                },
                "TrustedEntitiesList": [
                    {
                        "TrustedEntityInformation": {"TEName": texts("公司", "Ltd")},
                        "TrustedEntityServices": services,
                    }
                ],
            }
        }
        if change is not None:
            change(content["LoTE"])
        return content

    def trust_list(self, *args: Any, **kwargs: Any) -> bytes:
        return sign_document(self.payload(*args, **kwargs), typ="onecert-trust-list+json", keys=OFFICERS)

    @property
    def root(self) -> TrustRoot:
        return load_trust_root(ROOT_FILE)

    @property
    def root_file(self) -> bytes:
        """``trust-root.json``, as a department has it on paper."""
        return ROOT_FILE

    @property
    def list_keys(self) -> RoleKeys:
        return self.root.list_keys

    def timestamp(
        self, trust_list: bytes, version: int = 1, *, at: datetime = T - HOUR, lasts: timedelta = DAY
    ) -> bytes:
        """``trust-timestamp.json`` over this list."""
        return HOLDERS.sign_timestamp(version, at=at, lasts=lasts, root=ROOT_FILE, trust_list=trust_list)

    def publish(self, folder: Path, trust_list: bytes, version: int = 1, *, at: datetime = T - HOUR) -> None:
        """The files of the trust list as they lie at its address."""
        (folder / "trust-list.json").write_bytes(trust_list)
        (folder / "trust-timestamp.json").write_bytes(self.timestamp(trust_list, version, at=at))


def usage(*names: str) -> x509.KeyUsage:
    every = (
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
    return x509.KeyUsage(**{name: name in names for name in every})


def texts(zh: str, en: str) -> list[dict[str, str]]:
    return [{"lang": "zh", "value": zh}, {"lang": "en", "value": en}]


def entry(status: str, start: datetime) -> dict[str, str]:
    return {
        "ServiceStatus": f"urn:onecert:service-status:{status}",
        "StatusStartingTime": time(start),
    }


def time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def place(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A department's folder, and the city's web server with the lists."""
    site, home = tmp_path / "site", tmp_path / "home"
    site.mkdir()
    (home / "pki").mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site))
    base = f"http://127.0.0.1:{server.server_address[1]}"

    def point_here(content: dict[str, Any]) -> None:
        for entity in content["TrustedEntitiesList"]:
            for service in entity["TrustedEntityServices"]:
                points = service["ServiceInformation"]["ServiceSupplyPoints"]
                for point in points:
                    point["uriValue"] = base + "/" + point["uriValue"].rpartition("/")[2]

    world.publish(site, world.trust_list(change=point_here))
    for ca in ("pearl", "harbour", "summit"):
        (site / f"{ca}.crl").write_bytes(world.crl(ca))
    (home / "pki" / "trust-root.json").write_bytes(world.root_file)
    (home / "pki" / "address").write_text(f"{base}/trust-list.json\n")
    (home / "secret.key").write_text("not so secret in a test")
    monkeypatch.chdir(home)
    monkeypatch.setattr(gate, "now", lambda: T)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield home
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Site:
    """One department's application, its clock and what it knows of revocation."""

    app: Flask
    world: Any
    evidence: RevocationEvidence
    at: datetime

    def browser(self) -> Any:
        return self.app.test_client()

    def challenge(self, browser: Any) -> tuple[str, bytes]:
        said = browser.post("/login/challenge", base_url="https://tax.example").json
        return said["id"], base64.b64decode(said["data"])

    def answer(self, browser: Any, leaf: Any, *, next_page: Any = None, **changed: Any) -> Any:
        number, data = self.challenge(browser)
        body = {
            "challenge": number,
            "certificate": leaf.pem.decode(),
            "signature": base64.b64encode(leaf.sign(data)).decode(),
            "next": next_page,
            **changed,
        }
        return browser.post(
            "/login/answer", json=body, headers={"Accept": "application/json"}, base_url="https://tax.example"
        )

    def home(self, browser: Any, **headers: str) -> Any:
        return browser.get("/", headers=headers, base_url="https://tax.example")


@pytest.fixture
def site(world: Any) -> Site:
    evidence = RevocationEvidence(crls=[world.crl(ca) for ca in ("pearl", "harbour", "summit")])
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=T)
    verifier = Verifier(trust_list=trust_list, evidence=evidence, application="tax")
    app = Flask("tax")
    app.secret_key = "not so secret in a test"
    made = Site(app, world, evidence, T)
    onecert = OneCert(
        app,
        verifier=verifier,
        certificates=ClientCertificates(header="X-Client-Certificate"),
        clock=lambda: made.at,
    )

    @app.route("/", methods=["GET", "POST"])
    @onecert.required
    def home() -> str:
        holder = onecert.holder
        assert holder is not None
        return f"{holder.name} {holder.id}"

    return made

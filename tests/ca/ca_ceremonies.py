"""Ceremony files for tests, and a CA of others that we certify and that certifies us."""

from __future__ import annotations

import subprocess
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onecert.ca.ceremonies.ceremony import Ceremony
from onecert.ca.ceremonies.file import ceremony_from_text

T = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PEOPLE = 'people = ["何见证", "郑主持"]'
PROFILES = """
[[profiles]]
name = "organisation"
policies = ["1.3.6.1.4.1.58888.8.2.1"]
identity = [
    { oid = "1.2.156.10260.4.1.4", value = "uscc", syntax = "set-explicit" },
    { oid = "1.2.156.10260.4.1.1", value = "agent_idcard", syntax = "choice-implicit" },
]
"""
SUBJECT = '{ country = "CN", organization = "海港电子认证有限公司", common_name = "海港CA 签发机构 2" }'


def head(name: str, kind: str) -> str:
    return f'format = 2\nkind = "{kind}"\nname = "{name}"\n{PEOPLE}\n'


def table(place: str, name: str, **keys: Any) -> str:
    lines = {"name": f'"{name}"', "title": '{ zh = "测试", en = "Test" }', "key": '"p-256"', **keys}
    return f"[{place}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None)


def issuing_file(name: str = "harbour-b", **keys: Any) -> str:
    keys = {"issuer": '"harbour-root"', "subject": SUBJECT, "validity_days": 3000} | keys
    return head(f"{name}-2027", "issuing") + table("issuing", name, **keys) + PROFILES


def rekeyed_file(name: str = "harbour-b", **keys: Any) -> str:
    return issuing_file(name, **({"issuer": None, "subject": None, "rekeys": '"harbour"'} | keys))


def ceremony(world: Any, text: str, **more: Any) -> Ceremony:
    file = ceremony_from_text(text, tomllib.loads(text))
    return Ceremony(file, world.parts, world.roots, actor="command:test", **more)


def hold(world: Any, text: str, **more: Any) -> Ceremony:
    made = ceremony(world, text, **more)
    list(made.preview())
    list(made.hold())
    return made


def certificate_of(world: Any, name: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(world.parts.authorities.get(name).certificate_der)


def found(pem_text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem_text.encode())


class OtherCa:
    """A CA of others, made with another library's builder: self-signed, or below another one."""

    def __init__(self, common_name: str, above: OtherCa | None = None, **terms: Any) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Province"),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
        self.certificate = (above or self).certify(self.name, self.key.public_key(), **terms)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def request(self) -> str:
        builder = x509.CertificateSigningRequestBuilder().subject_name(self.name)
        signed = builder.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    def certify(
        self,
        name: x509.Name,
        public_key: Any,
        *,
        ca: bool = True,
        path_length: int | None = None,
        policies: tuple[str, ...] = (),
        dns: str = "",
        extensions: tuple[x509.ExtensionType, ...] = (),
        days: int = 1000,
        usage: bool = True,
        key_id: bool = True,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(T - DAY)
            .not_valid_after(T + days * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        if key_id:
            builder = builder.add_extension(
                x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False
            )
        if usage:
            builder = builder.add_extension(_usage(ca), critical=True)
        if policies:
            infos = [x509.PolicyInformation(x509.ObjectIdentifier(each), None) for each in policies]
            builder = builder.add_extension(x509.CertificatePolicies(infos), critical=False)
        if dns:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(self.key, hashes.SHA256())

    def leaf(self, *, organization: str = "Province", **terms: Any) -> x509.Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
                x509.NameAttribute(NameOID.COMMON_NAME, "Somebody"),
            ]
        )
        return self.certify(name, key.public_key(), ca=False, **terms)


def _usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def openssl_accepts(
    folder: Path,
    leaf: x509.Certificate,
    root: x509.Certificate,
    between: list[x509.Certificate],
    *options: str,
) -> bool:
    """Ask `openssl verify`, at T + one hour."""
    files = {"root": [root], "between": between, "leaf": [leaf]}
    for name, certificates in files.items():
        (folder / f"{name}.pem").write_bytes(
            b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)
        )
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-attime", str(int(T.timestamp()) + 3600), *options,
         "-CAfile", "root.pem", "-untrusted", "between.pem", "leaf.pem"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0

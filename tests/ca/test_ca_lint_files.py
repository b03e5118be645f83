"""`onecert ca lint`: certificates, lists and requests of anybody; standards, issuer, profile."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_fakes import make_csr
from ca_lists import revoke
from ca_profiles import profile_text
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import onecert.ca.commands.parts as cli_parts
from onecert.ca.authorities.authorities import pem
from onecert.ca.certificates.lint_rules import RULES
from onecert.ca.cli import ca
from onecert.ca.linting.artefacts import CERTIFICATE, CRL, REQUEST, Artefact, find_artefacts
from onecert.ca.linting.linter import Against, lint
from onecert.ca.linting.rules import GENERAL_RULES
from onecert.ca.profiles.profile import resolved_profile
from onecert.server.languages import set_language

T = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
KEY = ec.generate_private_key(ec.SECP256R1())
FOREIGN = x509.Name(
    [x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"), x509.NameAttribute(NameOID.COMMON_NAME, "外CA")]
)
DER = serialization.Encoding.DER
USAGE = dict.fromkeys(
    ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
     "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False,
)  # fmt: skip


def usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**(USAGE | dict.fromkeys(names, True)))


def foreign(
    *extensions: tuple[Any, bool],
    without: tuple[type[Any], ...] = (),
    key: Any = None,
    subject: x509.Name | None = None,
    days: tuple[int, int] = (0, 365),
    serial: int = 77,
) -> bytes:
    """A holder's certificate of another CA, sound but for what is altered."""
    public = (key or KEY).public_key()
    given = {type(value): (value, critical) for value, critical in extensions}
    usual = {
        x509.AuthorityKeyIdentifier: (x509.AuthorityKeyIdentifier(b"k" * 20, None, None), False),
        x509.SubjectKeyIdentifier: (x509.SubjectKeyIdentifier.from_public_key(public), False),
        x509.KeyUsage: (usage("digital_signature"), True),
    }
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "持有者")]) if subject is None else subject
    builder = x509.CertificateBuilder(
        FOREIGN, name, public, serial, T + timedelta(days=days[0]), T + timedelta(days=days[1])
    )
    for kind, (value, critical) in (usual | given).items():
        if kind not in without:
            builder = builder.add_extension(value, critical)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(DER)


def rules(kind: str, content: bytes, against: Against = Against()) -> set[str]:  # noqa: B008 - frozen
    return {finding.rule for finding in lint(Artefact(kind, content), against)}


def authority(value: Any = x509.BasicConstraints(ca=True, path_length=None)) -> tuple[Any, bool]:  # noqa: B008
    return value, True


SAN = x509.SubjectAlternativeName
PURPOSES = x509.ExtendedKeyUsage
EMPTY = x509.Name([])
FAULTS: dict[str, Callable[[], bytes]] = {
    "": foreign,
    "extension-absent": lambda: foreign(without=(x509.AuthorityKeyIdentifier,)),
    "extension-critical": lambda: foreign(
        (x509.BasicConstraints(ca=True, path_length=None), False), (usage("key_cert_sign"), True)
    ),
    "extension-not-critical": lambda: foreign((x509.SubjectKeyIdentifier(b"x" * 20), True)),
    "extension-empty": lambda: foreign((usage(), True)),
    "certificate-sign-without-authority": lambda: foreign((usage("key_cert_sign"), True)),
    "certificate-authority-without-sign": lambda: foreign(authority()),
    "certificate-subject-empty": lambda: foreign((SAN([x509.DNSName("a.example")]), False), subject=EMPTY),
    "certificate-host-name": lambda: foreign((SAN([x509.DNSName("a b.example")]), False)),
    "certificate-server-unnamed": lambda: foreign((PURPOSES([ExtendedKeyUsageOID.SERVER_AUTH]), False)),
    "certificate-timestamp-purpose": lambda: foreign((PURPOSES([ExtendedKeyUsageOID.TIME_STAMPING]), False)),
    "certificate-only-authorities": lambda: foreign((x509.InhibitAnyPolicy(0), True)),
    "key-usage-unfit": lambda: foreign(
        (usage("key_agreement"), True), key=ed25519.Ed25519PrivateKey.generate()
    ),
    "key-weak": lambda: foreign(key=ec.derive_private_key(7, ec.SECP256R1())),
    "name-country": lambda: foreign(
        subject=x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "cn")])
    ),
    "time-form": lambda: foreign(days=(0, 365)).replace(b"\x17\x0d271121", b"\x17\x0d271321"),
    "signed-algorithms-differ": lambda: foreign()[::-1].replace(b"\x02\x03\x04", b"\x03\x03\x04", 1)[::-1],
}  # fmt: skip


@pytest.mark.parametrize("rule", FAULTS)
def test_one_fault_is_one_finding(rule: str) -> None:
    """A certificate of another CA with one thing wrong: that thing is named; a sound one has no finding."""
    assert rules(CERTIFICATE, FAULTS[rule]()) >= ({rule} if rule else set())
    if rule in {"", "extension-absent", "key-weak", "name-country", "certificate-host-name"}:
        assert rules(CERTIFICATE, FAULTS[rule]()) == ({rule} if rule else set())


def test_no_id_means_two_things() -> None:
    assert not GENERAL_RULES.keys() & RULES.keys()
    assert all(rule.source for rule in GENERAL_RULES.values())


def test_what_this_ca_makes_has_no_finding(lite: Any) -> None:
    """Holder, issuing authority and root, a list with an entry, a request: against issuer and profile."""
    authority = lite.parts.authorities.get("harbour")
    record = lite.issue().record
    revoke(lite, lite.issue().record.serial)
    issuer = x509.load_der_x509_certificate(authority.certificate_der)
    against = Against(issuer=issuer, addresses=authority.issuer, profile=authority.profile("organisation"))
    assert lint(Artefact(CERTIFICATE, record.certificate_der), against) == []
    assert (
        lint(Artefact(CERTIFICATE, record.certificate_der), Against(issuer=issuer, profile=against.profile))
        == []
    )
    assert lint(Artefact(CRL, lite.parts.files.path("harbour", "crl").read_bytes()), against) == []
    for above in lite.parts.authorities.chain(authority):
        assert lint(Artefact(CERTIFICATE, above.certificate_der)) == []
    (request,) = find_artefacts(make_csr().encode())
    assert request.kind == REQUEST
    assert lint(request, against) == []


def test_another_profile_or_issuer_is_named(lite: Any) -> None:
    """An organisation's certificate is no TLS server's; an authority of others did not sign it."""
    authority = lite.parts.authorities.get("harbour")
    record = lite.issue().record
    issuer = x509.load_der_x509_certificate(authority.certificate_der)
    as_server = Against(issuer=issuer, addresses=authority.issuer, profile=resolved_profile("tls-server"))
    assert rules(CERTIFICATE, record.certificate_der, as_server) & {
        "profile-contents",
        "certificate-validity-term",
    }

    other = Against(issuer=x509.load_der_x509_certificate(foreign()))
    assert rules(CERTIFICATE, record.certificate_der, other) >= {
        "signed-by-another", "signed-issuer-name", "signed-key-identifier", "signed-may-not"
    }  # fmt: skip


def test_lists_of_others() -> None:
    """A serial twice, an entry for deltas only, neither number nor key identifier."""
    entry = x509.RevokedCertificateBuilder(7, T).build()
    reason = x509.CRLReason(x509.ReasonFlags.remove_from_crl)
    removed = x509.RevokedCertificateBuilder(8, T).add_extension(reason, critical=False).build()
    builder = x509.CertificateRevocationListBuilder(
        FOREIGN, T, T + YEAR, revoked_certificates=[entry, entry, removed]
    )
    content = builder.sign(KEY, hashes.SHA256()).public_bytes(DER)
    assert rules(CRL, content) == {"extension-absent", "crl-entry-twice", "crl-entry-removed"}


def test_a_request_with_an_altered_key_or_a_weak_one() -> None:
    small = rsa.generate_private_key(65537, 1024)
    content = x509.CertificateSigningRequestBuilder(FOREIGN).sign(small, hashes.SHA256()).public_bytes(DER)
    assert rules(REQUEST, content) == {"key-weak"}
    altered = content[:-1] + bytes((content[-1] ^ 1,))
    assert rules(REQUEST, altered) == {"key-weak", "request-signature"}


def test_any_bytes_get_an_answer(lite: Any) -> None:
    """Damaged certificates, lists and requests are findings, never a crash."""
    authority = lite.parts.authorities.get("harbour")
    issuer = x509.load_der_x509_certificate(authority.certificate_der)
    against = Against(issuer=issuer, profile=authority.profile("organisation"))
    dice = random.Random(1)
    (request,) = find_artefacts(make_csr().encode())
    sound = [
        Artefact(CERTIFICATE, lite.issue().record.certificate_der),
        Artefact(CRL, lite.parts.files.path("harbour", "crl").read_bytes()),
        request,
    ]
    for each in sound * 60:
        damaged = bytearray(each.content)
        for _ in range(3):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        found = lint(Artefact(each.kind, bytes(damaged)), against)
        assert all(finding.as_json()["source"] for finding in found)
        list(find_artefacts(bytes(damaged)))


@pytest.fixture
def run(lite: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    class Opened:
        config, context = lite.config, lite.context

        def close(self) -> None:
            """The world closes its database itself."""

    monkeypatch.setattr(cli_parts, "open_member", lambda *_args, **_kwargs: Opened())
    monkeypatch.setattr(cli_parts, "assemble", lambda *_args, **_kwargs: lite.parts)
    monkeypatch.setattr(cli_parts, "root_token", lambda *_args, **_kwargs: lite.roots)

    def run(*arguments: str, standard_input: bytes | None = None) -> Any:
        said = ["lint", *map(str, arguments)]
        return CliRunner().invoke(ca, said, input=standard_input, standalone_mode=False)

    return run


def test_the_command_with_an_authority_of_this_ca(lite: Any, run: Any, tmp_path: Path) -> None:
    record = lite.issue().record
    chain = tmp_path / "chain.pem"
    issuing = lite.parts.authorities.get("harbour").certificate_pem
    chain.write_text("holder\n" + pem(record.certificate_der), encoding="ascii")
    assert run(chain, "--issuer", "harbour", "--profile", "organisation").return_value == 0
    chain.write_text(pem(record.certificate_der) + issuing, encoding="ascii")

    result = run(chain, "--issuer", "harbour", "--profile", "organisation", "--json")

    # The second is the authority itself, which is no organisation and was signed by its root.
    assert result.return_value == 1
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["number"], first["kind"], first["findings"]) == (1, "certificate", [])
    assert {"signed-by-another", "signed-issuer-name"} <= {finding["rule"] for finding in second["findings"]}
    assert second["findings"][0].keys() == {"rule", "source", "text"}


def test_the_command_with_files_alone(run: Any, tmp_path: Path) -> None:
    """Another CA's certificate as DER on standard input; what is nothing at all is a finding, too."""
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", encoding="ascii")
    assert run("-", standard_input=foreign()).return_value == 0
    with set_language("zh"):
        result = run("-", nothing, standard_input=FAULTS["key-weak"]())
    assert result.return_value == 1
    weak, unreadable = result.stdout.splitlines()
    assert weak.split("\t")[:3] == ["-#1", "certificate", "key-weak"]
    assert "私钥" in weak
    assert unreadable.split("\t")[:3] == [f"{nothing}#1", "unreadable", "file-unreadable"]


def test_a_profile_file_needs_an_issuer_that_is_one_certificate(run: Any, tmp_path: Path, lite: Any) -> None:
    profile, holder, issuer = tmp_path / "p.toml", tmp_path / "holder.der", tmp_path / "issuer.pem"
    profile.write_text(profile_text(), encoding="utf-8")
    holder.write_bytes(lite.issue().record.certificate_der)
    issuer.write_text(lite.parts.authorities.get("harbour").certificate_pem, encoding="ascii")
    assert run(holder, "--issuer", issuer, "--profile", profile).exception is None
    assert run(holder, "--issuer", profile).exception.code == "LINT_ISSUER"
    assert run(holder, "--issuer", issuer, "--profile", "nobody").exception.code == "LINT_PROFILE"
    assert run(holder, "--issuer", issuer, "--profile", "organisation").exception.code == "PROFILE_FILE"
    assert run(holder, "--profile", profile).exception.exit_code == 2

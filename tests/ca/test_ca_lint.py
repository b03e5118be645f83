"""What our lint lets through pkilint lets through: every profile, authority form, list and OCSP answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ca_pkilint import EXCEPTIONS, lint_certificate, lint_crl, lint_ocsp
from ca_profiles import UNIT, profile_text
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from werkzeug.test import Client

from onecert.ca.ceremonies.file import load_ceremony_file
from onecert.ca.certificates.draft import Issuer, key_identifier
from onecert.ca.certificates.names import subject_der
from onecert.ca.issuing.order_notices import open_revocation
from onecert.ca.profiles.file import profile_from_text
from onecert.ca.profiles.profile import Profile
from onecert.ca.profiles.sample import make_sample
from onecert.ca.profiles.words import describe_certificate
from onecert.ca.signatures.algorithms import spki_der
from onecert.server.languages import set_language

T = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
CEREMONIES = Path(__file__).parents[2] / "demo" / "ceremonies"


def profiles() -> dict[str, Profile]:
    """Every profile in the form of each authority, and those that no demo authority has yet."""
    found = {
        f"{authority}/{each.name}": each
        for authority in ("pearl", "harbour", "summit", "operations")
        for each in load_ceremony_file(CEREMONIES / f"{authority}.toml").profiles
    }
    return found | {
        "device": profile_from_text(profile_text("device", identity=UNIT)),
        "tls-client": profile_from_text(profile_text("tls-client", identity="")),
        "months, backdated": profile_from_text(
            profile_text().replace("validity_days = 1095", "validity_months = 18\nbackdate_minutes = 5")
        ),
    }


PROFILES = profiles()


def issuer(**changes: Any) -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    facts: dict[str, Any] = {
        "name": "harbour",
        "subject_der": subject_der({"country": "CN", "organization": "海港", "common_name": "海港CA"}),
        "public_key": key,
        "key_id": key_identifier(spki_der(key)),
        "not_before": T - timedelta(days=1),
        "not_after": T + timedelta(days=3652),
        "crl_url": "http://127.0.0.1:8080/ca/harbour.crl",
        "certificate_url": "http://127.0.0.1:8080/ca/harbour.cer",
        "ocsp_url": "http://127.0.0.1:8080/ca/harbour/ocsp",
    }
    return Issuer(**(facts | changes))


def test_exceptions_have_reasons() -> None:
    assert all(len(reason) > 20 for reason in EXCEPTIONS.values())


@pytest.mark.parametrize("name", PROFILES)
def test_pkilint_agrees_on_every_profile(name: str) -> None:
    sample = make_sample(PROFILES[name], issuer(), T)
    assert lint_certificate(sample.certificate_der) == []


@pytest.mark.parametrize("kind", ["rsa-2048", "p-384", "ed25519"])
def test_pkilint_agrees_on_every_kind_of_key(kind: str) -> None:
    data = profile_text().replace('key_kinds = ["rsa-2048", ', f'key_kinds = ["{kind}", "rsa-2048", ')
    data = data.replace(f'"{kind}", "rsa-2048", "rsa-3072", "rsa-4096", "p-256", "p-384"', f'"{kind}"')
    sample = make_sample(profile_from_text(data), issuer(), T, key_kind=kind)
    assert lint_certificate(sample.certificate_der) == []


def test_pkilint_agrees_on_authorities_lists_and_answers(lite: Any) -> None:
    """Root, issuing authority, their lists, one with an entry, and OCSP answers for good and for revoked."""
    record = lite.issue().record
    issuing = lite.parts.authorities.get("harbour")
    leaf = x509.load_der_x509_certificate(record.certificate_der)
    above = x509.load_der_x509_certificate(issuing.certificate_der)
    question = ocsp.OCSPRequestBuilder().add_certificate(leaf, above, hashes.SHA1()).build()
    for reason in (None, "keyCompromise"):
        if reason is not None:
            order = open_revocation(lite.parts.desk, lite.revocation(record.serial, reason=reason))
            lite.parts.revocation.revoke(order)
        answer = Client(lite.service.status).post(
            "/harbour/ocsp",
            data=question.public_bytes(serialization.Encoding.DER),
            content_type="application/ocsp-request",
        )
        assert lint_ocsp(answer.data) == []
    assert record.serial in lite.serials_on_list()
    for name in ("harbour-root", "harbour"):
        assert lint_certificate(lite.parts.authorities.get(name).certificate_der) == []
        assert lint_crl(lite.parts.files.path(name, "crl").read_bytes()) == []


def test_pkilint_finds_what_is_wrong() -> None:
    """The opinion is asked for indeed: a negative serial number."""
    sample = make_sample(PROFILES["harbour/organisation"], issuer(), T)
    broken = sample.certificate_der.replace(bytes.fromhex("02114f"), bytes.fromhex("0211cf"), 1)
    assert lint_certificate(broken) != []


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", PROFILES)
def test_a_sample_is_described_whole(name: str, language: str) -> None:
    """Every extension has its line, with its criticality; times are exact."""
    profile = PROFILES[name]
    sample = make_sample(profile, issuer(), T)
    certificate = x509.load_der_x509_certificate(sample.certificate_der)
    with set_language(language, "onecert.ca"):
        rows = describe_certificate(sample.certificate_der, profile)
    described = {row.oid: row.is_critical for row in rows if row.oid}
    assert described == {each.oid.dotted_string: each.critical for each in certificate.extensions}
    assert all(row.value for row in rows)
    assert certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ") in [row.value for row in rows]

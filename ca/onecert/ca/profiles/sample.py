"""A sample certificate of a profile: made-up values, a throw-away key, linted, never recorded.

It is signed by a throw-away key, too, so that it is no certificate of the authority whose name it bears.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from onecert.ca.certificates.csr import CheckedKey
from onecert.ca.certificates.draft import CheckedRequest, Draft, DraftMaker, Issuer, random_serial
from onecert.ca.certificates.identity import checked_identity, entity_of
from onecert.ca.certificates.lint import check_certificate
from onecert.ca.certificates.names import checked_subject
from onecert.ca.profiles.profile import Profile
from onecert.ca.signatures.algorithms import ThrowAwayKeys, spki_der, throw_away_key

__all__ = ["Sample", "make_sample"]

# Nobody's: born in 1900, an entity that was never registered.
_NUMBERS = {
    "uscc": "91440300MA5DEM004J",
    "idcard": "440300190001010015",
    "agent_idcard": "440300190001010015",
    "passport": "CHN:E00000000",
    "officer": "00000000",
}
_NAMES: Mapping[str, str] = {
    "country": "CN",
    "state_or_province": "广东省",
    "locality": "深圳市",
    "organization": "样例机构",
    "organizational_unit": "样例部门",
    "common_name": "样例",
    "title": "样例",
    "serial_number": "SAMPLE-1",
}
_PLAIN: Mapping[str, str] = {
    "printable": "SAMPLE",
    "country": "CN",
    "code": "SAMPLE",
    "host": "sample.example",
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A draft and the certificate that a throw-away key has made of it, DER."""

    draft: Draft
    certificate_der: bytes


def make_sample(profile: Profile, issuer: Issuer, at: datetime, *, key_kind: str | None = None) -> Sample:
    """Draft and lint a sample.

    Args:
        key_kind: of the holder's key; default: the quickest to make that the profile accepts.

    Raises:
        LintError: the profile and the writer of drafts do not agree; it must not be used.
        IssuerExpiresError: the authority ends before such a certificate would.
        FieldMissingError, FieldValueError, …: no sample fits the rules of the subject.
    """
    key = throw_away_key(key_kind or _quickest(profile)).public_key()
    subject = checked_subject(_subject(profile), profile.subject)
    identity = checked_identity(
        {name: _NUMBERS[name] for name in (*profile.identity_required, *profile.identity_optional)},
        required=profile.identity_required,
        optional=profile.identity_optional,
        at=at.date(),
        test_identities=True,
    )
    request = CheckedRequest(
        profile=profile,
        key=CheckedKey(key, spki_der(key)),
        subject=subject,
        entity=entity_of(profile.holder, identity, subject.get("common_name", ""), profile.name),
        identity=identity,
        dns_names=("sample.example",) if profile.alternative_names else (),
    )
    draft = DraftMaker(issuer, profile).draft(request, serial=random_serial(), key_number=1, at=at)
    certificate_der = ThrowAwayKeys().sign(issuer.algorithm, draft.tbs_der)
    check_certificate(certificate_der, draft)
    return Sample(draft=draft, certificate_der=certificate_der)


def _quickest(profile: Profile) -> str:
    return next((kind for kind in profile.key_kinds if not kind.startswith("rsa-")), profile.key_kinds[0])


def _subject(profile: Profile) -> dict[str, str]:
    subject = {}
    for field, rule in profile.subject.items():
        value = _NAMES[field] if rule.alphabet == "name" else _PLAIN[rule.alphabet]
        subject[field] = rule.fixed or value[: rule.max_length]
    return subject

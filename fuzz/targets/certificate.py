"""Certificates: loading, everything a loaded one can be asked, and the identity in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fuzz.material import T, hierarchy, issue, name
from fuzz.rules import answer, check_json, check_texts, require
from fuzz.tree import tlv
from onecert.verifier import TrustAnchor, load_certificate, load_public_key, parse_certificate
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.identity import IdentityProfile, PersonRule, identify, parse_profile
from onecert.verifier.names import canonical_name, display_name, email_addresses, names_match
from onecert.verifier.path.strict import check_profile
from onecert.verifier.purposes import LOGIN, SERVER
from onecert.verifier.signatures import parse_algorithm

IS_DER = True

_PERSONS = PersonRule(application="fuzz", pairwise_key=b"k" * 32, raw_numbers=True)
# Forms of numbers as licensed CAs write them, in three profiles that between them try all encodings.
_OIDS = {"entity": "1.2.156.10260.4.1.4", "person": "1.2.156.10260.4.1.1", "uid": "1.2.86.11.7.1"}
_TAGGED = ("utf8", "printable", "ia5", "bmp")
_CHOICES = ("choice-implicit", "choice-explicit", "wrapped-choice")
_FIRM, _PERSON = "91440300MA5DEM004J", "440300190001010015"


def _profile(forms: Iterable[str], grammar: str) -> IdentityProfile:
    entity = {"id_types": ["uscc", "org"], "subject": "entity"}
    person = {"id_types": ["idcard"], "subject": "person"}
    sources: list[dict[str, object]] = [
        {"source": "extension", "oid": _OIDS["entity"], "forms": list(forms), **entity},
        {"source": "extension", "oid": _OIDS["person"], "forms": list(forms), **person},
        {"source": "subject", "oid": "2.5.4.5", **entity},
    ]
    if grammar != "plain":
        types = {"ZZ": entity, "SF": person}
        sources.append(
            {
                "source": "extension",
                "oid": _OIDS["uid"],
                "forms": list(forms),
                "grammar": grammar,
                "types": types,
            }
        )
    classes = [
        {"class": "organisation", "assurance": "high", "claims": "entity"},
        {"class": "citizen", "assurance": "high", "claims": "person"},
    ]
    scope = {"id_types": ["uscc", "org", "idcard"], "classes": ["organisation", "citizen"]}
    return parse_profile(
        {
            "name": "fuzz",
            "version": 1,
            "sources": sources,
            "classes": classes,
            "scope": scope,
            "check": "warn",
        }
    )


@cache
def _profiles() -> list[IdentityProfile]:
    shipped = Path(__file__).parents[2] / "demo" / "profiles"
    own = [_profile(_TAGGED, "uid"), _profile(_CHOICES, "short"), _profile(("utf16le", "raw"), "plain")]
    return own + [
        parse_profile(json.loads(path.read_text("utf-8"))) for path in sorted(shipped.glob("*.json"))
    ]


def seeds() -> Iterable[bytes]:
    """The hierarchy, and holders whose numbers are written in every form."""
    yield from (party.der for party in hierarchy().certificates)
    ca = hierarchy().ca_2
    forms = {
        _OIDS["entity"]: (tlv(0x0C, _FIRM.encode()), tlv(0xA0, tlv(0x13, _FIRM.encode())), _FIRM.encode()),
        _OIDS["person"]: (
            tlv(0x1E, _PERSON.encode("utf-16-be")),
            tlv(0x31, tlv(0xA0, tlv(0x13, _PERSON.encode()))),
            _PERSON.encode("utf-16-le"),
        ),
        _OIDS["uid"]: (tlv(0x0C, f"10001@0006SF0{_PERSON}".encode()), tlv(0x0C, f"SF{_PERSON}".encode())),
    }
    for oid, values in forms.items():
        for value in values:
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
            yield issue("示例", 9, ca, extra=[(extension, False)]).der
    several = [name("甲").rdns[0], *name("乙").rdns]
    mail = x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "u@a.cn")
    yield issue(x509.Name([*several, x509.RelativeDistinguishedName([mail])]), 9, ca).der


def run(data: bytes) -> None:
    """Load, and ask everything."""
    parsed = answer(lambda: parse_certificate(data))
    if parsed is None:
        require(answer(lambda: load_certificate(data)) is None, "two loaders disagree")
        return
    if data[:1] == b"\x30":
        require(parsed.der == data, "the octets are not those that were loaded")
    require(parsed.certificate.public_bytes(Encoding.DER) == parsed.der, "cryptography holds other octets")
    require(parsed.certificate.tbs_certificate_bytes == parsed.tbs, "two opinions on what is signed")
    require(parsed.certificate.signature == parsed.signature, "two opinions on the signature")
    if parsed.serial > 0:  # of others it warns
        require(parsed.certificate.serial_number == parsed.serial, "two opinions on the serial number")
    require(parse_certificate(parsed.der) == parsed, "the same octets are another certificate")
    _ask(parsed)
    for profile in _profiles():
        identity = answer(_identity, parsed, profile)
        check_json(identity)


def _identity(parsed: ParsedCertificate, profile: IdentityProfile) -> object:
    found = identify(parsed, profile, ca_service="fuzz", at=T, persons=_PERSONS)
    check_texts([found.id])
    return found.as_dict()


def _ask(parsed: ParsedCertificate) -> None:
    for attribute in dir(parsed):
        if not attribute.startswith("_"):
            getattr(parsed, attribute)
    check_texts([parsed.subject_text, parsed.issuer_text, repr(parsed)])
    require(display_name(parsed.subject_der) != "(unreadable name)", "a loaded name cannot be shown")
    require(names_match(parsed.subject_der, parsed.subject_der), "a name differs from itself")
    require(canonical_name(parsed.issuer_der) == parsed.issuer, "two canonical forms of one name")
    email_addresses(parsed.subject_der)
    for oid in parsed.extensions:
        require(parsed.extension_value(oid) is not None, "an extension without a value")
    answer(lambda: load_public_key(parsed.spki_der))
    answer(lambda: parse_algorithm(parsed.algorithm_der))
    answer(lambda: check_profile(parsed))
    for purpose in (LOGIN, SERVER):
        answer(purpose.check, parsed)
        answer(purpose.check_ca, parsed)
    for use_extensions in (False, True):
        anchor = answer(TrustAnchor.from_certificate, parsed, use_extensions=use_extensions)
        if anchor is not None:
            answer(getattr, anchor, "public_key")

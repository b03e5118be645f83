"""Three licensed CAs with RSA, P-256 and SM2 keys each, on one list: real certificates, real paths.

    root of CA and kind ── issuing CA (a service of the list, with the CA's profile) ── holder

What each CA writes, and in which encodings, is ``ENCODINGS``; the profiles are those of ``demo/profiles``,
with every encoding allowed that such a CA has used in the field.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from onecert.testkit.authority import Authority, CertificateRequest, establish, subject_name
from onecert.testkit.keys import HolderKey, make_key
from onecert.verifier import RevocationEvidence, Verifier
from onecert.verifier.identity import Registry
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.parse import parse_trust_list

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY = timedelta(days=1)
CAS, KINDS = ("pearl", "harbour", "summit"), ("rsa-2048", "p-256", "sm2")
FOLDER = Path(__file__).parents[3] / "demo" / "profiles"
UID = "2.16.156.112548"
ENTITY, AGENT = "1.2.156.10260.4.1.4", "1.2.156.10260.4.1.1"
ORG_CODE, REGISTRATION, TAX = (f"1.2.156.10260.4.1.{arc}" for arc in (13, 3, 5))
SUMMIT_ID, SUMMIT_CLASS, SUMMIT_PERSON = (f"1.3.6.1.4.1.58888.7.{arc}" for arc in (1, 2, 3))
UTF8, PRINTABLE, IA5, BMP = 0x0C, 0x13, 0x16, 0x1E


def tlv(tag: int, content: str | bytes) -> bytes:
    octets = content.encode() if isinstance(content, str) else content
    assert len(octets) < 128
    return bytes([tag, len(octets)]) + octets


def full_width(number: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) for character in number)


def packed(number: str) -> str:
    return base64.b64encode(number.encode()).decode()


Encoding = Callable[[str, int], bytes]
# What stands at the CA's place for a firm, given its number and the number of the holder's key.
ENCODINGS: Mapping[str, Mapping[str, Encoding]] = {
    "pearl": {
        "plain": lambda number, key: tlv(UTF8, f"{key}@0006ZZ0{number}"),
        "base64": lambda number, key: tlv(UTF8, f"{key}@0006ZZ1{packed(number)}"),
        "base64 of full-width": lambda number, key: tlv(UTF8, f"{key}@0006ZZ1{packed(full_width(number))}"),
        "IA5String": lambda number, key: tlv(IA5, f"{key}@0006ZZ0{number}"),
        "BMPString": lambda number, key: tlv(BMP, f"{key}@0006ZZ0{number}".encode("utf-16-be")),
        "UTF-16LE, no tag": lambda number, key: f"{key}@0006ZZ1{packed(number)}".encode("utf-16-le"),
        "ASCII, no tag": lambda number, key: f"{key}@0006ZZ0{number}".encode(),
    },
    "harbour": {
        "SET": lambda number, _: tlv(0x31, tlv(0xA0, tlv(PRINTABLE, number))),
        "SEQUENCE": lambda number, _: tlv(0x30, tlv(0xA0, tlv(PRINTABLE, number))),
        "SET of UTF8String": lambda number, _: tlv(0x31, tlv(0xA0, tlv(UTF8, number))),
        "[0] EXPLICIT": lambda number, _: tlv(0xA0, tlv(PRINTABLE, number)),
        "[0] IMPLICIT": lambda number, _: tlv(0x80, number),
        "PrintableString": lambda number, _: tlv(PRINTABLE, number),
        "lower case": lambda number, _: tlv(PRINTABLE, number.lower()),
        "blanks": lambda number, _: tlv(PRINTABLE, f" {number}  "),
    },
    "summit": {
        "UTF8String": lambda number, _: tlv(UTF8, number),
        "full-width": lambda number, _: tlv(UTF8, full_width(number)),
        "ideographic blanks": lambda number, _: tlv(UTF8, f"\u3000{number}\u3000"),
        "IA5String": lambda number, _: tlv(IA5, number),
        "PrintableString": lambda number, _: tlv(PRINTABLE, number),
        "BMPString": lambda number, _: tlv(BMP, number.encode("utf-16-be")),
        "BMPString, full-width": lambda number, _: tlv(BMP, full_width(number).encode("utf-16-be")),
        "UTF-16LE, no tag": lambda number, _: number.encode("utf-16-le"),
        "ASCII, no tag": lambda number, _: number.encode(),
    },
}
_PLACES = {"pearl": UID, "harbour": ENTITY, "summit": SUMMIT_ID}
_FORMS = {
    "pearl": ["utf8", "ia5", "bmp", "utf16le", "raw"],
    "harbour": ["wrapped-choice", "choice-explicit", "choice-implicit", "printable"],
    "summit": ["utf8", "ia5", "printable", "bmp", "utf16le", "raw"],
}


def firm_fields(ca: str, encoding: str, number: str, key_number: int = 1) -> dict[str, bytes]:
    """The extensions of a firm's certificate."""
    fields = {_PLACES[ca]: ENCODINGS[ca][encoding](number, key_number)}
    return fields | ({SUMMIT_CLASS: tlv(UTF8, "001")} if ca == "summit" else {})


@cache
def profile_text(ca: str) -> str:
    profile = json.loads((FOLDER / f"{ca}.json").read_text("utf-8"))
    profile["sources"][0]["forms"] = _FORMS[ca]
    if ca == "harbour":
        # Places that older certificates have besides the credit code.
        profile["sources"] += [
            {
                "source": "extension",
                "oid": oid,
                "forms": ["utf8", "printable"],
                "id_types": id_types,
                "subject": "entity",
            }
            for oid, id_types in ((ORG_CODE, ["org"]), (REGISTRATION, ["regno"]), (TAX, ["tax"]))
        ]
        profile["sources"].append(
            {"source": "subject", "oid": "2.5.4.5", "id_types": ["uscc", "org"], "subject": "entity"}
        )
        profile["scope"]["id_types"] += ["regno", "tax"]
    return json.dumps(profile)


def profile_of(ca: str) -> dict[str, Any]:
    """The CA's profile, to be changed at will."""
    profile: dict[str, Any] = json.loads(profile_text(ca))
    return profile


@cache
def authority(ca: str, kind: str) -> Authority:
    ends = {"begin": T - 1000 * DAY, "end": T + 1000 * DAY, "at": T - DAY}
    return establish(f"{ca}-{kind}", f"{ca} {kind}", kind, base_url="http://pki.test", **ends)


@cache
def holder_key(kind: str, number: int = 1) -> HolderKey:
    return make_key(kind)


def issue(
    ca: str,
    kind: str,
    fields: Mapping[str, bytes],
    *,
    name: str = "示例科技有限公司",
    key: HolderKey | None = None,
    begin: datetime = T - 30 * DAY,
    subject: Any = None,
) -> bytes:
    """A holder's signing certificate of this CA, DER."""
    request = CertificateRequest(
        subject=subject_name(name) if subject is None else subject,
        spki_der=(key or holder_key(kind)).spki_der,
        not_before=begin,
        not_after=T + 300 * DAY,
        extensions=fields,
    )
    return authority(ca, kind).issue(request)


def make_verifier(
    profiles: Mapping[str, dict[str, Any]] | None = None,
    *,
    registry: Registry | None = None,
    application: str = "tax",
) -> Verifier:
    """A department: the list of all nine services, their revocation lists, the register."""
    services = [(ca, authority(ca, kind)) for ca in CAS for kind in KINDS]
    payload = _payload([(made, (profiles or {}).get(ca) or profile_of(ca)) for ca, made in services])
    return Verifier(
        trust_list=parse_trust_list(payload),
        evidence=RevocationEvidence(crls=_crls()),
        application=application,
        pairwise_key=b"k" * 32,
        registry=registry,
    )


@cache
def _crls() -> list[bytes]:
    made = [authority(ca, kind) for ca in CAS for kind in KINDS]
    return [one.crl(this_update=T - DAY, next_update=T + DAY) for one in made]


def _payload(services: list[tuple[Authority, dict[str, Any]]]) -> dict[str, Any]:
    def texts(text: str) -> list[dict[str, str]]:
        return [{"lang": language, "value": text} for language in ("zh", "en")]

    def time(moment: datetime) -> str:
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}"

    def service(made: Authority, profile: dict[str, Any]) -> dict[str, Any]:
        val = base64.b64encode(made.certificate_der).decode("ascii")
        extension = {"Type": v.EXT_IDENTITY_PROFILE, "Critical": True, "Value": profile}
        return {
            "ServiceInformation": {
                "ServiceTypeIdentifier": v.SERVICE_TYPE_CA,
                "ServiceName": texts(made.id),
                "ServiceDigitalIdentity": {"X509Certificates": [{"val": val}], "OtherIds": [made.id]},
                "ServiceStatus": v.Status.GRANTED.uri,
                "StatusStartingTime": time(T - 1000 * DAY),
                "ServiceSupplyPoints": [],
                "ServiceInformationExtensions": [extension],
            },
            "ServiceHistory": [],
        }

    entities = [
        {
            "TrustedEntityInformation": {"TEName": texts(made.id)},
            "TrustedEntityServices": [service(made, profile)],
        }
        for made, profile in services
    ]
    scheme = {
        "LoTEVersionIdentifier": v.LOTE_VERSION,
        "LoTEType": v.LOTE_TYPE,
        "LoTESequenceNumber": 1,
        "SchemeOperatorName": texts("office"),
        "HistoricalInformationPeriod": 65535,
        "ListIssueDateTime": time(T - DAY),
        "NextUpdate": time(T + 90 * DAY),
    }
    return {"LoTE": {"ListAndSchemeInformation": scheme, "TrustedEntitiesList": entities}}

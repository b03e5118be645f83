"""Random profiles and certificates that follow them, or nearly: what is written, and what may become of it.

A scene is drawn from a seed: a profile with some of all places, encodings, grammars and ways to tell a class;
a certificate with the numbers of one firm and one person, sometimes of two, sometimes broken; a register that
knows everything, something, nothing, or lies. ``verdict_allowed`` knows from what was written, and not from
how it was read, whether an answer is right.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from onecert.testkit.der import integer, oid, tlv
from onecert.verifier.identity import Identity, IdentityProfile, MemoryRegistry, RegistryEntry, parse_profile
from onecert.verifier.identity.check_digits import (
    idcard_check_digit,
    organisation_code_check_digit,
    registration_number_check_digit,
    uscc_check_digit,
)

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
UTF8, PRINTABLE, IA5, BMP = 0x0C, 0x13, 0x16, 0x1E
FORMS = (
    "utf8",
    "printable",
    "ia5",
    "bmp",
    "choice-implicit",
    "choice-explicit",
    "wrapped-choice",
    "utf16le",
    "raw",
)
TEXT_FORMS = ("utf8", "ia5", "bmp", "utf16le", "raw")
CLASS_PLACE, POLICIES = "1.3.6.1.4.1.58888.7.2", "2.5.29.32"
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_PRINTABLE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")
# place, grammar, what may stand there (by alternative of the CHOICE or by type code).
ENTITY, PERSON = "entity", "person"
PLACES = {
    "2.16.156.112548": ("uid", {"ZZ": ["uscc", "org"], "GS": ["regno"], "SW": ["tax"], "SF": ["idcard"]}),
    "1.2.156.112570.11.205": ("uid", {"JJ": ["org"], "SF": ["idcard"], "HZ": ["passport"]}),
    "1.2.156.112562.2.1.1.1": ("short", {"JJ": ["org"], "SF": ["idcard"], "GS": ["regno"]}),
    "1.2.156.10260.4.1.4": ("plain", {"0": ["uscc", "org"]}),
    "1.2.86.11.7.1.3": ("plain", {"0": ["org"]}),
    "1.2.156.10260.4.1.3": ("plain", {"0": ["regno"]}),
    "1.2.156.10260.4.1.5": ("plain", {"0": ["tax"]}),
    "1.2.156.10260.4.1.1": ("plain", {"0": ["idcard"], "1": ["officer"], "2": ["passport"]}),
    "2.5.4.11": ("plain", {"0": ["uscc", "org"]}),
    "2.5.4.5": ("plain", {"0": ["tax", "org"]}),
    "2.5.4.12": ("plain", {"0": ["idcard"]}),
}
_SUBJECT = "2.5.4."
_PERSONS = frozenset({"idcard", "officer", "passport"})


@dataclass(frozen=True)
class Holder:
    """Somebody with numbers of every kind, by kind."""

    numbers: dict[str, str]


@dataclass
class Scene:
    """One draw; ``written`` are (kind, number) at the places that the profile reads."""

    profile: IdentityProfile
    der: bytes
    register: MemoryRegistry | None
    register_is: str
    written: list[tuple[str, str]] = field(default_factory=list)
    is_flawless: bool = True


def draw_scene(random: Random) -> Scene:
    """A profile, a certificate and a register."""
    firm, person = draw_firm(random), draw_person(random)
    other, stranger = draw_firm(random, like=firm), draw_person(random)
    mixing = random.random() < 0.4
    breaking = random.random() < 0.3
    rows = random.sample(sorted(PLACES), random.randint(1, 5))
    forms = {place: _forms(random, place) for place in rows}
    written: list[tuple[str, str]] = []
    fields: dict[str, bytes] = {}
    subject: list[tuple[str, bytes]] = [("2.5.4.3", tlv(UTF8, "公司".encode()))]
    flawless = True
    key_number = random.randint(1, 99999)
    for place, (grammar, kinds) in PLACES.items():
        noise = place not in rows
        if random.random() < (0.9 if noise else 0.2):
            continue
        key = random.choice(sorted(kinds))
        kind = random.choice(kinds[key])
        firms, persons = (other, stranger) if noise or (mixing and random.random() < 0.5) else (firm, person)
        number = (persons if kind in _PERSONS else firms).numbers[kind]
        value, text = _spelled(random, kind, number)
        if grammar == "uid":
            text = text.replace("\t", " ")  # no control characters there
            packs = random.random() < 0.5 or not text.isascii()
            text = f"{key_number}@0006{key}" + (
                f"1{base64.b64encode(text.encode()).decode()}" if packs else f"0{text}"
            )
        elif grammar == "short":
            value, text = number, key + number
        octets = _encoded(random, text, int(key) if grammar == "plain" else 0, forms.get(place, ("utf8",)))
        if octets is None:
            continue
        if breaking and not noise and random.random() < 0.5:
            octets, flawless = _broken(random, octets), False
        elif not noise:
            written.append((kind, value))
        if place.startswith(_SUBJECT):
            subject.append((place, octets))
        else:
            fields[place] = octets
    profile = _profile(random, rows, forms, written, fields)
    register_is = random.choice(("none", "none", "full", "partial", "lying"))
    register = _register(random, register_is, (firm, other))
    der = carrier(subject, fields)
    return Scene(profile, der, register, register_is, written, flawless)


def draw_firm(random: Random, like: Holder | None = None) -> Holder:
    """A firm of Guangdong or Beijing; ``like`` another: the same organisation code, or one character off."""
    code8 = "".join(random.choices(_ALPHABET, k=8))
    if like is not None and random.random() < 0.6:
        code8 = like.numbers["org"][:8]
        if random.random() < 0.7:
            at = random.randrange(8)
            code8 = code8[:at] + random.choice(_ALPHABET.replace(code8[at], "")) + code8[at + 1 :]
    code = code8 + organisation_code_check_digit(code8)
    region = random.choice(("440300", "440300", "440100", "110000"))
    first17 = random.choice("159") + random.choice("12") + region + code
    serial = region + "".join(random.choices("0123456789", k=8))
    return Holder(
        {
            "uscc": first17 + uscc_check_digit(first17),
            "org": code,
            "tax": region + code,
            "regno": serial + registration_number_check_digit(serial),
        }
    )


def draw_person(random: Random) -> Holder:
    born = f"{random.randint(1900, 1999)}{random.randint(1, 12):02}{random.randint(1, 28):02}"
    first17 = f"440300{born}{random.randint(0, 999):03}"
    digits = "".join(random.choices("0123456789", k=8))
    numbers = {"idcard": first17 + idcard_check_digit(first17), "officer": digits, "passport": f"E{digits}"}
    return Holder(numbers)


def _spelled(random: Random, kind: str, number: str) -> tuple[str, str]:
    """The number, and how somebody has typed it."""
    text = number
    if kind == "org" and random.random() < 0.3:
        text = f"{number[:8]}-{number[8]}"
    if kind == "idcard" and random.random() < 0.3:
        text = number[:6] + number[8:17]
    if random.random() < 0.2:
        text = text.lower()
    if random.random() < 0.2:
        text = "".join(chr(ord(c) + 0xFEE0) if random.random() < 0.5 else c for c in text)
    if random.random() < 0.2:
        text = (
            random.choice((" ", "\t", "\u3000 ")) * random.randint(0, 1)
            + text
            + random.choice((" ", "\u3000"))
        )
    return number, text


def _forms(random: Random, place: str) -> tuple[str, ...]:
    if place.startswith(_SUBJECT):
        return ("utf8", "printable", "ia5", "bmp")
    allowed = FORMS if PLACES[place][0] == "plain" else TEXT_FORMS
    return tuple(random.sample(allowed, random.randint(1, len(allowed))))


def _encoded(random: Random, text: str, alternative: int, forms: tuple[str, ...]) -> bytes | None:
    for form in random.sample(forms, len(forms)):
        octets = _in_form(form, text, alternative)
        if octets is not None:
            return octets
    return None


def _in_form(form: str, text: str, alternative: int) -> bytes | None:
    printable = set(text) <= _PRINTABLE
    octets = text.encode()
    if alternative and not form.endswith(("choice", "explicit", "implicit")):
        return None
    if form == "utf8":
        return tlv(UTF8, octets)
    if form == "printable":
        return tlv(PRINTABLE, octets) if printable else None
    if form == "ia5":
        return tlv(IA5, octets) if text.isascii() else None
    if form == "bmp":
        return tlv(BMP, text.encode("utf-16-be"))
    if form == "utf16le":
        return text.encode("utf-16-le") if text.isascii() and text.isprintable() else None
    if form == "raw":
        return octets if text.isascii() and text.isprintable() else None
    if form == "choice-implicit":
        return tlv(0x80 + alternative, octets) if printable or alternative == 1 else None
    inner = tlv(0xA0 + alternative, tlv(PRINTABLE if printable else UTF8, octets))
    return inner if form == "choice-explicit" else tlv(0x31, inner)


def _broken(random: Random, octets: bytes) -> bytes:
    data = bytearray(octets)
    for _ in range(random.randint(1, 3)):
        way, at = random.randrange(5), random.randrange(len(data) or 1)
        if way == 0 and data:
            data[at] ^= 1 << random.randrange(8)
        elif way == 1:
            del data[at:]
        elif way == 2:
            data[at:at] = random.choice(
                (b"0", b"\x00", "\uff21".encode(), "\u200b".encode(), "\u0131".encode(), b"\xff")
            )
        elif way == 3:
            data += random.choice((b"\x05\x00", b" ", b"\x0c\x01A", bytes(data)))
        elif len(data) > 1:
            at = min(at, len(data) - 2)
            data[at], data[at + 1] = data[at + 1], data[at]
    return bytes(data)


def _profile(
    random: Random,
    rows: list[str],
    forms: dict[str, tuple[str, ...]],
    written: list[tuple[str, str]],
    fields: dict[str, bytes],
) -> IdentityProfile:
    """Says what was written, and how to tell its class in one of three ways; at times the wrong one."""
    is_firm = any(kind not in _PERSONS for kind, _ in written)
    holder_class = "organisation" if is_firm else "citizen"
    if random.random() < 0.05:
        holder_class = random.choice(("organisation", "citizen", "employee", "device"))
    way = random.choice(("claims", "extension", "policy"))
    if way == "claims":
        classes = [{"class": "organisation", "claims": ENTITY}, {"class": "citizen", "claims": PERSON}]
    elif way == "extension":
        classes = [
            {"class": "organisation", "extension": CLASS_PLACE, "value": "001"},
            {"class": holder_class, "extension": CLASS_PLACE, "value": "00X"},
        ]
        fields[CLASS_PLACE] = tlv(UTF8, b"00X")
    else:
        classes = [{"class": holder_class, "policy": "1.3.6.1.4.1.58888.1.1"}]
        fields[POLICIES] = tlv(0x30, tlv(0x30, oid("1.3.6.1.4.1.58888.1.1")))
    sources = []
    for place in rows:
        grammar, kinds = PLACES[place]
        source: dict[str, object] = {"oid": place, "grammar": grammar}
        source["source"] = "subject" if place.startswith(_SUBJECT) else "extension"
        if source["source"] == "extension":
            source["forms"] = list(forms[place])
        source["types"] = {
            key: {"id_types": found, "subject": PERSON if found[0] in _PERSONS else ENTITY}
            for key, found in kinds.items()
        }
        if any("passport" in found for found in kinds.values()):
            source["country"] = "CHN"
        if random.random() < 0.1:
            source["required"] = True
        sources.append(source)
    scope: dict[str, object] = {
        "id_types": ["uscc", "org", "regno", "tax", "idcard", "officer", "passport"],
        "classes": ["organisation", "citizen", "employee", "device"],
    }
    if random.random() < 0.3:
        scope["entity_regions"] = ["44"]
    value = {"name": "drawn", "version": 1, "sources": sources, "classes": classes, "scope": scope}
    return parse_profile(value)


def _register(random: Random, kind: str, firms: tuple[Holder, ...]) -> MemoryRegistry | None:
    if kind == "none":
        return None
    entries: dict[str, RegistryEntry] = {}
    for firm in firms:
        for id_type in ("uscc", "org", "regno"):
            if kind != "partial" or random.random() < 0.5:
                named = random.choice(firms) if kind == "lying" else firm
                entry = RegistryEntry(uscc=named.numbers["uscc"], names=())
                # Two firms of one organisation code: the register can know one of them by it.
                entries.setdefault(f"{id_type}:{firm.numbers[id_type]}", entry)
    return MemoryRegistry(entries)


def carrier(subject: list[tuple[str, bytes]], fields: dict[str, bytes]) -> bytes:
    """A certificate with these fields; its signature is not one."""
    algorithm = tlv(0x30, oid("1.2.840.10045.4.3.2"))
    name = tlv(0x30, *(tlv(0x31, tlv(0x30, oid(place), value)) for place, value in subject))
    validity = tlv(0x30, tlv(0x17, b"260101000000Z"), tlv(0x17, b"270101000000Z"))
    extensions = tlv(0x30, *(tlv(0x30, oid(place), tlv(0x04, value)) for place, value in fields.items()))
    tbs = (
        tlv(0xA0, integer(2)),
        integer(77),
        algorithm,
        tlv(0x30),
        validity,
        name,
        _SPKI,
        *((tlv(0xA3, extensions),) if fields else ()),
    )
    return tlv(0x30, tlv(0x30, *tbs), algorithm, tlv(0x03, b"\x00\x30\x06\x02\x01\x01\x02\x01\x01"))


_SPKI = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a1"
    "3945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


def verdict_allowed(scene: Scene, identity: Identity) -> str:
    """Empty when this answer is right; else what is wrong with it."""
    if not scene.is_flawless:
        # A broken number may be another valid one: it must at least be of a kind.
        return (
            ""
            if identity.id.startswith(("uscc:", "org:", "regno:", *(f"{kind}:" for kind in _PERSONS)))
            else "kind"
        )
    by_kind: dict[str, set[str]] = {}
    for kind, number in scene.written:
        by_kind.setdefault(kind, set()).add(number)
    credit, regnos = by_kind.get("uscc", set()), by_kind.get("regno", set())
    codes = {number[8:17] for number in credit} | by_kind.get("org", set())
    codes |= {number[6:15] for number in by_kind.get("tax", set())}
    persons = [(kind, number) for kind in sorted(_PERSONS) for number in sorted(by_kind.get(kind, set()))]
    for name, found in (("credit codes", credit), ("codes", codes), ("registration numbers", regnos)):
        if len(found) > 1:
            return f"two {name}"
    if len(persons) > 1:
        return "two numbers of persons"
    if not (credit or codes or regnos):
        return "" if identity.id in {_personal(*one) for one in persons} else "not the person"
    (code,) = codes or {""}
    kind, _, number = identity.id.partition(":")
    if credit:
        if identity.id not in {f"uscc:{one}" for one in credit}:
            return "not the credit code"
    elif codes:
        if not (identity.id == f"org:{code}" or (kind == "uscc" and number[8:17] == code)):
            return "not the organisation"
    elif kind not in {"uscc", "regno"} or (kind == "regno" and number not in regnos):
        return "not the registration number"
    entries = [scene.register.find(f"regno:{one}", T) for one in regnos] if scene.register else []
    if kind == "uscc" and any(entry is not None and entry.uscc != number for entry in entries):
        return "the register knows better"
    regions = scene.profile.scope.entity_regions
    if kind == "uscc" and regions and not number[2:8].startswith(regions):
        return "out of the licence"
    numbers = {_personal(*one) for one in persons}
    if identity.person is not None and identity.person.number not in numbers:
        return "not the agent"
    return ""


def _personal(kind: str, number: str) -> str:
    return f"passport:CHN:{number}" if kind == "passport" else f"{kind}:{number}"


def must_accept(scene: Scene) -> bool:
    """Whether nothing stands against this certificate: one firm or person, nothing broken, no limit."""
    if not scene.is_flawless or scene.profile.scope.entity_regions or not scene.written:
        return False
    if scene.register_is == "lying" or any(source.required for source in scene.profile.sources):
        return False
    by_kind: dict[str, set[str]] = {}
    for kind, number in scene.written:
        by_kind.setdefault(kind, set()).add(number)
    if any(len(numbers) > 1 for numbers in by_kind.values()) or len(by_kind.keys() & _PERSONS) > 1:
        return False
    is_firm = bool(by_kind.keys() - _PERSONS)
    classes = {rule.holder_class.value for rule in scene.profile.classes}
    if scene.profile.classes[0].claims is None and classes - {"organisation"} and is_firm:
        return False
    if scene.profile.classes[0].claims is None and not is_firm and "citizen" not in classes:
        return False
    codes = {number[8:17] for number in by_kind.get("uscc", set())} | by_kind.get("org", set())
    codes |= {number[6:15] for number in by_kind.get("tax", set())}
    if len(codes) > 1:
        return False
    # Which firm of two with one organisation code, and whose registration number: the register decides.
    return scene.register is None

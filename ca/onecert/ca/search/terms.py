"""What a search can ask for, and the tokens by which the index finds it.

A name is found by any two neighbouring characters of it: a Chinese name has no spaces and often only two
characters, for which the usual index of three (FTS5's, pg_trgm's) has no entry. Whatever the tokens find is
compared with the record itself, so that a token which fits by chance finds nothing wrong.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b, sha1, sha256
from typing import Any, NamedTuple

from cryptography import x509

from onecert.ca.errors.search import SearchFieldError
from onecert.ca.issuing.ledger import CertificateRecord

__all__ = ["Found", "Indexed", "Query", "pair_tokens", "plain_names", "read_query", "token", "tokens_of"]

NAME_MAX = 64
SERIAL_BEGINS_MIN = 6
_LABEL = re.compile(r"(?:^|, )[A-Za-z]{1,20}=")
_ALTERNATIVE_NAMES = bytes.fromhex("0603551d11")  # the OID of the extension, 2.5.29.17
_KEY_ID = bytes.fromhex("0603551d0e04160414")  # 2.5.29.14 around 20 octets


@dataclass(frozen=True, kw_only=True)
class Found:
    """A certificate on record, and who ordered it."""

    record: CertificateRecord
    ordered_by: str

    @property
    def key(self) -> tuple[str, str]:
        return self.record.authority, self.record.serial

    @property
    def der(self) -> bytes:
        return self.record.certificate_der or b""

    @property
    def sha256(self) -> str:
        return sha256(self.der).hexdigest()

    @property
    def sha1(self) -> str:
        """The thumbprint that Windows and many tokens show."""
        return sha1(self.der, usedforsecurity=False).hexdigest()

    @property
    def key_id(self) -> str:
        """The subject key identifier, in hex."""
        return _key_id(self.der)

    @property
    def alternative_names(self) -> list[str]:
        """Host names, addresses and e-mail addresses."""
        return _alternative_names(self.der)


class Indexed(NamedTuple):
    """What the index needs of a certificate on record."""

    authority: str
    serial: str
    subject: str
    entity: str
    profile: str
    partition: int
    certificate_der: bytes | None
    ordered_by: str | None


def _key_id(certificate_der: bytes) -> str:
    at = certificate_der.find(_KEY_ID)
    return certificate_der[at + len(_KEY_ID) : at + len(_KEY_ID) + 20].hex() if at >= 0 else ""


def _alternative_names(certificate_der: bytes) -> list[str]:
    if _ALTERNATIVE_NAMES not in certificate_der:
        return []
    try:
        extensions = x509.load_der_x509_certificate(certificate_der).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return []
    return [str(name.value).casefold() for name in names if isinstance(name.value, str) or _is_ip(name)]


def _is_ip(name: x509.GeneralName) -> bool:
    return isinstance(name, x509.IPAddress)


@dataclass(frozen=True, kw_only=True)
class Query:
    """One search; every field that is given must fit."""

    name: str | None = None  # is part of a value of the subject
    name_begins: str | None = None  # begins one
    alternative_name: str | None = None
    identity: str | None = None
    entity: str | None = None
    serial: str | None = None
    serial_begins: str | None = None
    order: str | None = None
    key_sha256: str | None = None
    key_id: str | None = None
    sha256: str | None = None
    sha1: str | None = None
    authority: str | None = None
    profile: str | None = None
    ordered_by: str | None = None
    partition: int | None = None
    state: str | None = None
    status: str | None = None
    reason: str | None = None
    issued_from: datetime | None = None
    issued_until: datetime | None = None
    expires_from: datetime | None = None
    expires_until: datetime | None = None
    revoked_from: datetime | None = None
    revoked_until: datetime | None = None

    def sharp_tokens(self) -> list[int]:
        """The tokens of what few certificates have."""
        single = [
            token(kind, value)
            for kind in ("alternative_name", "identity", "key_id", "sha256", "sha1")
            if (value := getattr(self, kind)) is not None
        ]
        if self.entity is not None:
            single += [token("identity", part) for part in _numbers_of(self.entity)]
        pairs = pair_tokens(self.name) if self.name else []
        begin = pair_tokens("\n" + self.name_begins) if self.name_begins else []
        return [*single, *sorted({*pairs, *begin})]

    def dense_tokens(self) -> list[int]:
        """The tokens of what many have."""
        return [
            token(kind, str(value))
            for kind in ("authority", "profile", "ordered_by", "partition")
            if (value := getattr(self, kind)) is not None
        ]

    def needs_der(self) -> bool:
        """Tell whether it asks for what only the certificate itself says."""
        return bool(self.alternative_name or self.key_id or self.sha256 or self.sha1)

    def may_fit(self, subject: str, entity: str, certificate_der: bytes | None) -> bool:
        """Tell of a certificate that is not indexed, before all of it is read, whether it may fit."""
        if self.name is not None or self.name_begins is not None:
            names = plain_names(subject)
            if (self.name or "") not in names or "\n" + (self.name_begins or "") not in names:
                return False
        if self.identity not in (None, *_numbers_of(entity)) or self.entity not in (None, entity):
            return False
        der = certificate_der or b""
        return (self.sha256 is None or sha256(der).hexdigest() == self.sha256) and (
            self.sha1 is None or sha1(der, usedforsecurity=False).hexdigest() == self.sha1
        )

    def fits(self, found: Found) -> bool:
        """Tell whether a certificate is what is asked for."""
        record = found.record
        names = plain_names(record.subject) if self.name or self.name_begins else ""
        return (
            (self.name is None or self.name in names)
            and (self.name_begins is None or "\n" + self.name_begins in names)
            and self.identity in (None, *_numbers_of(record.entity))
            and self.entity in (None, record.entity)
            and self.serial in (None, record.serial)
            and (self.serial_begins is None or record.serial.startswith(self.serial_begins))
            and self.order in (None, record.order_id)
            and self.key_sha256 in (None, record.key_sha256)
            and self.authority in (None, record.authority)
            and self.profile in (None, record.profile)
            and self.ordered_by in (None, found.ordered_by)
            and self.partition in (None, record.crl_partition)
            and self.state in (None, record.state)
            and self.status in (None, record.status)
            and self.reason in (None, record.reason)
            and _within(record.not_before, self.issued_from, self.issued_until)
            and _within(record.not_after, self.expires_from, self.expires_until)
            and _within(record.revoked_at, self.revoked_from, self.revoked_until)
            and (self.key_id is None or self.key_id == found.key_id)
            and (self.sha256 is None or self.sha256 == found.sha256)
            and (self.sha1 is None or self.sha1 == found.sha1)
            and (self.alternative_name is None or self.alternative_name in found.alternative_names)
        )


def _numbers_of(entity: str) -> list[str]:
    """The numbers in the name of an entity: `uscc:…`, `employee:…:…`; of the system, its names."""
    return entity.split(":")[1:]


def _within(moment: datetime | None, begin: datetime | None, end: datetime | None) -> bool:
    """Tell whether a moment lies in a stretch that has its begin and not its end."""
    if begin is None and end is None:
        return True
    return moment is not None and (begin is None or begin <= moment) and (end is None or moment < end)


# ------------------------------------------------------------------ what is asked

_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "identity": re.compile(r"[0-9A-Z]{4,32}", re.ASCII),
    "entity": re.compile(r"[^\x00-\x1f]{3,160}"),
    "serial": re.compile(r"[0-9a-f]{1,40}", re.ASCII),
    "serial_begins": re.compile(r"[0-9a-f]{6,40}", re.ASCII),
    "order": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}", re.ASCII),
    "key_sha256": re.compile(r"[0-9a-f]{64}", re.ASCII),
    "sha256": re.compile(r"[0-9a-f]{64}", re.ASCII),
    "sha1": re.compile(r"[0-9a-f]{40}", re.ASCII),
    "key_id": re.compile(r"[0-9a-f]{40}", re.ASCII),
    "authority": re.compile(r"[A-Za-z0-9._:@-]{1,64}", re.ASCII),
    "profile": re.compile(r"[A-Za-z0-9._:@-]{1,64}", re.ASCII),
    "ordered_by": re.compile(r"[A-Za-z0-9._:@ -]{1,128}", re.ASCII),
    "alternative_name": re.compile(r"[^\x00-\x20\x7f]{1,255}"),
    "state": re.compile(r"intended|issued|abandoned"),
    "status": re.compile(r"good|hold|revoked"),
    "reason": re.compile(r"[A-Za-z]{1,24}", re.ASCII),
}
_HEXADECIMAL = frozenset({"serial", "serial_begins", "key_sha256", "sha256", "sha1", "key_id"})
_FIELDS = frozenset(field.name for field in fields(Query))


def read_query(asked: Mapping[str, object]) -> Query:
    """Read the fields of a search; all are texts, `partition` may be a number.

    Raises:
        SearchFieldError
    """
    return Query(**{field: _value(field, value) for field, value in asked.items()})


def _value(field: str, value: object) -> Any:
    if field not in _FIELDS:
        raise SearchFieldError(field[:64])
    if field == "partition":
        return _number(field, value)
    if not isinstance(value, str) or len(value) > 300:
        raise SearchFieldError(field)
    if field in {"name", "name_begins"}:
        return _name(field, value)
    if field.endswith(("_from", "_until")):
        return _moment(field, value)
    if field in _HEXADECIMAL:
        value = re.sub(r"[: ]", "", value).lower()
        value = value.lstrip("0") or value if field == "serial" else value
    if field == "identity":
        value = value.strip().upper()
    if field == "alternative_name":
        value = value.casefold()
    if not _PATTERNS[field].fullmatch(value):
        raise SearchFieldError(field)
    return value


def _number(field: str, value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
        return int(value)
    if type(value) is int and 0 <= value < 10**9:
        return value
    raise SearchFieldError(field)


def _name(field: str, value: str) -> str:
    name = _plain(value)
    least = 2 if field == "name" else 1
    if not least <= len(name) <= NAME_MAX or any(unicodedata.category(each)[0] == "C" for each in name):
        raise SearchFieldError(field)
    return name


def _moment(field: str, value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as exc:
        raise SearchFieldError(field) from exc
    if moment.tzinfo is None:
        raise SearchFieldError(field)
    return moment


# ------------------------------------------------------------------ tokens


def _plain(text: str) -> str:
    """Spell a text so that width and case do not matter."""
    if text.isascii():
        return " ".join(text.casefold().split())
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def plain_names(subject: str) -> str:
    """The values of a subject text, each on a line of its own, with a line feed before and after."""
    values = _LABEL.split(subject)
    return "\n" + "\n".join(_plain(value) for value in values if value) + "\n"


def token(kind: str, value: str) -> int:
    """The token of a value: 64 bits, as both engines keep integers."""
    digest = blake2b(f"{kind}:{value}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


@lru_cache(maxsize=200_000)
def _pair_token(pair: str) -> int:
    return token("pair", pair)


def pair_tokens(text: str) -> list[int]:
    """The tokens of each two neighbouring characters."""
    return [_pair_token(pair) for pair in {text[at : at + 2] for at in range(len(text) - 1)}]


@lru_cache(maxsize=10_000)
def _dense_token(kind: str, value: str) -> int:
    return token(kind, value)


def tokens_of(found: Indexed) -> set[int]:
    """All tokens by which a certificate is found."""
    tokens = set(pair_tokens(plain_names(found.subject)))
    tokens.add(_dense_token("authority", found.authority))
    tokens.add(_dense_token("profile", found.profile))
    tokens.add(_dense_token("ordered_by", found.ordered_by or ""))
    tokens.add(_dense_token("partition", str(found.partition)))
    tokens.update(token("identity", part) for part in _numbers_of(found.entity))
    der = found.certificate_der
    if der is not None:
        tokens.add(token("sha256", sha256(der).hexdigest()))
        tokens.add(token("sha1", sha1(der, usedforsecurity=False).hexdigest()))
        tokens.add(token("key_id", _key_id(der)))
        tokens.update(token("alternative_name", name) for name in _alternative_names(der))
    return tokens

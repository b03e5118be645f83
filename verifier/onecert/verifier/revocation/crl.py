"""Certificate revocation lists: strict loading, one signature check over the raw bytes, an index by serial.

RFC 5280, section 5. ``cryptography`` checks the outer structure once and its object is dropped; entries are
then found through a sorted array of 8 bytes an entry, and a hit is confirmed in the DER. The scope of the
list (issuing distribution point) and delta lists are read here and acted upon in ``crl_check``.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from onecert.verifier.certificate import decode_pem
from onecert.verifier.der import OCTET_STRING, OID, SEQUENCE, DerError, Reader, slice_tlv
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError, SignatureInvalidError
from onecert.verifier.extensions import GeneralName, parse_distribution_point_name, parse_general_names
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.names import CanonicalName, canonical_name, display_name
from onecert.verifier.signatures import (
    DEFAULT_ALGORITHMS,
    AlgorithmPolicy,
    PublicKey,
    parse_algorithm,
    spki_der,
    verify_signature,
)
from onecert.verifier.times import read_generalized_time, read_time

__all__ = ["REASONS", "Crl", "IssuingDistributionPoint", "RevokedEntry", "load_crl"]

# CRLReason (RFC 5280, section 5.3.1) -> name; 7 is not used.
REASONS = {
    0: "unspecified",
    1: "keyCompromise",
    2: "cACompromise",
    3: "affiliationChanged",
    4: "superseded",
    5: "cessationOfOperation",
    6: "certificateHold",
    8: "removeFromCRL",
    9: "privilegeWithdrawn",
    10: "aACompromise",
}
_DIRECTORY_NAME = 4
_OFFSET_BITS = 27  # lists up to 128 MiB
_HASH_MASK = (1 << (63 - _OFFSET_BITS)) - 1
_KNOWN_EXTENSIONS_MAX = 4096
_KEYS_MAX = 256


@dataclass(frozen=True, slots=True)
class IssuingDistributionPoint:
    """RFC 5280, section 5.2.5."""

    full_names: tuple[GeneralName, ...] = ()
    relative_name: bytes | None = None
    only_user: bool = False
    only_ca: bool = False
    only_reasons: frozenset[int] | None = None
    indirect: bool = False
    only_attribute: bool = False


@dataclass(frozen=True, slots=True)
class RevokedEntry:
    """What the list says about one serial."""

    revoked_at: datetime
    reason: str
    invalid_since: datetime | None


def load_crl(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Crl:
    """Load one CRL, DER or PEM, from anybody. The signature is *not* checked here; see
    ``Crl.check_signature``.

    Raises:
        MalformedError: ``TOO_LARGE``, ``NOT_DER``, ``NOT_PEM``, ``DUPLICATE_EXTENSION``, ``MALFORMED``.
    """
    if len(data) > limits.crl_max_bytes:
        raise MalformedError("TOO_LARGE", kind="CRL", max=limits.crl_max_bytes)
    data = bytes(data)
    if data[:1] != b"\x30":
        data = decode_pem(data, "X509 CRL")
    if len(data) >= 1 << _OFFSET_BITS:
        raise MalformedError("TOO_LARGE", kind="CRL", max=1 << _OFFSET_BITS)
    try:
        x509.load_der_x509_crl(data)
        return Crl(data)
    except (DerError, IndexError) as exc:
        raise MalformedError("NOT_DER", kind="CRL", detail=str(exc)) from exc
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as exc:
        raise MalformedError("NOT_DER", kind="CRL", detail=str(exc).partition("\n")[0][:200]) from exc


class Crl:
    """One loaded list. Immutable but for the memory of the keys that have verified it."""

    def __init__(self, der: bytes) -> None:
        """Take apart ``der``, whose outer structure ``load_crl`` has checked."""
        self.der = der
        self.number: int | None = None
        self.base_number: int | None = None  # set in a delta list
        self.scope: IssuingDistributionPoint | None = None
        self.scope_der = b""
        self.authority_key_id: bytes | None = None
        self.critical: set[str] = set()  # OIDs of the critical extensions of the list
        self.unknown_critical: str | None = None  # OID; the list must not be used then
        self._lock = threading.Lock()
        self._verified: dict[tuple[bytes, bytes], str] = {}
        self._take_apart()

    def _take_apart(self) -> None:
        der = self.der
        self._tbs_start = slice_tlv(der, 0)[0]
        pos, self._tbs_end = slice_tlv(der, self._tbs_start)
        algorithm_end = slice_tlv(der, self._tbs_end)[1]
        self.algorithm_der = der[self._tbs_end : algorithm_end]
        start, end = slice_tlv(der, algorithm_end)
        if der[start]:
            raise DerError("the signature is not a whole number of octets")
        self.signature = der[start + 1 : end]

        reader = Reader(der, pos, self._tbs_end)
        version = reader.integer() if reader.peek() == 0x02 else 0
        if reader.raw() != self.algorithm_der:
            raise MalformedError("ALGORITHM_MISMATCH", algorithm="signature")
        self.issuer_der = reader.raw()
        self.issuer: CanonicalName = canonical_name(self.issuer_der)
        self.this_update = read_time(reader)
        self.next_update = read_time(reader) if reader.peek() in {0x17, 0x18} else None
        entries = reader.enter(SEQUENCE) if reader.peek() == SEQUENCE else None
        if reader.peek() == 0xA0:
            if version != 1:
                raise MalformedError("MALFORMED", kind="CRL", detail="extensions need version 2")
            outer = reader.enter(0xA0)
            self._read_extensions(outer.enter(SEQUENCE))
            outer.done()
        reader.done()
        # (offset, issuer) where a certificateIssuer extension changes the issuer of the entries that follow.
        self._issuer_offsets: list[int] = []
        self._issuers: list[CanonicalName] = []
        self._index = array("Q") if entries is None else self._read_entries(entries.pos, entries.end)

    def _read_extensions(self, reader: Reader) -> None:
        seen: set[str] = set()
        while reader:
            oid, critical, value = _read_extension(reader)
            if oid in seen:
                raise MalformedError("DUPLICATE_EXTENSION", oid=oid)
            seen.add(oid)
            if critical:
                self.critical.add(oid)
            value_reader = Reader(value)
            if oid == "2.5.29.20":
                self.number = value_reader.integer()
            elif oid == "2.5.29.27":
                self.base_number = value_reader.integer()
            elif oid == "2.5.29.28":
                self.scope = _read_scope(value_reader)
                self.scope_der = value
            elif oid == "2.5.29.35":
                identifier = value_reader.enter(SEQUENCE)
                if identifier.peek() == 0x80:
                    self.authority_key_id = identifier.contents(0x80)
                identifier.pos = identifier.end
            else:
                if critical:
                    self.unknown_critical = oid
                continue
            value_reader.done()

    def _read_entries(self, pos: int, end: int) -> array[int]:
        """Index all entries: the upper bits of a key are a hash of the serial, the lower ones the offset."""
        der = self.der
        keys: list[int] = []
        append = keys.append
        known: set[bytes] = set()
        while pos < end:
            if der[pos] != SEQUENCE:
                raise DerError("entry")
            length = der[pos + 1]
            if length < 0x80:
                start, stop = pos + 2, pos + 2 + length
            else:
                start, stop = slice_tlv(der, pos)
            # A serial is at most 21 octets, so its length and that of the time are one octet.
            time = start + 2 + der[start + 1]
            append((hash(der[start + 2 : time]) & _HASH_MASK) << _OFFSET_BITS | pos)
            rest = time + 2 + der[time + 1]
            if der[start + 1] > 21 or rest > stop:
                raise DerError("entry")
            if rest != stop:
                extensions = der[rest:stop]
                if extensions not in known:
                    issuer = self._read_entry_extensions(extensions)
                    if issuer is not None:
                        self._issuer_offsets.append(pos)
                        self._issuers.append(issuer)
                    elif len(known) < _KNOWN_EXTENSIONS_MAX:
                        known.add(extensions)
            pos = stop
        if pos != end:
            raise DerError("entries")
        keys.sort()
        return array("Q", keys)

    def _read_entry_extensions(self, extensions: bytes) -> CanonicalName | None:
        """Note an unknown critical entry extension; return the certificate issuer if this entry names one."""
        issuer: CanonicalName | None = None
        reader = Reader(extensions).enter(SEQUENCE)
        while reader:
            oid, critical, value = _read_extension(reader)
            if oid == "2.5.29.29":
                names = parse_general_names(Reader(value).enter(SEQUENCE))
                directory = [name for name in names if name.tag == _DIRECTORY_NAME]
                if len(directory) != 1:
                    raise DerError("certificate issuer")
                issuer = canonical_name(directory[0].value)
            elif critical and oid not in {"2.5.29.21", "2.5.29.24"}:
                # RFC 5280, section 5.3: the list must not be used to determine any status.
                self.unknown_critical = oid
        return issuer

    def __len__(self) -> int:
        return len(self._index)

    def __repr__(self) -> str:
        return f"<Crl {self.issuer_text} number {self.number}, {len(self)} entries>"

    @property
    def is_delta(self) -> bool:
        return self.base_number is not None

    @property
    def is_indirect(self) -> bool:
        return self.scope is not None and self.scope.indirect

    @property
    def issuer_text(self) -> str:
        return display_name(self.issuer_der)

    source_text = issuer_text

    def find(self, serial: int, issuer: CanonicalName | None = None) -> RevokedEntry | None:
        """What the list says about a certificate; ``None`` when it is not listed.

        Args:
            issuer: issuer of the certificate; ``None`` for the issuer of the list.
        """
        size = serial.bit_length() // 8 + 1
        wanted = serial.to_bytes(size, "big", signed=True)
        base = (hash(wanted) & _HASH_MASK) << _OFFSET_BITS
        index = self._index
        position = bisect_left(index, base)
        limit = base | ((1 << _OFFSET_BITS) - 1)
        while position < len(index) and index[position] <= limit:
            offset = index[position] & ((1 << _OFFSET_BITS) - 1)
            position += 1
            start, stop = slice_tlv(self.der, offset)
            if self.der[start + 2 : start + 2 + self.der[start + 1]] != wanted:
                continue
            if self._issuer_at(offset) == (self.issuer if issuer is None else issuer):
                return self._entry(start, stop)
        return None

    def _issuer_at(self, offset: int) -> CanonicalName:
        # RFC 5280, section 5.3.3: the certificate issuer holds until another entry names a new one. Without
        # the indirect flag the extension means nothing.
        position = bisect_right(self._issuer_offsets, offset)
        return self._issuers[position - 1] if position and self.is_indirect else self.issuer

    def _entry(self, start: int, stop: int) -> RevokedEntry:
        reader = Reader(self.der, start, stop)
        reader.any()
        revoked_at = read_time(reader)
        reason, invalid_since = 0, None
        if reader:
            extensions = reader.enter(SEQUENCE)
            while extensions:
                oid, _, value = _read_extension(extensions)
                if oid == "2.5.29.21":
                    reason = int.from_bytes(Reader(value).contents(0x0A), "big")
                elif oid == "2.5.29.24":
                    invalid_since = read_generalized_time(Reader(value))
        return RevokedEntry(revoked_at, REASONS.get(reason, "unspecified"), invalid_since)

    def check_signature(
        self,
        key: PublicKey,
        *,
        policy: AlgorithmPolicy = DEFAULT_ALGORITHMS,
        at: datetime | None = None,
    ) -> None:
        """Check that ``key`` has signed the list. The answer is remembered for each key.

        Raises:
            SignatureInvalidError: it has not.
            RefusedError: the algorithm or the key is not accepted.
        """
        policy.check(parse_algorithm(self.algorithm_der), at)
        identity = spki_der(key), policy.sm2_id
        with self._lock:
            fault = self._verified.get(identity)
            if fault is None:
                fault = ""
                try:
                    tbs = self.der[self._tbs_start : self._tbs_end]
                    verify_signature(key, self.algorithm_der, self.signature, tbs, policy=policy, at=at)
                except SignatureInvalidError as exc:
                    fault = exc.code
                if len(self._verified) < _KEYS_MAX:
                    self._verified[identity] = fault
        if fault:
            raise SignatureInvalidError(fault)

    def check_fresh(self, at: datetime, *, grace: timedelta = timedelta(0)) -> None:
        """Check that ``at`` lies between this_update and next_update plus ``grace``.

        Raises:
            CouldNotCheckError: ``CRL_FUTURE``, ``CRL_STALE``, ``CRL_NO_NEXT_UPDATE``.
        """
        if at < self.this_update:
            raise CouldNotCheckError("CRL_FUTURE", issuer=self.issuer_text, this_update=self.this_update)
        if self.next_update is None:
            # RFC 5280, section 5.1.2.5: conforming CAs always include it.
            raise CouldNotCheckError("CRL_NO_NEXT_UPDATE", issuer=self.issuer_text)
        # Not next_update + grace: a list may say 9999-12-31, and there is no time after that.
        if at - grace >= self.next_update:
            raise CouldNotCheckError("CRL_STALE", issuer=self.issuer_text, next_update=self.next_update)

    def check_not_older(self, known: Crl) -> None:
        """Check that this list may replace ``known``, a list of the same issuer and scope seen earlier.

        Raises:
            RefusedError: ``CRL_ROLLBACK``.
        """
        number, before = (self.number or 0), (known.number or 0)
        if number < before or self.this_update < known.this_update:
            raise RefusedError("CRL_ROLLBACK", issuer=self.issuer_text, number=number, known=before)


def _read_extension(reader: Reader) -> tuple[str, bool, bytes]:
    extension = reader.enter(SEQUENCE)
    oid = extension.oid(OID)
    critical = extension.default_false()
    value = extension.contents(OCTET_STRING)
    extension.done()
    return oid, critical, value


def _read_scope(reader: Reader) -> IssuingDistributionPoint:
    sequence = reader.enter(SEQUENCE)
    full_names: tuple[GeneralName, ...] = ()
    relative_name = None
    if sequence.peek() == 0xA0:
        name = sequence.enter(0xA0)
        full_names, relative_name = parse_distribution_point_name(name)
        name.done()
    only_user = sequence.default_false(0x81)
    only_ca = sequence.default_false(0x82)
    reasons = sequence.named_bits(0x83) if sequence.peek() == 0x83 else None
    indirect = sequence.default_false(0x84)
    only_attribute = sequence.default_false(0x85)
    sequence.done()
    if only_user + only_ca + only_attribute > 1:
        raise MalformedError("MALFORMED", kind="CRL", detail="its scope contradicts itself")
    return IssuingDistributionPoint(
        full_names, relative_name, only_user, only_ca, reasons, indirect, only_attribute
    )

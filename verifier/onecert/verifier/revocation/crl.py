"""Certificate revocation lists: strict loading, one signature check over the raw bytes, an index by serial.

RFC 5280, section 5. ``cryptography`` checks the outer structure once and its object is dropped; entries are
then found through the index of ``crl_index``. The scope of the
list (issuing distribution point) and delta lists are read here and acted upon in ``crl_check``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from onecert.verifier.arguments import as_octets
from onecert.verifier.certificate import decode_pem
from onecert.verifier.der import SEQUENCE, DerError, Reader, slice_tlv
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError, SignatureInvalidError
from onecert.verifier.extensions import (
    DistributionPoint,
    GeneralName,
    parse_distribution_point_name,
    parse_distribution_points,
)
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.names import CanonicalName, canonical_name, display_name
from onecert.verifier.revocation.crl_entries import REASONS, RevokedEntry, read_extension
from onecert.verifier.revocation.crl_index import OFFSET_MAX, CrlIndex
from onecert.verifier.signatures import (
    DEFAULT_ALGORITHMS,
    AlgorithmPolicy,
    PublicKey,
    parse_algorithm,
    spki_der,
    verify_signature,
)
from onecert.verifier.times import read_time

__all__ = ["REASONS", "Crl", "IssuingDistributionPoint", "RevokedEntry", "load_crl"]

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


def load_crl(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Crl:
    """Load one CRL, DER or PEM, from anybody. The signature is *not* checked here; see
    ``Crl.check_signature``.

    Raises:
        MalformedError: ``TOO_LARGE``, ``CRL_ENTRIES``, ``CRL_UNUSUAL_ENTRIES``, ``NOT_DER``, ``NOT_PEM``,
            ``DUPLICATE_EXTENSION``, ``MALFORMED``.
    """
    data = as_octets(data, "a CRL")
    if len(data) > limits.crl_max_bytes:
        raise MalformedError("TOO_LARGE", kind="CRL", max=limits.crl_max_bytes)
    if data[:1] != b"\x30":
        data = decode_pem(data, "X509 CRL")
    if len(data) >= OFFSET_MAX:
        raise MalformedError("TOO_LARGE", kind="CRL", max=OFFSET_MAX)
    try:
        x509.load_der_x509_crl(data)
        return Crl(data, limits)
    except (DerError, IndexError) as exc:
        raise MalformedError("NOT_DER", kind="CRL", detail=str(exc)) from exc
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as exc:
        raise MalformedError("NOT_DER", kind="CRL", detail=str(exc).partition("\n")[0][:200]) from exc


class Crl:
    """One loaded list. Immutable but for the memory of the keys that have verified it.

    Beside the methods: ``issuer`` (canonical name), ``this_update``, ``next_update`` (or ``None``),
    ``number`` and ``base_number`` (or ``None``; the latter is set in a delta list), ``scope`` (the issuing
    distribution point, or ``None``), ``der``; ``len(crl)`` is the number of entries.
    """

    def __init__(self, der: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
        """Take apart ``der``, whose outer structure ``load_crl`` has checked."""
        self.der = der
        self.number: int | None = None
        self.base_number: int | None = None  # set in a delta list
        self.scope: IssuingDistributionPoint | None = None
        self.scope_der = b""
        self.authority_key_id: bytes | None = None
        self.freshest_points: tuple[DistributionPoint, ...] = ()  # where its delta lists are
        self.critical: set[str] = set()  # OIDs of the critical extensions of the list
        self.unknown_critical: str | None = None  # OID; the list must not be used then
        self._lock = threading.Lock()
        self._verified: dict[tuple[bytes, bytes], str] = {}
        self._take_apart(limits)

    def _take_apart(self, limits: Limits) -> None:
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
        start, end = (0, 0) if entries is None else (entries.pos, entries.end)
        self._index = CrlIndex(der, start, end, issuer=self.issuer, indirect=self.is_indirect, limits=limits)
        self.unknown_critical = self.unknown_critical or self._index.unknown_critical

    def _read_extensions(self, reader: Reader) -> None:
        seen: set[str] = set()
        while reader:
            oid, critical, value = read_extension(reader)
            if oid in seen:
                raise MalformedError("DUPLICATE_EXTENSION", oid=oid)
            seen.add(oid)
            if critical:
                self.critical.add(oid)
            value_reader = Reader(value)
            if oid == "2.5.29.20":
                self.number = _number(value_reader)
            elif oid == "2.5.29.27":
                self.base_number = _number(value_reader)
            elif oid == "2.5.29.28":
                self.scope = _read_scope(value_reader)
                self.scope_der = value
            elif oid == "2.5.29.46":
                self.freshest_points = parse_distribution_points(value_reader)
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

    def __len__(self) -> int:
        return len(self._index)

    def __repr__(self) -> str:
        return f"<Crl {self.issuer_text} number {self.number}, {len(self)} entries>"

    @property
    def is_delta(self) -> bool:
        """Whether it only changes a complete list (RFC 5280, section 5.2.4)."""
        return self.base_number is not None

    @property
    def is_indirect(self) -> bool:
        """Whether it may list certificates of other issuers (RFC 5280, section 5.2.5)."""
        return self.scope is not None and self.scope.indirect

    @property
    def issuer_text(self) -> str:
        """The issuer for people; never compare it."""
        return display_name(self.issuer_der)

    source_text = issuer_text

    def find(self, serial: int, issuer: CanonicalName | None = None) -> RevokedEntry | None:
        """What the list says about a certificate; ``None`` when it is not listed.

        Args:
            issuer: issuer of the certificate; ``None`` for the issuer of the list.
        """
        return self._index.find(serial, self.issuer if issuer is None else issuer)

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


def _number(reader: Reader) -> int:
    number = reader.integer()
    # RFC 5280, section 5.2.3. What is much longer cannot even be written out in a text.
    if number.bit_length() > 160:
        raise DerError("the CRL number is longer than 20 octets")
    return number


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

"""The view of a certificate that path validation works on: its fields and extensions, taken apart at once.

What ``cryptography`` reads lazily is read here when the certificate is loaded, so that one that has been
loaded cannot fail later. Loading itself is in ``certificate``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn

from cryptography import x509

from onecert.verifier.der import DerError, slice_tlv
from onecert.verifier.errors import MalformedError
from onecert.verifier.extensions import (
    BasicConstraints,
    DistributionPoint,
    Extension,
    GeneralName,
    NameConstraints,
    PolicyConstraints,
    parse_extension,
    parse_large_extension,
)
from onecert.verifier.names import CanonicalName, canonical_name, check_name, display_name
from onecert.verifier.remembered import REMEMBERED_MAX_BYTES

__all__ = ["ParsedCertificate"]


class ParsedCertificate:
    """One certificate taken apart. Immutable by convention; safe to share between threads."""

    __slots__ = (
        "_issuer",
        "_subject",
        "algorithm_der",
        "certificate",
        "der",
        "extensions",
        "issuer_der",
        "not_after",
        "not_before",
        "serial",
        "signature",
        "spki_der",
        "subject_der",
        "tbs",
    )

    def __init__(self, certificate: x509.Certificate, der: bytes) -> None:
        """Take apart ``der``, which is the encoding of ``certificate``."""
        self.certificate = certificate
        self.der = der
        self.not_before: datetime = certificate.not_valid_before_utc
        self.not_after: datetime = certificate.not_valid_after_utc
        self.extensions: dict[str, Extension] = {}
        self._issuer: CanonicalName | None = None
        self._subject: CanonicalName | None = None
        try:
            self._take_apart(der)
        except DerError as exc:
            raise MalformedError(
                "NOT_DER", kind="certificate", detail=str(exc), certificate=certificate
            ) from exc
        except IndexError as exc:
            raise MalformedError(
                "NOT_DER", kind="certificate", detail="truncated", certificate=certificate
            ) from exc

    def _take_apart(self, der: bytes) -> None:
        # cryptography has accepted the structure, so that lengths and order can be relied upon here.
        tbs_begin = slice_tlv(der, 0)[0]
        pos, tbs_end = slice_tlv(der, tbs_begin)
        self.tbs = der[tbs_begin:tbs_end]
        algorithm_end = slice_tlv(der, tbs_end)[1]
        self.algorithm_der = der[tbs_end:algorithm_end]
        start, end = slice_tlv(der, algorithm_end)
        if der[start]:
            raise DerError("the signature is not a whole number of octets")
        self.signature = der[start + 1 : end]

        version = 0
        if der[pos] == 0xA0:
            pos += 5  # [0] { INTEGER of one octet }
            version = der[pos - 1]
        start = pos + 2  # a serial number of one length octet; what is longer is too long anyway
        pos = start + der[pos + 1]
        if pos - start > 21 or (pos - start == 21 and der[start]):
            self._malformed("the serial number is longer than 20 octets")
        self.serial = int.from_bytes(der[start:pos], "big", signed=True)
        end = pos + len(self.algorithm_der)
        if der[pos:end] != self.algorithm_der:
            # RFC 5280, section 4.1.1.2
            raise MalformedError("ALGORITHM_MISMATCH", algorithm="signature", certificate=self.certificate)
        pos, end = end, slice_tlv(der, end)[1]
        self.issuer_der = der[pos:end]
        pos = end + 2 + der[end + 1]  # validity: two times are shorter than 128 octets
        end = slice_tlv(der, pos)[1]
        self.subject_der = der[pos:end]
        check_name(self.subject_der)
        if self.issuer_der != self.subject_der:
            check_name(self.issuer_der)
        pos, end = end, slice_tlv(der, end)[1]
        self.spki_der = der[pos:end]
        while end < tbs_end and der[end] != 0xA3:
            end = slice_tlv(der, end)[1]  # unique identifiers: obsolete, ignored
        if end < tbs_end:
            if version != 2:
                self._malformed("extensions need version 3")
            self._take_extensions(der, slice_tlv(der, end)[0])

    def _take_extensions(self, der: bytes, pos: int) -> None:
        pos, end = slice_tlv(der, pos)
        found = self.extensions
        count = 0
        while pos < end:
            length = der[pos + 1]
            if length < 0x80:
                stop = pos + 2 + length
                extension = parse_extension(der[pos:stop])
            else:
                stop = slice_tlv(der, pos)[1]
                parse = parse_extension if stop - pos <= REMEMBERED_MAX_BYTES else parse_large_extension
                extension = parse(der[pos:stop])
            found[extension.oid] = extension
            count += 1
            pos = stop
            if len(found) != count:
                # RFC 5280, section 4.2
                raise MalformedError("DUPLICATE_EXTENSION", oid=extension.oid, certificate=self.certificate)
        if not count:
            raise DerError("empty list of extensions")

    def _malformed(self, detail: str) -> NoReturn:
        raise MalformedError("MALFORMED", kind="certificate", detail=detail, certificate=self.certificate)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParsedCertificate) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __repr__(self) -> str:
        return f"<ParsedCertificate {self.subject_text} serial {self.serial:x}>"

    def _value(self, oid: str) -> Any:
        extension = self.extensions.get(oid)
        return None if extension is None else extension.value

    def extension_value(self, oid: str) -> bytes | None:
        """Raw DER of one extension's value."""
        extension = self.extensions.get(oid)
        return None if extension is None else extension.value_der

    @property
    def issuer(self) -> CanonicalName:
        """The issuer's name in canonical form, fit for comparing (RFC 5280, section 7.1)."""
        # Kept here, because long names are not remembered elsewhere. Nobody asks the anchors of a long list.
        if self._issuer is None:
            self._issuer = canonical_name(self.issuer_der)
        return self._issuer

    @property
    def subject(self) -> CanonicalName:
        """The subject's name in canonical form, fit for comparing (RFC 5280, section 7.1)."""
        # Only authorities are asked for it.
        if self._subject is None:
            self._subject = canonical_name(self.subject_der)
        return self._subject

    @property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer have the same name; says nothing about keys."""
        return self.subject_der == self.issuer_der or self.subject == self.issuer

    @property
    def subject_text(self) -> str:
        """The subject for people, such as ``CN=Clerk 7,C=CN``; never compare it."""
        return display_name(self.subject_der)

    @property
    def issuer_text(self) -> str:
        """The issuer for people; never compare it."""
        return display_name(self.issuer_der)

    @property
    def basic_constraints(self) -> BasicConstraints | None:
        """2.5.29.19, or ``None`` when it is absent."""
        value: BasicConstraints | None = self._value("2.5.29.19")
        return value

    @property
    def is_ca(self) -> bool:
        """Whether basic constraints say that it is a CA; False without the extension."""
        extension = self.extensions.get("2.5.29.19")
        return extension is not None and bool(extension.value.ca)

    @property
    def key_usage(self) -> frozenset[int] | None:
        """Numbers of the bits that are set (0 digitalSignature … 8 decipherOnly)."""
        value: frozenset[int] | None = self._value("2.5.29.15")
        return value

    @property
    def extended_key_usage(self) -> frozenset[str] | None:
        """Dotted OIDs of 2.5.29.37, or ``None`` when it is absent."""
        value: frozenset[str] | None = self._value("2.5.29.37")
        return value

    @property
    def alternative_names(self) -> tuple[GeneralName, ...]:
        """The names of 2.5.29.17 in their order; empty when it is absent."""
        value: tuple[GeneralName, ...] = self._value("2.5.29.17") or ()
        return value

    @property
    def name_constraints(self) -> NameConstraints | None:
        """2.5.29.30, or ``None`` when it is absent."""
        value: NameConstraints | None = self._value("2.5.29.30")
        return value

    @property
    def policies(self) -> dict[str, bytes] | None:
        """Dotted OIDs of 2.5.29.32, each with the DER of its qualifiers (empty for none)."""
        value: dict[str, bytes] | None = self._value("2.5.29.32")
        return value

    @property
    def policy_mappings(self) -> tuple[tuple[str, str], ...]:
        """Pairs of 2.5.29.33, policy of the issuer first; empty when it is absent."""
        value: tuple[tuple[str, str], ...] = self._value("2.5.29.33") or ()
        return value

    @property
    def policy_constraints(self) -> PolicyConstraints | None:
        """2.5.29.36, or ``None`` when it is absent."""
        value: PolicyConstraints | None = self._value("2.5.29.36")
        return value

    @property
    def inhibit_any_policy(self) -> int | None:
        """skipCerts of 2.5.29.54, or ``None`` when it is absent."""
        value: int | None = self._value("2.5.29.54")
        return value

    @property
    def distribution_points(self) -> tuple[DistributionPoint, ...]:
        """The points of 2.5.29.31 in their order; empty when it is absent."""
        value: tuple[DistributionPoint, ...] = self._value("2.5.29.31") or ()
        return value

    @property
    def subject_key_id(self) -> bytes | None:
        """2.5.29.14, or ``None`` when it is absent."""
        value: bytes | None = self._value("2.5.29.14")
        return value

    @property
    def authority_key_id(self) -> bytes | None:
        """The key identifier of 2.5.29.35, or ``None`` when it names none."""
        value: bytes | None = self._value("2.5.29.35")
        return value

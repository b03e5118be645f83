"""Attribute certificate revocation lists (RFC 5755, section 6; RFC 5280, sections 5 and 6.3).

A list counts only if its issuing distribution point is critical and says onlyContainsAttributeCerts, it is
complete (not a delta, not indirect, not limited to reasons), and the authority itself signed it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from onecert.verifier.attribute_certificate.delegation_source import DelegationSource
from onecert.verifier.attribute_certificate.parse import MAX_SERIAL_OCTETS
from onecert.verifier.attribute_certificate.trust import AttributeTrust, AuthorityFinder, TrustedAuthority
from onecert.verifier.der import INTEGER, SEQUENCE, DerError, Reader
from onecert.verifier.errors import MalformedError, RefusedError, SignatureInvalidError
from onecert.verifier.names import display_name
from onecert.verifier.signatures import DEFAULT_ALGORITHMS, AlgorithmPolicy, verify_signature

MAX_BYTES = 64 * 1024 * 1024

_ENFORCED = frozenset(
    {
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    }
)
_REMOVE_FROM_CRL = x509.ReasonFlags.remove_from_crl


@dataclass(frozen=True, slots=True)
class Revocation:
    """When and why one certificate was revoked or put on hold; the reason by its RFC 5280 name."""

    revoked_at: datetime
    reason: str


@dataclass(frozen=True, kw_only=True)
class RevocationList:
    """A verified list. Immutable; look-ups do not depend on its length."""

    authority: TrustedAuthority
    number: int
    this_update: datetime
    next_update: datetime
    revoked: Mapping[int, Revocation]

    def find(self, serial: int) -> Revocation | None:
        """Return the entry of a serial number, if it has one."""
        return self.revoked.get(serial)


class StatusSource(Protocol):
    """Where revocation lists of authorities come from."""

    def find_list(self, authority: TrustedAuthority) -> RevocationList | None:
        """Return the newest verified list of this authority, or None."""
        ...


class RevocationLists:
    """Verified lists of each authority, in memory. The newest number never goes backwards.

    Args:
        trust: the authorities whose lists are taken.
        lists: DER.
        delegations: where certificates of sub-authorities come from; a list counts only for the authority
            that signed it, so that nobody gains by a list of his own.
        keep: how many lists of each authority are kept; with more than one, questions about the past find
            the list of their time.
    """

    def __init__(
        self,
        trust: AttributeTrust,
        lists: Iterable[bytes] = (),
        *,
        delegations: DelegationSource | None = None,
        keep: int = 1,
    ) -> None:
        if keep < 1:
            raise ValueError("keep at least one list")
        self._known = trust if delegations is None else trust.and_delegates(delegations)
        self._keep = keep
        self._lists: dict[tuple[bytes, bytes], tuple[RevocationList, ...]] = {}
        for data in lists:
            self.add(data)

    def add(self, data: bytes, *, at: datetime | None = None) -> RevocationList:
        """Verify a list and keep it; when only the newest is kept, an older one is refused.

        Raises:
            MalformedError, RefusedError: it is not a list of an authority we trust, or it goes backwards.
        """
        loaded = load_revocation_list(data, self._known, at=at)
        lists = self._lists.get(_key(loaded.authority), ())
        newest = lists[0].number if lists else loaded.number
        if loaded.number < newest and self._keep == 1:
            raise RefusedError("ACRL_BACKWARDS", number=loaded.number, known=newest)
        others = [each for each in lists if each.number != loaded.number]
        newest_first = sorted([loaded, *others], key=lambda each: each.number, reverse=True)
        self._lists[_key(loaded.authority)] = tuple(newest_first[: self._keep])
        return loaded

    def find_list(self, authority: TrustedAuthority) -> RevocationList | None:
        """Return the newest verified list of this authority, or None."""
        lists = self._lists.get(_key(authority), ())
        return lists[0] if lists else None

    def find_lists(self, authority: TrustedAuthority, at: datetime) -> tuple[RevocationList, ...]:
        """Return all verified lists of this authority that are kept, the newest first."""
        return self._lists.get(_key(authority), ())


def _key(authority: TrustedAuthority) -> tuple[bytes, bytes]:
    return authority.name_der, authority.public_key_der


def load_revocation_list(
    data: bytes,
    trust: AuthorityFinder,
    *,
    at: datetime | None = None,
    algorithms: AlgorithmPolicy = DEFAULT_ALGORITHMS,
) -> RevocationList:
    """Read and verify one list (DER, at most 64 MiB).

    Args:
        trust: whose lists are taken: an ``AttributeTrust``, or one with delegates (``and_delegates``).

    Its age is not checked here; the authority's own path is checked with each attribute certificate.

    Raises:
        MalformedError: ``TOO_LARGE``, ``NOT_DER``, or ``ACRL_FORM``: not a complete list of attribute
            certificates.
        RefusedError: ``ACRL_UNTRUSTED``, ``ACRL_SIGNATURE``.
    """
    if len(data) > MAX_BYTES:
        raise MalformedError("TOO_LARGE", kind="ACRL", max=MAX_BYTES)
    try:
        loaded = x509.load_der_x509_crl(bytes(data))
        issuer_der, algorithm_der = _issuer_and_algorithm(loaded)
        extensions = {extension.oid: extension for extension in loaded.extensions}
        _check_scope(extensions)
        number, key_id = _number_and_key(extensions)
        authority = trust.find(issuer_der, key_id)
        if authority is None or not authority.may_sign_lists:
            raise RefusedError("ACRL_UNTRUSTED", authority=display_name(issuer_der))
        _check_signature(loaded, algorithm_der, authority, algorithms, at)
        this_update, next_update = loaded.last_update_utc, loaded.next_update_utc
        if next_update is None or next_update < this_update:
            raise MalformedError("ACRL_FORM", detail="no next update")
        revoked = {entry.serial_number: _entry(entry) for entry in loaded}
    except (ValueError, TypeError, IndexError, x509.DuplicateExtension, x509.InvalidVersion) as exc:
        raise MalformedError("NOT_DER", kind="ACRL", detail=str(exc)) from exc
    except x509.UnsupportedGeneralNameType as exc:
        raise MalformedError("ACRL_FORM", detail="a name of an unsupported kind") from exc
    return RevocationList(
        authority=authority,
        number=number,
        this_update=this_update,
        next_update=next_update,
        revoked=revoked,
    )


def _issuer_and_algorithm(loaded: x509.CertificateRevocationList) -> tuple[bytes, bytes]:
    reader = Reader(loaded.public_bytes(Encoding.DER)).enter(SEQUENCE)
    tbs = reader.enter(SEQUENCE)
    if tbs.peek() != INTEGER:
        raise DerError("a version 1 list")
    tbs.raw()
    inner = tbs.raw()
    issuer_der = tbs.raw()
    if inner != reader.raw():
        raise DerError("the two signature algorithms differ")
    return issuer_der, inner


def _check_scope(extensions: Mapping[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]) -> None:
    unknown = [oid.dotted_string for oid, e in extensions.items() if e.critical and oid not in _ENFORCED]
    if unknown:
        raise MalformedError("ACRL_FORM", detail=f"unknown critical extension {unknown[0]}")
    if ExtensionOID.DELTA_CRL_INDICATOR in extensions:
        raise MalformedError("ACRL_FORM", detail="a delta list")
    point = extensions.get(ExtensionOID.ISSUING_DISTRIBUTION_POINT)
    if point is None or not point.critical or not isinstance(point.value, x509.IssuingDistributionPoint):
        raise MalformedError("ACRL_FORM", detail="no critical issuing distribution point")
    value = point.value
    if not value.only_contains_attribute_certs:
        raise MalformedError("ACRL_FORM", detail="not limited to attribute certificates")
    if (
        value.only_contains_ca_certs
        or value.only_contains_user_certs
        or value.indirect_crl
        or value.only_some_reasons
    ):
        raise MalformedError("ACRL_FORM", detail="not the complete list of one authority")


def _number_and_key(
    extensions: Mapping[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]],
) -> tuple[int, bytes | None]:
    number = extensions.get(ExtensionOID.CRL_NUMBER)
    if number is None or not isinstance(number.value, x509.CRLNumber):
        raise MalformedError("ACRL_FORM", detail="no CRL number")
    # RFC 5280, section 5.2.3: at most 20 octets.
    if number.value.crl_number.bit_length() > 8 * MAX_SERIAL_OCTETS:
        raise MalformedError("ACRL_FORM", detail="the CRL number is too long")
    key = extensions.get(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    if key is None or not isinstance(key.value, x509.AuthorityKeyIdentifier):
        return number.value.crl_number, None
    return number.value.crl_number, key.value.key_identifier


def _check_signature(
    loaded: x509.CertificateRevocationList,
    algorithm_der: bytes,
    authority: TrustedAuthority,
    algorithms: AlgorithmPolicy,
    at: datetime | None,
) -> None:
    try:
        verify_signature(
            authority.public_key,
            algorithm_der,
            loaded.signature,
            loaded.tbs_certlist_bytes,
            policy=algorithms,
            at=at,
        )
    except SignatureInvalidError as exc:
        raise RefusedError("ACRL_SIGNATURE", authority=authority.label) from exc


def _entry(entry: x509.RevokedCertificate) -> Revocation:
    reason = "unspecified"
    for extension in entry.extensions:
        if extension.oid == CRLEntryExtensionOID.CRL_REASON and isinstance(extension.value, x509.CRLReason):
            if extension.value.reason == _REMOVE_FROM_CRL:
                raise MalformedError("ACRL_FORM", detail="removeFromCRL in a complete list")
            reason = extension.value.reason.value
        elif extension.critical:
            # certificateIssuer is critical: the list would be indirect.
            oid = extension.oid.dotted_string
            raise MalformedError("ACRL_FORM", detail=f"critical entry extension {oid}")
    return Revocation(entry.revocation_date_utc, reason)

"""Drafts: the to-be-signed certificate, written from a profile, before any real key is near.

RFC 5280, section 4.1. What does not change between certificates of one issuer and profile is encoded once,
in a `DraftMaker`; a draft costs some twenty concatenations. Times are exact to the second: a certificate
valid for 365 days has its last second 365 days less one second after its first.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property

from cryptography import x509

from onecert.ca import der
from onecert.ca.authorities.terms import AuthorityTerms
from onecert.ca.certificates.csr import CheckedKey
from onecert.ca.certificates.names import subject_der
from onecert.ca.errors import IssuerExpiresError
from onecert.ca.errors.profiles import ProfileChangedError
from onecert.ca.profiles.profile import EXTENDED_KEY_USAGE_OIDS, KEY_USAGE_BITS, Profile
from onecert.ca.profiles.term import certificate_term
from onecert.ca.signatures.algorithms import PublicKey, SignatureAlgorithm, algorithm_of
from onecert.ca.signatures.public_keys import key_of_certificate

# RFC 5280, section 4.1.2.2: positive, at most 20 octets. One fixed leading octet that is neither zero nor
# negative, so that every serial has the same length and all of its 128 random bits count.
SERIAL_LEAD = 0x4F
SERIAL_RANDOM_OCTETS = 16


def random_serial() -> int:
    """Draw a serial number with 128 random bits."""
    return int.from_bytes(bytes((SERIAL_LEAD,)) + secrets.token_bytes(SERIAL_RANDOM_OCTETS), "big")


def serial_hex(serial: int) -> str:
    """Write a serial the way records, commands and addresses name it."""
    return f"{serial:x}"


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """The public side of an authority: all that a draft needs to know of who will sign it."""

    name: str
    subject_der: bytes
    public_key: PublicKey
    key_id: bytes
    not_before: datetime
    not_after: datetime
    crl_url: str = ""
    certificate_url: str = ""
    ocsp_url: str = ""
    bundle_url: str = ""  # of an authority that certifies others: all certificates that others gave it, too
    crl_partitions: int = 0  # in force; see `crl_lists`

    @cached_property
    def algorithm(self) -> SignatureAlgorithm:
        return algorithm_of(self.public_key)

    @cached_property
    def mark(self) -> tuple[object, ...]:
        """Everything but the key, which `key_id` names: the same for the same issuer in every process."""
        return tuple(getattr(self, each.name) for each in fields(self) if each.name != "public_key")

    def crl_partition(self, serial: int) -> int:
        """Choose the list of a new certificate: 1 to the number in force, or 0 for the full list.

        Serials are random, so the partitions fill alike. The choice stays in certificate and record; when the
        number grows, only new certificates are spread anew.
        """
        return serial % self.crl_partitions + 1 if self.crl_partitions else 0

    def crl_url_of(self, partition: int) -> str:
        """Tell where a partition's list is served: `/<authority>-<n>.crl`; 0 is the full list."""
        return f"{self.crl_url.removesuffix('.crl')}-{partition}.crl" if partition else self.crl_url


def delta_url(crl_url: str) -> str:
    """Tell where the delta of a list is served."""
    return f"{crl_url.removesuffix('.crl')}-delta.crl"


@dataclass(frozen=True, kw_only=True)
class CheckedRequest:
    """Everything a certificate will say, each part checked against its profile."""

    profile: Profile
    key: CheckedKey
    subject: Mapping[str, str]
    entity: str
    identity: Mapping[str, str] = field(default_factory=dict)
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    may_give: tuple[str, ...] = ()  # attributes that an attribute authority may give; none: not limited
    not_after: datetime | None = None  # None: the profile's whole term
    terms: AuthorityTerms | None = None  # of another authority's certificate, or one that rolls a key over


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A to-be-signed certificate and what it was made from."""

    request: CheckedRequest
    issuer: Issuer
    serial: int
    key_number: int
    not_before: datetime
    not_after: datetime
    tbs_der: bytes

    @property
    def crl_partition(self) -> int:
        """The partition of the revocation lists that the certificate names, 0 for the full list alone."""
        return _partition(self.request.profile, self.issuer, self.serial)


def _partition(profile: Profile, issuer: Issuer, serial: int) -> int:
    return issuer.crl_partition(serial) if profile.status_pointers else 0


class DraftMaker:
    """Writes drafts of one profile for one issuer."""

    def __init__(self, issuer: Issuer, profile: Profile) -> None:
        self.issuer = issuer
        self.profile = profile
        self._before_names = issuer.algorithm.identifier_der + issuer.subject_der
        # The moment of the last draft, and its validity: a batch has many drafts of one moment.
        self._last: tuple[datetime, tuple[datetime, datetime, bytes]] | None = None
        partitions = issuer.crl_partitions if profile.status_pointers else 0
        self._fixed_extensions = [
            self._encode_fixed_extensions(partition) for partition in range(partitions + 1)
        ]

    def draft(self, request: CheckedRequest, *, serial: int, key_number: int, at: datetime) -> Draft:
        """Write the draft of one certificate, valid from `at` on.

        Raises:
            IssuerExpiresError: it would outlive its issuer.
            CertificateTermError: the request asks for an end that the profile does not allow.
            ProfileChangedError: the request was checked against another profile.
        """
        if request.profile is not self.profile and request.profile.sha256 != self.profile.sha256:
            raise ProfileChangedError(request.profile.name, request.profile.version)
        not_before, not_after, validity_der = self._validity(request, at)
        tbs_der = der.sequence(
            _VERSION_3,
            der.integer(serial),
            self._before_names,
            validity_der,
            subject_der(request.subject) if request.terms is None else request.terms.subject_der,
            request.key.spki_der,
            der.explicit(3, der.sequence(*self._extensions(request, serial, key_number))),
        )
        return Draft(
            request=request,
            issuer=self.issuer,
            serial=serial,
            key_number=key_number,
            not_before=not_before,
            not_after=not_after,
            tbs_der=tbs_der,
        )

    def _validity(self, request: CheckedRequest, at: datetime) -> tuple[datetime, datetime, bytes]:
        asked, terms = request.not_after, request.terms
        if terms is not None and terms.validity is not None:
            not_before, not_after = terms.validity
            if not_after > self.issuer.not_after:
                raise IssuerExpiresError(self.issuer.name, self.issuer.not_after.isoformat())
            return not_before, not_after, _validity_der(not_before, not_after)
        last = self._last
        if asked is None and last is not None and last[0] == at:
            return last[1]
        not_before, not_after = certificate_term(
            self.profile,
            issuer=self.issuer.name,
            issuer_not_before=self.issuer.not_before,
            issuer_not_after=self.issuer.not_after,
            at=at,
            asked=asked,
        )
        validity = not_before, not_after, _validity_der(not_before, not_after)
        if asked is None:
            self._last = at, validity
        return validity

    def _extensions(self, request: CheckedRequest, serial: int, key_number: int) -> list[bytes]:
        extensions = [
            der.extension("2.5.29.14", der.octet_string(key_identifier(request.key.spki_der))),
            self._fixed_extensions[_partition(self.profile, self.issuer, serial)],
        ]
        if request.terms is not None:
            extensions += request.terms.extensions_der
        if self.profile.alternative_names:
            extensions.append(_alternative_names(request))
        if request.may_give:
            extensions.append(_attribute_controls(request.may_give))
        for form in self.profile.identity_forms:
            encoded = form.extension_der(request.identity, key_number)
            if encoded is not None:
                extensions.append(encoded)
        return extensions

    def _encode_fixed_extensions(self, partition: int) -> bytes:
        profile, issuer = self.profile, self.issuer
        parts = [
            der.extension("2.5.29.35", der.sequence(der.implicit(0, issuer.key_id))),
            der.extension(
                "2.5.29.15",
                der.named_bits(frozenset(KEY_USAGE_BITS[usage] for usage in profile.key_usage)),
                critical=True,
            ),
        ]
        if profile.is_authority:
            limit = b"" if profile.path_length is None else der.integer(profile.path_length)
            parts.append(der.extension("2.5.29.19", der.sequence(der.TRUE, limit), critical=True))
        if profile.extended_key_usage:
            purposes = [der.oid(EXTENDED_KEY_USAGE_OIDS[usage]) for usage in profile.extended_key_usage]
            critical = profile.extended_key_usage_critical
            parts.append(der.extension("2.5.29.37", der.sequence(*purposes), critical=critical))
        if profile.policies:
            policies = [der.sequence(der.oid(policy)) for policy in profile.policies]
            parts.append(der.extension("2.5.29.32", der.sequence(*policies)))
        if profile.status_pointers:
            parts += self._status_pointers(partition)
        if profile.ocsp_no_check:
            parts.append(der.extension("1.3.6.1.5.5.7.48.1.5", der.NULL_DER))
        return b"".join(parts)

    def _status_pointers(self, partition: int) -> list[bytes]:
        issuer, pointers = self.issuer, []
        if issuer.crl_url:
            url = issuer.crl_url_of(partition)
            pointers.append(der.extension("2.5.29.31", _distribution_point(url)))
            if self.profile.freshest_crl:
                pointers.append(der.extension("2.5.29.46", _distribution_point(delta_url(url))))
        access = []
        if issuer.ocsp_url:
            access.append(der.sequence(der.oid("1.3.6.1.5.5.7.48.1"), _uri(issuer.ocsp_url)))
        if issuer.certificate_url:
            access.append(der.sequence(der.oid("1.3.6.1.5.5.7.48.2"), _uri(issuer.certificate_url)))
        if issuer.bundle_url:
            access.append(der.sequence(der.oid("1.3.6.1.5.5.7.48.2"), _uri(issuer.bundle_url)))
        if access:
            pointers.append(der.extension("1.3.6.1.5.5.7.1.1", der.sequence(*access)))
        return pointers


_VERSION_3 = der.explicit(0, der.integer(2))


def _validity_der(not_before: datetime, not_after: datetime) -> bytes:
    return der.sequence(der.time(not_before), der.time(not_after))


def _distribution_point(url: str) -> bytes:
    return der.sequence(der.sequence(der.explicit(0, der.explicit(0, _uri(url)))))


def _uri(url: str) -> bytes:
    return der.implicit(6, url.encode("ascii"))


def _alternative_names(request: CheckedRequest) -> bytes:
    names = [der.implicit(2, name.encode("ascii")) for name in request.dns_names]
    names += [der.implicit(7, ipaddress.ip_address(address).packed) for address in request.addresses]
    return der.extension("2.5.29.17", der.sequence(*names))


def _attribute_controls(may_give: tuple[str, ...]) -> bytes:
    """Write aaControls (RFC 5755, section 7.4): these attributes are permitted, and no other."""
    permitted = der.explicit(0, *(der.oid(each) for each in may_give))
    return der.extension("1.3.6.1.5.5.7.1.6", der.sequence(permitted, der.FALSE))


def key_identifier(spki: bytes) -> bytes:
    """Name a key by the SHA-1 of its bits (RFC 5280, section 4.2.1.2, method 1)."""
    _algorithm, (_tag, _content, bits) = der.elements(der.content_of(spki))
    return hashlib.sha1(der.content_of(bits, der.BIT_STRING)[1:], usedforsecurity=False).digest()


def raw_subject(tbs_der: bytes) -> bytes:
    """Cut the subject out of a to-be-signed certificate, byte for byte as it stands there."""
    reader = der.Reader(tbs_der).enter()
    for _field in ("version", "serial", "signature", "issuer", "validity"):
        reader.element()
    return reader.element()[2]


def issuer_of(
    certificate: x509.Certificate, name: str, status_url: str, *, with_ocsp: bool, crl_partitions: int = 0
) -> Issuer:
    """Describe the holder of a CA certificate as an issuer.

    Args:
        status_url: where its list, certificate and OCSP answers are served, without the last slash.
        with_ocsp: it certifies holders and answers for them; others certify authorities, have a list alone,
            and name the bundle of their certificates.
        crl_partitions: over how many lists new certificates are spread; 0: the full list alone.
    """
    public_key = key_of_certificate(certificate)
    key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    return Issuer(
        name=name,
        subject_der=raw_subject(certificate.tbs_certificate_bytes),
        public_key=public_key,
        key_id=key_id,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        crl_url=f"{status_url}/{name}.crl",
        certificate_url=f"{status_url}/{name}.cer",
        ocsp_url=f"{status_url}/{name}/ocsp" if with_ocsp else "",
        bundle_url="" if with_ocsp else f"{status_url}/{name}.p7c",
        crl_partitions=crl_partitions,
    )

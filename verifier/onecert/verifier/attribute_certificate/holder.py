"""Whom an attribute certificate belongs to (RFC 5755, section 4.2.2), and whether that is this certificate.

Three ways to name the holder: issuer and serial number of the identity certificate, the entity's name, or the
digest of its key or certificate. An empty holder names nobody. Where several are given, each one must match.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes

from onecert.verifier.attribute_certificate import asn1 as syntax
from onecert.verifier.attribute_certificate.encoding import ENUMERATED, check_der, read_single, tlv
from onecert.verifier.attribute_certificate.general_names import (
    DIRECTORY,
    EMPTY_NAME,
    URI,
    GeneralName,
    share_a_name,
)
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import SEQUENCE, DerError
from onecert.verifier.names import canonical_name

PUBLIC_KEY = 0
PUBLIC_KEY_CERTIFICATE = 1
OTHER_OBJECT = 2
MAX_NAMES = 64
ENTITY = b"urn:onecert:entity:"
_LEGAL = ("uscc:", "org:", "regno:")


def _sm3(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


# By the DER of the object identifier. SHA-1 is not here: a digest names the holder as firmly as a signature.
_DIGESTS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "sha256": ("0609608648016503040201", lambda data: hashlib.sha256(data).digest()),
    "sha384": ("0609608648016503040202", lambda data: hashlib.sha384(data).digest()),
    "sha512": ("0609608648016503040203", lambda data: hashlib.sha512(data).digest()),
    "sm3": ("06082a811ccf55018311", _sm3),
}
# RFC 5754, section 2: without parameters, and readers accept NULL.
_DIGEST_BY_DER = {
    tlv(SEQUENCE, bytes.fromhex(oid), parameters): name
    for name, (oid, _) in _DIGESTS.items()
    for parameters in (b"", b"\x05\x00")
}


@dataclass(frozen=True, slots=True)
class BaseCertificateId:
    """The identity certificate by the name of its issuer and its serial number."""

    issuer: tuple[GeneralName, ...]
    serial: int
    has_issuer_uid: bool = False

    def matches(self, certificate: ParsedCertificate) -> bool:
        """Tell whether this names the certificate: exactly one issuer, a directory name that is not empty."""
        # No CA that we accept uses issuerUniqueID; a holder that asks for one is nobody we know.
        if len(self.issuer) != 1 or self.issuer[0].tag != DIRECTORY or self.has_issuer_uid:
            return False
        name = self.issuer[0].value
        if name == EMPTY_NAME or self.serial != certificate.serial:
            return False
        return name == certificate.issuer_der or canonical_name(name) == certificate.issuer


@dataclass(frozen=True, slots=True)
class ObjectDigest:
    """The digest of a key (0), a certificate (1) or something else (2); ``algorithm`` None: not accepted."""

    object_type: int
    algorithm: str | None
    digest: bytes

    def matches(self, certificate: ParsedCertificate) -> bool:
        """Tell whether the key or the certificate has this digest."""
        if self.algorithm is None or self.object_type == OTHER_OBJECT:
            return False
        return digest_of(certificate, self.object_type, self.algorithm) == self.digest


@dataclass(frozen=True, slots=True)
class Holder:
    """The decoded ``Holder``."""

    base_certificate_id: BaseCertificateId | None = None
    entity_name: tuple[GeneralName, ...] = ()
    object_digest: ObjectDigest | None = None

    @property
    def is_empty(self) -> bool:
        """An empty holder belongs to nobody."""
        return self.base_certificate_id is None and not self.entity_name and self.object_digest is None

    @classmethod
    def from_syntax(cls, value: syntax.HolderSyntax) -> "Holder":
        """Take over what ``hazmat.asn1`` read.

        Raises:
            DerError: an empty list of names, or a part that is not what RFC 5755 says.
        """
        base = value.base_certificate_id
        return cls(
            None
            if base is None
            else BaseCertificateId(_names(base.issuer), base.serial, base.issuer_uid is not None),
            () if value.entity_name is None else _names(value.entity_name),
            None if value.object_digest_info is None else _digest(value.object_digest_info),
        )


def is_issued_to(holder: Holder, certificate: ParsedCertificate, identity: str | None = None) -> bool:
    """Tell whether an attribute certificate belongs to this identity certificate.

    An empty holder belongs to nobody: the answer is False, never True.

    Args:
        holder: the decoded ``Holder`` of an attribute certificate.
        certificate: the identity certificate presented with it, itself already verified.
        identity: the canonical id of the legal entity that the caller has verified, such as
            ``uscc:91440300MA5DEM004J``; a name ``urn:onecert:entity:<id>`` matches this and nothing else.

    Source: RFC 5755, sections 4.2.2 and 5.
    """
    if holder.is_empty:
        return False
    if holder.base_certificate_id is not None and not holder.base_certificate_id.matches(certificate):
        return False
    if holder.entity_name and not _is_entity(holder.entity_name, certificate, identity):
        return False
    return holder.object_digest is None or holder.object_digest.matches(certificate)


def _is_entity(names: tuple[GeneralName, ...], certificate: ParsedCertificate, identity: str | None) -> bool:
    if any(_names_entity(name) for name in names):
        # What a certificate calls itself is no proof of which entity it is; the caller's verification is. And
        # a number of a natural person does not belong into a name that everybody can read.
        wanted = b"" if identity is None or not identity.startswith(_LEGAL) else identity.encode()
        return bool(wanted) and GeneralName(URI, ENTITY + wanted) in names
    own = [GeneralName(DIRECTORY, certificate.subject_der)]
    own += [as_tagged(name.tag, name.value) for name in certificate.alternative_names]
    return share_a_name(
        (name for name in names if not name.is_empty_directory_name),
        (name for name in own if not name.is_empty_directory_name),
    )


def _names_entity(name: GeneralName) -> bool:
    # RFC 8141: the scheme and the namespace of a URN are compared without case.
    return name.tag == URI and name.value[: len(ENTITY)].lower() == ENTITY


def as_tagged(number: int, value: bytes) -> GeneralName:
    """Turn a name read by ``onecert.verifier.extensions`` (tag number, contents) into one of ours."""
    # otherName, x400Address, directoryName and ediPartyName are constructed, the others primitive.
    return GeneralName((0xA0 if number in {0, 3, 4, 5} else 0x80) | number, value)


def digest_of(certificate: ParsedCertificate, object_type: int, algorithm: str = "sha256") -> bytes:
    """Digest the key (its SubjectPublicKeyInfo) or the whole certificate, as ``ObjectDigestInfo`` does."""
    data = certificate.spki_der if object_type == PUBLIC_KEY else certificate.der
    return _DIGESTS[algorithm][1](data)


def digest_algorithm_der(algorithm: str = "sha256") -> bytes:
    """Return the AlgorithmIdentifier of a digest, without parameters (RFC 5754, section 2)."""
    return tlv(SEQUENCE, bytes.fromhex(_DIGESTS[algorithm][0]))


def _names(values: list[syntax.Tlv]) -> tuple[GeneralName, ...]:
    if not 0 < len(values) <= MAX_NAMES:
        raise DerError("GeneralNames without a name, or with too many")
    return tuple(GeneralName.from_tlv(value) for value in values)


def _digest(value: syntax.ObjectDigestInfo) -> ObjectDigest:
    kind = asn1.encode_der(value.object_type)
    contents = read_single(kind, ENUMERATED)
    if len(contents) != 1 or contents[0] > OTHER_OBJECT:
        raise DerError("digestedObjectType is none of the three")
    if (value.other_type is not None) != (contents[0] == OTHER_OBJECT):
        raise DerError("otherObjectTypeID goes with otherObjectTypes only")
    algorithm = asn1.encode_der(value.algorithm)
    check_der(algorithm)
    if value.digest.padding_bits():
        raise DerError("the digest is not whole octets")
    return ObjectDigest(contents[0], _DIGEST_BY_DER.get(algorithm), value.digest.as_bytes())

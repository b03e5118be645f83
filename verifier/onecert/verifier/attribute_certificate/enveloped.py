"""CMS EnvelopedData (RFC 5652, section 6) as encrypted attributes need it: written and opened, DER only.

Content by AES-256-CBC (RFC 3565): RFC 5755, section 7.1, asks for EnvelopedData, which has no place for a tag
of AES-GCM. Nothing here proves where the octets come from; the signature of the attribute certificate does,
and must have been verified before. Its key reaches each recipient by RSAES-OAEP with SHA-256 (RFC 3560, RFC
4055), or by ECDH with a key of one use on P-256 or P-384, the X9.63 derivation and AES-256 key wrap (RFC
5753). Read as well: SHA-384 and SHA-512 in OAEP. Left out, on purpose: RSA PKCS #1 v1.5, recipients by key
identifier or password, SM2.

A private key is any ``RSAPrivateKey`` or ``EllipticCurvePrivateKey`` of ``cryptography``'s, also of a token.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.verifier.attribute_certificate.encoding import CONSTRUCTED, CONTEXT, check_der, read_single, tlv
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import BIT_STRING, INTEGER, OCTET_STRING, SEQUENCE, SET, DerError, Reader
from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.names import names_match
from onecert.verifier.signatures import load_public_key

__all__ = ["DecryptionKey", "envelop", "open_envelope"]

DecryptionKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

MAX_RECIPIENTS = 16
_SOURCE = "RFC 5755, section 7.1"
_KEY_OCTETS = 32
_BLOCK_OCTETS = 16

_EXPLICIT_0, _EXPLICIT_1 = CONTEXT | CONSTRUCTED, CONTEXT | CONSTRUCTED | 1
_ENVELOPED_DATA = bytes.fromhex("06092a864886f70d010703")
_AES_256_CBC = bytes.fromhex("060960864801650304012a")
_AES_256_WRAP = bytes.fromhex("300b060960864801650304012d")
_ID_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
_RSAES_OAEP, _MGF1 = bytes.fromhex("06092a864886f70d010107"), bytes.fromhex("06092a864886f70d010108")
_DIGESTS: dict[bytes, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    bytes.fromhex("0609608648016503040201"): hashes.SHA256,
    bytes.fromhex("0609608648016503040202"): hashes.SHA384,
    bytes.fromhex("0609608648016503040203"): hashes.SHA512,
}
# dhSinglePass-stdDH-sha…kdf-scheme, RFC 5753, section 7.1.4
_AGREEMENTS: dict[bytes, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    bytes.fromhex("06062b8104010b01"): hashes.SHA256,
    bytes.fromhex("06062b8104010b02"): hashes.SHA384,
    bytes.fromhex("06062b8104010b03"): hashes.SHA512,
}
# Curves, and the agreement that RFC 5753, section 8, has for each.
_CURVES = {
    "secp256r1": (bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06062b8104010b01")),
    "secp384r1": (bytes.fromhex("06052b81040022"), bytes.fromhex("06062b8104010b02")),
}
_NULL = b"\x05\x00"


def _oaep_der(digest: bytes) -> bytes:
    parameters = tlv(SEQUENCE, tlv(0xA0, digest), tlv(0xA1, tlv(SEQUENCE, _MGF1, digest)))
    return tlv(SEQUENCE, _RSAES_OAEP, parameters)


_OAEP_SHA256 = _oaep_der(tlv(SEQUENCE, bytes.fromhex("0609608648016503040201"), _NULL))
# RFC 4055, section 2.1: written with NULL, read without it as well.
_OAEP = {
    _oaep_der(tlv(SEQUENCE, oid, parameters)): hash_type
    for oid, hash_type in _DIGESTS.items()
    for parameters in (_NULL, b"")
}


def envelop(content: bytes, content_type: bytes, recipients: Sequence[ParsedCertificate]) -> bytes:
    """Encrypt octets to each of 1 to 16 certificates.

    Args:
        content: at most 16 KiB.
        content_type: the DER of its object identifier.
        recipients: certificates with an RSA key of 2,048 bits or more, or a key on P-256 or P-384, that are
            already verified and may encipher or agree on keys.

    Returns:
        The DER of ``ContentInfo``.

    Raises:
        MalformedError: ``ENCRYPTION_RECIPIENT``: a certificate that nothing can be encrypted to.
    """
    if not 0 < len(recipients) <= MAX_RECIPIENTS:
        raise MalformedError(
            "ENCRYPTION_RECIPIENT", detail=f"1 to {MAX_RECIPIENTS} recipients", source=_SOURCE
        )
    key, start = os.urandom(_KEY_OCTETS), os.urandom(_BLOCK_OCTETS)
    infos = [_wrap_key(key, each) for each in recipients]
    # RFC 5652, section 6.1: version 0 while all recipients are key transport with an issuer and serial.
    version = 0 if all(info[0] == SEQUENCE for info in infos) else 2
    padder, encryptor = padding.PKCS7(128).padder(), Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    padded = padder.update(content) + padder.finalize()
    encrypted = encryptor.update(padded) + encryptor.finalize()
    cipher = tlv(SEQUENCE, _AES_256_CBC, tlv(OCTET_STRING, start))
    enveloped = tlv(
        SEQUENCE,
        tlv(INTEGER, bytes((version,))),
        tlv(SET, *sorted(infos)),
        tlv(SEQUENCE, content_type, cipher, tlv(CONTEXT, encrypted)),
    )
    return tlv(SEQUENCE, _ENVELOPED_DATA, tlv(_EXPLICIT_0, enveloped))


def _wrap_key(key: bytes, recipient: ParsedCertificate) -> bytes:
    public = load_public_key(recipient.spki_der)
    name = tlv(SEQUENCE, recipient.issuer_der, _integer(recipient.serial))
    bits = recipient.key_usage
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= 2048 and (bits is None or 2 in bits):
        wrapped = public.encrypt(key, _oaep(hashes.SHA256))
        return tlv(SEQUENCE, b"\x02\x01\x00", name, _OAEP_SHA256, tlv(OCTET_STRING, wrapped))
    if (
        isinstance(public, ec.EllipticCurvePublicKey)
        and public.curve.name in _CURVES
        and (bits is None or 4 in bits)
    ):
        return _agree(key, public, name)
    raise MalformedError(
        "ENCRYPTION_RECIPIENT",
        detail=recipient.subject_text,
        source=_SOURCE,
        certificate=recipient.certificate,
    )


def _agree(key: bytes, public: ec.EllipticCurvePublicKey, name: bytes) -> bytes:
    _curve, agreement = _CURVES[public.curve.name]
    own = ec.generate_private_key(public.curve)
    wrapping = _derive(own.exchange(ec.ECDH(), public), _AGREEMENTS[agreement])
    point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    # RFC 5753, section 3.1.1: the originator's key without parameters; it is on the recipient's curve.
    originator = tlv(_EXPLICIT_1, tlv(SEQUENCE, _ID_EC_PUBLIC_KEY), tlv(BIT_STRING, b"\x00", point))
    return tlv(
        _EXPLICIT_1,  # [1] IMPLICIT KeyAgreeRecipientInfo
        b"\x02\x01\x03",
        tlv(_EXPLICIT_0, originator),
        tlv(SEQUENCE, agreement, _AES_256_WRAP),
        tlv(SEQUENCE, tlv(SEQUENCE, name, tlv(OCTET_STRING, aes_key_wrap(wrapping, key)))),
    )


def _derive(shared: bytes, hash_type: type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]) -> bytes:
    # ECC-CMS-SharedInfo, RFC 5753, section 7.2: the wrap, and the number of bits of its key.
    bits = tlv(CONTEXT | CONSTRUCTED | 2, tlv(OCTET_STRING, (8 * _KEY_OCTETS).to_bytes(4, "big")))
    info = tlv(SEQUENCE, _AES_256_WRAP, bits)
    return X963KDF(algorithm=hash_type(), length=_KEY_OCTETS, sharedinfo=info).derive(shared)


def _oaep(hash_type: type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]) -> rsa_padding.OAEP:
    return rsa_padding.OAEP(rsa_padding.MGF1(hash_type()), hash_type(), None)


def _integer(value: int) -> bytes:
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def open_envelope(
    data: bytes, content_type: bytes, recipient: ParsedCertificate, key: DecryptionKey
) -> bytes:
    """Decrypt what was encrypted to one certificate.

    Args:
        data: the DER of ``ContentInfo``.
        content_type: the DER of the object identifier that the content must have.
        recipient: the certificate that it was encrypted to.
        key: its private key.

    Raises:
        MalformedError: ``NOT_DER``: it is not such an envelope.
        RefusedError: ``ENCRYPTED_FOR_OTHERS``: none of the recipients is this certificate;
            ``ENCRYPTED_UNREADABLE``: the key, an algorithm or the padding is wrong, whichever.
    """
    try:
        infos, start, encrypted = _take_apart(data, content_type)
        mine = next((found for each in infos if (found := _find_mine(each, recipient)) is not None), None)
    except (ValueError, TypeError) as exc:
        raise MalformedError("NOT_DER", kind="encrypted attributes", detail=str(exc), source=_SOURCE) from exc
    if mine is None:
        raise RefusedError("ENCRYPTED_FOR_OTHERS", subject=recipient.subject_text, source=_SOURCE)
    try:
        content_key = _unwrap_key(mine, key)
        decryptor = Cipher(algorithms.AES(content_key), modes.CBC(start)).decryptor()
        unpadder = padding.PKCS7(128).unpadder()
        return unpadder.update(decryptor.update(encrypted) + decryptor.finalize()) + unpadder.finalize()
    except (ValueError, TypeError, InvalidUnwrap, InvalidKey) as exc:
        # One answer, so that nobody learns from it which step failed.
        raise RefusedError("ENCRYPTED_UNREADABLE", source=_SOURCE) from exc


def _take_apart(data: bytes, content_type: bytes) -> tuple[list[bytes], bytes, bytes]:
    check_der(data)
    outer = Reader(data).enter(SEQUENCE)
    if outer.raw() != _ENVELOPED_DATA:
        raise DerError("not EnvelopedData")
    reader = Reader(read_single(outer.contents(_EXPLICIT_0), SEQUENCE))
    outer.done()
    version = reader.integer()
    recipients, infos = reader.enter(SET), []
    while recipients:
        infos.append(recipients.raw())
    if version not in {0, 2} or not 0 < len(infos) <= MAX_RECIPIENTS:
        raise DerError("the version, or the number of recipients")
    content = reader.enter(SEQUENCE)
    reader.done()
    if content.raw() != content_type:
        raise DerError("another content type")
    cipher = content.enter(SEQUENCE)
    if cipher.raw() != _AES_256_CBC:
        raise DerError("the content is not encrypted by AES-256-CBC")
    start, encrypted = cipher.contents(OCTET_STRING), content.contents(CONTEXT)
    cipher.done()
    content.done()
    if len(start) != _BLOCK_OCTETS or not encrypted or len(encrypted) % _BLOCK_OCTETS:
        raise DerError("not whole blocks")
    return infos, start, encrypted


# What opens the content: the algorithm's identifier, the originator's point for a key agreement, the key.
_Wrapped = tuple[bytes, bytes, bytes]


def _find_mine(info: bytes, recipient: ParsedCertificate) -> _Wrapped | None:
    if info[0] == SEQUENCE:
        reader = Reader(info).enter(SEQUENCE)
        if reader.integer() != 0 or not _is_mine(reader.raw(), recipient):
            return None
        algorithm, wrapped = reader.raw(), reader.contents(OCTET_STRING)
        reader.done()
        return algorithm, b"", wrapped
    if info[0] != _EXPLICIT_1:
        return None  # another kind of recipient
    reader = Reader(info).enter(_EXPLICIT_1)
    if reader.integer() != 3:
        raise DerError("the version of a key agreement")
    originator = reader.contents(_EXPLICIT_0)
    if reader.peek() == _EXPLICIT_1:
        return None  # user keying material: nobody writes it with a key of one use
    algorithm, keys = reader.raw(), reader.enter(SEQUENCE)
    reader.done()
    while keys:
        each = keys.enter(SEQUENCE)
        name, wrapped = each.raw(), each.contents(OCTET_STRING)
        each.done()
        if _is_mine(name, recipient):
            return algorithm, originator, wrapped
    return None


def _is_mine(name: bytes, recipient: ParsedCertificate) -> bool:
    if name[0] != SEQUENCE:
        return False  # by key identifier
    reader = Reader(name).enter(SEQUENCE)
    issuer, serial = reader.raw(), reader.integer()
    reader.done()
    return serial == recipient.serial and names_match(issuer, recipient.issuer_der)


def _unwrap_key(mine: _Wrapped, key: DecryptionKey) -> bytes:
    algorithm, originator, wrapped = mine
    if not originator:
        if algorithm not in _OAEP or not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("not RSAES-OAEP")
        content_key = key.decrypt(wrapped, _oaep(_OAEP[algorithm]))
    else:
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
            raise ValueError("not a key on P-256 or P-384")
        hash_type = next(
            (each for oid, each in _AGREEMENTS.items() if tlv(SEQUENCE, oid, _AES_256_WRAP) == algorithm),
            None,
        )
        if hash_type is None:
            raise ValueError("an agreement that we do not know")
        point = _point(originator, _CURVES[key.curve.name][0])
        # Refuses a point that is not on the curve.
        public = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point)
        content_key = aes_key_unwrap(_derive(key.exchange(ec.ECDH(), public), hash_type), wrapped)
    if len(content_key) != _KEY_OCTETS:
        raise ValueError("not a key of AES-256")
    return content_key


def _point(originator: bytes, curve: bytes) -> bytes:
    reader = Reader(read_single(originator, _EXPLICIT_1))
    algorithm = reader.raw()
    bits = reader.contents(BIT_STRING)
    reader.done()
    parameters = (b"", b"\x05\x00", curve)
    if (
        algorithm not in {tlv(SEQUENCE, _ID_EC_PUBLIC_KEY, each) for each in parameters}
        or bits[:1] != b"\x00"
    ):
        raise DerError("the originator's key")
    return bits[1:]

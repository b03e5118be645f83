"""Certificates on a token, beside their key: for programs of holders that look for both by one CKA_ID.

PKCS#11 v2.40, section 4.6.3. They are public objects; what is trusted is never read from here.
"""

from typing import Any

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pkcs11 import Attribute, CertificateType, ObjectClass

__all__ = ["list_certificates", "write_certificates"]

_ALL = {Attribute.CLASS: ObjectClass.CERTIFICATE, Attribute.TOKEN: True}


def write_certificates(
    session: pkcs11.Session, key_id: bytes, label: str, own: x509.Certificate, chain: list[x509.Certificate]
) -> None:
    """On a read-write session: `own` under the key's CKA_ID, the chain beside it; written again, nothing is.

    A certificate that was under this CKA_ID before is taken away last, so that a crash leaves one at least.
    """
    there = {bytes(found[Attribute.VALUE]): found for found in session.get_objects(_ALL)}
    before = [found for found in there.values() if bytes(found[Attribute.ID]) == key_id]
    own_der = own.public_bytes(Encoding.DER)
    if own_der not in there:
        session.create_object(_template(own, key_id, label))
    for certificate in chain:
        if certificate.public_bytes(Encoding.DER) not in there:
            session.create_object(_template(certificate, b"", _name(certificate)))
    for found in before:
        if bytes(found[Attribute.VALUE]) != own_der:
            found.destroy()


def list_certificates(session: Any) -> list[x509.Certificate]:
    """Every certificate on the token that can be read as one; in no order."""
    found = []
    for each in session.get_objects(_ALL):
        try:
            found.append(x509.load_der_x509_certificate(bytes(each[Attribute.VALUE])))
        except ValueError:
            continue
    return found


def _template(certificate: x509.Certificate, key_id: bytes, label: str) -> dict[Attribute, Any]:
    # DER INTEGER of the serial number: its shortest two's complement.
    serial = certificate.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    template = {
        Attribute.CLASS: ObjectClass.CERTIFICATE,
        Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: False,
        Attribute.LABEL: label,
        Attribute.SUBJECT: certificate.subject.public_bytes(),
        Attribute.ISSUER: certificate.issuer.public_bytes(),
        Attribute.SERIAL_NUMBER: bytes((0x02, len(octets))) + octets,
        Attribute.VALUE: certificate.public_bytes(Encoding.DER),
    }
    return template | ({Attribute.ID: key_id} if key_id else {})


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value)[:64] if names else "CA"

"""Makes keys on a token so that a crash leaves either no key or a whole one.

A key pair is two objects, and SoftHSM writes each in several steps. So a key is made under a working name,
tried out, and then gets its own name, the private part last: who finds a private key by its name has a whole,
working pair. What a crash leaves under a working name is swept away by the next key that is made.
"""

import os
from typing import Any

import pkcs11
from cryptography.exceptions import InvalidSignature
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from onecert.hsm.algorithms import AlgorithmRow
from onecert.hsm.public import check_pair, read_public_key

WORKING_LABEL = "~new"
KEY_LABEL_MAX = 100

# Without a default each: SoftHSM extracts nothing by default, other modules differ.
PRIVATE_TEMPLATE: dict[Attribute, Any] = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.PRIVATE: True,
    Attribute.SIGN: True,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.DERIVE: False,
}
PUBLIC_TEMPLATE: dict[Attribute, Any] = {
    Attribute.VERIFY: True,
    Attribute.ENCRYPT: False,
    Attribute.WRAP: False,
    Attribute.DERIVE: False,
}
SEALING_TEMPLATE: dict[Attribute, Any] = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.PRIVATE: True,
    Attribute.ENCRYPT: True,
    Attribute.DECRYPT: True,
    Attribute.WRAP: True,
    Attribute.UNWRAP: True,
    Attribute.SIGN: False,
    Attribute.VERIFY: False,
    Attribute.DERIVE: False,
}


def is_key_label(label: str) -> bool:
    """Whether a key may have this name: names that begin with ~ are ours, for unfinished keys."""
    return (
        0 < len(label) <= KEY_LABEL_MAX and label.isprintable() and label == label.strip() and label[0] != "~"
    )


def remove_orphans(session: pkcs11.Session, label: str) -> None:
    """Destroy public keys of this name: the caller has seen that there is no private key with it."""
    for found in list(session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.LABEL: label})):
        found.destroy()


def make_key_pair(session: pkcs11.Session, token: str, label: str, row: AlgorithmRow) -> None:
    """Make, try out and name a key pair on a read-write session."""
    public, private = generate_pair(session, WORKING_LABEL, row, stored=True, private=PRIVATE_TEMPLATE)
    _algorithm, public_key = read_public_key(session, private, token, WORKING_LABEL)
    try:
        check_pair(private, public_key)
    except InvalidSignature as exc:
        raise pkcs11.exceptions.FunctionFailed from exc
    public[Attribute.LABEL] = label
    private[Attribute.LABEL] = label


def generate_pair(
    session: pkcs11.Session, label: str, row: AlgorithmRow, *, stored: bool, private: dict[Attribute, Any]
) -> tuple[Any, Any]:
    """C_GenerateKeyPair: the public and private object, with a random ID in common."""
    capabilities = pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY
    common: dict[str, Any] = {
        "label": label,
        "id": os.urandom(16),
        "store": stored,
        "capabilities": capabilities,
    }
    if not row.takes_curve:
        pair = session.generate_keypair(
            row.key_type,
            row.public_template.get(Attribute.MODULUS_BITS),
            public_template=PUBLIC_TEMPLATE | row.public_template,
            private_template=private,
            **common,
        )
    else:
        parameters = session.create_domain_parameters(row.key_type, row.public_template, local=True)
        pair = parameters.generate_keypair(
            mechanism=row.generate, public_template=PUBLIC_TEMPLATE, private_template=private, **common
        )
    return pair[0], pair[1]


def make_sealing_key(session: pkcs11.Session, label: str) -> None:
    """Make and name an AES-256 key on a read-write session."""
    key: Any = session.generate_key(
        KeyType.AES,
        256,
        label=WORKING_LABEL,
        id=os.urandom(16),
        store=True,
        template=SEALING_TEMPLATE,
    )
    key.encrypt(bytes(16), mechanism=Mechanism.AES_ECB)  # raises when it was not made whole
    key[Attribute.LABEL] = label

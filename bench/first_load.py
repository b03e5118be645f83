"""What the first trust list costs a process: run by itself, it prints milliseconds of the processor.

Usage: python first_load.py WHO LIST KEYS, where WHO is ``ours`` or ``checks``. KEYS has the officers' keys in
PEM. Modules are there before the clock runs; nothing was read or checked before.
"""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from onecert.verifier.jws import decode_base64url, der_signature, key_id
from onecert.verifier.trust_list import RoleKeys, load_trust_list

_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\n", re.DOTALL)


def main() -> None:
    """One load."""
    who, document, keys_pem = sys.argv[1], Path(sys.argv[2]).read_bytes(), Path(sys.argv[3]).read_bytes()
    loaded = map(load_pem_public_key, _PEM.findall(keys_pem))
    keys = {key_id(key): key for key in loaded if isinstance(key, ec.EllipticCurvePublicKey)}
    if who == "ours":
        role_keys, at = RoleKeys(len(keys), keys), datetime.now(UTC)
        began = time.process_time()
        load_trust_list(document, keys=role_keys, at=at)
    else:
        opened = json.loads(document)
        signed = []
        for entry in opened["signatures"]:
            key = keys[json.loads(decode_base64url(entry["protected"]))["kid"]]
            data = f"{entry['protected']}.{opened['payload']}".encode()
            signed.append((key, der_signature(key, decode_base64url(entry["signature"])), data))
        began = time.process_time()
        for key, signature, data in signed:
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    print((time.process_time() - began) * 1000)


if __name__ == "__main__":
    main()

"""Forms signed with JWS: as they come, and a header and a payload that the firm signs anew.

The first octet says which. Behind 1 the header ends at the first line feed, and the rest is the payload.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable

from fuzz.forms_material import DOCUMENT
from fuzz.rules import require
from fuzz.signed_files import base64url, jws, jws_header_octets
from fuzz.targets.signed import judged
from onecert.verifier import JwsSignature

IS_DER = False

_CRITICAL = {"b64": False, "crit": ["b64"]}


def seeds() -> Iterable[bytes]:
    """Compact, detached, JSON in both forms, unencoded; headers to be signed anew."""
    whole = jws(jws_header_octets(), DOCUMENT)
    protected, payload, value = whole.decode().split(".")
    yield b"\x00" + whole
    yield b"\x00" + f"{protected}..{value}".encode()
    entry = {"protected": protected, "signature": value}
    yield b"\x00" + json.dumps({"payload": payload, **entry}).encode()
    yield b"\x00" + json.dumps({"payload": payload, "signatures": [entry]}).encode()
    yield b"\x00" + json.dumps({"signatures": [entry, entry]}).encode()
    yield b"\x01" + jws_header_octets(typ="JOSE", kid="1") + b"\n" + DOCUMENT
    yield b"\x01" + jws_header_octets(**_CRITICAL) + b"\n$.02"
    yield b"\x01" + jws_header_octets(alg="none") + b"\n"


def run(data: bytes) -> None:
    """What the first octet says."""
    body = data[1:]
    if data[:1] != b"\x01":
        for document in (None, DOCUMENT):
            form = judged(document, JwsSignature(value=body))
            require(form is None or form.document in {DOCUMENT, b"$.02"}, "a form that nobody signed")
        return
    header, _, payload = body.partition(b"\n")
    for is_encoded in (True, False):
        form = judged(None, JwsSignature(value=jws(header, payload, is_encoded=is_encoded)))
        if form is not None:
            said = json.loads(header)
            wire = base64url(payload).encode() if is_encoded else payload
            meant = wire if said.get("b64") is False else base64.urlsafe_b64decode(wire + b"==")
            require(form.document == meant, "another payload than was signed")
            require(said["alg"] == "ES256", "another algorithm")
    detached = f"{base64url(header)}..{'A' * 86}".encode()
    require(judged(payload, JwsSignature(value=detached)) is None, "a signature of nobody")

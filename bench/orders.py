"""What a registration authority sends: signed orders, each for another invented organisation."""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.server.documents import sign_document

ORDER_TYPE = "onecert-order+json"
BATCH_TYPE = "onecert-batch+json"
BATCH_PART = 5000
AGENT = "440300190001010015"  # born in 1900: nobody alive
WITH_AGENT = {"harbour"}  # whose certificates name an agent, by the demo's ceremony files
_DIGITS = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015
_NUMBERS = itertools.count(1)
_APPLICANT = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "applicant")])


def uscc(number: int) -> str:
    """A social credit code of an invented organisation, with both check digits (GB 32100, GB 11714)."""
    code = f"{number:08d}"
    check = (
        -sum(int(digit) * weight for digit, weight in zip(code, (3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11
    )
    body = f"91440300{code}{'0123456789X'[check]}"
    total = sum(_DIGITS.index(digit) * pow(3, place, 31) for place, digit in enumerate(body))
    return body + _DIGITS[-total % 31]


def make_csr() -> str:
    """A certificate request with a fresh P-256 key, PEM."""
    request = x509.CertificateSigningRequestBuilder(_APPLICANT).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    return request.public_bytes(serialization.Encoding.PEM).decode()


class OrderDesk:
    """A registration authority with its key in memory: what it costs to order is not what is measured."""

    def __init__(self, authority: str) -> None:
        self.authority = authority
        # Each desk has a key of its own, and a name has one key.
        self.name = f"ra-{authority}-{secrets.token_hex(3)}"
        self._identity = {"agent_idcard": AGENT} if authority in WITH_AGENT else {}
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_pem(self) -> str:
        return (
            self._key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def order(self) -> tuple[str, bytes]:
        """A new order: its number and the signed document."""
        payload = self.content()
        return payload["order"], sign_document(payload, typ=ORDER_TYPE, keys=[self._key])

    def batch(self, orders: int) -> tuple[str, bytes, list[bytes]]:
        """A batch of new orders: its number, the signed head, and its parts."""
        lines = [json.dumps(self.content(), ensure_ascii=False).encode() + b"\n" for _ in range(orders)]
        parts = [lines[at : at + BATCH_PART] for at in range(0, orders, BATCH_PART)]
        contents = [b"".join(part) for part in parts]
        number = str(uuid.uuid4())
        head = {
            "batch": number,
            "registration_authority": self.name,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "parts": [
                {"lines": len(part), "sha256": hashlib.sha256(content).hexdigest()}
                for part, content in zip(parts, contents, strict=True)
            ],
        }
        return number, sign_document(head, typ=BATCH_TYPE, keys=[self._key]), contents

    def content(self) -> dict[str, Any]:
        """What a new order says."""
        number = next(_NUMBERS)
        name = f"示例{number:08d}贸易有限公司"
        return {
            "order": str(uuid.uuid4()),
            "registration_authority": self.name,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "authority": self.authority,
            "profile": "organisation",
            "profile_version": 1,
            "subject": {
                "common_name": name,
                "organization": name,
                "locality": "深圳市",
                "state_or_province": "广东省",
                "country": "CN",
            },
            "identity": {"uscc": uscc(number)} | self._identity,
            "csr_pem": make_csr(),
            "application_sha256": "ab" * 32,
            "approved_by": ["clerk1", "clerk2"],
        }

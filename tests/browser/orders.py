"""Certificates for people in these tests, ordered at a licensed CA as a counter's software orders them."""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from onecert.server.documents import sign_document

COUNTER = "browser-counter"


class Orders:
    """A counter that the CAs know. ``folder`` takes keys and certificates (PEM)."""

    def __init__(self, city: Any, folder: Path, *scopes: str) -> None:
        self._city, self.folder = city, folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = f"{COUNTER}-{uuid.uuid4().hex[:8]}"
        public = folder / "counter.pem"
        public.write_bytes(
            self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        command = ["ca", "registration-authority", "add", self._name, "--key", str(public)]
        command += [part for scope in scopes for part in ("--scope", scope)]
        done = subprocess.run(
            [str(Path(sys.executable).parent / "onecert"), *command, "--data", str(city.data)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def issue(
        self, name: str, authority: str, profile: str, *, subject: dict[str, str], identity: dict[str, str]
    ) -> str:
        """Order a certificate for a new key: ``<name>.pem`` and ``<name>.key`` in the folder; the PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "applicant")]))
            .sign(key, hashes.SHA256())
        )
        now = datetime.now(UTC).replace(microsecond=0)
        order = {
            "registration_authority": self._name,
            "created_at": now.isoformat(),
            "order": str(uuid.uuid4()),
            "authority": authority,
            "profile": profile,
            "profile_version": 1,
            "subject": {"country": "CN", **subject},
            "identity": identity,
            "csr_pem": request.public_bytes(Encoding.PEM).decode(),
            "not_after": (now + timedelta(days=400)).isoformat(),
            "application_sha256": "00" * 32,
            "approved_by": ["clerk1", "clerk2"],
        }
        answer = httpx.post(
            f"{self._city.service('ca')}/v1/orders",
            content=sign_document(order, typ="onecert-order+json", keys=[self._key]),
            headers={"Content-Type": "application/jose+json"},
            verify=False,
        )
        assert answer.status_code < 300, answer.text
        pem = str(answer.json()["certificate_pem"])
        (self.folder / f"{name}.pem").write_text(pem, "ascii")
        (self.folder / f"{name}.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return pem

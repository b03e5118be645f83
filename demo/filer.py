"""A program at an office: it makes sure of the server, signs in, files a declaration or approves one."""

import base64
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from applicant import openssl, sign

from onecert.verifier import verify_server_challenge


class Filer:
    """One taxpayer or official with a certificate, and the files of that certificate and key (PEM).

    Args:
        client: trusts the TLS certificate of the office.
        server: the office's certificate, as the taxpayer was given it.
        application: the office that is meant.
    """

    def __init__(
        self,
        client: httpx.Client,
        site: str,
        *,
        certificate: Path,
        key: Path,
        server: bytes,
        application: str = "tax-office",
    ) -> None:
        self._client = client
        self._site = site
        self._application = application
        self._certificate, self._key, self._server = certificate, key, server
        self._headers = {"Origin": site, "Accept-Language": "en"}

    def challenge(self, application: str = "") -> Any:
        """A challenge that the office has signed for this application.

        Raises:
            VerifyError: it is somebody else's, or for another application; nothing was signed.
        """
        nonce = secrets.token_bytes(32)
        asked = {"client": base64.b64encode(nonce).decode()}
        message = self._post("/login/challenge", json=asked).json()
        return verify_server_challenge(
            message,
            trust=self._server,
            application=application or self._application,
            host=httpx.URL(self._site).host,
            client=nonce,
            at=datetime.now(UTC),
        )

    def sign_in(self) -> httpx.Response:
        """The server first shows who it is, then the holder does."""
        challenge = self.challenge().challenge
        is_rsa = b"rsaEncryption" in openssl("x509", "-in", self._certificate, "-noout", "-text").stdout
        answer = {
            "challenge": challenge.id,
            # What `sign` makes; the usual algorithm of a P-384 key would be another one.
            "algorithm": "rsa-sha256" if is_rsa else "ecdsa-sha256",
            "certificate": self._certificate.read_text("ascii"),
            "signature": base64.b64encode(sign(self._key, challenge.data)).decode(),
        }
        return self._post("/login/answer", json=answer)

    def declare(self, **values: str) -> str:
        """Fill in the form; the number of the declaration."""
        made = self._post("/declarations", data=values)
        if made.status_code != 303:
            raise RuntimeError(f"the form was not taken: {made.status_code}")
        return made.headers["Location"].rpartition("/")[2]

    def send_signature(self, number: str, folder: Path) -> httpx.Response:
        """Sign with the command that the page names, and upload."""
        document, signature = folder / f"declaration-{number}.json", folder / f"declaration-{number}.p7s"
        document.write_bytes(self.get(f"/declarations/{number}/document").content)
        command: list[str | Path] = ["cms", "-sign", "-binary", "-in", document, "-outform", "DER"]
        command += ["-signer", self._certificate, "-inkey", self._key, "-out", signature]
        openssl(*command)
        return self._post(
            f"/declarations/{number}/signature", files={"signature": (signature.name, signature.read_bytes())}
        )

    def approve(self, number: str) -> httpx.Response:
        """Ask to approve a declaration: the list again, or a page that says why not."""
        return self._post(f"/reviews/{number}/approve")

    def get(self, path: str) -> httpx.Response:
        """A page or file of the office."""
        return self._client.get(self._site + path, headers=self._headers)

    def _post(self, path: str, **body: Any) -> httpx.Response:
        return self._client.post(self._site + path, headers=self._headers, **body)

"""A taxpayer's program at the tax office: it makes sure of the server, signs in, and files a declaration."""

import base64
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from applicant import openssl, sign

from onecert.verifier import verify_server_challenge


class Filer:
    """One taxpayer with a certificate, and the files of that certificate and key (PEM).

    Args:
        client: trusts the TLS certificate of the office.
        server: the office's certificate, as the taxpayer was given it.
    """

    def __init__(
        self, client: httpx.Client, site: str, *, certificate: Path, key: Path, server: bytes
    ) -> None:
        self._client = client
        self._site = site
        self._certificate, self._key, self._server = certificate, key, server
        self._headers = {"Origin": site, "Accept-Language": "en"}

    def challenge(self, application: str = "tax-office") -> Any:
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
            application=application,
            host=httpx.URL(self._site).host,
            client=nonce,
            at=datetime.now(UTC),
        )

    def sign_in(self) -> httpx.Response:
        """The server first shows who it is, then the holder does."""
        challenge = self.challenge().challenge
        answer = {
            "challenge": challenge.id,
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

    def get(self, path: str) -> httpx.Response:
        """A page or file of the office."""
        return self._client.get(self._site + path, headers=self._headers)

    def _post(self, path: str, **body: Any) -> httpx.Response:
        return self._client.post(self._site + path, headers=self._headers, **body)

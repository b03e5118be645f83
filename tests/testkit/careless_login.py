"""A department's own login, careful by default, with the faults that its maker names."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature

from onecert.testkit import Kit
from onecert.verifier import (
    CrlFolder,
    MemoryState,
    RevocationMode,
    RevocationPolicy,
    TrustListFolder,
    Verifier,
    VerifyError,
    load_public_key,
    load_trust_root,
    verify_signature,
)
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.identity import Identity, PersonRule, identify
from onecert.verifier.login import default_algorithm
from onecert.verifier.purposes import ANY, LOGIN

T = datetime(2026, 11, 21, 9, tzinfo=UTC)


class Login:
    """A department's own login, with the faults that ``careless`` names."""

    def __init__(self, kit: Kit, *careless: str) -> None:
        self.careless = careless
        root = load_trust_root((kit.folder / "pki" / "trust-root.json").read_bytes())
        mode = RevocationMode.OFF if "no revocation" in careless else RevocationMode.REQUIRE
        self.verifier = Verifier(
            trust_list=TrustListFolder(kit.folder / "site", root=root, state=MemoryState()),
            evidence=CrlFolder(kit.folder / "site" / "crls"),
            application="careless",
            pairwise_key=b"k" * 32,
            revocation=RevocationPolicy(mode=mode),
        )
        self.open: dict[str, tuple[str, bytes]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        session = environ.get("HTTP_COOKIE", "").partition("=")[2] or secrets.token_hex(8)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = environ["PATH_INFO"]
        try:
            if path == "/login/challenge":
                status, value = "200 OK", self.challenge(session)
            elif path == "/login/answer":
                status, value = "200 OK", self.answer(session, json.loads(body))
            elif "believes headers" in self.careless and environ.get("HTTP_X_SSL_CLIENT_CERT"):
                status, value = "200 OK", {}
            else:
                status, value = "404 Not Found", {}
        except (VerifyError, InvalidSignature, ValueError, KeyError):
            status, value = "403 Forbidden", {}
            if "crashes" in self.careless and b"rubbish" in body:
                status = "500 Internal Server Error"
        headers = [("Content-Type", "application/json"), ("Set-Cookie", f"session={session}; Path=/")]
        start_response(status, headers)
        return [json.dumps(value).encode()]

    def challenge(self, session: str) -> dict[str, str]:
        number = secrets.token_hex(8)
        data = b"same" if "constant" in self.careless else secrets.token_bytes(16)
        self.open[number] = (session, data)
        return {"id": number, "data": base64.b64encode(data).decode()}

    def answer(self, session: str, body: dict[str, str]) -> dict[str, str]:
        number = body["challenge"]
        owner, data = self.open[number] if "forgets replay" in self.careless else self.open.pop(number)
        if owner != session and "any session" not in self.careless:
            raise ValueError("another session")
        pem = body["certificate"].encode()
        certificate = parse_certificate(pem)
        key = load_public_key(certificate.spki_der)
        signature = base64.b64decode(body["signature"], validate=True)
        if "no signature" not in self.careless:
            verify_signature(key, default_algorithm(key), signature, data, policy=None)
        if "any certificate" in self.careless:
            return {"id": "uscc:91440300MA5DEM004J"}
        if "unverified identity" in self.careless:
            return {"id": self.read(certificate).id}
        purpose = ANY if "any usage" in self.careless else LOGIN
        identity = self.verifier.verify(pem, at=T, purpose=purpose).identity
        if "id of the key" in self.careless:
            return {"id": f"serial:{certificate.serial:x}"}
        if "shows numbers" in self.careless:
            return {"id": identity.id, "number": "440300190001010015"}
        return {} if "says no id" in self.careless else {"id": identity.id}

    def read(self, certificate: ParsedCertificate) -> Identity:
        """Whom it names, by the first profile that fits; nobody has asked whether it is genuine."""
        persons = PersonRule(application="careless", pairwise_key=b"k" * 32)
        failure: VerifyError | None = None
        for service in self.verifier.trust_list(T).services:
            assert service.identity_profile is not None
            try:
                return identify(
                    certificate, service.identity_profile, ca_service=service.id, at=T, persons=persons
                )
            except VerifyError as error:
                failure = error
        assert failure is not None
        raise failure

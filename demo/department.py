"""A city department's program, in an environment that holds onecert-verifier and nothing else of ours.

It knows three things from outside: the addresses of the trust list and of the attribute authority, the trust
root (compared with paper, here a file), and the attribute authority's certificate. Everything else it
finds out by itself.

    POST /challenge {session}                                       -> {id, data}
    POST /login     {session, challenge, certificate, signature}    -> who logged in, or a refusal
    POST /verify    {certificate}                                   -> the same without a login
    POST /act       {certificate, attribute_certificates, action, resource} -> may this holder do this here?
"""

import argparse
import base64
import json
import ssl
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from onecert.verifier import (
    CouldNotCheckError,
    CrlFetcher,
    FileState,
    Login,
    PointedTrustLists,
    TrustListUrl,
    Verifier,
    VerifyError,
    follow_by_url,
    load_pairwise_key,
    load_trust_root,
)
from onecert.verifier.attribute_certificate import (
    AttributeCertificateVerifier,
    AttributeTrust,
    RevocationLists,
    TrustedAuthority,
)

REFRESH = timedelta(seconds=1)  # a department in production asks every few minutes
MAX_BODY = 256 * 1024


class Department:
    """Logs holders in and asks what they may do."""

    def __init__(self, options: argparse.Namespace) -> None:
        folder: Path = options.folder
        own = TrustListUrl(
            options.trust_list,
            root=load_trust_root(options.trust_root.read_bytes()),
            folder=folder,
            state=FileState(folder / "state" / "trust.json"),
            every=REFRESH,
        )
        # The city's list may point to others, such as the province's.
        others = follow_by_url(folder / "lists", state_folder=folder / "state" / "lists", every=REFRESH)
        self.verifier = Verifier(
            trust_list=PointedTrustLists(own, others),
            evidence=CrlFetcher(folder / "crls", every=REFRESH),
            application=options.application,
            pairwise_key=load_pairwise_key(folder / "pairwise.key", create=True),
        )
        self.login = Login(self.verifier)
        self.options = options

    def act(self, body: dict[str, Any], at: datetime) -> dict[str, Any]:
        """Verify the holder and the attribute certificates here, then ask for the decision."""
        certificate = body["certificate"].encode()
        self.verifier.verify(certificate, at=at)
        presented = [base64.b64decode(each, validate=True) for each in body["attribute_certificates"]]
        options = self.options
        trust = AttributeTrust(
            authorities=(
                TrustedAuthority.from_certificate(
                    options.attribute_authority.read_bytes(), roles=["urn:onecert:role:*"]
                ),
            )
        )
        lists = RevocationLists(trust)
        lists.add(fetch(options.attribute_list), at=at)
        proved = AttributeCertificateVerifier(trust=trust, status=lists)
        findings = []
        for each in presented:
            explanation = proved.explain(each, holder=certificate, at=at)
            findings.append([finding.code for finding in explanation.findings])
        context = ssl.create_default_context(cafile=str(options.tls_anchor))
        question = {key: body[key] for key in ("attribute_certificates", "action", "resource")}
        question["certificate_pem"] = body["certificate"]
        answer = fetch(options.decisions, json.dumps(question).encode(), context)
        return {"findings": findings, **json.loads(answer)}


def fetch(url: str, body: bytes | None = None, context: ssl.SSLContext | None = None) -> bytes:
    """GET, or POST of JSON, with a limit on size and time."""
    request = urllib.request.Request(
        url, data=body, headers={"Content-Type": "application/json"} if body else {}
    )
    with urllib.request.urlopen(request, timeout=10, context=context) as response:
        return bytes(response.read(4 * 1024 * 1024))


def handler(department: Department) -> type[BaseHTTPRequestHandler]:
    """The HTTP edge: JSON in, JSON out; 403 is a no, 503 is "could not check"."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            packages = sorted(d.metadata["Name"] for d in distributions())
            self.answer(200, {"packages": packages, "sequence": self.sequence()})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            if length > MAX_BODY:
                return self.answer(413, {"code": "TOO_LARGE"})
            at = datetime.now(UTC)
            try:
                return self.answer(200, self.route(json.loads(self.rfile.read(length)), at))
            except VerifyError as exc:
                status = 503 if isinstance(exc, CouldNotCheckError) else 403
                text = {
                    "zh": exc.text("zh"),
                    "en": exc.text("en"),
                    "hint_zh": exc.hint("zh"),
                    "hint_en": exc.hint("en"),
                }
                return self.answer(status, {"accepted": False, "code": exc.code, **text})
            except (KeyError, ValueError, TypeError) as exc:
                return self.answer(400, {"code": "BAD_REQUEST", "en": type(exc).__name__})

        def route(self, body: dict[str, Any], at: datetime) -> dict[str, Any]:
            if self.path == "/challenge":
                challenge = department.login.challenge(session=body["session"], at=at)
                return {"id": challenge.id, "data": base64.b64encode(challenge.data).decode()}
            if self.path == "/login":
                signature = base64.b64decode(body["signature"], validate=True)
                certificate = body["certificate"].encode()
                result = department.login.verify(
                    body["challenge"],
                    certificate,
                    signature,
                    session=body["session"],
                    at=at,
                    algorithm=body.get("algorithm"),
                )
                return result.as_dict()
            if self.path == "/verify":
                return department.verifier.verify(body["certificate"].encode(), at=at).as_dict()
            if self.path == "/act":
                return department.act(body, at)
            raise KeyError(self.path)

        def sequence(self) -> int | str:
            try:
                return department.verifier.trust_list(datetime.now(UTC)).sequence
            except VerifyError as exc:
                return exc.code

        def answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body, ensure_ascii=False, default=str).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def main() -> None:
    """Serve on a free loopback port and print it."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--folder", type=Path, required=True)
    options.add_argument("--application", required=True)
    options.add_argument("--trust-list", required=True, help="address of the signed trust list")
    options.add_argument("--trust-root", type=Path, required=True)
    options.add_argument("--attribute-authority", type=Path, required=True, help="its certificate")
    options.add_argument("--attribute-list", required=True, help="address of its revocation list")
    options.add_argument("--decisions", required=True)
    options.add_argument("--tls-anchor", type=Path, required=True)
    department = Department(options.parse_args())
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(department))
    print(f"ready http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()

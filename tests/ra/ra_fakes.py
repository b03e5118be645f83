"""Fakes of the RA's tests: keys in software, and a CA that keeps to the wire contract."""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from onecert.ra.errors import TokenNotReadyError
from onecert.verifier.jws import key_id, verify_document

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)

USCC = "91440300MA5DEM004J"
OTHER_USCC = "91440300MA5DEM0A63"
IDCARD = "440300190001010015"


def idcard(order: int) -> str:
    """A synthetic number of somebody born on 1 January 1900: never a real person."""
    first17 = f"44030019000101{order:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(first17, weights, strict=True))
    return first17 + "10X98765432"[total % 11]


class SoftKeys:
    """Implements `onecert.ra.vault.keys.Keys` in software; `gone` plays a removed token."""

    def __init__(self) -> None:
        self._order_key = ec.generate_private_key(ec.SECP256R1())
        self._sealing = AESGCM(AESGCM.generate_key(256))
        self.gone = False

    def order_key(self) -> ec.EllipticCurvePrivateKey:
        self._check()
        return self._order_key

    @property
    def order_public_key(self) -> ec.EllipticCurvePublicKey:
        return self._order_key.public_key()

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        self._check()
        nonce = secrets.token_bytes(12)
        return nonce + self._sealing.encrypt(nonce, plaintext, aad)

    def unseal(self, sealed: bytes, aad: bytes) -> bytes:
        self._check()
        return self._sealing.decrypt(sealed[:12], sealed[12:], aad)

    def check(self) -> None:
        self._check()

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.gone:
            raise TokenNotReadyError("TOKEN_UNAVAILABLE")


def make_key(kind: str = "p-256") -> Any:
    """A private key of an applicant."""
    if kind == "p-256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa-")))


def make_csr(key: Any = None, *, name: str = "applicant", algorithm: Any = None) -> str:
    """A request in PEM, valid unless told otherwise."""
    key = key or make_key()
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    return builder.sign(key, algorithm or hashes.SHA256()).public_bytes(Encoding.PEM).decode()


class OutageError(Exception):
    """Raised inside the fake CA after the work is done: the answer is lost on the way."""


class FakeBatches:
    """The CA's batches: a signed head, one part of lines, results once `at_work` is over."""

    def __init__(self, ca: "FakeCa") -> None:
        self.ca = ca
        self.heads: dict[str, dict[str, Any]] = {}
        self.results: dict[str, list[dict[str, Any]]] = {}
        self.at_work = False
        self.cancelled = False
        self.refused: set[str] = set()  # common names

    def answer(self, path: str, body: bytes) -> tuple[int, bytes, str]:
        if path == "/v1/batches":
            head = self.ca.verified(body, "onecert-batch+json")
            if head is None:
                return _problem(401, "ORDER_SIGNATURE")
            if self.heads.setdefault(head["batch"], head) != head:
                return _problem(409, "BATCH_ALTERED")
            return self._progress(head["batch"])
        if path == "/v1/batches/results":
            return self._results(self.ca.verified(body, "onecert-batch-results+json") or {})
        number = path.split("/")[3]
        if self.cancelled:
            return _problem(409, "BATCH_CLOSED")
        (part,) = self.heads[number]["parts"]
        lines = body.splitlines()
        if part != {"lines": len(lines), "sha256": hashlib.sha256(body).hexdigest()}:
            return _problem(422, "BATCH_PART")
        if number not in self.results:
            self.results[number] = [self._line(*each) for each in enumerate(map(json.loads, lines), start=1)]
        self.ca.lose()
        return self._progress(number)

    def _line(self, number: int, payload: dict[str, Any]) -> dict[str, Any]:
        order = payload["order"]
        if payload["subject"]["common_name"] in self.refused:
            refused = {"status": "refused", "code": "SUBJECT", "detail": "because of the subject", "hint": ""}
            return {"line": number, "order": order} | refused
        _before, issued = self.ca.orders.setdefault(order, (payload, self.ca.issue(payload)))
        said = {name: issued[name] for name in ("serial", "certificate_pem", "status")}
        return {"line": number, "order": order, "authority": payload["authority"]} | said

    def _progress(self, number: str) -> tuple[int, bytes, str]:
        missing = [] if number in self.results or self.cancelled else [1]
        return _json(200, {"batch": number, "state": self._state(number), "missing": missing})

    def _state(self, number: str) -> str:
        if self.cancelled:
            return "cancelled"
        return ("accepted" if self.at_work else "done") if number in self.results else "arriving"

    def _results(self, asked: dict[str, Any]) -> tuple[int, bytes, str]:
        if asked.get("batch") not in self.heads:
            return _problem(404, "BATCH_UNKNOWN")
        number, after = asked["batch"], asked["after"]
        lines = [] if self.at_work else self.results.get(number, [])[after : after + 2]
        last = {"after": after + len(lines), "state": self._state(number)}
        body = "".join(json.dumps(line) + "\n" for line in [*lines, last])
        self.ca.lose()
        return 200, body.encode(), "application/jsonl"


class FakeCa:
    """A CA in memory that checks signatures, counts an order once and can fail in every way an RA meets."""

    def __init__(self, order_key: Any) -> None:
        self.order_key = order_key
        self.orders: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self.revocations: dict[str, dict[str, Any]] = {}
        self.status: dict[tuple[str, str], dict[str, Any]] = {}
        self.posts: list[str] = []
        self.down = False
        self.lose_answers = 0
        self.refuse_next: tuple[int, str] | None = None
        self.answer_next: tuple[int, bytes, str] | None = None
        self.known = True
        self.batches = FakeBatches(self)
        self.mass: Any = None  # without it, this CA offers no mass revocations
        self.now: Callable[[], datetime] = lambda: T
        self.authorities = {name: _issuer(name) for name in ("pearl", "harbour", "summit")}

    def client(self) -> httpx.Client:
        """A client as `Context.client("ca")` gives it."""
        return httpx.Client(transport=httpx.WSGITransport(app=self), base_url="https://ca.test/ca/")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        status, body, content_type = self._answer(environ)
        start_response(f"{status} X", [("Content-Type", content_type)])
        return [body]

    def _answer(self, environ: dict[str, Any]) -> tuple[int, bytes, str]:
        if self.down:
            return 503, b"nobody there", "text/plain"
        path, method = environ["PATH_INFO"].removeprefix("/ca"), environ["REQUEST_METHOD"]
        body = environ["wsgi.input"].read()
        self.posts += [path] if method == "POST" else []
        if method == "POST" and self.answer_next:
            answer, self.answer_next = self.answer_next, None
            return answer
        if method == "POST" and self.refuse_next:
            (status, code), self.refuse_next = self.refuse_next, None
            return _problem(status, code)
        if path == "/v1/authorities":
            return _json(200, {"authorities": [self._authority(name) for name in self.authorities]})
        if path == "/v1/orders":
            return self._order(body)
        if path == "/v1/deliveries":
            return self._delivery(body)
        if path == "/v1/revocations":
            return self._revocation(body)
        if path.startswith("/v1/batches"):
            return self.batches.answer(path, body)
        if path.startswith("/v1/mass-revocations") and self.mass is not None:
            return self._of_mass(method, path, body)
        if path.startswith("/v1/certificates/"):
            authority, serial = path.removeprefix("/v1/certificates/").split("/")
            found = self.status.get((authority, serial))
            return _json(200, found) if found else _problem(404, "CERTIFICATE_UNKNOWN")
        return _problem(404, "NOT_FOUND")

    def verified(self, body: bytes, typ: str) -> dict[str, Any] | None:
        if not self.known:
            return None
        keys = {key_id(self.order_key): self.order_key}
        return dict(verify_document(body, typ=typ, keys=keys, max_bytes=100_000))

    def _order(self, body: bytes) -> tuple[int, bytes, str]:
        payload = self.verified(body, "onecert-order+json")
        if payload is None:
            return _problem(401, "ORDER_SIGNATURE")
        order = payload["order"]
        if order in self.orders:
            before, answer = self.orders[order]
            return _json(200, answer) if before == payload else _problem(409, "ORDER_ALTERED")
        answer = self.issue(payload)
        self.orders[order] = (payload, answer)
        if self.lose_answers:
            self.lose_answers -= 1
            raise OutageError
        return _json(201, answer)

    def _delivery(self, body: bytes) -> tuple[int, bytes, str]:
        payload = self.verified(body, "onecert-delivery+json")
        if payload is None:
            return _problem(401, "ORDER_SIGNATURE")
        order = self.orders[payload["order"]][0]
        if "revoke_replaced" in order:
            self._end(order)
        return _json(200, {"order": payload["order"], "replaced": "done" if "replaces" in order else None})

    def lose(self) -> None:
        """Lose an answer on its way, when the test wants it."""
        if self.lose_answers:
            self.lose_answers -= 1
            raise OutageError

    def _end(self, order: dict[str, Any]) -> None:
        """Revoke what an order follows."""
        place = (order["replaces"]["authority"], order["replaces"]["serial"])
        reason = order["revoke_replaced"]["reason"]
        self.status[place] = {"serial": place[1], "status": "revoked", "reason": reason}

    def issue(self, payload: dict[str, Any]) -> dict[str, Any]:
        if payload.get("kind") == "replace":
            self._end(payload)
        key, issuer = self.authorities[payload["authority"]]
        csr = x509.load_pem_x509_csr(payload["csr_pem"].encode())
        serial = 1 << 150 | secrets.randbits(140)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, payload["subject"]["common_name"])])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.subject)
            .public_key(csr.public_key())
            .serial_number(serial)
            .not_valid_before(self.now())
            .not_valid_after(self.now() + 365 * DAY)
            .sign(key, hashes.SHA256())
        )
        serial_hex = f"{serial:x}"
        self.status[payload["authority"], serial_hex] = {"serial": serial_hex, "status": "good"}
        return {
            "order": payload["order"],
            "serial": serial_hex,
            "certificate_pem": certificate.public_bytes(Encoding.PEM).decode(),
            "chain_pem": [issuer.public_bytes(Encoding.PEM).decode()],
            "status": "issued",
        }

    def _revocation(self, body: bytes) -> tuple[int, bytes, str]:
        payload = self.verified(body, "onecert-revocation+json")
        if payload is None:
            return _problem(401, "ORDER_SIGNATURE")
        if payload["revocation"] in self.revocations:
            return _json(200, self.revocations[payload["revocation"]])
        place = (payload["authority"], payload["serial"])
        if place not in self.status:
            return _problem(404, "CERTIFICATE_UNKNOWN")
        if self.status[place]["status"] == "revoked":
            return _problem(409, "ALREADY_REVOKED")
        released = payload["reason"] == "removeFromCRL"
        if released and self.status[place]["status"] != "hold":
            return _problem(409, "NOT_ON_HOLD")
        status = {"certificateHold": "hold", "removeFromCRL": "good"}.get(payload["reason"], "revoked")
        answer = {
            "serial": payload["serial"],
            "revoked_at": self.now().isoformat(),
            "reason": payload["reason"],
            "crl_number": len(self.revocations) + 1,
        }
        self.status[place] = {"serial": payload["serial"], "status": status, "reason": payload["reason"]}
        self.revocations[payload["revocation"]] = answer
        if self.lose_answers:
            self.lose_answers -= 1
            raise OutageError
        return _json(200, answer)

    def _of_mass(self, method: str, path: str, body: bytes) -> tuple[int, bytes, str]:
        status, answer = self.mass.answer(method, path, body)
        if self.lose_answers and method != "GET":
            self.lose_answers -= 1
            raise OutageError
        return _problem(status, answer) if isinstance(answer, str) else _json(status, answer)

    def _authority(self, name: str) -> dict[str, Any]:
        titles = {"pearl": "珠江CA", "harbour": "海港CA", "summit": "高峰CA"}
        identity = {
            "organisation": ["uscc"],
            "citizen": ["idcard"],
            "employee": ["uscc", "idcard"],
            "device": ["uscc"],
        }
        return {
            "name": name,
            "title": {"zh": titles[name], "en": f"{name.capitalize()} CA"},
            "certificate_pem": self.authorities[name][1].public_bytes(Encoding.PEM).decode(),
            "profiles": [
                {
                    "name": profile,
                    "version": 1,
                    "title": {"zh": profile, "en": profile},
                    "identity_required": required,
                    "identity_optional": ["agent_idcard"] if profile == "organisation" else [],
                    "key_kinds": ["rsa-2048", "p-256", "p-384"],
                }
                for profile, required in identity.items()
            ],
        }


def _issuer(name: str) -> tuple[Any, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} issuing CA")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(T - DAY)
        .not_valid_after(T + 3650 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _json(status: int, body: dict[str, Any]) -> tuple[int, bytes, str]:
    return status, json.dumps(body).encode(), "application/json"


def _problem(status: int, code: str) -> tuple[int, bytes, str]:
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": f"because {code}"}
    return status, json.dumps(body).encode(), "application/problem+json"

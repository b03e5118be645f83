"""The signed header of a gateway: what is altered, old, for somebody else, or only looks like it: refused."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

from onecert.verifier import MalformedError, RefusedError, VerifyError
from onecert.verifier.enforce.gateway import GatewaySigner, GatewayVerifier, MemoryReplays, Privileges
from onecert.verifier.enforce.gateway.asgi import GatewayMiddleware as AsgiGateway
from onecert.verifier.enforce.gateway.service import read_target
from onecert.verifier.enforce.gateway.wsgi import PRIVILEGES, GatewayMiddleware

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
WHO = Privileges(
    subject="uscc:91440300MA5DEM004J",
    entity="uscc:91440300MA5DEM004J",
    roles=frozenset({"urn:onecert:role:tax.approver"}),
    attributes={"group": ("税务", "b\u202ec")},
    certificates=("00" * 32,),
)
REQUEST: dict[str, Any] = {"method": "POST", "path": "/forms/7/批准"}


def signer(key: Any = KEY, **settings: Any) -> GatewaySigner:
    return GatewaySigner(key, **{"issuer": "gateway", **settings})


def verifier(*keys: Any, **settings: Any) -> GatewayVerifier:
    public = [key.public_key() for key in keys or (KEY,)]
    return GatewayVerifier(public, **{"issuer": "gateway", "audience": "tax", **settings})


def header(key: Any = KEY, at: datetime = T, **changes: Any) -> str:
    return signer(key).sign(WHO, **{"audience": "tax", "at": at, **REQUEST, **changes})


def refused(value: str, *, at: datetime = T, by: GatewayVerifier | None = None, **request: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        (by or verifier()).verify(value, **{**REQUEST, "at": at, **request})
    return caught.value.code


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate,
        mldsa.MLDSA44PrivateKey.generate,
    ],
)
def test_what_was_signed_is_read(make: Callable[[], Any]) -> None:
    key = make()
    try:
        value = header(key)
    except MalformedError as exc:
        pytest.fail(f"{exc}")
    assert verifier(key).verify(value, **REQUEST, at=T) == WHO


def test_keys_change_without_a_gap() -> None:
    """Old and new key side by side; then the old one is gone, and what it signed is refused."""
    both, new = verifier(KEY, OTHER), verifier(OTHER)
    for key in (KEY, OTHER):
        assert both.verify(header(key), **REQUEST, at=T) == WHO
    assert refused(header(KEY), by=new) == "GATEWAY_KEY"


def test_for_another_request_application_or_time() -> None:
    value = header()
    assert refused(value, path="/forms/8/批准") == "GATEWAY_MEANT"
    assert refused(value, method="GET") == "GATEWAY_MEANT"
    assert refused(value, by=verifier(audience="other")) == "GATEWAY_MEANT"
    assert refused(value, by=verifier(issuer="other")) == "GATEWAY_MEANT"
    assert refused(value, at=T + timedelta(seconds=36)) == "GATEWAY_TIME"
    assert refused(value, at=T - timedelta(seconds=6)) == "GATEWAY_TIME"
    assert verifier().verify(value, **REQUEST, at=T + timedelta(seconds=34)) == WHO
    with pytest.raises(ValueError, match="60 seconds"):
        signer(life=timedelta(seconds=61))


def test_used_once_where_a_store_says_so() -> None:
    once = verifier(replays=MemoryReplays())
    value = header()
    assert once.verify(value, **REQUEST, at=T) == WHO
    assert refused(value, by=once) == "GATEWAY_REPLAY"
    full = verifier(replays=MemoryReplays(most=1))
    full.verify(header(), **REQUEST, at=T)
    assert refused(header(), by=full) == "GATEWAY_REPLAY"
    later = T + timedelta(minutes=5)
    assert full.verify(header(at=later), **REQUEST, at=later) == WHO


def changed(value: str, **claims: Any) -> str:
    """Other claims, signed anew by the gateway's key: a gateway gone wrong."""
    protected, payload, _ = value.split(".")
    body = json.loads(base64.urlsafe_b64decode(payload + "=="))
    body = {name: each for name, each in {**body, **claims}.items() if each != "drop"}
    signed = f"{protected}.".encode() + base64.urlsafe_b64encode(json.dumps(body).encode()).rstrip(b"=")
    return (signed + b"." + base64.urlsafe_b64encode(signer()._sign(signed)).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": int(T.timestamp()) + 3600}, "GATEWAY_TIME"),
        ({"exp": int(T.timestamp())}, "GATEWAY_TIME"),
        ({"iat": True}, "GATEWAY_HEADER"),
        ({"roles": "urn:all"}, "GATEWAY_HEADER"),
        ({"roles": [1]}, "GATEWAY_HEADER"),
        ({"sub": ""}, "GATEWAY_HEADER"),
        ({"attributes": {"a": "b"}}, "GATEWAY_HEADER"),
        ({"admin": True}, "GATEWAY_HEADER"),
        ({"jti": "drop"}, "GATEWAY_HEADER"),
    ],
)
def test_claims_of_another_form(claims: dict[str, Any], code: str) -> None:
    assert refused(changed(header(), **claims)) == code


def test_altered_or_hostile_headers() -> None:
    value = header()
    protected, payload, signature = value.split(".")
    none = (
        base64.urlsafe_b64encode(b'{"alg":"none","kid":"x","typ":"onecert-privileges+jwt"}')
        .rstrip(b"=")
        .decode()
    )
    for hostile in (
        *("", ".", "..", "a.b", "a.b.c.d", f"{value}.", f" {value}", f"{value}\n", "é.é.é", "A" * 9000),
        *(f"{protected}.{payload}.", f"{none}.{payload}.", f"{none}.{payload}.{signature}"),
        *(f"{protected}.{payload}.{signature[:-2]}AA", f"{protected}.{payload[:-1]}.{signature}"),
        f"{protected}.{base64.urlsafe_b64encode(b'[' * 3000).decode()}.{signature}",
    ):
        with pytest.raises(VerifyError):
            verifier().verify(hostile, **REQUEST, at=T)
    for place in range(0, len(value), 7):
        letter = "A" if value[place] != "A" else "B"
        assert refused(value[:place] + letter + value[place + 1 :]).startswith("GATEWAY_")


class Wsgi:
    """An application behind the middleware."""

    def __init__(self) -> None:
        self.seen: Any = None
        self.application = GatewayMiddleware(
            self.inner, verifier(), exempt=("/health", "/static/"), clock=lambda: T
        )

    def inner(self, environ: Any, start_response: Any) -> list[bytes]:
        self.seen = environ
        start_response("200 OK", [])
        return [b""]

    def ask(self, path: str = REQUEST["path"], **headers: str) -> str:
        told: list[str] = []
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path.encode().decode("latin-1"), **headers}
        body = b"".join(
            self.application(
                {**environ, "HTTP_ACCEPT": "application/json", "REMOTE_USER": "root", PRIVILEGES: "forged"},
                lambda status, _: told.append(status),  # type: ignore[arg-type]  # enough of one
            )
        )
        return told[0][:3] if told[0].startswith("200") else str(json.loads(body)["code"])


def test_wsgi_middleware() -> None:
    front = Wsgi()
    assert front.ask(HTTP_ONECERT_PRIVILEGES=header()) == "200"
    assert front.seen[PRIVILEGES] == WHO
    assert front.seen["REMOTE_USER"] == WHO.subject
    assert front.ask() == "GATEWAY_MISSING"
    assert front.ask("/health") == "200"
    assert PRIVILEGES not in front.seen
    assert "REMOTE_USER" not in front.seen
    assert front.ask("/static/../forms") == "GATEWAY_MISSING"
    assert front.ask(HTTP_ONECERT_PRIVILEGES=f"{header()},{header()}") == "GATEWAY_HEADER"
    for name in ("PRIVILEGE", "SERVICELIST", "X_ROLES", "ONECERT_ROLE"):
        assert front.ask(**{"HTTP_ONECERT_PRIVILEGES": header(), f"HTTP_{name}": "x"}) == "GATEWAY_LOOKALIKE"


def test_asgi_middleware() -> None:
    sent: list[Any] = []
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope.get(PRIVILEGES))

    async def receive() -> Any:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    application = AsgiGateway(inner, verifier(), exempt=("/health",), clock=lambda: T)

    def ask(*headers: tuple[str, str], path: str = REQUEST["path"]) -> Any:
        sent.clear()
        scope = {"type": "http", "method": "POST", "path": path, PRIVILEGES: "forged"}
        rows = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        asyncio.run(application({**scope, "headers": rows}, receive, send))
        return sent[0]["status"] if sent else "in"

    assert ask(("onecert-privileges", header())) == "in"
    assert seen[-1] == WHO
    assert ask(path="/health") == "in"
    assert seen[-1] is None
    assert ask() == 403
    assert ask(("onecert_privileges", header())) == 400
    assert ask(("onecert-privileges", header()), ("OneCert_Privileges", header())) == 400
    assert ask(("onecert-privileges", header()), ("Privilege", "all")) == 403


@pytest.mark.parametrize(
    "target",
    [
        "",
        "x",
        "//a",
        "/a//b",
        "/a/../b",
        "/a/%2e%2e/b",
        "/a%2Fb",
        "/a\\b",
        "/a;b",
        "/%00",
        "/%ff",
        "/\u00e9",
        "/a\x7f",
        "/" + "a" * 9000,
        "/a/./b",
        "http://x/a",
    ],
)
def test_addresses_that_can_be_read_in_two_ways(target: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read_target(target)
    assert caught.value.code == "PRIVILEGE_TARGET"


def test_addresses_are_decoded() -> None:
    assert read_target("/forms/7/%E6%89%B9?x=%2F..") == "/forms/7/批"
    assert read_target("/") == "/"
    assert read_target("/a/") == "/a/"

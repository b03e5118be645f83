"""Mutual login: the client checks whom it talks to before it signs.

harbour ──> the department's server certificate, for tax.example        the challenge, signed by its key
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask

from onecert.verifier import (
    ChallengeSigner,
    CouldNotCheckError,
    CrlFolder,
    Login,
    Verifier,
    VerifyError,
    load_signer,
    load_trust_list,
    verify_server_challenge,
)
from onecert.verifier.web.flask import OneCert

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NONCE = bytes(range(32))
HOST = "tax.example"


def server(world: Any, key: Any = None, *, hosts: tuple[str, ...] = (HOST,), **more: Any) -> Any:
    """The department's certificate for its host, of a CA on the list."""
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    return world.leaf(
        "harbour",
        key=key or ec.generate_private_key(ec.SECP256R1()),
        extensions={**identity(), "2.5.29.17": names.public_bytes()},
        **more,
    )


def identity() -> dict[str, bytes]:
    inner = b"\x13\x1291440300MA5DEM004J"
    explicit = b"\xa0" + bytes([len(inner)]) + inner
    return {"1.2.156.10260.4.1.4": b"\x31" + bytes([len(explicit)]) + explicit}


def verifier_of(world: Any, application: str = "tax") -> Verifier:
    trust_list = load_trust_list(world.trust_list(), keys=world.list_keys, at=T)
    return Verifier(trust_list=trust_list, evidence=CrlFolder(world.publish_crls()), application=application)


def login_of(world: Any, leaf: Any, **more: Any) -> Login:
    return Login(verifier_of(world), signer=ChallengeSigner([leaf.der], leaf.key), **more)


def sent(login: Login, **more: Any) -> dict[str, Any]:
    """What the client receives, through JSON."""
    challenge = login.challenge(session="s", at=T, **{"client": NONCE, **more})
    message: dict[str, Any] = json.loads(json.dumps(challenge.as_dict()))
    return message


def check(message: Any, trust: Any, **more: Any) -> Any:
    given = {"application": "tax", "host": HOST, "client": NONCE, "at": T + MINUTE, **more}
    return verify_server_challenge(message, trust=trust, **given)


def refusal(message: Any, trust: Any, **more: Any) -> str:
    with pytest.raises(VerifyError) as caught:
        check(message, trust, **more)
    assert caught.value.hint("zh") or not caught.value.code.startswith("LOGIN_SERVER")
    return caught.value.code


@pytest.mark.parametrize(
    "make_key",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate,
    ],
)
def test_who_asks_is_known_and_the_holder_signs(world: Any, make_key: Callable[[], Any]) -> None:
    """By the trust list and by a pinned certificate. Afterwards the holder's signature logs in as ever."""
    leaf, holder = server(world, make_key()), world.leaf("pearl")
    login = login_of(world, leaf)
    for trust in (verifier_of(world, "a client"), leaf.der, leaf.pem, leaf.certificate):
        message = sent(login)
        asked = check(message, trust)
        assert asked.application == "tax"
        assert asked.certificate.der == leaf.der
        answer = holder.sign(asked.challenge.data)
        result = login.verify(asked.challenge.id, holder.der, answer, session="s", at=T + MINUTE)
        assert result.identity.id == "uscc:91440300MA5DEM004J"


def test_key_in_pem_and_key_in_a_token(world: Any) -> None:
    """Any object with sign(data) is a key; one that belongs to another certificate is refused."""
    leaf = server(world)
    pem = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    class Token:
        away = False

        def sign(self, data: bytes) -> bytes:
            if self.away:
                raise OSError("token was removed")
            signature: bytes = leaf.key.sign(data, ec.ECDSA(hashes.SHA256()))
            return signature

    token = Token()
    for signer in (load_signer(leaf.pem, pem), ChallengeSigner([leaf.certificate], token)):
        login = Login(verifier_of(world), signer=signer)
        assert check(sent(login), leaf.der).challenge.text.startswith("OneCert login challenge")
    token.away = True
    with pytest.raises(CouldNotCheckError) as caught:
        login.challenge(session="s", at=T)
    assert caught.value.code == "LOGIN_SERVER_KEY"
    with pytest.raises(ValueError, match="does not sign for this certificate"):
        load_signer(world.leaf().pem, pem)
    with pytest.raises(ValueError, match="Unable to load"):
        load_signer(leaf.pem, b"no key")
    with pytest.raises(VerifyError):
        load_signer(b"no certificate", pem)


def test_server_that_does_not_sign(world: Any) -> None:
    """Ordinary challenges go on as ever; a client that wants to know refuses them."""
    message = sent(Login(verifier_of(world)))
    assert "server" not in message
    assert refusal(message, server(world).der) == "LOGIN_SERVER_MISSING"


def test_tampered(world: Any) -> None:
    """One thing changed on the way: the challenge, its parts, the signature, the certificate."""
    leaf, other = server(world), server(world)
    trust = verifier_of(world)

    def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        message = sent(login_of(world, leaf))
        change(message)
        return message

    def data(old: bytes, new: bytes) -> Callable[[dict[str, Any]], Any]:
        def change(message: dict[str, Any]) -> None:
            text = base64.b64decode(message["data"])
            assert old in text
            message["data"] = base64.b64encode(text.replace(old, new, 1)).decode()

        return change

    def octets(name: str, at: int) -> Callable[[dict[str, Any]], Any]:
        def change(message: dict[str, Any]) -> None:
            value = bytearray(base64.b64decode(message["server"][name]))
            value[at] ^= 1
            message["server"][name] = base64.b64encode(value).decode()

        return change

    signature = "LOGIN_SERVER_SIGNATURE"
    one = base64.b64decode(sent(login_of(world, leaf))["data"])
    session_line = next(line for line in one.split(b"\n") if line.startswith(b"session: "))
    assert refusal(changed(data(session_line[:10], b"session: _")), trust) == signature
    assert refusal(changed(octets("signature", -1)), trust) == signature
    assert refusal(changed(lambda m: m["server"].update(certificates=[b64(other.der)])), trust) == signature
    assert refusal(changed(lambda m: m["server"].update(algorithm="rsa-sha256")), trust) == signature
    assert refusal(changed(lambda m: m["server"].update(algorithm="rsa-sha1")), trust) == "LOGIN_ALGORITHM"
    assert (
        refusal(changed(lambda m: m["server"].update(client=b64(b"x" * 32))), trust) == "LOGIN_SERVER_REPLAY"
    )


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_other_application_late_and_replayed(world: Any) -> None:
    """A good signature of the same server, for something else or of another time."""
    leaf = server(world)
    trust = verifier_of(world)
    message = sent(login_of(world, leaf))
    assert refusal(message, trust, application="social") == "LOGIN_SERVER_APPLICATION"
    assert refusal(message, trust, at=T + 5 * MINUTE) == "LOGIN_CHALLENGE_EXPIRED"
    assert refusal(message, trust, at=T - 2 * MINUTE) == "LOGIN_CHALLENGE_EXPIRED"
    assert refusal(message, trust, client=bytes(32)) == "LOGIN_SERVER_REPLAY"
    assert refusal(sent(login_of(world, leaf), client=None), trust) == "LOGIN_SERVER_REPLAY"
    assert refusal(message, trust, client=None) == "LOGIN_SERVER_REPLAY"


def test_another_server(world: Any) -> None:
    """Somebody in the middle hands on what a good server has signed, or signs itself."""
    leaf, evil = server(world), server(world, hosts=("evil.example",))
    trust = verifier_of(world)
    assert refusal(sent(login_of(world, leaf)), trust, host="evil.example") == "LOGIN_SERVER_HOST"
    assert refusal(sent(login_of(world, evil)), trust) == "LOGIN_SERVER_HOST"
    assert refusal(sent(login_of(world, evil)), leaf.der) == "LOGIN_SERVER_CERTIFICATE"
    plain = world.leaf("harbour")
    assert refusal(sent(login_of(world, plain)), trust) == "LOGIN_SERVER_HOST"
    stranger = world.leaf("stranger")
    assert refusal(sent(login_of(world, stranger)), trust) == "ISSUER_UNKNOWN"
    world.revoke("harbour", leaf)
    assert refusal(sent(login_of(world, leaf)), verifier_of(world)) == "CERT_REVOKED"


def test_hosts(world: Any) -> None:
    """As RFC 9525 compares names, without wildcards; an address only as an address."""
    names = [x509.DNSName("Tax.Example"), x509.IPAddress(ip_address("192.0.2.7"))]
    value = x509.SubjectAlternativeName(names).public_bytes()
    leaf = world.leaf("harbour", extensions={**identity(), "2.5.29.17": value})
    trust = verifier_of(world)
    for host in ("tax.example", "TAX.example.", "192.0.2.7", None):
        check(sent(login_of(world, leaf)), trust, host=host)
    for host in ("192.0.2.8", "example", "a.tax.example", "tax.example.evil", ""):
        assert refusal(sent(login_of(world, leaf)), trust, host=host) == "LOGIN_SERVER_HOST"


@pytest.mark.parametrize("tag", [0xA3, 0xA5])
def test_names_that_nobody_reads(world: Any, tag: int) -> None:
    """An X.400 address or an EDI party beside the host: refused by us, and by nobody else's exception."""
    value = x509.SubjectAlternativeName([x509.DNSName(HOST)]).public_bytes()[2:] + bytes([tag, 2, 0x30, 0])
    leaf = world.leaf("harbour", extensions={**identity(), "2.5.29.17": bytes([0x30, len(value)]) + value})
    assert refusal(sent(login_of(world, leaf)), verifier_of(world)) == "LOGIN_SERVER_HOST"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.clear(),
        lambda m: m.update(data="%%"),
        lambda m: m.update(data=b64(b"pay 1000 to Eve")),
        lambda m: m.update(data=m["data"] + "AAAA"),
        lambda m: m.update(data=7),
        lambda m: m.update(id="A" * 22),
        lambda m: m.update(server=[]),
        lambda m: m["server"].update(certificates=[]),
        lambda m: m["server"].update(certificates="x"),
        lambda m: m["server"].update(certificates=[7]),
        lambda m: m["server"].update(certificates=m["server"]["certificates"] * 9),
        lambda m: m["server"].update(signature=None),
        lambda m: m["server"].update(signature="x" * 300_000),
        lambda m: m["server"].update(algorithm=None),
        lambda m: m["server"].update(client="x"),
    ],
)
def test_unreadable(world: Any, change: Callable[[dict[str, Any]], Any]) -> None:
    """Rubbish in each field. Must be one of our errors, and never be signed."""
    leaf = server(world)
    message = sent(login_of(world, leaf))
    change(message)
    assert refusal(message, leaf.der) == "LOGIN_SERVER_MALFORMED"


def test_no_object_at_all(world: Any) -> None:
    rubbish: Any
    for rubbish in (None, [], "x", 7):
        assert refusal(rubbish, server(world).der) == "LOGIN_SERVER_MALFORMED"


def test_a_server_does_not_sign_what_a_client_likes(world: Any) -> None:
    """The client's random is bounded, and stands behind our own first line."""
    login = login_of(world, server(world))
    for client in (b"", b"x" * 15, b"x" * 65):
        with pytest.raises(ValueError, match="16 to 64"):
            login.challenge(session="s", at=T, client=client)


def test_through_the_flask_extension(site: Any) -> None:
    """The page sends its random; the answer of the server is for it alone."""
    leaf = server(site.world)
    app = Flask("mutual")
    app.secret_key = "not so secret in a test"
    verifier = site.app.extensions["onecert"]._verifier
    signer = ChallengeSigner([leaf.der], leaf.key)
    OneCert(app, verifier=verifier, signer=signer, clock=lambda: site.at)
    browser: Any = app.test_client()
    message = browser.post(
        "/login/challenge", json={"client": b64(NONCE)}, base_url="https://tax.example"
    ).json
    asked = check(message, leaf.der)
    holder = site.world.leaf("pearl")
    body = {
        "challenge": asked.challenge.id,
        "certificate": holder.pem.decode(),
        "signature": b64(holder.sign(asked.challenge.data)),
    }
    assert browser.post("/login/answer", json=body, base_url="https://tax.example").status_code == 200
    for wrong in ("", b64(b"short"), b64(b"x" * 65), "%%", 7):
        refused = browser.post("/login/challenge", json={"client": wrong}, base_url="https://tax.example")
        assert refused.status_code == 400

"""A day at the CA with known secrets: none of them is in a log, a figure, an error or a readiness answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization

from onecert.server.contexts import open_member

NUMBER = "999999190001010074"
PASSPHRASE = "a passphrase nobody should see"
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIBhidden\n-----END PRIVATE KEY-----"


def spellings(secret: bytes) -> set[str]:
    """As it is, hexadecimal, Base64 (of any of the three offsets in what is around it) and within JSON."""
    found = {secret.hex()}
    for offset in range(3):
        # Without the characters that depend on the octets before and behind.
        encoded = base64.b64encode(b"\0" * offset + secret).rstrip(b"=").decode()
        found |= {encoded[4:-1], encoded[4:-1].replace("+", "-").replace("/", "_")}
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return found
    return found | {text, json.dumps(text)[1:-1]}


def leaks(told: str, secrets: Mapping[str, bytes]) -> Iterable[str]:
    """The names of the secrets that are in what was told, however spelled."""
    plain, lower = told.replace("\\/", "/"), told.lower()
    return sorted(
        name
        for name, secret in secrets.items()
        if any(each in plain for each in spellings(secret)) or secret.hex() in lower
    )


def test_nothing_that_is_told_holds_a_secret(
    one_ca: tuple[Any, Any], run_command: Callable[..., Any], tmp_path: Path
) -> None:
    running, orders = one_ca
    running.start()
    client = running.client("ca")
    said: list[str] = []
    secrets: dict[str, bytes] = {
        "number": NUMBER.encode(),
        "passphrase": PASSPHRASE.encode(),
        "private key in an order": b"MIIBhidden",
        "number in a subject": b"440300190001010015",
    }

    def post(path: str, document: bytes) -> httpx.Response:
        answer = orders.post(client, path, document)
        # What is issued names its holder, to whom it is meant for; a refusal never does.
        if answer.status_code >= 400:
            said.append(answer.text)
        return answer

    # Orders that are filled, and such as are refused: by number, profile, form, subject, and by signature.
    answers = []
    for position, changes in enumerate(
        (
            {},
            {"identity": {"idcard": "440300190001010012"}},
            {"profile": "nobody-has-this"},
            {"csr_pem": PRIVATE_KEY},
            {"subject": {"common_name": "示例", "identity_card": "440300190001010015"}},
        )
    ):
        payload = orders.payload(**changes)
        secrets[f"number of order {position}"] = payload["identity"]["idcard"].encode()
        answers.append(post("/v1/orders", orders.sign(payload)))
    assert [each.status_code < 400 for each in answers] == [True, False, False, False, False]
    revoked = orders.post(client, "/v1/revocations", orders.revocation(answers[0].json()["serial"]))
    assert revoked.status_code in {200, 201}
    assert post("/v1/orders", orders.sign(orders.payload())[:-40]).status_code >= 400
    assert post("/v1/revocations", orders.revocation("12ab")).status_code >= 400

    # An operator, with a link that is used, one that is not, and one that is mistyped; and the session.
    opened = open_member("ca", running.data)
    with opened.context.database.transaction() as connection:
        operators = opened.context.operators
        until = datetime.now(UTC) + timedelta(days=30)
        operators.add(connection, "wang", "王芳", ["ca.operator"], NUMBER, until)
        link = operators.create_link(connection, "wang")
        # The place of the link is /sign-in/ and its secret.
        secrets["link"] = link.rpartition("/")[2].encode()
    opened.close()
    # Its page belongs to whom types it; only the log is looked at.
    assert client.get(f"/sign-in/{secrets['link'].decode()}x").status_code < 500
    browser = running.sign_in("ca", "wang")
    assert browser.get("certificates").status_code == 200
    assert browser.cookies
    for name, value in browser.cookies.items():
        secrets[f"cookie {name}"] = value.encode()

    # A backup sealed with a passphrase, and one that is opened with the wrong one.
    passphrase, wrong = tmp_path / "passphrase", tmp_path / "wrong"
    for path, text in ((passphrase, PASSPHRASE), (wrong, f"{PASSPHRASE} but another")):
        path.write_text(text)
        path.chmod(0o600)
    to = tmp_path / "one.backup"
    sealed = run_command(
        running.data, "backup", "create", "--to", to, "--with-secrets", "--passphrase-file", passphrase
    )
    said += [sealed.stdout, sealed.stderr]
    opened_wrongly = run_command(
        tmp_path / "new", "backup", "restore", to, "--passphrase-file", wrong, check=False
    )
    assert opened_wrongly.returncode != 0
    said += [opened_wrongly.stdout, opened_wrongly.stderr]

    # A token that is away is what errors about PINs are made of.
    tokens = running.data / "softhsm" / "tokens"
    tokens.rename(tokens.with_name("away"))
    post("/v1/orders", orders.sign(orders.payload()))
    told = run_command(running.data, "doctor", "ca", check=False)
    assert told.returncode != 0
    said += [told.stdout, told.stderr]
    for place in ("readyz", "metrics"):
        said.append(httpx.get(f"http://127.0.0.1:{running.http}/{place}", timeout=30).text)
        said.append(client.get(f"/{place}").text)
    tokens.with_name("away").rename(tokens)
    running.stop()

    log = running.log.read_text()
    lines = log.splitlines()
    assert lines.pop(0).startswith("made a self-signed TLS certificate")  # said before there is a log
    assert lines
    for line in lines:
        json.loads(line)  # one JSON object a line, whatever went wrong

    for path in running.data.rglob("*"):
        if path.suffix in {".pin", ".secret"}:
            secrets[str(path.relative_to(running.data))] = path.read_bytes().strip()
    assert {"ca/token.pin", "ca/person.secret"} <= set(secrets)
    secrets["key of the registration authority"] = orders.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert all(len(secret) >= 4 for secret in secrets.values()), secrets.keys()
    everything = "\n".join((log, *said))
    assert leaks(everything, secrets) == []

    # The search would find each of them, however it were spelled.
    for name, secret in secrets.items():
        spelled = [secret.hex(), secret.hex().upper(), base64.b64encode(b"ab" + secret + b"c").decode()]
        spelled.append(base64.urlsafe_b64encode(secret).decode())
        if secret.isascii():
            spelled.append(json.dumps({"detail": secret.decode()}))
        for each in spelled:
            assert name in leaks(f"{everything}\n{each} and more", secrets), name

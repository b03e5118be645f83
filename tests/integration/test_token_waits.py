"""A CA whose token's PIN is split starts before its holders come, says so, and goes on when they came."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.token

HOLDERS = ("he", "zheng", "feng")


def typed(warm: Any, data: Path, *arguments: object, lines: list[str]) -> subprocess.CompletedProcess[str]:
    """A command without a terminal: passphrases are read from its standard input."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ONECERT_")}
    if "ONECERT_PKCS11_MODULE" in os.environ:
        environ["ONECERT_PKCS11_MODULE"] = os.environ["ONECERT_PKCS11_MODULE"]
    given = "".join(f"{line}\n" for line in lines)
    done: subprocess.CompletedProcess[str] = warm.run(
        [*map(str, arguments), "--data", str(data)], environ, given=given, new_session=True
    )
    return done


def phrase(name: str) -> str:
    return f"a long passphrase of {name}"


def test_a_token_that_waits_for_its_holders(
    one_ca: tuple[Any, Any],
    run_command: Callable[..., Any],
    eventually: Callable[..., Any],
    warm: Any,
    tmp_path: Path,
) -> None:
    running, orders = one_ca
    shares = tmp_path / "shares"
    shares.mkdir()
    named = [part for name in HOLDERS for part in ("--holder", name)]
    split = ("ca", "activation", "split", "--token", "issuing", "--needed", 2, "--out", shares, "--apply")
    done = typed(
        warm, running.data, *split, *named, lines=[phrase(name) for name in HOLDERS for _twice in "12"]
    )
    assert done.returncode == 0, done.stderr
    assert not (running.data / "ca" / "token.pin").exists()

    # It starts, and gives out what needs no key.
    running.start()
    client = running.client("ca")
    assert running.status("/ca/harbour.crl").status_code == 200
    assert running.status("/ca/harbour.cer").status_code == 200
    order = orders.sign(orders.payload())
    waits = orders.post(client, "/v1/orders", order)
    # Whoever orders is told to come again; whom it waits for is for those who run it.
    assert (waits.status_code, waits.json()["code"]) == (503, "TOKEN_UNAVAILABLE")
    ready = client.get("/readyz", headers={"Accept-Language": "zh"})
    assert ready.status_code == 503
    assert ready.json()["checks"]["token"] == "TOKEN_WAITS"
    (problem,) = [each for each in ready.json()["problems"] if each["code"] == "TOKEN_WAITS"]
    assert "onecert ca activation activate --share 文件" in problem["hint"]

    # The doctor says so, and what to do; not what follows from it alone.
    looked = run_command(running.data, "doctor", "ca", "--json", check=False)
    found = [json.loads(line) for line in looked.stdout.splitlines()]
    (token,) = [each for each in found if each.get("code") == "TOKEN_WAITS"]
    assert "onecert ca activation activate --share FILE" in token["hint"]

    # Word for word as the hint says. One holder is not enough.
    activate = ("ca", "activation", "activate", "--share")
    for number, name in enumerate(HOLDERS[:2], start=1):
        assert orders.post(client, "/v1/orders", order).status_code == 503
        given = typed(warm, running.data, *activate, shares / f"ca-{number}.share", lines=[phrase(name)])
        assert given.returncode == 0, given.stderr
        assert json.loads(given.stdout)["active"] is (number == 2)
    # By itself from here on: no restart.
    assert eventually(lambda: orders.post(client, "/v1/orders", order).status_code < 300, 20)
    assert eventually(lambda: client.get("/readyz").json()["checks"]["token"] == "ok", 20)
    assert running.stop() == 0
    assert list((running.data / "ca" / "audit-keys").glob("*.pem"))

"""Where measurements put their files, and the tokens they sign with.

A process has one SoftHSM store, so all rows share the one in `folder()`. It lies in ``build/`` of the
checkout, not in a folder of the system that may be in memory: a durable commit must cost what it costs.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path

from harness import Contender
from pkcs11 import Attribute, Mechanism, ObjectClass

from onecert.hsm import (
    KeyAlgorithm,
    PrivateKey,
    SealedKeys,
    ServiceToken,
    Sm2PrivateKey,
    Token,
    ensure_softhsm_token,
    find_module,
    open_token,
)
from onecert.hsm.module import load_module

DIGEST = bytes(range(32))
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017, section 9.2, SHA-256

FLUSHING_S = 0.3
ROOT = Path(__file__).resolve().parent.parent


@cache
def folder() -> Path:
    """An empty folder of this process, removed when it ends."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="bench-", dir=build))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def new_folder(name: str) -> Path:
    """An empty folder for one row."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder()))


def flushes() -> str:
    """How often this disk can flush, for people: every durable commit costs at least one flush."""
    path, count = folder() / "flush", 0
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    began = time.perf_counter()
    while time.perf_counter() - began < FLUSHING_S:
        os.write(file, bytes(4096))
        os.fdatasync(file)
        count += 1
    passed = time.perf_counter() - began
    os.close(file)
    path.unlink()
    return f"the disk flushes {count / passed:,.0f} times a second at this moment"


def store() -> Path:
    """The SoftHSM store of this process."""
    return folder() / "softhsm"


@cache
def token() -> Token:
    """A token for keys that measure what the token itself can do."""
    config = ensure_softhsm_token(store(), label="bench", pin_file=folder() / "bench.pin")
    opened = open_token(config)
    atexit.register(opened.close)
    return opened


@cache
def key(kind: str) -> PrivateKey:
    """A key of this kind on that token."""
    return token().generate_key(f"bench-{kind}", KeyAlgorithm(kind))


@cache
def sealed_key() -> Sm2PrivateKey:
    """An SM2 key that is sealed under a key of a token of its own, unlocked."""
    service = ServiceToken("bench-sealed", folder() / "bench-sealed.pin", store=store())
    atexit.register(service.close)
    return SealedKeys(service, folder() / "sealed-keys").find_or_make("bench-sm2")[0]


def token_rate(kind: str) -> Contender:
    """The floor of everything that signs: how often the token itself signs with a key of this kind."""
    return Contender(work=raw_signer(kind), name="raw token signature")


def raw_signer(kind: str) -> Callable[[], bytes]:
    """python-pkcs11's own sign with the key of `key(kind)`: one session, nothing around it."""
    data = {"rsa-2048": DIGEST_INFO + DIGEST, "p-384": DIGEST + DIGEST[:16]}.get(kind, DIGEST)
    key(kind)
    # Our layer has loaded and initialised the module (python-pkcs11 alone would do it without locking) and
    # logged in, which counts for the whole process.
    found = load_module(find_module(store()), None, nullcontext()).find_token("bench")
    if found is None:
        raise LookupError("the token of the measurements is gone")
    session = found.open()
    wanted = {Attribute.LABEL: f"bench-{kind}", Attribute.CLASS: ObjectClass.PRIVATE_KEY}
    handle = next(iter(session.get_objects(wanted)))
    mechanism = {"r": Mechanism.RSA_PKCS, "p": Mechanism.ECDSA, "e": Mechanism.EDDSA}[kind[0]]
    return lambda: handle.sign(data, mechanism=mechanism)

"""SoftHSM: where Debian's module lies, and tokens of our own in a store in the data folder.

Tokens are made through PKCS#11 itself; the program ``softhsm2-util`` is not needed.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from onecert.hsm import pin as pins
from onecert.hsm.config import TokenConfig
from onecert.hsm.cryptoki import CKR_OK, CKU_SO, describe
from onecert.hsm.errors import ModuleError, PinFileError, TokenNotFoundError, TokenUnavailableError
from onecert.hsm.messages import Reason
from onecert.hsm.module import Module, load_module
from onecert.hsm.store import has_tokens_folder, prepare_store, store_lock, tokens_on_disk

MODULE_VARIABLE = "ONECERT_PKCS11_MODULE"
UNPACKED = Path(".tools/softhsm")  # where set-up unpacks Debian's package for a user who is not root
IN_PACKAGE = (
    Path("usr/lib/softhsm/libsofthsm2.so"),
    *(Path(f"usr/lib/{machine}-linux-gnu/softhsm/libsofthsm2.so") for machine in ("x86_64", "aarch64")),
    Path("usr/lib64/softhsm/libsofthsm2.so"),
    Path("usr/local/lib/softhsm/libsofthsm2.so"),
)


def find_module(store: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The SoftHSM module: ``ONECERT_PKCS11_MODULE``, else one unpacked near us, else the system's.

    "Near us" is ``.tools/softhsm`` in the store's folder, the data folder, the working folder, the folder of
    this source tree, or any folder above one of them.

    Raises:
        ModuleError: none is there, or the variable names a file that is not there.
    """
    named = environ.get(MODULE_VARIABLE, "")
    if named:
        if not Path(named).is_file():
            raise ModuleError(module=named, reason=Reason("NAMED_NOTHING", variable=MODULE_VARIABLE))
        return Path(named).resolve()
    looked_at = [root / UNPACKED / path for root in _roots(store, environ) for path in IN_PACKAGE]
    looked_at += [Path("/") / path for path in IN_PACKAGE]
    for path in looked_at:
        if path.is_file():
            return path.resolve()
    raise ModuleError("MODULE_NOT_FOUND", looked_at=", ".join(str(Path("/") / path) for path in IN_PACKAGE))


def _roots(store: Path | None, environ: Mapping[str, str]) -> Iterator[Path]:
    seen = set()
    data = environ.get("ONECERT_DATA")
    for start in (store, Path(data) if data else None, Path.cwd(), Path(__file__)):
        if start is not None:
            for folder in (start.resolve(), *start.resolve().parents):
                if folder not in seen and len(folder.parts) > 1:
                    seen.add(folder)
                    yield folder


def ensure_softhsm_token(
    store: Path, *, label: str, pin_file: Path, module: Path | None = None, sessions: int = 4
) -> TokenConfig:
    """Make the store, the token and its random PIN (mode 0600) when they are missing; return its settings.

    Safe to repeat, safe when several processes do it at once, and safe to repeat after a crash at any
    instruction.

    Raises:
        TokenNotFoundError: the PIN file is there but the token is not: a lost store is never replaced by an
        empty one. PinFileError: the token is there but its PIN file is not. ModuleError: SoftHSM is not
        installed, or this process uses another store. TokenUnavailableError: disk full, no rights, or SoftHSM
        refused.
    """
    store, pin_file = store.resolve(), pin_file.resolve()
    config = TokenConfig(label=label, pin_file=pin_file, module=module, softhsm=store, sessions=sessions)
    officer_file = pin_file.with_name(pin_file.name + ".so")
    if pin_file.exists() and not officer_file.exists() and not has_tokens_folder(store):
        # Not even an empty folder in its place: whoever brings the store back would put it inside.
        raise TokenNotFoundError("TOKEN_LOST", label=label, store=store, pin_file=pin_file)
    prepare_store(store)
    loaded = load_module(module or find_module(store), store, store_lock(store, label=label))
    with loaded.lock, store_lock(store, label=label):
        if loaded.count_tokens() != tokens_on_disk(store):
            loaded.reset()  # another process made a token after we listed them
        token = loaded.find_token(label)
        if token is not None and pin_file.exists() and not officer_file.exists():
            return config
        if token is not None and not officer_file.exists():
            raise PinFileError(label=label, pin_file=pin_file, reason=Reason("PIN_GONE"))
        if token is None and pin_file.exists() and not officer_file.exists():
            raise TokenNotFoundError("TOKEN_LOST", label=label, store=store, pin_file=pin_file)
        # The officer's PIN is on disk only while the token is being made: as long as its file is there, the
        # work is unfinished and is taken up again. Nobody needs it later; the user can change the own PIN
        # with the old one.
        officer_pin = pins.make_pin_file(officer_file, label)
        user_pin = pins.make_pin_file(pin_file, label)
        _make_token(loaded, label, officer_pin, user_pin)
        officer_file.unlink()
    return config


def make_softhsm_token(store: Path, *, label: str, pin: str) -> bool:
    """Make the store and a token with this PIN, which is written nowhere; returns whether it was made now.

    A token that is there keeps its PIN. Safe to repeat after a crash at any instruction.

    Raises:
        TokenUnavailableError: or a subclass, as ``ensure_softhsm_token``.
    """
    store = store.resolve()
    prepare_store(store)
    loaded = load_module(find_module(store), store, store_lock(store, label=label))
    # As above: the security officer's PIN is on disk only while the token is being made.
    officer_file = store / f".making-{hashlib.sha256(label.encode()).hexdigest()[:16]}.so"
    with loaded.lock, store_lock(store, label=label):
        if loaded.count_tokens() != tokens_on_disk(store):
            loaded.reset()
        if loaded.find_token(label) is not None and not officer_file.exists():
            return False
        _make_token(loaded, label, pins.make_pin_file(officer_file, label), pin)
        officer_file.unlink()
    return True


def _make_token(module: Module, label: str, officer_pin: str, user_pin: str) -> None:
    """C_InitToken unless a crash came after it, then C_InitPIN as the security officer."""
    token = module.find_token(label)
    if token is None:
        slot = module.free_slot()
        if slot is None:
            raise TokenUnavailableError("TOKEN_INIT_FAILED", label=label, reason=Reason("NO_SLOT"))
        _check(label, "C_InitToken", module.raw.init_token(slot, officer_pin, label))
        token = module.find_token(label)
    if token is None:
        raise TokenUnavailableError("TOKEN_INIT_FAILED", label=label, reason=Reason("NOT_LISTED"))
    session: Any = token.open(rw=True)  # the implementation has `handle`, its declared type has not
    handle = session.handle
    try:
        _check(label, "C_Login", module.raw.login(handle, CKU_SO, officer_pin))
        _check(label, "C_InitPIN", module.raw.init_pin(handle, user_pin))
        module.raw.logout(handle)
    finally:
        session.close()


def _check(label: str, call: str, rv: int) -> None:
    if rv != CKR_OK:
        raise TokenUnavailableError("TOKEN_INIT_FAILED", label=label, reason=f"{call}: {describe(rv)}")

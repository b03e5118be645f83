"""Every trap that tokens have laid for others (design, section 5), each with a test of its own."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from pkcs11.exceptions import ObjectHandleInvalid, SessionHandleInvalid

from onecert.hsm import (
    KeyAlgorithm,
    KeyNotFoundError,
    StoreConflictError,
    Token,
    TokenConfig,
    TokenNotFoundError,
    TokenUnavailableError,
    ensure_softhsm_token,
    open_token,
)

pytestmark = pytest.mark.token

MakeToken = Callable[..., Token]
RunProgram = Callable[..., subprocess.CompletedProcess[str]]
ECDSA = ec.ECDSA(hashes.SHA256())


def sign_and_verify(key: ec.EllipticCurvePrivateKey, data: bytes = b"data") -> None:
    key.public_key().verify(key.sign(data, ECDSA), data, ECDSA)


def p256(token: Token, label: str = "key") -> ec.EllipticCurvePrivateKey:
    key = token.generate_key(label, KeyAlgorithm.P_256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


# --- C_Initialize(NULL) and threads ---------------------------------------------------------------


def test_eight_threads_share_four_sessions(make_token: MakeToken) -> None:
    """SoftHSM initialised without OS locking crashes within a second of this."""
    key = p256(make_token())

    def work(number: int) -> None:
        for turn in range(60):
            sign_and_verify(key, b"%d/%d" % (number, turn))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


def test_a_module_that_other_code_initialised_is_refused(run_program: RunProgram) -> None:
    """python-pkcs11 alone calls C_Initialize(NULL): we must not sign with threads on top of that."""
    done = run_program(
        """
        import os, pkcs11
        from onecert.hsm import ModuleError, TokenConfig, ensure_softhsm_token, find_module
        from onecert.hsm.softhsm import prepare_store
        prepare_store(STORE)
        os.environ["SOFTHSM2_CONF"] = str(STORE / "softhsm2.conf")
        pkcs11.lib(str(find_module()))
        try:
            ensure_softhsm_token(STORE, label="late", pin_file=PIN)
        except ModuleError as exc:
            print(exc.code)
        """
    )
    assert done.stdout.strip() == "MODULE_FOREIGN"


# --- a login writes to the token: processes that start together -----------------------------------

STARTER = """
import sys, time
from pathlib import Path
from typing import Any
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from onecert.hsm import KeyAlgorithm, ensure_softhsm_token, open_token
store, pin, number, start = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
time.sleep(max(0, start - time.time()))
for turn in range(3):
    with open_token(ensure_softhsm_token(store, label="together", pin_file=pin)) as token:
        key = token.generate_key(f"key-{number}-{turn}", KeyAlgorithm.P_256)
        key.public_key().verify(key.sign(b"x", ec.ECDSA(hashes.SHA256())), b"x", ec.ECDSA(hashes.SHA256()))
"""


def test_processes_that_start_together_make_one_token_and_all_find_it(
    softhsm_store: Path, tmp_path: Path
) -> None:
    """Four processes at once, none finds a store: one token is made, 12 openings and 12 new keys succeed."""
    store, pin = tmp_path / "together", tmp_path / "pin"
    arguments = [str(store), str(pin)]
    start = str(time.time() + 1.5)
    environment = {name: value for name, value in os.environ.items() if name != "SOFTHSM2_CONF"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, *arguments, str(number), start],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for number in range(4)
    ]
    for process in started:
        _out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert len(list((store / "tokens").glob("*/token.object"))) == 1
    assert len(list((store / "tokens").glob("*/*.object"))) == 1 + 2 * 12


def test_a_token_that_another_process_made_is_found(
    make_token: MakeToken, softhsm_store: Path, tmp_path: Path, run_program: RunProgram
) -> None:
    """SoftHSM lists tokens once for each process; the keys of tokens that are open must survive the second
    look."""
    key = p256(make_token())
    run_program(
        """
        from onecert.hsm import KeyAlgorithm, ensure_softhsm_token, open_token
        token = open_token(ensure_softhsm_token(STORE, label="made elsewhere", pin_file=PIN))
        token.generate_key("key", KeyAlgorithm.P_256)
        """,
        store=softhsm_store,
    )
    config = TokenConfig(label="made elsewhere", pin_file=tmp_path / "own.pin", softhsm=softhsm_store)
    with open_token(config) as token:
        assert token.key_labels() == ["key"]
    sign_and_verify(key)


LOGIN_WITHOUT_END = """
import sys
from pathlib import Path
from typing import Any
from onecert.hsm import TokenConfig, open_token
pin = Path(sys.argv[3])
token = open_token(TokenConfig(label=sys.argv[2], pin_file=pin, softhsm=Path(sys.argv[1])))
print("ready", flush=True)
raw, session = token._module.raw, token._pool._login.handle
while True:
    raw.logout(session)
    raw.login(session, 1, pin.read_text().strip())
"""


def test_kill_9_in_the_middle_of_a_login_does_not_lose_the_token(softhsm_store: Path, tmp_path: Path) -> None:
    """SoftHSM empties token.object and fills it again at each login; in between lie all keys of the token."""
    label, pin = f"killed-{os.urandom(3).hex()}", tmp_path / "pin"
    before = set((softhsm_store / "tokens").glob("*"))
    config = ensure_softhsm_token(softhsm_store, label=label, pin_file=pin)
    (folder,) = set((softhsm_store / "tokens").glob("*")) - before
    with open_token(config) as token:
        public = p256(token).public_key()
    cut_short = 0
    for turn in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", LOGIN_WITHOUT_END, str(softhsm_store), label, str(pin)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.01 + 0.003 * turn)
            process.kill()
        cut_short += (folder / "token.object").stat().st_size == 0
    if not cut_short:  # the kills came at harmless moments: do by hand what they would have done
        (folder / "token.object").write_bytes(b"")
    with open_token(config) as token:
        key = token.load_key("key")
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        sign_and_verify(key)
        assert key.public_key() == public


def test_a_full_disk_while_the_copy_is_kept_is_reported(
    make_token: MakeToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = make_token()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(TokenUnavailableError, match="No space left on device"):
            token.generate_key("key", KeyAlgorithm.P_256)


# --- closing the session that logged in logs the process out --------------------------------------


def test_closing_one_of_two_token_objects_leaves_the_other_logged_in(
    softhsm_store: Path, tmp_path: Path
) -> None:
    config = ensure_softhsm_token(softhsm_store, label="shared-login", pin_file=tmp_path / "pin")
    first, second = open_token(config), open_token(config)
    key = p256(second)
    first.close()
    sign_and_verify(key)
    second.close()


def test_a_login_lost_behind_our_back_is_renewed(make_token: MakeToken) -> None:
    """Other code in the process logs the token out; every handle dies with it. The next signature
    recovers."""
    token = make_token()
    key = p256(token)
    sign_and_verify(key)
    token._module.raw.logout(token._pool._login.handle)
    sign_and_verify(key)
    token.check()


# --- sessions that are lost -----------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.P_256, KeyAlgorithm.RSA_2048])
def test_a_series_of_signatures_goes_on_after_the_session_is_lost(
    make_token: MakeToken, algorithm: KeyAlgorithm
) -> None:
    """Forty messages are signed in one call, and the sixth signature finds the session gone: each message has
    its own signature, in its place."""
    token = make_token()
    key: Any = token.generate_key("series", algorithm)
    how = (ECDSA,) if algorithm == KeyAlgorithm.P_256 else (padding.PKCS1v15(), hashes.SHA256())
    messages = [f"message {number}".encode() for number in range(40)]
    calls = []

    class LostAtTheSixth:
        def __init__(self, handle: Any) -> None:
            self.handle = handle

        def sign(self, *arguments: Any, **named: Any) -> bytes:
            calls.append(1)
            if len(calls) == 6:
                raise SessionHandleInvalid
            signature: bytes = self.handle.sign(*arguments, **named)
            return signature

    for worker in token._pool._workers:
        worker.handles[key._reference] = LostAtTheSixth(token._pool.locate(worker, key._reference))
    for message, signature in zip(messages, key.sign_many(messages, *how), strict=True):
        key.public_key().verify(signature, message, *how)
    assert len(calls) >= 6
    assert key.sign_many([], *how) == []


def test_lost_sessions_are_opened_anew_while_threads_sign(make_token: MakeToken) -> None:
    token = make_token(sessions=3)
    key = p256(token)
    stop = threading.Event()
    signed = [0] * 4

    def work(number: int) -> None:
        while not stop.is_set():
            sign_and_verify(key)
            signed[number] += 1

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(work, number) for number in range(4)]
        try:
            for _turn in range(5):
                time.sleep(0.05)
                with token._module.lock:
                    assert token._pool.drain(10)
                    for worker in token._pool._workers:
                        worker.opened.close()
                    token._pool.refill()
        finally:
            stop.set()
        for done in running:
            done.result()
    assert all(signed)


@pytest.mark.parametrize("error", [ObjectHandleInvalid, SessionHandleInvalid])
def test_a_lasting_failure_is_reported_and_does_not_log_in_at_every_call(
    make_token: MakeToken, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    token = make_token()
    key = p256(token)
    calls = []

    class Broken:
        def sign(self, *_args: object, **_kwargs: object) -> bytes:
            calls.append(1)
            raise error

    monkeypatch.setattr(type(key._reference), "locate", lambda *_args: Broken())
    with pytest.raises(TokenUnavailableError):
        key.sign(b"x", ECDSA)
    assert len(calls) == 3
    with pytest.raises(TokenUnavailableError, match="a moment ago"):
        key.sign(b"x", ECDSA)
    assert len(calls) == 4


# --- a token that is taken away, and comes back ---------------------------------------------------


@pytest.fixture
def removable(softhsm_store: Path, tmp_path: Path) -> tuple[Token, Path]:
    """A token and its folder in the store."""
    before = set((softhsm_store / "tokens").glob("*")) if softhsm_store.exists() else set()
    config = ensure_softhsm_token(
        softhsm_store, label=f"removable-{os.urandom(3).hex()}", pin_file=tmp_path / "pin"
    )
    (folder,) = set((softhsm_store / "tokens").glob("*")) - before
    return open_token(config), folder


def test_a_removed_token_is_unavailable_and_works_again_when_it_is_back(
    removable: tuple[Token, Path], make_token: MakeToken, tmp_path: Path
) -> None:
    token, folder = removable
    other_key = p256(make_token("other"))
    key = p256(token)
    sign_and_verify(key)
    away = tmp_path / "away"
    folder.rename(away)
    try:
        with pytest.raises(TokenUnavailableError):
            key.sign(b"x", ECDSA)
        with pytest.raises(TokenUnavailableError):
            token.check()
        with pytest.raises(TokenUnavailableError):
            token.load_key("key")  # "not found" would be a lie: SoftHSM finds nothing on a token that is gone
        with pytest.raises(TokenUnavailableError):
            token.generate_key("new", KeyAlgorithm.P_256)
        sign_and_verify(other_key)  # one lost token does not stop the others
    finally:
        away.rename(folder)
    deadline = time.monotonic() + 20
    while True:
        try:
            sign_and_verify(key)
            break
        except TokenUnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    token.check()
    assert token.key_labels() == ["key"]
    token.close()


def test_a_gone_token_is_not_asked_at_every_call(
    removable: tuple[Token, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service under load must not spend its time on re-opening, which would hold up its other tokens."""
    token, folder = removable
    key = p256(token)
    folder.rename(tmp_path / "away")
    try:
        with pytest.raises(TokenUnavailableError):
            key.sign(b"x", ECDSA)
        resets: list[int] = []

        def reset(*_args: object) -> bool:
            resets.append(1)
            return False

        monkeypatch.setattr(token._module, "reset", reset)
        for _turn in range(50):
            with pytest.raises(TokenUnavailableError):
                key.sign(b"x", ECDSA)
        assert len(resets) <= 2
    finally:
        monkeypatch.undo()
        (tmp_path / "away").rename(folder)
        token.close()


def test_a_new_key_under_an_old_name_is_not_used_in_its_place(make_token: MakeToken) -> None:
    """Somebody destroys the key and makes another of the same name: the old object must fail, not sign with
    it."""
    token = make_token()
    old = p256(token, "name")
    sign_and_verify(old)
    token.destroy_key("name")
    new = p256(token, "name")
    with pytest.raises(KeyNotFoundError):
        old.sign(b"x", ECDSA)
    sign_and_verify(new)


# --- mechanisms -----------------------------------------------------------------------------------


def test_ecdsa_works_although_softhsm_only_signs_digests(make_token: MakeToken) -> None:
    """SoftHSM has no CKM_ECDSA_SHA256; a digest longer than the curve's order is cut on the left side
    only."""
    key = p256(make_token())
    for plain in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
        key.public_key().verify(key.sign(b"x", ec.ECDSA(plain)), b"x", ec.ECDSA(plain))


def test_pss_parameters_are_always_sent(make_token: MakeToken) -> None:
    """Without them the binding means SHA-1 with a salt of 20."""
    key = make_token().generate_key("rsa", KeyAlgorithm.RSA_2048)
    pss = padding.PSS(padding.MGF1(hashes.SHA512()), padding.PSS.DIGEST_LENGTH)
    key.public_key().verify(key.sign(b"x", pss, hashes.SHA512()), b"x", pss, hashes.SHA512())


def test_a_private_key_is_unwrapped_although_softhsm_refuses_the_usual_template(
    make_token: MakeToken,
) -> None:
    sealing = make_token().sealing_key("kek")
    wrapped = sealing.wrap_new_key(KeyAlgorithm.P_256)
    key = sealing.unwrap_key(wrapped)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    sign_and_verify(key)


# --- one store for each process -------------------------------------------------------------------


def test_a_second_store_in_one_process_is_refused(make_token: MakeToken, tmp_path: Path) -> None:
    key = p256(make_token())
    with pytest.raises(StoreConflictError) as caught:
        ensure_softhsm_token(tmp_path / "second", label="x", pin_file=tmp_path / "pin")
    assert caught.value.facts["wanted"] == tmp_path / "second"
    assert not (tmp_path / "pin").exists()
    sign_and_verify(key)


def test_an_unknown_label_does_not_disturb_open_tokens(
    make_token: MakeToken, softhsm_store: Path, tmp_path: Path
) -> None:
    token = make_token()
    key = p256(token)
    generation = token._pool._generation
    (tmp_path / "pin").write_text("1234\n")
    (tmp_path / "pin").chmod(0o600)
    with pytest.raises(TokenNotFoundError):
        open_token(TokenConfig(label="nobody", pin_file=tmp_path / "pin", softhsm=softhsm_store))
    sign_and_verify(key)
    assert token._pool._generation == generation

"""Making, opening and using a token, and every way in which that can be refused."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, ObjectClass

from onecert.hsm import (
    KeyAlgorithm,
    KeyExistsError,
    KeyNotFoundError,
    KeyUnusableError,
    ModuleError,
    PinError,
    PinFileError,
    PinThrottledError,
    Token,
    TokenBusyError,
    TokenClosedError,
    TokenConfig,
    TokenConfigError,
    TokenError,
    TokenNotFoundError,
    TokenOperationError,
    TokenUnavailableError,
    ensure_softhsm_token,
    find_module,
    open_token,
    softhsm,
)
from onecert.hsm import errors as all_errors
from onecert.hsm.algorithms import ALGORITHMS
from onecert.hsm.cryptoki import Cryptoki
from onecert.hsm.lock import file_lock
from onecert.hsm.making import PRIVATE_TEMPLATE, WORKING_LABEL, generate_pair
from onecert.hsm.messages import catalogue, language_of

pytestmark = pytest.mark.token

MakeToken = Callable[..., Token]
RunProgram = Callable[..., subprocess.CompletedProcess[str]]
T = datetime(2026, 11, 21, 9, tzinfo=UTC)
ECDSA = ec.ECDSA(hashes.SHA256())


@pytest.fixture
def config(softhsm_store: Path, tmp_path: Path) -> TokenConfig:
    return ensure_softhsm_token(
        softhsm_store, label=f"life-{os.urandom(4).hex()}", pin_file=tmp_path / "secrets" / "pin"
    )


# --- the first start ---------------------------------------------------------------------------------------


def test_first_start_makes_everything_for_the_owner_only(config: TokenConfig) -> None:
    assert config.softhsm is not None
    for path in (config.softhsm, config.softhsm / "tokens", config.pin_file.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (config.pin_file, config.softhsm / "softhsm2.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(config.pin_file.read_text().strip()) == 32
    assert list(config.pin_file.parent.iterdir()) == [config.pin_file]  # the officer's PIN is not kept


def test_a_second_start_changes_nothing(config: TokenConfig) -> None:
    assert config.softhsm is not None
    pin = config.pin_file.read_text()
    with open_token(config) as token:
        token.generate_key("key", KeyAlgorithm.P_256)
    assert ensure_softhsm_token(config.softhsm, label=config.label, pin_file=config.pin_file) == config
    assert config.pin_file.read_text() == pin
    with open_token(config) as token:
        assert token.key_labels() == ["key"]


def test_a_lost_store_is_never_replaced_by_an_empty_one(config: TokenConfig, softhsm_store: Path) -> None:
    with pytest.raises(TokenNotFoundError) as caught:
        ensure_softhsm_token(softhsm_store, label="another-label", pin_file=config.pin_file)
    assert caught.value.code == "TOKEN_LOST"
    assert "backup" in caught.value.hint("en")


def test_a_lost_pin_file_is_named(config: TokenConfig, softhsm_store: Path) -> None:
    config.pin_file.unlink()
    with pytest.raises(PinFileError) as caught:
        ensure_softhsm_token(softhsm_store, label=config.label, pin_file=config.pin_file)
    assert str(config.pin_file) in str(caught.value)
    assert not config.pin_file.exists()


@pytest.mark.parametrize("crash_at", ["init_token", "login", "init_pin", "logout"])
def test_a_crash_while_making_the_token_is_taken_up_again(
    softhsm_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: str
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_args: object) -> None:
        raise Crash

    label, pin_file = f"crash-{crash_at}-{os.urandom(2).hex()}", tmp_path / "pin"
    with monkeypatch.context() as patched:
        patched.setattr(Cryptoki, crash_at, crash)
        with pytest.raises(Crash):
            ensure_softhsm_token(softhsm_store, label=label, pin_file=pin_file)
    config = ensure_softhsm_token(softhsm_store, label=label, pin_file=pin_file)
    with open_token(config) as token:
        token.check()
    assert not (tmp_path / "pin.so").exists()


def test_a_full_disk_leaves_nothing_usable_and_says_so(
    softhsm_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(TokenUnavailableError, match="No space left on device"):
            ensure_softhsm_token(softhsm_store, label="full", pin_file=tmp_path / "pin")
    assert not (tmp_path / "pin").exists()
    with open_token(ensure_softhsm_token(softhsm_store, label="full", pin_file=tmp_path / "pin")) as token:
        token.check()


# --- settings ----------------------------------------------------------------------------------------------


def test_all_faults_of_the_settings_are_named_together() -> None:
    with pytest.raises(TokenConfigError) as caught:
        TokenConfig(label="x" * 33, pin_file=Path("pin"), sessions=0)
    assert len(caught.value.faults) == 2
    assert caught.value.text("en").count("; ") == 1
    assert "会话数 0" in caught.value.text("zh")
    for label in ("", " ca", "ca ", "a\nb", "证" * 11):
        with pytest.raises(TokenConfigError):
            TokenConfig(label=label, pin_file=Path("pin"))


def test_the_module_is_found_where_the_setting_says(tmp_path: Path) -> None:
    named = tmp_path / "module.so"
    with pytest.raises(ModuleError, match="names no file"):
        find_module(environ={"ONECERT_PKCS11_MODULE": str(named)})
    named.touch()
    assert find_module(environ={"ONECERT_PKCS11_MODULE": str(named)}) == named


def test_a_package_unpacked_without_root_is_found_before_the_systems(tmp_path: Path) -> None:
    unpacked = tmp_path / "data/.tools/softhsm/usr/lib/softhsm/libsofthsm2.so"
    unpacked.parent.mkdir(parents=True)
    unpacked.touch()
    assert find_module(tmp_path / "data" / "softhsm", environ={}) == unpacked
    assert find_module(environ={"ONECERT_DATA": str(tmp_path / "data")}) == unpacked


def test_no_module_anywhere_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(softhsm, "IN_PACKAGE", (Path("no/such/libsofthsm2.so"),))
    with pytest.raises(ModuleError) as caught:
        find_module(tmp_path, environ={})
    assert "softhsm2" in caught.value.hint("en")


def test_another_module_is_used_by_its_path(
    run_program: RunProgram, tmp_path: Path, softhsm_store: Path
) -> None:
    """A vendor's module: no store of ours, its own settings. Here it is a copy of SoftHSM."""
    vendor = tmp_path / "vendor.so"
    shutil.copy(find_module(), vendor)
    config = ensure_softhsm_token(
        softhsm_store, label=f"vendor-{os.urandom(2).hex()}", pin_file=tmp_path / "pin"
    )
    done = run_program(
        f"""
        import os
        os.environ["SOFTHSM2_CONF"] = {str(softhsm_store / "softhsm2.conf")!r}
        from onecert.hsm import KeyAlgorithm, TokenConfig, open_token
        vendor = Path({str(vendor)!r})
        config = TokenConfig(label={config.label!r}, pin_file=Path({str(config.pin_file)!r}), module=vendor)
        with open_token(config) as token:
            token.generate_key("key", KeyAlgorithm.P_256)
            token.check()
            print(token.info().module.name)
        """
    )
    assert done.stdout.strip() == "vendor.so"
    with open_token(config) as token:
        assert token.key_labels() == ["key"]


def test_a_file_that_is_no_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("1234")
    (tmp_path / "text.so").write_text("not a library")
    for module in (tmp_path / "text.so", tmp_path / "missing.so", Path("/lib/x86_64-linux-gnu/libc.so.6")):
        with pytest.raises(ModuleError):
            open_token(TokenConfig(label="x", pin_file=tmp_path / "pin", module=module))


# --- PINs --------------------------------------------------------------------------------------------------


def test_a_wrong_pin_is_refused_and_throttled_with_doubling_waits(config: TokenConfig) -> None:
    right = config.pin_file.read_text()
    config.pin_file.write_text("wrong pin\n")
    at = T

    def now() -> datetime:
        return at

    for seconds in (1, 2, 4, 8):
        with pytest.raises(PinError) as caught:
            open_token(config, now=now)
        assert type(caught.value) is PinError
        assert caught.value.retry_after == timedelta(seconds=seconds)
        at += timedelta(seconds=seconds / 2)
        with pytest.raises(PinThrottledError) as throttled:  # not even tried
            open_token(config, now=now)
        assert throttled.value.retry_after == timedelta(seconds=seconds / 2)
        at += timedelta(seconds=seconds / 2)
    config.pin_file.write_text(right)
    open_token(config, now=now).close()
    config.pin_file.write_text("wrong pin\n")
    with pytest.raises(PinError) as caught:
        open_token(config, now=now)
    assert caught.value.retry_after == timedelta(seconds=1)  # the right PIN cleared the count


def test_the_brake_is_remembered_by_the_next_process(config: TokenConfig, run_program: RunProgram) -> None:
    config.pin_file.write_text("wrong pin\n")
    assert config.softhsm is not None
    done = run_program(
        f"""
        from datetime import datetime
        from onecert.hsm import PinError, TokenConfig, open_token
        config = TokenConfig(label={config.label!r}, pin_file=Path({str(config.pin_file)!r}), softhsm=STORE)
        for _turn in range(3):
            try:
                open_token(config, now=lambda: datetime.fromisoformat({T.isoformat()!r}))
            except PinError as exc:
                print(exc.code)
        """,
        store=config.softhsm,
    )
    assert done.stdout.split() == ["PIN_WRONG", "PIN_THROTTLED", "PIN_THROTTLED"]
    with pytest.raises(PinThrottledError):
        open_token(config, now=lambda: T + timedelta(milliseconds=500))


def test_wrong_pins_leave_no_session_behind(config: TokenConfig) -> None:
    """python-pkcs11 leaks the session of a refused login; ours is closed, so that 30 attempts leave
    nothing."""
    right = config.pin_file.read_text()
    config.pin_file.write_text("wrong pin\n")
    opened = 0
    for turn in range(30):
        with pytest.raises(PinError):
            open_token(config, now=lambda turn=turn: T + turn * timedelta(hours=1))
        opened += 1
    config.pin_file.write_text(right)
    with open_token(config, now=lambda: T + timedelta(days=9)) as token:
        # SoftHSM counts its handles up; what matters is that the login needs none that is gone, and works.
        token.check()
    assert opened == 30


def test_who_opens_an_open_token_must_know_its_pin_too(config: TokenConfig, tmp_path: Path) -> None:
    """The process is logged in already, so SoftHSM would let anybody in."""
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong pin\n")
    wrong.chmod(0o600)
    with open_token(config) as token:
        key = token.generate_key("key", KeyAlgorithm.P_256)
        with pytest.raises(PinError):
            open_token(TokenConfig(label=config.label, pin_file=wrong, softhsm=config.softhsm))
        key.public_key().verify(key.sign(b"x", ECDSA), b"x", ECDSA)


@pytest.mark.parametrize(
    ("content", "mode", "code"),
    [
        (None, 0o600, "PIN_FILE_MISSING"),
        (b"12345678\n", 0o640, "PIN_FILE_OPEN"),
        (b"12345678\n", 0o604, "PIN_FILE_OPEN"),
        (b"", 0o600, "PIN_FILE_EMPTY"),
        (b"123\n", 0o600, "PIN_FILE_EMPTY"),
        (b"1234\n5678\n", 0o600, "PIN_FILE_EMPTY"),
        (b"\xff\xff\xff\xff\xff", 0o600, "PIN_FILE_EMPTY"),
        (b"1" * 300, 0o600, "PIN_FILE_EMPTY"),
    ],
)
def test_bad_pin_files_are_refused(config: TokenConfig, content: bytes | None, mode: int, code: str) -> None:
    config.pin_file.unlink()
    if content is not None:
        config.pin_file.write_bytes(content)
        config.pin_file.chmod(mode)
    with pytest.raises(PinFileError) as caught:
        open_token(config)
    assert caught.value.code == code


def test_a_pin_is_never_in_an_error(config: TokenConfig) -> None:
    config.pin_file.write_text("very-secret-pin\n")
    with pytest.raises(PinError) as caught:
        open_token(config)
    shown = f"{caught.value!r} {caught.value} {caught.value.text('zh')} {dict(caught.value.facts)}"
    assert "secret" not in shown


# --- keys --------------------------------------------------------------------------------------------------


def test_keys_are_made_found_listed_and_destroyed(make_token: MakeToken) -> None:
    token = make_token()
    assert token.find_key("a") is None
    assert token.key_labels() == []
    made = token.generate_key("b", KeyAlgorithm.P_256)
    token.generate_key("a", KeyAlgorithm.ED25519)
    assert token.key_labels() == ["a", "b"]
    loaded = token.load_key("b")
    assert loaded.public_key() == made.public_key()
    assert repr(loaded) == f"<TokenECPrivateKey p-256 'b' on token '{token.label}'>"
    token.destroy_key("b")
    assert token.key_labels() == ["a"]
    for attempt in (lambda: token.load_key("b"), lambda: token.destroy_key("b")):
        with pytest.raises(KeyNotFoundError):
            attempt()


def test_a_name_is_given_once(make_token: MakeToken) -> None:
    token = make_token()
    first = token.generate_key("key", KeyAlgorithm.P_256)
    token.sealing_key("sealing")
    for name in ("key", "sealing"):
        with pytest.raises(KeyExistsError):
            token.generate_key(name, KeyAlgorithm.P_384)
    assert token.load_key("key").public_key() == first.public_key()


@pytest.mark.parametrize("name", ["", " a", "a ", "~new:a", "a\x00b", "a\n", "x" * 101])
def test_impossible_key_names_are_refused(make_token: MakeToken, name: str) -> None:
    token = make_token()
    for attempt in (token.load_key, token.destroy_key, token.sealing_key):
        with pytest.raises(KeyUnusableError):
            attempt(name)
    with pytest.raises(KeyUnusableError):
        token.generate_key(name, KeyAlgorithm.P_256)


def test_chinese_names_and_labels_are_possible(make_token: MakeToken) -> None:
    token = make_token("深圳")
    token.generate_key("签发密钥 1", KeyAlgorithm.P_256)
    assert token.key_labels() == ["签发密钥 1"]


def test_an_unknown_algorithm_is_refused(make_token: MakeToken) -> None:
    with pytest.raises(ValueError, match="rsa-1024"):
        make_token().generate_key("key", "rsa-1024")  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.RSA_2048, KeyAlgorithm.P_384, KeyAlgorithm.ED25519])
def test_private_keys_are_sensitive_and_not_extractable(
    make_token: MakeToken, algorithm: KeyAlgorithm
) -> None:
    token = make_token()
    key = token.generate_key("key", algorithm)

    def read(handle: object) -> dict[Attribute, object]:
        wanted = (
            Attribute.SENSITIVE,
            Attribute.EXTRACTABLE,
            Attribute.NEVER_EXTRACTABLE,
            Attribute.ALWAYS_SENSITIVE,
            Attribute.LOCAL,
            Attribute.PRIVATE,
            Attribute.SIGN,
            Attribute.DECRYPT,
            Attribute.UNWRAP,
            Attribute.DERIVE,
        )
        return {name: handle[name] for name in wanted}  # type: ignore[index]

    found = token._pool.with_key(key._reference, "read", read)  # type: ignore[union-attr]
    refused = {Attribute.EXTRACTABLE, Attribute.DECRYPT, Attribute.UNWRAP, Attribute.DERIVE}
    assert found == {name: name not in refused for name in found}
    value = Attribute.PRIVATE_EXPONENT if algorithm.startswith("rsa") else Attribute.VALUE
    with pytest.raises(TokenOperationError, match="AttributeSensitive"):
        token._pool.with_key(key._reference, "read", lambda handle: handle[value])  # type: ignore[union-attr]


def test_a_key_that_could_be_taken_out_is_refused(make_token: MakeToken) -> None:
    """Made by other software, extractable: rule 1 of the design would not hold for it."""
    token = make_token()
    with token._writing("test") as session:
        template = PRIVATE_TEMPLATE | {Attribute.EXTRACTABLE: True}
        generate_pair(session, "loose", ALGORITHMS[KeyAlgorithm.P_256], stored=True, private=template)
    with pytest.raises(KeyUnusableError, match="can be taken out"):
        token.load_key("loose")


def test_two_keys_of_one_name_are_refused(make_token: MakeToken) -> None:
    token = make_token()
    with token._writing("test") as session:
        for _turn in range(2):
            generate_pair(
                session, "twin", ALGORITHMS[KeyAlgorithm.P_256], stored=True, private=PRIVATE_TEMPLATE
            )
    with pytest.raises(KeyUnusableError, match="2 keys have this name"):
        token.load_key("twin")


def test_a_key_without_its_public_part_is_named(make_token: MakeToken) -> None:
    token = make_token()
    token.generate_key("key", KeyAlgorithm.P_256)
    with token._writing("test") as session:
        for public in list(session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})):
            public.destroy()
    with pytest.raises(KeyUnusableError, match="public part is missing"):
        token.load_key("key")


def test_what_a_crash_left_half_made_is_not_seen_and_is_swept_away(make_token: MakeToken) -> None:
    token = make_token()
    with token._writing("test") as session:
        row = ALGORITHMS[KeyAlgorithm.P_256]
        generate_pair(session, WORKING_LABEL, row, stored=True, private=PRIVATE_TEMPLATE)
        _public, private = generate_pair(session, "orphan", row, stored=True, private=PRIVATE_TEMPLATE)
        private.destroy()
    assert token.key_labels() == []
    key = token.generate_key("orphan", KeyAlgorithm.P_256)
    key.public_key().verify(key.sign(b"x", ECDSA), b"x", ECDSA)
    with token._writing("test") as session:
        assert len(list(session.get_objects())) == 2


MAKER = """
import sys
from pathlib import Path
from onecert.hsm import KeyAlgorithm, TokenConfig, open_token
token = open_token(TokenConfig(label=sys.argv[2], pin_file=Path(sys.argv[3]), softhsm=Path(sys.argv[1])))
number = len(token.key_labels())
while True:
    token.generate_key(f"key-{number}", KeyAlgorithm.P_256)
    print(f"key-{number}", flush=True)
    token.sealing_key(f"sealing-{number}")
    number += 1
"""


def test_kill_9_while_keys_are_made_leaves_only_whole_keys(config: TokenConfig) -> None:
    """A process that makes keys without end is killed at ten moments; every name that is there is a working
    key."""
    assert config.softhsm is not None
    promised = set()
    for turn in range(10):
        arguments = [str(config.softhsm), config.label, str(config.pin_file)]
        with subprocess.Popen(
            [sys.executable, "-c", MAKER, *arguments], stdout=subprocess.PIPE, text=True
        ) as maker:
            assert maker.stdout is not None
            promised.add(maker.stdout.readline().strip())
            time.sleep(0.007 * turn)
            maker.send_signal(signal.SIGKILL)
    with open_token(config) as token:
        labels = token.key_labels()
        assert promised <= set(labels)
        for label in labels:
            key = token.load_key(label)
            key.public_key().verify(key.sign(b"x", ECDSA), b"x", ECDSA)
        sealing = token.sealing_key("sealing-0")
        assert sealing.unseal(sealing.seal(b"x")) == b"x"


# --- busy, closed, errors ----------------------------------------------------------------------------------


def test_a_closed_token_says_so(make_token: MakeToken) -> None:
    token = make_token()
    key = token.generate_key("key", KeyAlgorithm.P_256)
    token.close()
    token.close()
    for attempt in (token.check, token.key_labels, lambda: key.sign(b"x", ECDSA)):
        with pytest.raises(TokenClosedError):
            attempt()


def test_waiting_for_a_session_ends(make_token: MakeToken, monkeypatch: pytest.MonkeyPatch) -> None:
    token = make_token(sessions=1)
    key = token.generate_key("key", KeyAlgorithm.P_256)
    monkeypatch.setattr("onecert.hsm.pool.WAIT_S", 0.05)
    worker = token._pool._idle.get()
    with pytest.raises(TokenBusyError):
        key.sign(b"x", ECDSA)
    token._pool._idle.put(worker)
    key.sign(b"x", ECDSA)


def test_waiting_for_another_process_ends(tmp_path: Path) -> None:
    with (
        file_lock(tmp_path / "lock", label="x"),
        pytest.raises(TokenBusyError),
        file_lock(tmp_path / "lock", label="x", wait_s=0.05),
    ):
        pass
    with file_lock(tmp_path / "lock", label="x"):
        pass
    with pytest.raises(TokenUnavailableError), file_lock(tmp_path / "no" / "lock", label="x"):
        pass


def test_a_token_tells_what_it_is(make_token: MakeToken) -> None:
    token = make_token("ca")
    info = token.info()
    assert info.label == token.label
    assert info.model == "SoftHSM v2"
    assert info.module.name == "libsofthsm2.so"
    assert len(info.serial) == 16


def test_every_error_has_texts_in_both_languages() -> None:
    for name, value in vars(all_errors).items():
        if isinstance(value, type) and issubclass(value, TokenError):
            assert value.code in catalogue(), name
    for code, texts in catalogue().items():
        assert texts["zh"], code
        assert texts["en"], code
        assert ("hint_zh" in texts) == ("hint_en" in texts), code


def test_the_language_of_commands() -> None:
    assert language_of({}) == "zh"
    assert language_of({"LANG": "C.UTF-8"}) == "zh"
    assert language_of({"LANG": "en_GB.UTF-8"}) == "en"
    assert language_of({"LANG": "en_GB.UTF-8", "ONECERT_LANGUAGE": "zh"}) == "zh"

"""SM2 keys sealed under a token's key: what is stored opens only as itself, no private half is shown."""

import copy
import os
import pickle
import secrets
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.hsm import (
    AlgorithmNotSupportedError,
    ForkedError,
    KeyAlgorithm,
    KeyExistsError,
    KeyNotExportableError,
    KeyNotFoundError,
    KeyUnusableError,
    SealedKeys,
    ServiceToken,
    Sm2PrivateKey,
    TokenUnavailableError,
    UnsealError,
    libcrypto,
    sealed_keys,
)

pytestmark = pytest.mark.token

DATA = b"to be signed\x00" * 40
SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def service_token(softhsm_store: Path, tmp_path: Path) -> Iterator[Callable[[], ServiceToken]]:
    made: list[ServiceToken] = []

    def make() -> ServiceToken:
        label = f"sealed-{secrets.token_hex(4)}"
        made.append(ServiceToken(label, tmp_path / f"{label}.pin", store=softhsm_store, sessions=2))
        return made[-1]

    yield make
    for token in made:
        token.close()


@pytest.fixture
def token(service_token: Callable[[], ServiceToken]) -> ServiceToken:
    return service_token()


@pytest.fixture
def keys(token: ServiceToken, tmp_path: Path) -> SealedKeys:
    return SealedKeys(token, tmp_path / "keys")


def test_a_key_is_made_once_and_signs(keys: SealedKeys, token: ServiceToken, tmp_path: Path) -> None:
    key, made = keys.find_or_make("ca-harbour")
    assert made
    assert keys.find_or_make("ca-harbour") == (key, False)
    key.public_key().verify(key.sign(DATA), DATA)
    for signature, data in ((key.sign(DATA), DATA + b"."), (b"", DATA), (b"\x30\x00", DATA)):
        with pytest.raises(InvalidSignature):
            key.public_key().verify(signature, data)
    with pytest.raises(InvalidSignature):
        key.public_key().verify(key.sign(DATA, b""), DATA)

    again = SealedKeys(token, tmp_path / "keys").key("ca-harbour")
    assert again.public_key() == key.public_key()
    again.public_key().verify(key.sign(DATA), DATA)


def test_the_openssl_command_accepts_the_signature(keys: SealedKeys, tmp_path: Path) -> None:
    key, _made = keys.find_or_make("signing")
    (tmp_path / "key.der").write_bytes(key.public_key().public_bytes(*SPKI))
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "signature").write_bytes(key.sign(DATA))
    command = "openssl pkeyutl -verify -pubin -inkey key.der -keyform DER -in data -sigfile signature"
    options = "-rawin -digest sm3 -pkeyopt distid:1234567812345678"
    subprocess.run([*command.split(), *options.split()], cwd=tmp_path, check=True, capture_output=True)


def test_folder_and_files_are_for_the_owner_alone(keys: SealedKeys, tmp_path: Path) -> None:
    keys.find_or_make("signing")
    file = tmp_path / "keys" / "signing.sm2"
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert keys.labels() == ["signing"]
    file.chmod(0o640)
    keys = SealedKeys(keys._token, tmp_path / "keys")
    with pytest.raises(KeyUnusableError, match="0640"):
        keys.key("signing")


def test_every_altered_or_cut_file_is_refused(keys: SealedKeys, token: ServiceToken, tmp_path: Path) -> None:
    keys.find_or_make("signing")
    file = tmp_path / "keys" / "signing.sm2"
    content = file.read_bytes()
    flipped = [
        content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :] for at in range(0, len(content), 3)
    ]
    for altered in (*flipped, *(content[:length] for length in range(len(content))), content + b"\x00"):
        file.write_bytes(altered)
        with pytest.raises(UnsealError):
            SealedKeys(token, tmp_path / "keys").key("signing")
    file.write_bytes(content)
    assert SealedKeys(token, tmp_path / "keys").key("signing").is_unlocked


def test_a_file_under_another_name_or_of_another_token_is_refused(
    keys: SealedKeys, service_token: Callable[[], ServiceToken], tmp_path: Path
) -> None:
    """Two files swapped; a folder beside another token; a sealed part with another public half."""
    one, _made = keys.find_or_make("one")
    keys.find_or_make("two")
    folder = tmp_path / "keys"
    first, second = (folder / "one.sm2").read_bytes(), (folder / "two.sm2").read_bytes()

    other = SealedKeys(service_token(), folder)
    with pytest.raises(UnsealError):
        other.key("one")

    (folder / "one.sm2").write_bytes(second)
    (folder / "two.sm2").write_bytes(first[:78] + second[78:])
    anew = SealedKeys(keys._token, folder)
    for label in ("one", "two"):
        with pytest.raises(UnsealError):
            anew.key(label)
    # A key that was found before does not become the other one when it is unlocked again.
    one.lock()
    with pytest.raises(UnsealError):
        one.sign(DATA)


def test_what_is_stored_holds_no_private_number(keys: SealedKeys, tmp_path: Path) -> None:
    key, _made = keys.find_or_make("signing")
    scalar = key.unlock().scalar()
    assert scalar not in (tmp_path / "keys" / "signing.sm2").read_bytes()


def test_no_way_leads_to_the_private_half(keys: SealedKeys, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    key, _made = keys.find_or_make("signing")
    key.sign(DATA)
    scalar = key.unlock().scalar()
    for ask in (key.private_numbers, key.private_bytes, lambda: pickle.dumps(key)):
        with pytest.raises(KeyNotExportableError) as caught:
            ask()
        assert scalar.hex() not in repr(caught.value)
    with pytest.raises(TypeError):
        pickle.dumps(key.unlock())
    assert copy.copy(key) is copy.deepcopy(key) is key
    shown = repr(key) + repr(vars(key)) + str(key) + caplog.text + repr([vars(r) for r in caplog.records])
    assert scalar.hex() not in shown
    assert repr(scalar) not in shown


def test_what_is_wiped_is_gone() -> None:
    secret = bytes(bytearray(b"a secret number of a private key"))
    libcrypto.wipe(secret)
    assert secret == bytes(32)
    libcrypto.wipe(b"x")  # shared by the whole interpreter, and left alone
    assert bytes((120,)) == b"x"


def test_plaintexts_are_wiped_after_making_and_unlocking(
    keys: SealedKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    wipe = libcrypto.wipe
    monkeypatch.setattr(sealed_keys, "wipe", lambda secret: (wipe(secret), seen.append(secret)))
    keys.find_or_make("signing")
    assert seen == [bytes(32)] * 2  # made and sealed, unsealed


def test_a_locked_key_needs_the_token_again(
    keys: SealedKeys, token: ServiceToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _made = keys.find_or_make("signing")
    keys.lock()
    assert not key.is_unlocked
    with monkeypatch.context() as patch:
        patch.setattr(ServiceToken, "sealing_key", _gone)
        with pytest.raises(TokenUnavailableError):
            key.sign(DATA)
    key.public_key().verify(key.sign(DATA), DATA)
    assert key.is_unlocked


def _gone(self: ServiceToken, _label: str) -> None:
    raise TokenUnavailableError(label=self.label, reason="test")


def test_a_key_may_be_locked_while_others_sign(keys: SealedKeys) -> None:
    key, _made = keys.find_or_make("signing")

    def sign(number: int) -> bytes:
        if number % 5 == 0:
            keys.lock()
        return key.sign(DATA)

    with ThreadPoolExecutor(4) as threads:
        for signature in threads.map(sign, range(100)):
            key.public_key().verify(signature, DATA)


def test_two_who_make_the_same_key_find_one(keys: SealedKeys, token: ServiceToken, tmp_path: Path) -> None:
    stores = [keys, SealedKeys(token, tmp_path / "keys")]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda number: stores[number % 2].find_or_make("signing"), range(8)))
    assert sum(made for _key, made in found) == 1
    assert len({key.public_key() for key, _made in found}) == 1


def test_a_crash_while_making_leaves_no_key(
    keys: SealedKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys._token.sealing_key(sealed_keys.SEALING_LABEL)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", _interrupted)
        with pytest.raises(TokenUnavailableError):
            keys.find_or_make("signing")
    assert not keys.has("signing")
    left = [path for path in (tmp_path / "keys").iterdir() if path.suffix == ".new"]
    assert len(left) == 1
    assert stat.S_IMODE(left[0].stat().st_mode) == 0o600
    assert keys.find_or_make("signing")[1]
    assert not left[0].exists()


def _interrupted(*_args: object) -> None:
    raise InterruptedError


def test_names_that_are_paths_are_refused(keys: SealedKeys, token: ServiceToken) -> None:
    for label in ("../signing", "a/b", "", ".", "Signing", "x" * 101, "a\n"):
        assert not keys.has(label)
        with pytest.raises(KeyUnusableError):
            keys.find_or_make(label)
        with pytest.raises(KeyNotFoundError):
            keys.key(label)
    token.find_or_make("on-token", KeyAlgorithm.P_256)
    with pytest.raises(KeyExistsError):
        keys.find_or_make("on-token")


def test_a_linked_file_is_refused(keys: SealedKeys, tmp_path: Path, token: ServiceToken) -> None:
    keys.find_or_make("signing")
    file = tmp_path / "keys" / "signing.sm2"
    shutil.move(file, tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TokenUnavailableError):
        SealedKeys(token, tmp_path / "keys").key("signing")


def test_a_destroyed_key_is_gone(keys: SealedKeys, tmp_path: Path) -> None:
    """Out of memory and out of its file: another name of that file holds zeros."""
    key, _made = keys.find_or_make("signing")
    os.link(tmp_path / "keys" / "signing.sm2", tmp_path / "kept")
    keys.destroy("signing")
    assert set((tmp_path / "kept").read_bytes()) == {0}
    assert not key.is_unlocked
    assert not keys.has("signing")
    with pytest.raises(KeyNotFoundError):
        key.sign(DATA)
    with pytest.raises(KeyNotFoundError):
        keys.destroy("signing")


def test_a_child_process_does_not_sign_with_an_inherited_key(
    keys: SealedKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _made = keys.find_or_make("signing")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(ForkedError):
        key.sign(DATA)


def test_a_token_itself_makes_no_sm2_key(token: ServiceToken) -> None:
    with pytest.raises(AlgorithmNotSupportedError) as caught:
        token.find_or_make("signing", "sm2")
    assert caught.value.code == "SM2_SEALED_ONLY"


def test_without_openssl_3_it_is_said(keys: SealedKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    libcrypto._library.cache_clear()
    try:
        monkeypatch.setattr(libcrypto, "_NAMES", ("no-such-library.so",))
        with pytest.raises(AlgorithmNotSupportedError) as caught:
            keys.find_or_make("signing")
    finally:
        libcrypto._library.cache_clear()
    assert caught.value.code == "SM2_LIBRARY"


def test_an_unlocked_key_is_what_find_or_make_gives(keys: SealedKeys) -> None:
    key, _made = keys.find_or_make("signing")
    assert isinstance(key, Sm2PrivateKey)
    assert (key.algorithm, key.is_unlocked) == (KeyAlgorithm.SM2, True)

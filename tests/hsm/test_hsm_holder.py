"""Tokens of holders at the counter: made ready, given key and certificate, unlocked."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onecert.hsm import (
    HolderTokens,
    KeyAlgorithm,
    KeyUnusableError,
    PinError,
    PinFormError,
    TokenNotFoundError,
)

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SO, PIN, NEW = "so-4711-0815", "739105", "284617"


@pytest.fixture
def tokens(softhsm_store: Path, tmp_path: Path) -> HolderTokens:
    return HolderTokens(notes=tmp_path / "notes", store=softhsm_store)


def certificate(public_key, signer, *, serial: int) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"holder {serial}")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public_key)
    builder = builder.serial_number(serial).not_valid_before(T).not_valid_after(T + timedelta(days=1))
    return builder.sign(signer, hashes.SHA256())


def test_from_an_empty_token_to_its_certificate(tokens: HolderTokens, tmp_path: Path) -> None:
    """Ready, key, certificate and chain; written again nothing changes; a newer one takes the place."""
    made = tokens.make_ready(label=f"holder {tmp_path.name}"[:32], so_pin=SO, pin=PIN)
    assert made in tokens.all()
    assert made.has_user_pin
    ca = ec.generate_private_key(ec.SECP256R1())
    with tokens.open(made.serial, PIN) as token:
        key = token.generate_key("holder", KeyAlgorithm.P_256)
        first, second = (certificate(key.public_key(), ca, serial=n) for n in (200, 300))
        issuer = certificate(ca.public_key(), ca, serial=1)
        for _again in range(2):
            token.write_certificates("holder", first, [issuer])
            assert {each.serial_number for each in token.certificates()} == {200, 1}
        token.write_certificates("holder", second, [issuer])
        assert {each.serial_number for each in token.certificates()} == {300, 1}
        with pytest.raises(KeyUnusableError) as caught:
            token.write_certificates("holder", issuer, [])
        assert caught.value.code == "CERTIFICATE_OTHER_KEY"


def test_unlocking_sets_a_new_pin_and_keeps_the_key(tokens: HolderTokens, tmp_path: Path) -> None:
    """The holder forgot the PIN: with the SO PIN there is a new one; the key is the same."""
    made = tokens.make_ready(label=f"unlock {tmp_path.name}"[:32], so_pin=SO, pin=PIN)
    with tokens.open(made.serial, PIN) as token:
        before = token.generate_key("holder", KeyAlgorithm.P_256).public_key()
    with pytest.raises(PinError) as caught:
        tokens.set_pin(made.serial, so_pin="not this one", pin=NEW)
    assert caught.value.code == "SO_PIN_WRONG"
    assert caught.value.attempts_left == 4
    later = HolderTokens(
        notes=tokens._notes, store=tokens._store, now=lambda: datetime.now(UTC) + timedelta(hours=1)
    )
    later.set_pin(made.serial, so_pin=SO, pin=NEW)
    with later.open(made.serial, NEW) as token:
        assert token.load_key("holder").public_key() == before
    with pytest.raises(PinError):
        later.open(made.serial, PIN)


def test_making_it_ready_again_destroys_what_was_on_it(tokens: HolderTokens, tmp_path: Path) -> None:
    """With the right SO PIN only; then it is empty and has the new PIN."""
    made = tokens.make_ready(label=f"again {tmp_path.name}"[:32], so_pin=SO, pin=PIN)
    with tokens.open(made.serial, PIN) as token:
        token.generate_key("holder", KeyAlgorithm.P_256)
    again = tokens.make_ready(label=f"fresh {tmp_path.name}"[:32], so_pin=SO, pin=NEW, serial=made.serial)
    with tokens.open(again.serial, NEW) as token:
        assert token.key_labels() == []
    with pytest.raises(TokenNotFoundError):
        tokens.set_pin("no-such-serial", so_pin=SO, pin=NEW)


@pytest.mark.parametrize("pin", ["", "123456", "111111", "12345"])
def test_a_simple_pin_is_refused_before_the_token_is_touched(tokens: HolderTokens, pin: str) -> None:
    """Nothing is initialised."""
    before = tokens.all()
    with pytest.raises(PinFormError):
        tokens.make_ready(label="simple", so_pin=SO, pin=pin)
    assert tokens.all() == before

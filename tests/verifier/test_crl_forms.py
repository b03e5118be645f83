"""Lists in which entries of all forms stand side by side, whole and damaged, read by cryptography as well."""

from __future__ import annotations

import random
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import VerifyError, load_crl
from onecert.verifier.revocation.crl_entries import REASONS

TIMES = (b"\x17\x0d261121090000Z", b"\x18\x0f20550101000000Z")
DATE = b"\x30\x18\x06\x03\x55\x1d\x18\x04\x11\x18\x0f20261101000000Z"


def entry(pki: Any, chance: random.Random) -> bytes:
    """Serials of 1 to 20 octets, both times, any mixture of extensions, short and long."""
    size = chance.randrange(1, 20)
    serial = bytes((chance.randrange(1, 0x80),)) + chance.randbytes(size)
    extensions = []
    if chance.random() < 0.6:
        reason = chance.choice(sorted(REASONS))
        value = pki.tlv(0x04, pki.tlv(0x0A, bytes((reason,))))
        critical = b"\x01\x01\xff" if chance.random() < 0.1 else b""
        extensions.append(pki.tlv(0x30, b"\x06\x03\x55\x1d\x15", critical, value))
    if chance.random() < 0.3:
        extensions.append(DATE)
    if chance.random() < 0.05:
        value = pki.tlv(0x04, chance.randbytes(chance.choice((3, 90, 200, 300))))
        extensions.append(pki.tlv(0x30, b"\x06\x03\x2a\x03\x04", value))
    tail = pki.tlv(0x30, *extensions) if extensions else b""
    der: bytes = pki.tlv(0x30, pki.tlv(0x02, serial), chance.choice(TIMES), tail)
    return der


def crl_of(pki: Any, entries: list[bytes]) -> bytes:
    """A list with these entries; nobody looks at its signature."""
    pattern = pki.crl(pki.root(), entries=[x509.RevokedCertificateBuilder(1, pki.T).build()])
    tbs = x509.load_der_x509_crl(pattern).tbs_certlist_bytes
    one = pki.tlv(0x30, b"\x02\x01\x01" + TIMES[0])
    head, found, after = tbs.partition(pki.tlv(0x30, one))
    assert found
    start = 2 if tbs[1] < 0x80 else 2 + (tbs[1] & 0x7F)
    der: bytes = pki.sign_sequence(pki.tlv(0x30, head[start:], pki.tlv(0x30, *entries), after), pki.key())
    return der


def check_against_cryptography(der: bytes) -> None:
    ours = load_crl(der)
    theirs = list(x509.load_der_x509_crl(der))
    assert len(ours) == len(theirs)
    seen = set()
    for one in theirs:
        try:
            found = ours.find(one.serial_number)
        except VerifyError:
            continue  # listed, at a time that cannot be read
        assert found is not None
        if one.serial_number not in seen:
            assert found.revoked_at == one.revocation_date_utc
        seen.add(one.serial_number)


@pytest.mark.parametrize("seed", range(4))
def test_whole_lists(pki: Any, seed: int) -> None:
    """Blocks of like entries and mixtures of unlike ones, in lists longer than any one step of the reader."""
    chance = random.Random(seed)
    entries: list[bytes] = []
    while len(entries) < 4000:
        if chance.random() < 0.2:
            like = entry(pki, chance)
            entries += [like] * chance.choice((2, 40, 700))
        entries += [entry(pki, chance) for _ in range(chance.choice((1, 50, 800)))]
    check_against_cryptography(crl_of(pki, entries))


def test_damaged_lists(pki: Any) -> None:
    """Octets flipped and moved about: refused, or read as cryptography reads it."""
    chance = random.Random(9)
    whole = [crl_of(pki, [entry(pki, chance) for _ in range(count)]) for count in (1, 4, 60)]
    read = 0
    for _ in range(600):
        der = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(1, 4)):
            place, other = chance.randrange(len(der)), chance.randrange(len(der))
            if chance.random() < 0.7:
                der[place] ^= 1 << chance.randrange(8)
            else:
                der[place : place + 8] = der[other : other + 8]
        try:
            load_crl(bytes(der))
        except VerifyError:
            continue
        try:
            check_against_cryptography(bytes(der))
        except ValueError:
            continue  # cryptography reads times and extensions at once, and refuses the list for them
        read += 1
    assert read > 50

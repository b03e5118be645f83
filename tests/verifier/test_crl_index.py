"""The index of a CRL's entries, against a plain dictionary."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onecert.verifier.der import DerError
from onecert.verifier.errors import MalformedError
from onecert.verifier.limits import Limits
from onecert.verifier.names import canonical_name
from onecert.verifier.revocation import crl_index
from onecert.verifier.revocation.crl_entries import REASONS
from onecert.verifier.revocation.crl_index import CrlIndex

ISSUER: Any = ((("2.5.4.3", "sa"),),)
TIME = b"\x17\x0d261121090000Z"


def tlv(tag: int, *contents: bytes) -> bytes:
    body = b"".join(contents)
    assert len(body) < 0x100
    return (bytes((tag, len(body))) if len(body) < 0x80 else bytes((tag, 0x81, len(body)))) + body


def entry(serial: int, reason: int | None, padding: int = 0) -> bytes:
    """One entry; ``padding`` adds an unknown extension of that many octets."""
    octets = serial.to_bytes((serial + (serial < 0)).bit_length() // 8 + 1, "big", signed=True)
    extensions = []
    if reason is not None:
        extensions.append(tlv(0x30, b"\x06\x03\x55\x1d\x15", tlv(0x04, tlv(0x0A, bytes((reason,))))))
    if padding:
        extensions.append(tlv(0x30, b"\x06\x03\x2a\x03\x04", tlv(0x04, bytes(padding))))
    return tlv(0x30, tlv(0x02, octets), TIME, tlv(0x30, *extensions) if extensions else b"")


def index_of(entries: bytes) -> CrlIndex:
    return CrlIndex(b"\x30\x00" + entries, 2, 2 + len(entries), issuer=ISSUER)


SERIALS = st.integers(-200, 200) | st.integers(1 << 126, (1 << 127) - 1) | st.integers(0, (1 << 159) - 1)


@pytest.mark.parametrize(
    ("octets", "serial"),
    [("80", -128), ("ff7f", -129), ("ff", -1), ("00", 0), ("7f", 127), ("0080", 128), ("8000", -32768)],
)
def test_serials_at_the_edge_of_an_octet(octets: str, serial: int) -> None:
    """DER writes -128 in one octet and 128 in two. Negative serials are against the rules, and occur."""
    index = index_of(tlv(0x30, tlv(0x02, bytes.fromhex(octets)), TIME))
    assert index.find(serial, ISSUER) is not None


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(SERIALS, st.none() | st.sampled_from([1, 4, 6]), st.sampled_from([0, 0, 0, 130])),
        max_size=120,
    ),
    st.lists(SERIALS, max_size=20),
)
def test_finds_what_is_listed(entries: list[tuple[int, int | None, int]], others: list[int]) -> None:
    """The first entry of a serial counts; what is not listed is not found."""
    expected: dict[int, str] = {}
    for serial, reason, _ in entries:
        expected.setdefault(serial, REASONS[reason or 0])
    index = index_of(b"".join(entry(*item) for item in entries))
    assert len(index) == len(entries)
    for serial in [*expected, *others]:
        found = index.find(serial, ISSUER)
        assert (None if found is None else found.reason) == expected.get(serial)
        assert index.find(serial, ()) is None


@pytest.mark.parametrize("step", [1, 3, 1 << 100])
def test_long_lists(step: int) -> None:
    """Longer than a pattern's run, growing more than once, and with runs that are broken all the time."""
    even = b"".join(entry((1 << 120) + number * step, 1) for number in range(9000))
    broken = b"".join(entry(number * step, number % 3 or None) for number in range(1, 9000))
    for entries, base in ((even, 1 << 120), (entry(5, None, 120) + broken, 0)):
        index = index_of(entries)
        for number in range(1, 9000, 7):
            assert index.find(base + number * step, ISSUER)
        assert index.find(base + 9001 * step, ISSUER) is None


@pytest.mark.parametrize(
    "entries",
    [
        b"\x31\x00",
        b"\x30\x00",
        tlv(0x30, TIME, TIME),
        tlv(0x30, tlv(0x02, bytes(22)), TIME),
        tlv(0x30, tlv(0x02, b"\x01"), b"\x17\x40261121090000Z"),
        entry(1, 1)[:-1],
        entry(1, 1) + b"\x30",
        entry(1, 1)[:-3] + b"\x04" + entry(1, 1)[-2:],
    ],
)
def test_entries_that_cannot_be_read(entries: bytes) -> None:
    with pytest.raises((DerError, IndexError)):
        index_of(entries)


def test_the_number_of_patterns_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile list in which every entry looks different costs no memory beyond its own."""
    monkeypatch.setattr(crl_index, "_PATTERNS_MAX", 4)
    monkeypatch.setattr(crl_index, "_HARMLESS_MAX", 4)
    entries = [entry(number, 1, 1 + number % 100) for number in range(1, 255)]
    for order in (entries, sorted(entries, key=len)):
        index = index_of(b"".join(order))
        assert all(index.find(number, ISSUER) for number in range(1, 255))


def critical(serial: int, oid: bytes, value: bytes = b"\x05\x00") -> bytes:
    extension = tlv(0x30, oid, b"\x01\x01\xff", tlv(0x04, value))
    return tlv(0x30, tlv(0x02, bytes((serial,))), TIME, tlv(0x30, extension))


def test_an_unknown_critical_extension_is_seen_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after so many harmless ones that they are no longer read one by one."""
    monkeypatch.setattr(crl_index, "_HARMLESS_MAX", 4)
    odd = b"".join(entry(number, None, number) for number in range(1, 100))
    usual = b"".join(entry(number, number % 3 or None) for number in range(1, 9000))
    for entries in (odd, usual, odd + usual, usual + odd):
        assert index_of(entries).unknown_critical is None
        for position in (b"", entries):
            bad = position + critical(1, b"\x06\x03\x2a\x03\x04") + entries
            assert index_of(bad).unknown_critical == "1.2.3.4"


def test_one_serial_over_and_over() -> None:
    """A million times the same serial number takes no longer than others; the first entry counts."""
    many = entry(7, 1) + 20_000 * entry(7, 4) + entry(8, 3) + 5000 * entry(7, None, 3)
    index = index_of(many)
    first, other = index.find(7, ISSUER), index.find(8, ISSUER)
    assert first
    assert other
    assert (first.reason, other.reason) == ("keyCompromise", "affiliationChanged")
    assert len(index) == 25_002


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(crl_entries=99), "CRL_ENTRIES"),
        (Limits(crl_unusual_entries=9), "CRL_UNUSUAL_ENTRIES"),
    ],
)
def test_limits(limits: Limits, code: str) -> None:
    entries = b"".join(entry(number, 1, number) for number in range(1, 101))
    with pytest.raises(MalformedError) as caught:
        CrlIndex(entries, 0, len(entries), limits=limits)
    assert caught.value.code == code


def test_issuers_of_an_indirect_list() -> None:
    """One serial number of many issuers; an entry names the issuer of itself and of those that follow it."""
    names = [canonical_name(common_name(number)) for number in range(40)]
    entries = entry(5, 1)
    for number in range(40):
        value = tlv(0x30, tlv(0xA4, common_name(number)))
        entries += critical(5, b"\x06\x03\x55\x1d\x1d", value) + 50 * entry(6, 3) + entry(7, None)
    entries += critical(9, b"\x06\x03\x55\x1d\x1d", tlv(0x30, tlv(0xA4, common_name(3)))) + entry(10, 4)
    der = b"\x30\x00" + entries
    index = CrlIndex(der, 2, len(der), issuer=ISSUER, indirect=True)
    assert index.find(5, ISSUER)
    assert not index.find(6, ISSUER)
    for name in names:
        assert all(index.find(serial, name) for serial in (5, 6, 7))
        assert bool(index.find(9, name)) is (name == names[3])
        assert bool(index.find(10, name)) is (name == names[3])
    direct = CrlIndex(der, 2, len(der), issuer=ISSUER)
    assert all(direct.find(serial, ISSUER) for serial in (5, 6, 7, 9, 10))
    assert not direct.find(5, names[0])


def common_name(number: int) -> bytes:
    return tlv(0x30, tlv(0x31, tlv(0x30, b"\x06\x03\x55\x04\x03", tlv(0x0C, b"CA %d" % number))))


def test_a_time_that_cannot_be_read() -> None:
    """Listed, at no time that anybody knows: nobody is told that the certificate is good."""
    index = index_of(tlv(0x30, tlv(0x02, b"\x01"), b"\x17\x0d269921090000Z"))
    assert index.find(2, ISSUER) is None
    with pytest.raises(MalformedError):
        index.find(1, ISSUER)

"""The container: anything but plain stored members, one after the other, is refused with its own code."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onecert.verifier.bundle.archive import MEMBERS_MAX, Archive
from onecert.verifier.errors import MalformedError

CONTENT = {"bundle.json": b"{}", "crls/pearl.crl": b"0" * 100, "trust-list.json": b"x" * 70_000}


def zipped(
    members: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED, *, comment: bytes = b""
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        for name, data in (CONTENT if members is None else members).items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def read(data: bytes) -> Archive:
    return Archive(lambda: io.BytesIO(data))


def refusal(data: bytes) -> str:
    with pytest.raises(MalformedError) as caught:
        read(data)
    assert "?" not in caught.value.text("zh")
    return caught.value.code


def test_members() -> None:
    archive = read(zipped())
    assert list(archive.members) == list(CONTENT)
    for name, data in CONTENT.items():
        assert archive.read(name) == data
        assert archive.members[name].size == len(data)
    with archive.open("trust-list.json") as file:
        file.seek(69_990)
        assert file.read() == b"x" * 10
        assert file.seek(-5, io.SEEK_END) == 69_995
        assert file.readline() == b"x" * 5


def streamed() -> bytes:
    """Written to a pipe: sizes follow the data."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

        def seek(self, *args: int) -> int:
            raise OSError

    file = Pipe()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("bundle.json", b"{}")
    return file.getvalue()


def twice() -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")
        for data in (b"{}", b"[]"):
            archive.writestr(zipfile.ZipInfo("bundle.json"), data)
    return file.getvalue()


def with_extra() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("bundle.json")
        info.extra = struct.pack("<2H4s", 0x7075, 4, b"\x01abc")  # another name, in UTF-8
        archive.writestr(info, b"{}")
    return file.getvalue()


def flagged(bit: int) -> bytes:
    data = bytearray(zipped({"bundle.json": b"{}"}))
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(magic) + place
        data[at : at + 2] = (struct.unpack_from("<H", data, at)[0] | bit).to_bytes(2, "little")
    return bytes(data)


def overlapping() -> bytes:
    """Two entries of the directory for one member: so that an archive unpacks to many times itself."""
    one = zipped({"a": b"0" * 500})
    start = one.index(b"PK\x01\x02")
    entry = one[start : one.index(b"PK\x05\x06")]
    second = entry.replace(b"a", b"b")
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(entry) * 2, start, 0)
    return one[:start] + entry + second + end


def between() -> bytes:
    """Octets between the members and the directory, which no reader looks at."""
    one = zipped({"a": b"0"})
    start = one.index(b"PK\x01\x02")
    entry = one[start : one.index(b"PK\x05\x06")]
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), start + 7, 0)
    return one[:start] + b"garbage" + entry + end


def renamed() -> bytes:
    """The header and the directory have two names for one member."""
    return zipped({"bundle.json": b"{}"}).replace(b"bundle.json", b"bundel.json", 1)


WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "BUNDLE_ARCHIVE"),
    "no archive": (lambda: b"\x30\x82" * 500, "BUNDLE_ARCHIVE"),
    "no members": (lambda: zipped({}), "BUNDLE_ARCHIVE"),
    "cut off": (lambda: zipped()[:-30], "BUNDLE_ARCHIVE"),
    "begins later": (lambda: zipped()[10:], "BUNDLE_TRAILING_DATA"),
    "data behind": (lambda: zipped() + b"\n", "BUNDLE_TRAILING_DATA"),
    "program before": (lambda: b"#!/bin/sh\n" + zipped(), "BUNDLE_TRAILING_DATA"),
    "second archive behind": (lambda: zipped() + zipped(), "BUNDLE_TRAILING_DATA"),
    "comment": (lambda: zipped(comment=b"hello"), "BUNDLE_TRAILING_DATA"),
    "deflated": (lambda: zipped(method=zipfile.ZIP_DEFLATED), "BUNDLE_MEMBER_COMPRESSED"),
    "bomb": (lambda: zipped({"a": b"\0" * 10_000_000}, zipfile.ZIP_DEFLATED), "BUNDLE_MEMBER_COMPRESSED"),
    "lzma": (lambda: zipped(method=zipfile.ZIP_LZMA), "BUNDLE_MEMBER_COMPRESSED"),
    "encrypted": (lambda: flagged(1), "BUNDLE_MEMBER_ENCRYPTED"),
    "strongly encrypted": (lambda: flagged(0x41), "BUNDLE_MEMBER_ENCRYPTED"),
    "patched": (lambda: flagged(0x20), "BUNDLE_ARCHIVE"),
    "streamed": (streamed, "BUNDLE_ARCHIVE"),
    "extra field": (with_extra, "BUNDLE_ARCHIVE"),
    "twice": (twice, "BUNDLE_MEMBER_TWICE"),
    "overlapping": (overlapping, "BUNDLE_ARCHIVE"),
    "between": (between, "BUNDLE_ARCHIVE"),
    "two names": (renamed, "BUNDLE_ARCHIVE"),
    "too many": (lambda: zipped({f"crls/{n}.crl": b"" for n in range(MEMBERS_MAX + 1)}), "BUNDLE_ARCHIVE"),
}


@pytest.mark.parametrize(("make", "code"), WRONG.values(), ids=WRONG)
def test_wrong_archives(make: Callable[[], bytes], code: str) -> None:
    assert refusal(make()) == code


@pytest.mark.parametrize(
    "name",
    [
        "../trust-root.json",
        "a/../../b",
        "/etc/passwd",
        "C:/x",
        "a\\b",
        "crls//a",
        "crls/",
        "Crls/a",
        "a b",
        "a\u00e9",
        ".hidden",
        "a/b/c/d/e",
        "x" * 65,
        "a..b",
    ],
)
def test_names(name: str) -> None:
    assert refusal(zipped({name: b""})) == "BUNDLE_MEMBER_NAME"


def test_every_octet_of_the_frame_counts(tmp_path: Path) -> None:
    """One bit turned anywhere: refused, or the same members of the same sizes, whose content has digests."""
    good = zipped({"bundle.json": b"{}", "crls/a.crl": b"abc"})
    names = list(read(good).members)
    for place in range(len(good)):
        for bit in (1, 0x80):
            data = bytearray(good)
            data[place] ^= bit
            try:
                archive = read(bytes(data))
            except MalformedError:
                continue
            assert [archive.members[name].size for name in archive.members] == [2, 3], place
            assert len(archive.members) == len(names)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), cut=st.integers(0, 400), place=st.integers(0, 400))
def test_any_bytes(data: bytes, cut: int, place: int) -> None:
    good = zipped({"bundle.json": b"{}", "crls/a.crl": b"abc"})
    for octets in (data, good[:cut] + data, good[:place] + data + good[place + len(data) :]):
        try:
            archive = read(octets)
            for name in archive.members:
                archive.read(name)
        except MalformedError:
            continue

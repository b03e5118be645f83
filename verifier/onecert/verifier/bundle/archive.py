"""The container of a bundle: a ZIP archive of stored members, read so that two readers cannot see two things.

APPNOTE.TXT 6.3.10, of which only this is accepted: members one after the other from the first octet on, each
with its local header and nothing between; the central directory right behind them, in the same order and
saying the same; the end record as the last octets of the file. No compression (so that nothing can grow), no
encryption, no data descriptors, no extra fields, comments, ZIP64 or further disks. Names are plain relative
paths; nothing is ever unpacked under a name from the archive.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from onecert.verifier.errors import MalformedError

__all__ = ["MEMBERS_MAX", "Archive", "Member"]

MEMBERS_MAX = 2000
_NAME = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9._-]{0,63}(/[a-z0-9][a-z0-9._-]{0,63}){0,3}", re.ASCII)
_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_DIRECTORY_MAX = MEMBERS_MAX * (_CENTRAL.size + 260)
_CHUNK = 1024 * 1024
# Bit 11: the name is UTF-8, which ASCII is. Every other bit changes how a member is read.
_FLAGS_ALLOWED = 0x0800
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000


@dataclass(frozen=True)
class Member:
    """Where the octets of a member lie in the file."""

    name: str
    offset: int
    size: int


class Archive:
    """The members of an archive, in their order.

    Args:
        open_file: opens the file anew; asked for each member, so that threads do not share a position.

    Raises:
        MalformedError: ``BUNDLE_ARCHIVE``, ``BUNDLE_MEMBER_NAME``, ``BUNDLE_MEMBER_TWICE``,
            ``BUNDLE_MEMBER_COMPRESSED``, ``BUNDLE_MEMBER_ENCRYPTED``, ``BUNDLE_TRAILING_DATA``.
        OSError: the file cannot be read.
    """

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        self._open_file = open_file
        with open_file() as file:
            self.members: Mapping[str, Member] = _read_members(file)

    def open(self, name: str) -> io.BufferedReader:
        """The octets of a member as a file of its own."""
        member = self.members[name]
        return io.BufferedReader(_Slice(self._open_file(), member.offset, member.size), _CHUNK)

    def read(self, name: str) -> bytes:
        """All octets of a member; the caller has looked at its size."""
        with self.open(name) as file:
            return file.read()

    def sha256(self, name: str) -> str:
        """The digest of a member, in lower-case hexadecimal."""
        digest = hashlib.sha256()
        with self.open(name) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()


class _Slice(io.RawIOBase):
    """A part of a file; closing it closes the file."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._offset = offset
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader hands over
        wanted = min(len(buffer), max(self._size - self._at, 0))
        self._file.seek(self._offset + self._at)
        found = self._file.read(wanted)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def close(self) -> None:
        self._file.close()
        super().close()


def _read_members(file: BinaryIO) -> dict[str, Member]:
    size = file.seek(0, io.SEEK_END)
    if size < _END.size:
        _refuse("it is too short")
    count, length, start = _read_end(file, size)
    file.seek(start)
    directory = file.read(length)
    members: dict[str, Member] = {}
    place = expected = 0
    for _ in range(count):
        if len(directory) - place < _CENTRAL.size:
            _refuse("the directory is cut off")
        fields = _CENTRAL.unpack_from(directory, place)
        name_length = fields[10]
        name_octets = directory[place + _CENTRAL.size : place + _CENTRAL.size + name_length]
        place += _CENTRAL.size + name_length
        name = _name(name_octets)
        if name in members:
            raise MalformedError("BUNDLE_MEMBER_TWICE", name=name)
        _check_central(fields, name)
        member_size, offset = fields[9], fields[16]
        if offset != expected:
            _refuse(f"{name} does not follow the member before it")
        begin = offset + _LOCAL.size + name_length
        if begin + member_size > start:
            _refuse(f"{name} is cut off")
        file.seek(offset)
        _check_local(file.read(_LOCAL.size + name_length), fields, name_octets, name)
        members[name] = Member(name, begin, member_size)
        expected = begin + member_size
    if place != len(directory) or len(directory) != length:
        _refuse("the directory is longer than its entries")
    if expected != start:
        _refuse("there is something between the members and the directory")
    return members


def _read_end(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Number of entries, length and place of the directory."""
    file.seek(size - _END.size)
    magic, disk, first_disk, here, count, length, start, comment = _END.unpack(file.read(_END.size))
    if magic != b"PK\x05\x06":
        # Is there an end, and only something after it?
        file.seek(max(0, size - 66_000))
        if b"PK\x05\x06" in file.read():
            raise MalformedError("BUNDLE_TRAILING_DATA")
        _refuse("it is no ZIP archive, or is cut off")
    if (disk, first_disk, comment) != (0, 0, 0) or here != count:
        _refuse("the end record")
    if not 0 < count <= MEMBERS_MAX or length > _DIRECTORY_MAX:
        _refuse("it has no members, or too many")
    if start + length != size - _END.size:
        raise MalformedError("BUNDLE_TRAILING_DATA")
    return count, length, start


def _name(octets: bytes) -> str:
    name = octets.decode("ascii", "replace")
    if _NAME.fullmatch(name) is None:
        raise MalformedError("BUNDLE_MEMBER_NAME", name=name)
    return name


def _check_central(fields: tuple[Any, ...], name: str) -> None:
    magic, _, needed, flags, method = fields[:5]
    packed, unpacked, _, extra, comment, disk = fields[8], fields[9], fields[10], *fields[11:14]
    if magic != b"PK\x01\x02":
        _refuse("the directory")
    if flags & _ENCRYPTED:
        raise MalformedError("BUNDLE_MEMBER_ENCRYPTED", name=name)
    if method != 0 or packed != unpacked:
        raise MalformedError("BUNDLE_MEMBER_COMPRESSED", name=name)
    if flags & ~_FLAGS_ALLOWED or needed > 20 or (extra, comment, disk) != (0, 0, 0):
        _refuse(f"{name} uses features that a bundle does not have")


def _check_local(header: bytes, central: tuple[Any, ...], name_octets: bytes, name: str) -> None:
    if len(header) != _LOCAL.size + len(name_octets):
        _refuse(f"{name} is cut off")
    local = _LOCAL.unpack_from(header)
    # Version needed, flags, method, time, date, checksum and both sizes: the same as in the directory.
    if local[0] != b"PK\x03\x04" or local[1:9] != central[2:10] or local[9:] != (len(name_octets), 0):
        _refuse(f"{name} differs between its header and the directory")
    if header[_LOCAL.size :] != name_octets:
        _refuse(f"{name} has another name in its header")


def _refuse(detail: str) -> NoReturn:
    raise MalformedError("BUNDLE_ARCHIVE", detail=detail)

"""The rows and their index on disk: strict lines, one file for all processes, damage mended."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_files import DAY, FIRM, OTHER, REGNO, THIRD, Register, T, row, time

from onecert.verifier.errors import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.identity.registry_index import DataFile, RegistryIndex, open_file
from onecert.verifier.identity.registry_keys import keys_of
from onecert.verifier.identity.registry_rows import known_row, read_row

WRONG_ROWS: dict[str, dict[str, Any]] = {
    "check digit": {"uscc": FIRM[:-1] + "K"},
    "lower case": {"uscc": FIRM.lower()},
    "full width": {"uscc": "９" + FIRM[1:]},
    "short": {"uscc": FIRM[:-1]},
    "number": {"uscc": 91440300},
    "no name": {"names": []},
    "empty name": {"names": [" "]},
    "long name": {"names": ["名" * 201]},
    "too many names": {"names": ["名"] * 51},
    "name object": {"names": [{"title": "名"}]},
    "names no list": {"names": "名"},
    "state": {"state": "closed"},
    "state no text": {"state": []},
    "unknown key": {"phone": "1"},
    "other org": {"org": OTHER[8:17]},
    "org with hyphen": {"org": "MA5DEM00-4"},
    "org check digit": {"org": FIRM[8:16] + "9"},
    "regno": {"regno": [REGNO[:-1] + str((int(REGNO[-1]) + 1) % 10)]},
    "regno no list": {"regno": REGNO},
    "regno object": {"regno": [{"number": REGNO, "note": ""}]},
    "evidence": {"regno": [{"number": REGNO, "evidence": 5}]},
    "day": {"from": "2026-11-21"},
    "time no text": {"from": 5},
    "interval": {"state": "cancelled", "from": time(T), "until": time(T)},
    "active until": {"until": time(T)},
}


@pytest.mark.parametrize("change", WRONG_ROWS.values(), ids=WRONG_ROWS)
def test_wrong_rows(register: Register, change: dict[str, Any]) -> None:
    line = json.dumps({**row(FIRM), **change}, ensure_ascii=False).encode()
    with pytest.raises(MalformedError) as caught:
        read_row(line)
    assert caught.value.code == "REGISTRY_ROW"
    # In a file the place is named.
    register.write(lines=lines(row(THIRD)) + line + b"\n")
    with pytest.raises(MalformedError) as caught:
        register.snapshot().head(T)
    assert (caught.value.code, caught.value.facts["line"]) == ("REGISTRY_LINE", 2)


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in rows)


WRONG_FILES: dict[str, tuple[bytes, int]] = {
    "not sorted": (lines(row(OTHER), row(FIRM)), 2),
    "twice": (lines(row(FIRM), row(FIRM, "another")), 2),
    "no line feed": (lines(row(FIRM))[:-1], 1),
    "empty line": (b"\n" + lines(row(FIRM)), 1),
    "two in a line": (lines(row(FIRM)).replace(b"\n", b" ") + lines(row(OTHER)), 1),
    "key twice": (lines(row(FIRM)).replace(b"{", b'{"state": "active", ', 1), 1),
    "byte order mark": (b"\xef\xbb\xbf" + lines(row(FIRM)), 1),
    "long line": (b"{" + b" " * 20_000 + lines(row(FIRM))[1:], 1),
    "no object": (b"[]\n", 1),
}


@pytest.mark.parametrize(("data", "line"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_wrong_files(register: Register, data: bytes, line: int) -> None:
    register.write(lines=data)
    with pytest.raises(MalformedError) as caught:
        register.snapshot().head(T)
    assert (caught.value.code, caught.value.facts["line"]) == ("REGISTRY_LINE", line)
    assert list(register.folder.glob("*.sqlite")) == []


def make(folder: Path, *rows: dict[str, Any]) -> Callable[[], RegistryIndex]:
    ordered = sorted(rows, key=lambda each: str(each["uscc"]))
    data = lines(*ordered)
    (folder / "registry.jsonl").write_bytes(data)
    expected = DataFile(sha256=hashlib.sha256(data).hexdigest(), size=len(data), entries=len(rows))
    return lambda: RegistryIndex(folder, open_file(folder / "registry.jsonl"), expected)


def test_entries_are_counted(tmp_path: Path) -> None:
    data = lines(row(FIRM))
    (tmp_path / "registry.jsonl").write_bytes(data)
    expected = DataFile(sha256=hashlib.sha256(data).hexdigest(), size=len(data), entries=2)
    with pytest.raises(MalformedError) as caught:
        RegistryIndex(tmp_path, open_file(tmp_path / "registry.jsonl"), expected)
    assert caught.value.code == "REGISTRY_DATA"


def test_made_once(tmp_path: Path) -> None:
    """Another process, and the same one later, open the file that is there: rows are read once."""
    index = make(tmp_path, row(FIRM), row(OTHER))
    first = index()
    (tmp_path / "registry.jsonl").unlink()
    second = index()
    for each in (first, second):
        assert each.find(FIRM)
        assert each.find_alias(f"org:{OTHER[8:17]}")
        each.close()
    assert first.find(THIRD) is None
    first.close()


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000, b"SQLite format 3\0" + b"\0" * 5000])
def test_a_damaged_index_is_made_again(tmp_path: Path, damage: bytes) -> None:
    index = make(tmp_path, row(FIRM))
    index().close()
    (path,) = tmp_path.glob("*.sqlite")
    path.write_bytes(damage)
    again = index()
    assert again.find(FIRM)
    again.close()


def test_damage_that_shows_at_a_lookup(tmp_path: Path) -> None:
    """The head of the file is whole and its middle is not."""
    index = make(tmp_path, row(FIRM), *[row_of(number) for number in range(300)])
    index().close()
    (path,) = tmp_path.glob("*.sqlite")
    content = bytearray(path.read_bytes())
    pages = range(4096, len(content) - 4096, 4096)
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        roots = {root for (root,) in connection.execute("SELECT rootpage FROM sqlite_master")}
    connection.close()
    for place in pages:
        if place // 4096 + 1 not in roots:
            content[place : place + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    again = index()
    assert again.find(FIRM)
    again.close()


def row_of(number: int) -> dict[str, Any]:
    from onecert.verifier.identity.check_digits import (  # noqa: PLC0415
        organisation_code_check_digit,
        uscc_check_digit,
    )

    code = f"MA9{number:05d}"
    first = "91440300" + code + organisation_code_check_digit(code)
    return row(first + uscc_check_digit(first), "示例公司" * 20)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    make_index = make(tmp_path, row(FIRM))
    (tmp_path / "registry-index.lock").mkdir()
    with pytest.raises(CouldNotCheckError) as caught:
        make_index()
    assert caught.value.code == "REGISTRY_INDEX"


def test_many_threads_share_one(tmp_path: Path) -> None:
    index = make(tmp_path, *[row_of(number) for number in range(50)])()
    wanted = [str(row_of(number)["uscc"]) for number in range(50)]
    wrong: list[str] = []

    def ask() -> None:
        for uscc in wanted:
            found = index.find(uscc)
            if found is None or found.uscc != uscc:
                wrong.append(uscc)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    index.close()


def test_indexes_of_older_snapshots_go(register: Register) -> None:
    register.snapshot().head(T)
    register.write([row(FIRM)], number=2)
    register.snapshot().head(T)
    assert len(list(register.folder.glob("*.sqlite"))) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    key=st.sampled_from(["uscc", "names", "state", "org", "regno", "from", "until", "x"]),
    value=json_values,
    data=st.binary(max_size=80),
)
def test_any_row(key: str, value: object, data: bytes) -> None:
    """A row is read, or refused with an error of ours; what is read once is read the same way again."""
    for line in (json.dumps({**row(FIRM), key: value}).encode("utf-8", "replace"), data):
        try:
            found = read_row(line)
        except VerifyError:
            continue
        assert known_row(line) == found


@st.composite
def usual_lines(draw: st.DrawFn) -> bytes:
    """Lines as our own programs write them, with one place changed or none."""
    texts = st.text(max_size=12) | st.sampled_from(
        [" ", "\u3000名", "名" * 200, "名" * 201, "\x85", '"', "\\"]
    )
    moments = st.sampled_from([time(T), time(T - DAY), "2026-02-30T00:00:00Z", "2026-11-21"])
    numbers = st.sampled_from([REGNO, REGNO[:-1] + "0", REGNO.replace("0", "\uff10"), "44030110309741"])
    fields: dict[str, Any] = {
        "uscc": draw(st.sampled_from([FIRM, OTHER, THIRD, FIRM[:-1] + "K", FIRM.lower()])),
        "names": draw(st.lists(texts, max_size=3) | st.just(["名"] * 50) | st.just(["名"] * 51)),
        "state": draw(st.sampled_from(["active", "cancelled", "revoked", "closed"])),
    }
    if draw(st.booleans()):
        fields["regno"] = draw(st.lists(numbers, max_size=3) | st.just([REGNO] * 51))
    for key in draw(st.sets(st.sampled_from(["from", "until"]))):
        fields[key] = draw(moments)
    line = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    if draw(st.integers(0, 3)):
        return line
    place = draw(st.integers(0, len(line)))
    return line[:place] + draw(st.binary(max_size=2)) + line[place + draw(st.integers(0, 2)) :]


@settings(max_examples=800, deadline=None, derandomize=True)
@given(line=usual_lines())
def test_the_index_judges_as_the_reader_does(line: bytes) -> None:
    """Right or wrong, and with the same fault; what is right under the same numbers."""
    row, fault = judged(read_row, line)
    keys, other_fault = judged(keys_of, line)
    assert other_fault == fault
    if row is not None:
        assert keys == (row.uscc, [(alias.id, row.uscc, "", "~") for alias in row.aliases])


def judged(read: Callable[[bytes], Any], line: bytes) -> tuple[Any, object]:
    """What is read, or code and facts of the refusal."""
    try:
        return read(line), None
    except MalformedError as exc:
        return None, (exc.code, exc.facts)


def test_numbers_keep_their_times(tmp_path: Path) -> None:
    """A number of one firm until a day, of another since then: no moment belongs to both."""
    first = {"regno": [{"number": REGNO, "until": time(T)}]}
    second = {"regno": [{"number": REGNO, "from": time(T)}, {"number": REGNO, "from": time(T)}]}
    index = make(tmp_path, row(FIRM, **first), row(OTHER, **second))()
    assert {found.uscc for found in index.find_alias(f"regno:{REGNO}")} == {FIRM, OTHER}
    index.close()
    second = {"regno": [{"number": REGNO, "from": time(T - DAY)}]}
    with pytest.raises(MalformedError) as caught:
        make(tmp_path, row(FIRM, **first), row(OTHER, **second))()
    assert (caught.value.code, caught.value.facts["id"]) == ("REGISTRY_AMBIGUOUS", f"regno:{REGNO}")


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 200), data=st.binary(max_size=60))
def test_any_file(tmp_path_factory: pytest.TempPathFactory, place: int, data: bytes) -> None:
    """Signed rows of any content: an index, or an error of ours, and no half an index left."""
    folder = tmp_path_factory.mktemp("any")
    good = lines(row(FIRM), row(OTHER))
    content = good[:place] + data + good[place + len(data) :]
    path = folder / "registry.jsonl"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    expected = DataFile(sha256=digest, size=len(content), entries=content.count(b"\n"))
    try:
        RegistryIndex(folder, open_file(path), expected).close()
    except VerifyError:
        assert [each.name for each in folder.iterdir() if each.name != "registry-index.lock"] == [path.name]

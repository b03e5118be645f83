"""`verifier.registry.*`: the index of the register of legal entities, made and asked."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator

import harness
from harness import LESS_IS_BETTER, Contender, Row, Seconds, benchmark
from registry_file import credit_code, write_register

from onecert.verifier.identity.registry_index import RegistryIndex, open_file

ASKED = 997
# A million rows take many seconds.
TWICE = 2


@benchmark("verifier.registry.build.1000000")
def build(name: str) -> Iterator[Row]:
    """Seconds from rows to an index on the disk: digests, each row judged, no number at two firms at once."""
    path, expected = write_register(harness.sizes.entries)

    def make() -> None:
        for old in path.parent.glob("*.sqlite"):
            old.unlink()
        RegistryIndex(path.parent, open_file(path), expected).close()

    def read() -> None:
        with open(path, "rb") as rows:
            for line in rows:
                json.loads(line)

    def insert() -> None:
        with sqlite3.connect(":memory:") as connection, open(path, "rb") as rows:
            connection.execute("CREATE TABLE entities (uscc TEXT PRIMARY KEY, line BLOB) WITHOUT ROWID")
            pairs = ((json.loads(line)["uscc"], line) for line in rows)
            connection.executemany("INSERT INTO entities VALUES (?, ?)", pairs)
        connection.close()

    yield Row(
        unit=f"s{LESS_IS_BETTER}",
        ours=Seconds(work=make, calls_min=1, rounds=TWICE),
        floor=Seconds(
            work=read, calls_min=1, rounds=TWICE, name="json.loads of every line, and nothing else"
        ),
        peers=[
            Seconds(
                work=insert,
                calls_min=1,
                rounds=TWICE,
                name="these and a table in memory, one key, nothing checked",
            )
        ],
    )


@benchmark("verifier.registry.find", "verifier.registry.find_alias")
def find(name: str) -> Iterator[Row]:
    """One firm by its credit code or by an older number, in a register of a million."""
    entries = harness.sizes.entries
    path, expected = write_register(entries)
    index = RegistryIndex(path.parent, open_file(path), expected)
    codes = [credit_code(number * 7919 % entries) for number in range(ASKED)]
    by_code, by_alias = itertools.cycle(codes), itertools.cycle([f"org:{code[8:17]}" for code in codes])
    (file,) = path.parent.glob("*.sqlite")
    connection = sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)
    for_floor = itertools.cycle(codes)

    def look_up() -> None:
        connection.execute("SELECT line FROM entities WHERE uscc = ?", (next(for_floor),)).fetchall()

    is_alias = name.endswith("alias")
    yield Row(
        unit="look-ups/s",
        ours=Contender(
            work=(lambda: index.find_alias(next(by_alias))) if is_alias else lambda: index.find(next(by_code))
        ),
        floor=Contender(work=look_up, name="sqlite3 alone, by the key"),
    )
    connection.close()
    index.close()

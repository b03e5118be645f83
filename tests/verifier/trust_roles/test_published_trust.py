"""What a department makes of the published files: accepted, or refused for one reason each.

root 1 (paper) -> root 2 -> …      walked, none left out
  ├─ timestamp                     names the newest root and list
  └─ list
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from trust_city import DAY, HOUR, City, Files, T, getter, list_payload

from onecert.testkit.documents import sign_document
from onecert.testkit.trust_roles import RoleHolders, TrustHolders, make_keys
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.trust_list import (
    MemoryState,
    PublishedTrust,
    Role,
    load_trust_root,
    load_trusted_list,
)
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.published import LIST_FILE, TIMESTAMP_FILE, root_file


class Department:
    """Looks at the files, and says what became of it: the number of the list in use, or a code."""

    def __init__(
        self, city: City, *, grace: timedelta = timedelta(0), state: MemoryState | None = None
    ) -> None:
        self.state = state or MemoryState()
        self.trust = PublishedTrust(load_trust_root(city.first), state=self.state, grace=grace)
        self.kept: Files = {}

    def look(self, files: Files, at: datetime = T) -> str:
        """What the update said: a code, or nothing."""
        try:
            self.trust.update(getter(files), at, keep=self.kept.__setitem__)
        except VerifyError as exc:
            return exc.code
        return ""

    def use(self, at: datetime = T) -> int | str:
        """What a login finds."""
        try:
            return self.trust.current(at).sequence
        except VerifyError as exc:
            return exc.code


@pytest.fixture
def city() -> City:
    return City().publish()


def test_what_is_published_is_used_and_kept(city: City) -> None:
    department = Department(city)
    assert department.use() == "TRUST_LIST_MISSING"
    assert department.look(city.files) == ""
    assert department.use() == 1
    assert department.kept == {name: city.files[name] for name in (LIST_FILE, TIMESTAMP_FILE)}
    assert department.trust.current(T).warnings == ()
    # What was kept is enough for the next start, without anybody to ask.
    again = Department(city, state=department.state)
    assert again.look(department.kept) == ""
    assert again.use() == 1


def test_only_what_is_new_is_asked_for(city: City) -> None:
    department, asked = Department(city), list[str]()
    get = getter(city.files, asked)
    department.trust.update(get, T)
    assert asked == [TIMESTAMP_FILE, "trust-roots/2.json", LIST_FILE]
    listed = department.trust.current(T)
    asked.clear()
    city.publish_timestamp()
    department.trust.update(get, T)
    assert asked == [TIMESTAMP_FILE, "trust-roots/2.json"]
    assert department.trust.current(T) is listed


def test_every_version_of_the_root_is_walked(city: City) -> None:
    """Three hand-overs while a department slept; it has only the first on paper."""
    for _ in range(3):
        city.new_holders()
    city.publish()
    department = Department(city)
    assert department.look(city.files) == ""
    assert (department.trust.root.version, department.use()) == (4, 2)
    assert department.kept.keys() >= {root_file(2), root_file(3), root_file(4)}
    # Without one of them, nothing newer can be believed.
    del city.files[root_file(3)]
    late = Department(city)
    assert late.look(city.files) == "TRUST_ROOT_BEHIND"
    assert late.trust.root.version == 2


def test_many_roots_take_several_updates(city: City) -> None:
    """Nobody can keep a department walking for ever; it goes on from where it was."""
    for _ in range(40):
        city.publish_root()
    city.publish()
    department = Department(city)
    assert department.look(city.files) == "TRUST_ROOT_BEHIND"
    assert department.trust.root.version == 33
    assert department.look(city.files) == ""
    assert department.trust.root.version == 41


def test_a_thief_of_the_timestamp_key_is_shut_out(city: City) -> None:
    """A new root takes the key away: what it signed counts no more, not even what is in use."""
    department = Department(city)
    department.look(city.files)
    stolen = dict(city.files)
    city.holders.timestamp = RoleHolders(make_keys(1), 1)
    city.publish_root()
    mixed = {**stolen, root_file(2): city.files[root_file(2)]}
    assert department.look(mixed) == "TRUST_TIMESTAMP_SIGNATURE"
    assert department.use() == "TRUST_TIMESTAMP_SIGNATURE"
    city.publish_timestamp()
    assert department.look(city.files) == ""
    assert department.use() == 1


def test_an_officer_who_left_signs_no_more(city: City) -> None:
    department = Department(city)
    department.look(city.files)
    old = city.holders.list
    city.holders.list = RoleHolders((old.keys[0], *make_keys(1)), 2)
    city.publish_root()
    city.publish_timestamp()
    assert department.look(city.files) == "TRUST_LIST_SIGNATURE"
    assert department.use() == "TRUST_LIST_SIGNATURE"
    city.publish()
    assert department.look(city.files) == ""
    assert department.use() == 2


def replay(*names: str) -> Callable[[Files, Files], Files]:
    return lambda old, new: {**new, **{name: old[name] for name in names}}


def without(name: str) -> Callable[[Files, Files], Files]:
    return lambda old, new: {each: data for each, data in new.items() if each != name}


def garbled(name: str, data: bytes = b"<html>") -> Callable[[Files, Files], Files]:
    return lambda old, new: {**new, name: data}


ATTACKS = {
    "old list": (replay(LIST_FILE), "TRUST_PARTS_MIXED"),
    "old timestamp": (replay(TIMESTAMP_FILE), "TRUST_PARTS_MIXED"),
    "old timestamp and list": (replay(LIST_FILE, TIMESTAMP_FILE), "TRUST_LIST_ROLLBACK"),
    "no timestamp": (without(TIMESTAMP_FILE), "FETCH_STATUS"),
    "no list": (without(LIST_FILE), "FETCH_STATUS"),
    "no root": (without(root_file(2)), "TRUST_ROOT_BEHIND"),
    "a page for a timestamp": (garbled(TIMESTAMP_FILE), "TRUST_TIMESTAMP_MALFORMED"),
    "a page for a list": (garbled(LIST_FILE), "TRUST_LIST_MALFORMED"),
    "a page for a root": (garbled(root_file(2)), "TRUST_ROOT_MALFORMED"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks(city: City, attack: str) -> None:
    """Somebody between a department and the city: nothing is used that is older than what was seen."""
    running = Department(city)
    running.look(city.files)
    old = dict(city.files)
    city.publish_root()
    city.publish()
    change, code = ATTACKS[attack]
    attacked = change(old, city.files)
    fresh = Department(city)
    if attack != "old timestamp and list":
        assert fresh.look(attacked) == code
        assert isinstance(fresh.use(), str)
    # Who has seen the new ones stays with them, and does not fall back after a restart.
    running.look(city.files)
    assert running.use() == 2
    running.look(attacked)
    assert running.use() == 2
    restarted = Department(city, state=running.state)
    assert restarted.look(attacked) in {code, "TRUST_ROOT_ROLLBACK"}
    assert isinstance(restarted.use(), str)


def test_an_old_timestamp_over_the_same_list(city: City) -> None:
    department = Department(city)
    old = dict(city.files)
    city.publish_timestamp()
    department.look(city.files)
    assert department.look(old) == "TRUST_TIMESTAMP_ROLLBACK"
    assert department.use() == 1


def test_two_timestamps_of_one_version(city: City) -> None:
    department = Department(city)
    department.look(city.files)
    city.publish_timestamp(step=0, lasts=2 * DAY)
    assert department.look(city.files) == "TRUST_TIMESTAMP_FORK"


def test_the_root_that_was_seen(city: City) -> None:
    """The copies were restored from a backup and nobody is reachable: an older root is not gone back to."""
    department = Department(city)
    for _ in range(3):
        city.new_holders()
    city.publish()
    assert department.look(city.files) == ""
    backup = {name: data for name, data in city.files.items() if name not in {root_file(3), root_file(4)}}
    restarted = Department(city, state=department.state)
    assert restarted.look(backup) == "TRUST_ROOT_ROLLBACK"
    assert restarted.use() == "TRUST_ROOT_ROLLBACK"
    assert restarted.look(city.files) == ""
    assert restarted.use() == 2


def test_another_root_than_the_other_programs_saw(city: City) -> None:
    """A thief of root keys shows one program a second root 2. It is refused, does not stay in the program's
    memory, and takes nothing away; the true one is taken when it comes."""
    department = Department(city)
    assert department.look(city.files) == ""
    before = city.holders.root
    city.new_holders()
    city.publish()
    assert Department(city, state=department.state).look(city.files) == ""
    thief = TrustHolders(root=RoleHolders(make_keys(2), 2))
    forged = {**city.files, root_file(2): thief.sign_root(2, at=T, before=before)}
    assert department.look(forged) == "TRUST_ROOT_FORK"
    assert department.trust.root.version == 1
    assert department.use() == 1
    city.new_holders()
    city.publish()
    assert department.look(city.files) == ""
    assert (department.trust.root.version, department.use()) == (3, 3)


def test_held_back(city: City) -> None:
    """Nobody is asked, or nobody answers with anything new: the end of the timestamp ends it."""
    department = Department(city)
    department.look(city.files)
    assert department.use(T + DAY - timedelta(seconds=1)) == 1
    assert department.look(city.files, T + DAY) == "TRUST_TIMESTAMP_EXPIRED"
    assert department.use(T + DAY) == "TRUST_TIMESTAMP_EXPIRED"
    with pytest.raises(CouldNotCheckError):
        department.trust.current(T + DAY)


def test_grace_is_a_choice_and_shows(city: City) -> None:
    department = Department(city, grace=6 * HOUR)
    department.look(city.files)
    late = department.trust.current(T + DAY)
    assert (late.sequence, late.warnings) == (1, ("TRUST_TIMESTAMP_GRACE",))
    assert department.trust.current(T + DAY + HOUR) is late  # much is remembered for the object
    assert department.use(T + DAY + 6 * HOUR) == "TRUST_TIMESTAMP_EXPIRED"
    # Also at a start within the grace, from what was kept.
    again = Department(city, grace=6 * HOUR)
    assert again.look(department.kept, T + DAY + HOUR) == ""
    assert again.trust.current(T + DAY + HOUR).warnings == ("TRUST_TIMESTAMP_GRACE",)


def test_ends_of_root_and_list(city: City) -> None:
    city.publish_list(lasts=2 * DAY)
    city.publish_timestamp(lasts=7 * DAY)
    department = Department(city)
    assert department.look(city.files) == ""
    assert department.use(T + 2 * DAY) == "TRUST_LIST_EXPIRED"
    city.at = T + 366 * DAY
    city.publish()
    assert Department(city).look(city.files, city.at) == "TRUST_ROOT_EXPIRED"
    city.publish_root()
    city.publish_timestamp()
    # Root 1 is over, but nobody needs it to be current any more.
    assert Department(city).look(city.files, city.at) == ""


def test_counters_driven_to_their_end(city: City) -> None:
    """A thief signed number 2^53-1 of both. A higher epoch begins anew; without it the city is shut out."""
    department = Department(city)
    end = 2**53 - 1
    city.publish_list(step=end - city.sequence)
    city.publish_timestamp(step=end - city.stamp)
    assert department.look(city.files) == ""
    stolen = dict(city.files)
    city.sequence = city.stamp = 0
    city.holders.list = RoleHolders(make_keys(2), 2)
    city.holders.timestamp = RoleHolders(make_keys(1), 1)
    city.publish_root()
    city.publish()
    assert department.look(city.files) == "TRUST_LIST_ROLLBACK"
    city.holders.list.epoch = city.holders.timestamp.epoch = 2
    city.publish_root()
    city.publish_timestamp()
    assert department.look(city.files) == ""
    assert department.use() == 1
    # What the thief signed in the first epoch is worth nothing now.
    again = Department(city, state=department.state)
    assert again.look({**city.files, LIST_FILE: stolen[LIST_FILE]}) == "TRUST_LIST_SIGNATURE"


def test_two_lists_of_one_number(city: City) -> None:
    department = Department(city)
    department.look(city.files)
    payload = list_payload(1, lasts=31 * DAY)
    city.files[LIST_FILE] = sign_document(payload, typ=v.TYP, keys=city.holders.list.keys)
    city.publish_timestamp()
    assert department.look(city.files) == "TRUST_LIST_FORK"
    assert department.use() == 1


def test_by_hand(city: City) -> None:
    """Files on a disk: with the timestamp as always; without it a warning says what is missing."""
    root, state = load_trust_root(city.first), MemoryState()
    listed, stamped = city.files[LIST_FILE], city.files[TIMESTAMP_FILE]
    found = load_trusted_list(listed, root=root, timestamp=stamped, at=T, state=state)
    assert (found.sequence, found.warnings) == (1, ())
    assert set(state.seen) == {Role.ROOT, Role.TIMESTAMP, Role.LIST}
    bare = load_trusted_list(listed, root=root, at=T + 2 * DAY, state=state)
    assert bare.warnings == ("TRUST_LIST_NO_TIMESTAMP",)
    city.publish()
    for more, code in (
        ({"timestamp": city.files[TIMESTAMP_FILE]}, "TRUST_PARTS_MIXED"),
        ({"timestamp": stamped, "at": T + DAY}, "TRUST_TIMESTAMP_EXPIRED"),
        ({"at": T + 366 * DAY}, "TRUST_ROOT_EXPIRED"),
    ):
        with pytest.raises(VerifyError) as caught:
            load_trusted_list(listed, **{"root": root, "at": T, **more})  # type: ignore[arg-type]
        assert caught.value.code == code
    load_trusted_list(city.files[LIST_FILE], root=root, at=T, state=state)
    with pytest.raises(VerifyError) as caught:
        load_trusted_list(listed, root=root, at=T, state=state)
    assert caught.value.code == "TRUST_LIST_ROLLBACK"

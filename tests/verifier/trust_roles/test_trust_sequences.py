"""Random lives of a city, of a thief and of departments, against a model of a few lines.

The city publishes, rotates keys and begins epochs; the thief shows a department any mixture of files that
were ever published, old states as a whole, documents with too few signatures, keys in two roles, and counters
that were driven to their end with stolen keys. Whatever happens, a department uses a list that enough
officers have signed, never goes back in root, timestamp or list, and when it is shown what the city publishes
now, it uses just that.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from trust_city import DAY, HOUR, City, Files, T, getter, list_payload, texts

from onecert.testkit.documents import payload_octets, sign_document
from onecert.testkit.trust_roles import RoleHolders, make_keys, public_row
from onecert.verifier.errors import VerifyError
from onecert.verifier.trust_list import FileState, PublishedTrust, load_trust_root
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.published import LIST_FILE, ROOT_FILE, TIMESTAMP_FILE, root_file
from onecert.verifier.trust_list.root import ROOT_TYP
from onecert.verifier.trust_list.timestamp import TIMESTAMP_TYP, Named

END = 2**53 - 1
Newest = tuple[int, int, int, int, int]


class Lives(RuleBasedStateMachine):
    """One city, one department with its memory on disk."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.city = City().publish()
        self.at = T
        self.forged: dict[str, list[bytes]] = {LIST_FILE: [], TIMESTAMP_FILE: []}
        self.ever: dict[str, list[bytes]] = {}
        # The model: what this department has used last, as root, epoch and number of timestamp and list.
        self.used: Newest = (0, 0, 0, 0, 0)
        self.states: list[Files] = []
        self.note()
        self.restart()

    def note(self) -> None:
        """Remember what is published now."""
        city = self.city
        for name, data in city.files.items():
            if data not in self.ever.setdefault(name, []):
                self.ever[name].append(data)
        self.states.append(dict(city.files))

    def newest(self) -> Newest:
        city = self.city
        holders = city.holders
        return city.version, holders.timestamp.epoch, city.stamp, holders.list.epoch, city.sequence

    # What the city does.

    @rule(hours=st.integers(0, 30))
    def time_passes(self, hours: int) -> None:
        self.at += hours * HOUR
        self.city.at = self.at
        self.city.publish_root()  # it renews everything before it ends
        self.city.publish()
        self.note()

    @rule()
    def only_a_timestamp(self) -> None:
        self.city.publish_timestamp()
        self.note()

    @rule(stolen=st.sets(st.sampled_from(["list", "timestamp"])), replaced=st.booleans())
    def new_keys(self, stolen: set[str], replaced: bool) -> None:
        """Keys are replaced; after a theft the counter was driven to its end, so that the epoch is raised."""
        city = self.city
        self.count_to_the_end(stolen)
        for role in ("list", "timestamp"):
            holders: RoleHolders = getattr(city.holders, role)
            if role in stolen or replaced:
                keys, epoch = make_keys(len(holders.keys)), holders.epoch + (role in stolen)
                setattr(city.holders, role, RoleHolders(keys, holders.threshold, epoch))
        city.sequence = 0 if "list" in stolen else city.sequence
        city.stamp = 0 if "timestamp" in stolen else city.stamp
        city.publish_root()
        city.publish()
        self.note()

    def count_to_the_end(self, stolen: set[str]) -> None:
        """What the thief signs; with both keys it fits together and any department takes it."""
        city, holders = self.city, self.city.holders
        files = dict(city.files)
        if "list" in stolen:
            payload = list_payload(END, at=self.at)
            files[LIST_FILE] = sign_document(payload, typ=v.TYP, keys=holders.list.keys)
            self.forged[LIST_FILE].append(files[LIST_FILE])
        if "timestamp" in stolen:
            files[TIMESTAMP_FILE] = holders.sign_timestamp(
                END, at=self.at, root=files[ROOT_FILE], trust_list=files[LIST_FILE]
            )
            self.forged[TIMESTAMP_FILE].append(files[TIMESTAMP_FILE])
        self.states.append(files)

    @rule()
    def hand_over(self) -> None:
        self.city.new_holders()
        self.city.publish_timestamp()
        self.note()

    # What the department does.

    @rule()
    def restart(self) -> None:
        state = FileState(Path(self.folder.name) / "state" / "trust.json")
        self.trust = PublishedTrust(load_trust_root(self.city.first), state=state)

    def show(self, files: Files) -> bool:
        try:
            self.trust.update(getter(files), self.at)
        except VerifyError:
            return False
        return True

    @rule()
    def look(self) -> None:
        """An honest network: the newest is used."""
        assert self.show(self.city.files)
        assert self.using() == self.newest()

    # What the thief shows.

    @rule(data=st.data())
    def mixture(self, data: st.DataObject) -> None:
        """Any timestamp and list that were ever there or signed with stolen keys; a root may be missing."""
        files = {name: each for name, each in self.city.files.items() if name.startswith("trust-roots/")}
        missing = data.draw(st.sampled_from([None, None, *files]))
        files = {name: each for name, each in files.items() if name != missing}
        for name in (LIST_FILE, TIMESTAMP_FILE):
            files[name] = data.draw(st.sampled_from([*reversed(self.ever[name]), *self.forged[name]]))
        self.show(files)

    @rule(data=st.data())
    def old_state(self, data: st.DataObject) -> None:
        """Everything as it was once, with or without the roots that followed."""
        files = data.draw(st.sampled_from(self.states[::-1]))
        roots = {name: data for name, data in self.city.files.items() if name.startswith("trust-roots/")}
        self.show({**files, **(roots if data.draw(st.booleans()) else {})})

    @rule(name=st.sampled_from([LIST_FILE, TIMESTAMP_FILE]), is_next=st.booleans())
    def forgery(self, name: str, is_next: bool) -> None:
        """Another document of this number, or the next one, made by all but one officer and a stranger."""
        payload = json.loads(payload_octets(self.city.files[name]))
        if name == LIST_FILE:
            typ, holders = v.TYP, self.city.holders.list
            scheme = payload["LoTE"]["ListAndSchemeInformation"]
            scheme["LoTESequenceNumber"] += is_next
            scheme["SchemeOperatorName"] = texts("Thief")
        else:
            typ, holders = TIMESTAMP_TYP, self.city.holders.timestamp
            payload["version"] += is_next
        keys = (*holders.keys[: holders.threshold - 1], *make_keys(1))
        shown = self.show({**self.city.files, name: sign_document(payload, typ=typ, keys=keys)})
        assert not shown or name == LIST_FILE  # which is not asked for while the timestamp is the same

    @rule(change=st.sampled_from(["few", "skip", "shared", "epoch", "own only", "threshold"]))
    def forged_root(self, change: str) -> None:
        """A next root that breaks one rule, with a good timestamp and list beside it."""
        city = self.city
        version = city.version + 1 + (change == "skip")
        payload = city.holders.root_payload(version, at=self.at, lasts=DAY)
        keys = city.holders.root.keys
        if change == "few":
            keys = keys[:1]
        elif change == "own only":
            keys = make_keys(2)
            payload["roles"]["root"]["keys"] = [public_row(key) for key in keys]
        elif change == "threshold":
            keys = keys[:1]
            payload["roles"]["root"]["threshold"] = 1
        elif change == "shared":
            payload["roles"]["timestamp"]["keys"] = payload["roles"]["list"]["keys"]
        elif change == "epoch":
            payload["roles"]["list"]["epoch"] = 0
        data = sign_document(payload, typ=ROOT_TYP, keys=keys)
        assert not self.show({**city.files, root_file(city.version + 1): data})
        assert self.trust.root.version <= city.version

    # What holds at any time.

    def using(self) -> Newest | None:
        try:
            parts = self.trust.parts(self.at)
            self.trust.current(self.at)
        except VerifyError:
            return None
        timestamp, listed = parts.timestamp, parts.trust_list
        epoch = parts.root.list_keys.epoch
        return parts.root.version, timestamp.epoch, timestamp.version, epoch, listed.sequence

    @invariant()
    def never_back(self) -> None:
        """Neither the root, nor the timestamp, nor the list."""
        if not hasattr(self, "trust"):
            return
        found = self.using()
        if found is None:
            return
        root, stamp_epoch, stamp, list_epoch, sequence = found
        before = self.used
        assert root >= before[0]
        assert (stamp_epoch, stamp) >= before[1:3]
        assert (list_epoch, sequence) >= before[3:5]
        assert root <= self.city.version
        self.used = found

    @invariant()
    def never_made_up(self) -> None:
        """What is in use was signed by enough holders: by the city, or with keys that were stolen."""
        if not hasattr(self, "trust") or self.using() is None:
            return
        payloads = {payload_octets(data) for data in (*self.ever[LIST_FILE], *self.forged[LIST_FILE])}
        digest = self.trust.parts(self.at).trust_list.sha256
        assert digest in {hashlib.sha256(each).hexdigest() for each in payloads}

    @invariant()
    def never_mixed(self) -> None:
        """The list is the one that the timestamp names, and both were read under the newest root at hand."""
        if not hasattr(self, "trust") or self.using() is None:
            return
        parts = self.trust.parts(self.at)
        assert parts.timestamp.list == Named(parts.trust_list.sequence, parts.trust_list.sha256)
        assert parts.root is self.trust.root

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

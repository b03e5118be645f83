"""Two chapters of the story: an officer leaves, and a thief drives the counters to their ends."""

import hashlib
import json
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from city import ROOT_HOLDERS
from commands import onecert_verify
from report import Report
from stage import Stage, first_line, refusal

from onecert.hsm import ServiceToken
from onecert.server.documents import sign_document
from onecert.verifier.jws import load_payload
from onecert.verifier.trust_list.roles import COUNTER_MAX
from onecert.verifier.trust_list.timestamp import TIMESTAMP_TYP
from onecert.verifier.trust_list.vocabulary import TYP

FILES = ("trust-root.json", "trust-timestamp.json", "trust-list.json")
MAX_BYTES = 16 * 1024 * 1024


class RootChapters(Stage):
    """Who signs the list changes, by the will of the root's holders and against a thief."""

    report: Report

    def change_officers(self) -> None:
        """officer-3 leaves: the holders sign root 2 on a machine of their own, departments walk to it."""
        check = self.report.check
        before = self.take_files("before")
        self.city.command("trust-list", "officer", "remove", "officer-3", "--apply")
        said = refusal(lambda: self.city.replace_root(signers=ROOT_HOLDERS[:1]))
        check("one_holder_refused", "ROOT_REFUSED" in said, said=first_line(said))
        self.city.replace_root(signers=ROOT_HOLDERS[1:])
        check("department_walked", self.wait(lambda: self.root_version() == 2), root=self.root_version())
        # Somebody on the way to the department holds back what is new.
        now = self.take_files("now")
        root, listed = now / "trust-root.json", now / "trust-list.json"
        said = self.judge(root, before / "trust-timestamp.json", listed)
        check("timestamp_rollback_refused", "TRUST_TIMESTAMP_ROLLBACK" in said, said=first_line(said))
        said = self.judge(root, now / "trust-timestamp.json", self.folder / "old-trust-list.json")
        check("mixed_refused", "TRUST_PARTS_MIXED" in said, said=first_line(said))
        late = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = self.judge(root, now / "trust-timestamp.json", listed, "--at", late)
        check("freeze_refused", "TRUST_TIMESTAMP_EXPIRED" in said, said=first_line(said))
        check("files_accepted", not self.judge(root, now / "trust-timestamp.json", listed))

    def recover_from_a_thief(self) -> None:
        """Somebody has every online key and signs the highest numbers there are; a new epoch begins anew."""
        check = self.report.check
        number = self.list_number()
        self.forge_highest_numbers("officer-1", "officer-2")
        check(
            "thief_published", self.wait(lambda: self.list_number() == COUNTER_MAX), list=self.list_number()
        )
        for officer in ("officer-4", "officer-5"):
            self.city.command("trust-list", "officer", "add", officer)
        for officer in ("officer-1", "officer-2"):
            self.city.command("trust-list", "officer", "remove", officer, "--apply")
        self.sign_next_list("officer-4", "officer-5")
        said = refusal(lambda: self.city.command("trust-list", "publish", "--apply"))
        check("list_needs_root", "LIST_NOT_UNDER_ROOT" in said, said=first_line(said))
        raised = ("--raise-epoch", "list", "--raise-epoch", "timestamp", "--new-timestamp-key")
        said = self.city.replace_root(*raised, signers=ROOT_HOLDERS[:2])
        check("root_and_list_together", "published number" in said, said=said.strip().splitlines()[-1])
        recovered = self.wait(lambda: self.list_number() == int(number) + 1)
        check("epoch_recovers", recovered, list=self.list_number())
        check("department_walked", self.root_version() == 3, root=self.root_version())

    # What they do

    def sign_next_list(self, *officers: str) -> None:
        """A draft that says what the list says, signed by these."""
        self.city.command("trust-list", "draft", "new")
        for officer in officers:
            self.city.command("trust-list", "draft", "sign", "--officer", officer)

    def take_files(self, name: str) -> Path:
        """What is published now, in a folder."""
        folder = self.folder / f"files-{name}"
        folder.mkdir()
        for file in FILES:
            answer = self.http().get(f"{self.city.http}/supervision/{file}")
            answer.raise_for_status()
            (folder / file).write_bytes(answer.content)
        return folder

    def judge(self, root: Path, timestamp: Path, trust_list: Path, *options: str) -> str:
        """What a department with the same memory says to these files; empty when it takes them."""
        memory = self.folder / "memory.json"
        shutil.copy(self.folder / "department" / "state" / "trust.json", memory)
        arguments = ("--trust-root", root, "--trust-timestamp", timestamp, "--state", memory, *options)
        return refusal(lambda: onecert_verify("trust-list", trust_list, *arguments))

    def list_number(self) -> int | str:
        """The number of the list that the department works with, or why it has none."""
        number: int | str = self.ask("GET", "/")[1]["sequence"]
        return number

    def root_version(self) -> int:
        """The root that the department has walked to."""
        self.list_number()
        memory = json.loads((self.folder / "department" / "state" / "trust.json").read_text("utf-8"))
        return int(memory["root"]["number"])

    def forge_highest_numbers(self, *officers: str) -> None:
        """A list and a timestamp signed with stolen keys, in the place of the published files."""
        data, store = self.city.data / "supervision", self.city.data / "softhsm"
        listed, stamped = (data / "published" / name for name in ("trust-list.json", "trust-timestamp.json"))
        payload = json.loads(load_payload(listed.read_bytes(), max_bytes=MAX_BYTES))
        payload["LoTE"]["ListAndSchemeInformation"]["LoTESequenceNumber"] = COUNTER_MAX
        with ExitStack() as stack:
            tokens = [
                ServiceToken(f"list-{each}", self.city.officer_pins / each, store=store) for each in officers
            ]
            keys = [stack.enter_context(token).key("trust-list") for token in tokens]
            forged = sign_document(payload, typ=TYP, keys=keys)
            online = stack.enter_context(ServiceToken("supervision", data / "token.pin", store=store))
            key = online.key("trust-timestamp-1")
            payload = json.loads(load_payload(stamped.read_bytes(), max_bytes=MAX_BYTES))
            digest = hashlib.sha256(load_payload(forged, max_bytes=MAX_BYTES)).hexdigest()
            payload |= {"version": COUNTER_MAX, "list": {"sequence": COUNTER_MAX, "sha256": digest}}
            listed.write_bytes(forged)
            stamped.write_bytes(sign_document(payload, typ=TIMESTAMP_TYP, keys=[key]))

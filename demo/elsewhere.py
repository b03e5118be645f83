"""Two chapters of the story: a department without network, and certificates of another list."""

import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from forms import FormChapters, answer_of
from stage import COMPANY, OTHER, free_ports

from onecert.testkit.kit import load_kit, make_kit
from onecert.testkit.serve import make_server
from onecert.verifier.strict_json import format_time

# What the city grants: two of the province's CAs, for companies.
GRANTED = {"services": ["harbour", "pearl"], "id_types": ["uscc"], "classes": ["organisation"]}


class ElsewhereChapters(FormChapters):
    """Where the network ends, and where the city ends."""

    def go_offline(self) -> None:
        """One file on a disk: list, revocation lists, register, and how long they may be relied upon."""
        check = self.report.check
        disk, folder = self.folder / "disk", self.folder / "offline-department"
        disk.mkdir()
        folder.mkdir()
        (folder / "trust-root.json").write_bytes((self.city.papers / "trust-root.json").read_bytes())
        published = self.http().get(f"{self.city.http}/supervision/bundle.zip")
        check("bundle_published", published.status_code == 200, bytes=len(published.content))
        (disk / "old.zip").write_bytes(published.content)
        self.city.command("trust-list", "bundle", "make", "--out", disk / "bundle.zip")
        taken = answer_of("bundle", "import", disk / "bundle.zip", "--folder", folder, "--json")
        check("bundle_taken", taken.get("accepted") is True, made_at=taken.get("made_at"))
        older = answer_of("bundle", "import", disk / "old.zip", "--folder", folder, "--json")
        check("older_bundle_refused", older.get("code") == "BUNDLE_ROLLBACK", code=older.get("code"))
        # The certificate still has the name of before; the register knows the new one.
        found = self.judge_offline(folder, "pearl", COMPANY)
        check(
            "offline_accepted",
            found.get("id") == f"uscc:{COMPANY}" and found.get("as_of") == taken.get("made_at"),
            identity=found.get("id"),
            as_of=found.get("as_of"),
            warnings=found.get("warnings"),
        )
        self.refused_offline("offline_revoked", "CERT_REVOKED", folder, "harbour", COMPANY)
        self.refused_offline("offline_cancelled", "ENTITY_CANCELLED", folder, None, OTHER)
        for days, code in ((4, "BUNDLE_OLD"), (8, "BUNDLE_EXPIRED")):
            later = format_time(datetime.now(UTC) + timedelta(days=days))
            self.refused_offline("offline_too_old", code, folder, "pearl", COMPANY, "--at", later)

    def refused_offline(self, name: str, code: str, folder: Path, *question: str | None) -> None:
        """This must be refused without network with this code."""
        found = self.judge_offline(folder, *question)
        self.report.check(name, found.get("code") == code, code=found.get("code"), zh=found.get("zh"))

    def judge_offline(
        self, folder: Path, authority: str | None, entity: str, *options: str
    ) -> dict[str, object]:
        """What the offline department says to the certificate of this entity."""
        files = ("--bundle", folder / "bundle.zip", "--trust-root", folder / "trust-root.json")
        certificate = self.home / f"{self.of(authority, entity)}.pem"
        return answer_of("certificate", *files, *options, "--json", certificate)

    def follow_another_list(self) -> None:
        """A province (invented) with a root of its own: its CA counts here, for companies alone."""
        check = self.report.check
        kit_folder = self.folder / "province"
        port = free_ports()[0]
        make_kit(kit_folder, at=datetime.now(UTC), base_url=f"http://127.0.0.1:{port}")
        kit = load_kit(kit_folder)
        server = make_server(kit)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.others.append(server)
        certificates = {case.name: kit.certificate_pem(case).decode("ascii") for case in kit.cases}
        status, said = self.ask("POST", "/verify", {"certificate": certificates["good-harbour"]})
        check("province_unknown", status == 403 and said["code"] == "ISSUER_UNKNOWN", code=said.get("code"))
        self.publish_pointer(kit_folder / "pki" / "trust-root.json", f"{kit.base_url}/trust-list.json")
        question = {"certificate": certificates["good-harbour"]}
        self.wait(lambda: self.ask("POST", "/verify", question)[0] == 200)
        status, said = self.ask("POST", "/verify", question)
        check(
            "province_accepted",
            status == 200 and said["id"] == f"uscc:{COMPANY}",
            identity=said.get("id"),
            ca=said.get("ca_service"),
            code=said.get("code"),
        )
        for name, code in (("citizen", "OUT_OF_SCOPE"), ("good-summit", "ISSUER_UNKNOWN")):
            status, said = self.ask("POST", "/verify", {"certificate": certificates[name]})
            check(
                "province_out_of_scope", status == 403 and said["code"] == code, what=name, code=said["code"]
            )

    def publish_pointer(self, root: Path, location: str) -> None:
        """The next list of the city points to the province's, and says what that is worth here."""
        self.city.command("trust-list", "draft", "new")
        draft = json.loads(self.city.command("trust-list", "draft", "show"))
        draft["pointers"] = [
            {
                "id": "gd",
                "location": location,
                "operator": {"zh": "省数字证书监管（虚构）", "en": "Supervision of the province (invented)"},
                "root": base64.b64encode(root.read_bytes()).decode("ascii"),
                "history": [{"status": "granted", "from": "2026-01-01T00:00:00Z"}],
                **GRANTED,
            }
        ]
        file = self.city.papers / "trust-list-draft-pointer.json"
        file.write_text(json.dumps(draft, ensure_ascii=False), "utf-8")
        self.city.command("trust-list", "draft", "import", file)
        for officer in ("officer-1", "officer-2"):
            self.city.command("trust-list", "draft", "sign", "--officer", officer)
        self.city.command("trust-list", "publish", "--apply")

"""The demo's story: every step is done by the people and programs who would do it, and checked."""

import csv
import json
import secrets
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from applicant import make_request, openssl
from city import LICENSED
from commands import CommandError, lines_of_json, onecert, onecert_verify
from elsewhere import ElsewhereChapters
from lives import LifeChapters
from privileges import PrivilegeChapters
from report import Report
from roots import RootChapters
from stage import COMPANY, HERE, OTHER, first_line, matches, pem, refusal

KEYS = {"pearl": "rsa-2048", "harbour": "p-256", "summit": "p-384"}


class Story(RootChapters, ElsewhereChapters, LifeChapters, PrivilegeChapters):
    """The city, its people and its department, from nothing to the audit."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.report = Report()

    def tell(self) -> bool:
        """Run all steps; True when every check held."""
        steps = [
            ("city", self.build_city),
            ("apply", self.apply),
            ("approve", self.approve),
            ("login", self.log_in),
            ("foreign", self.ask_foreign_software),
            ("declaration", self.file_a_declaration),
            ("office", self.hold_an_office),
            ("revoke", self.revoke),
            ("life", self.renew_and_hold),
            ("rollover", self.roll_over),
            ("sm2", self.speak_sm2),
            ("bridge", self.cross_a_bridge),
            ("many", self.revoke_many),
            ("offline", self.go_offline),
            ("province", self.follow_another_list),
            ("refusals", self.refuse),
            ("officers", self.change_officers),
            ("thief", self.recover_from_a_thief),
            ("attribute", self.decide_by_role),
            ("audit", self.audit),
            ("word", self.check_everything),
        ]
        try:
            for name, act in steps:
                with self.report.step(name):
                    act()
        finally:
            self.clear()
        return self.report.write(self.folder)

    # 1 ------------------------------------------------------------------------------------------

    def build_city(self) -> None:
        """Ceremonies, services, people, trust list."""
        check = self.report.check
        self.city.set_up(lambda en, zh: print(f"     … {zh} {en}", flush=True))
        made = {each["name"]: each for each in lines_of_json(self.city.command("ca", "authorities"))}
        check(
            "authorities_made",
            set(made) >= {*LICENSED, *(f"{n}-root" for n in LICENSED)},
            authorities=len(made),
        )
        algorithms = {
            name: openssl("x509", "-in", self.city.papers / f"{name}.pem", "-noout", "-text").stdout.decode()
            for name in LICENSED
        }
        check(
            "authorities_differ",
            "rsaEncryption" in algorithms["pearl"]
            and "P-256" in algorithms["harbour"]
            and "P-384" in algorithms["summit"],
            pearl="RSA-2048",
            harbour="P-256",
            summit="P-384",
        )
        self.services = self.city.start()
        ready = self.http().get(f"{self.city.https}/readyz")
        check(
            "services_ready",
            ready.status_code == 200,
            status=ready.status_code,
            said=ready.text[:2000] if ready.status_code != 200 else "",
        )
        trust_list = self.http().get(f"{self.city.http}/supervision/trust-list.json").json()
        signers = {signature["protected"] for signature in trust_list["signatures"]}
        check("list_published", len(signers) == 2, signatures=len(signers))
        self.city.command("trust-list", "draft", "new")
        self.city.command("trust-list", "draft", "sign", "--officer", "officer-1")
        said = refusal(lambda: self.city.command("trust-list", "publish", "--apply"))
        self.city.command("trust-list", "draft", "discard")
        check("one_signature_refused", bool(said), said=first_line(said))

    # 2 ------------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Applicants' requests by openssl; a CSV of applications."""
        check = self.report.check
        self.home.mkdir()
        with (HERE / "applicants.csv").open(encoding="utf-8-sig", newline="") as file:
            self.rows = list(csv.DictReader(file))
        for row in self.rows:
            make_request(self.home, row["key"], KEYS.get(row["authority"], "p-256"))
        said = self.city_import()
        by_key = {each["key"]: each for each in said}
        codes = {key: [fault["code"] for fault in each["faults"]] for key, each in by_key.items()}
        submitted = [key for key, each in by_key.items() if each["outcome"] == "submitted"]
        refused = {key: found for key, found in codes.items() if by_key[key]["outcome"] == "refused"}
        check("import_good", len(submitted) >= 6, submitted=len(submitted), rows=len(self.rows))
        check(
            "import_check_digit",
            any("CHECK_DIGIT" in c for cs in refused.values() for c in cs),
            refused=refused,
        )
        check("import_duplicate", any("DUPLICATE" in c for cs in refused.values() for c in cs))
        again = self.city_import()
        check("import_twice", not any(each["outcome"] == "submitted" for each in again))

    def city_import(self) -> list[dict[str, Any]]:
        """Import the CSV; exit code 1 says that rows were refused."""
        arguments = (
            "ra",
            "import",
            HERE / "applicants.csv",
            "--requests",
            self.home,
            "--operator",
            "clerk1",
            "--json",
        )
        try:
            return lines_of_json(self.city.command(*arguments))
        except CommandError as exc:
            if exc.status != 1:
                raise
            return [json.loads(line) for line in exc.said.splitlines() if line.startswith("{")]

    # 3 ------------------------------------------------------------------------------------------

    def approve(self) -> None:
        """The second clerk approves what was shown; the first one may not."""
        check = self.report.check
        entry, review = self.desk("ra", "clerk1"), self.desk("ra", "clerk2")
        waiting = review.get("/v1/applications", state="submitted", limit=100).json()["items"]
        first = waiting[0]
        mine = entry.post(
            f"/v1/applications/{first['id']}/approve", {"content_sha256": first["content_sha256"]}
        )
        check(
            "same_person_refused",
            mine.json().get("code") == "SAME_PERSON",
            status=mine.status_code,
            code=mine.json().get("code"),
        )
        for each in waiting:
            done = review.post(
                f"/v1/applications/{each['id']}/approve", {"content_sha256": each["content_sha256"]}
            )
            done.raise_for_status()
        numbers = {
            each["number"]: each for each in lines_of_json(self.city.command("ra", "applications", "--json"))
        }
        states = [each["state"] for each in numbers.values()]
        check("issued", states == ["issued"] * len(waiting), certificates=len(states))
        holders = list(self.rows)
        for certificate in review.get("/v1/certificates", limit=100).json()["items"]:
            key = next(
                row["key"]
                for row in holders
                if row["authority"] == certificate["authority"]
                and row["type"] == certificate["type"]
                and matches(self.home / f"{row['key']}.key", certificate["certificate_pem"])
            )
            self.issued[key] = certificate
            (self.home / f"{key}.pem").write_text(certificate["certificate_pem"], "ascii")
            (self.home / f"{key}-chain.pem").write_text("".join(certificate["chain_pem"]), "ascii")

    # 4 ------------------------------------------------------------------------------------------

    def log_in(self) -> None:
        """The department's own process and environment; three certificates, one identity."""
        check = self.report.check
        self.start_department()
        packages = self.ask("GET", "/")[1]["packages"]
        ours = [name for name in packages if name.lower().startswith("onecert")]
        foreign = {"flask", "sqlalchemy", "python-pkcs11", "httpx", "click"} & {
            name.lower() for name in packages
        }
        check("department_alone", ours == ["onecert-verifier"] and not foreign, packages=", ".join(packages))
        identities = {}
        for authority in LICENSED:
            status, said = self.login(self.of(authority, COMPANY))
            identities[authority] = said.get("id")
            check("login_ok", status == 200, ca=authority, identity=said.get("id"), code=said.get("code"))
        check(
            "one_identity",
            set(identities.values()) == {f"uscc:{COMPANY}"},
            identity=", ".join(set(map(str, identities.values()))),
        )
        status, said = self.login(self.of(None, OTHER))
        check("other_company", status == 200 and said["id"] == f"uscc:{OTHER}", identity=said.get("id"))
        citizen = next(row for row in self.rows if row["type"] == "citizen" and row["key"] in self.issued)
        status, said = self.login(citizen["key"])
        hidden = citizen["idcard"] not in json.dumps(said)
        check("citizen_pairwise", status == 200 and hidden, identity=said.get("id"))
        replay = self.login(self.of("harbour", COMPANY), replay=True)
        check("replay_refused", replay[0] == 403, code=replay[1].get("code"), zh=replay[1].get("zh"))

    # 5 ------------------------------------------------------------------------------------------

    def ask_foreign_software(self) -> None:
        """openssl verify and openssl ocsp; our own command line."""
        check = self.report.check
        for authority in LICENSED:
            key = self.of(authority, COMPANY)
            done = self.openssl_verify(authority, key)
            check("openssl_verify", done.returncode == 0, ca=authority, said=first_line(done.stdout.decode()))
            said = self.openssl_ocsp(authority, key)
            check("openssl_ocsp_good", ": good" in said, ca=authority)
        out = onecert_verify(*self.verify_command(self.of("pearl", COMPANY)))
        check("onecert_verify_cli", json.loads(out)["accepted"] is True, identity=json.loads(out).get("id"))

    # 6 ------------------------------------------------------------------------------------------

    def revoke(self) -> None:
        """Security staff revoke the company's certificate of one CA."""
        check = self.report.check
        key = self.of("harbour", COMPANY)
        certificate = self.issued[key]
        path = f"/v1/certificates/harbour/{certificate['serial']}/revoke"
        clerk = self.desk("ra", "clerk1").post(path, {"reason": "keyCompromise"})
        check("clerk_cannot_revoke", clerk.status_code == 403, code=clerk.json().get("code"))
        began = time.monotonic()
        done = self.desk("ra", "security1").post(path, {"reason": "keyCompromise", "note": "USB key lost"})
        check(
            "revoked_by_staff",
            done.status_code == 200,
            status=done.json().get("status"),
            code=done.json().get("code"),
        )
        status, said = 200, {}
        while status == 200 and time.monotonic() - began < 20:
            status, said = self.login(key)
        seconds = round(time.monotonic() - began, 2)
        check(
            "refused",
            status == 403 and said["code"] == "CERT_REVOKED",
            code=said.get("code"),
            zh=said.get("zh"),
            en=said.get("en"),
        )
        check("time_to_refusal", status == 403, seconds=seconds)
        others = [self.login(self.of(each, COMPANY))[0] for each in ("pearl", "summit")]
        check("still_accepted", others == [200, 200])
        check("openssl_ocsp_revoked", ": revoked" in self.openssl_ocsp("harbour", key))
        verified = self.openssl_verify("harbour", key)
        check(
            "openssl_verify_revoked",
            verified.returncode != 0 and b"revoked" in verified.stderr + verified.stdout,
        )
        # What was signed and stamped before stays signed.
        check("evidence_outlives", self.judge_evidence().get("accepted") is True)

    # 7 ------------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """Expired, tampered, unknown CA, withdrawn CA; and a list that goes back."""
        good = (self.home / f"{self.of('pearl', COMPANY)}.pem").read_text("ascii")
        der = bytearray(openssl("x509", "-outform", "DER", data=good.encode()).stdout)
        position = der.find(COMPANY.encode()) if COMPANY.encode() in der else len(der) // 2
        der[position] ^= 1
        self.refused_with("tampered", pem(bytes(der)), {"CERT_SIGNATURE_INVALID"})
        self.refused_with("unknown_ca", self.foreign_certificate(), {"ISSUER_UNKNOWN"})
        self.refused_with("expired", self.expired_certificate(), {"CERT_EXPIRED"})
        old_list = self.http().get(f"{self.city.http}/supervision/trust-list.json").content
        self.city.command("trust-list", "draft", "new")
        self.city.command("trust-list", "withdraw", "summit")
        for officer in ("officer-1", "officer-2"):
            self.city.command("trust-list", "draft", "sign", "--officer", officer)
        self.city.command("trust-list", "publish", "--apply")
        time.sleep(1.5)  # the department asks for the list every second
        summit = (self.home / f"{self.of('summit', COMPANY)}.pem").read_text("ascii")
        self.refused_with("withdrawn_ca", summit, {"CA_WITHDRAWN"})
        self.report.check("still_accepted", self.login(self.of("pearl", COMPANY))[0] == 200)
        old = self.folder / "old-trust-list.json"
        old.write_bytes(old_list)
        said = refusal(
            lambda: onecert_verify(
                "trust-list",
                old,
                "--trust-root",
                self.city.papers / "trust-root.json",
                "--state",
                self.folder / "department" / "state" / "trust.json",
            )
        )
        self.report.check("list_rollback_refused", "TRUST_LIST_ROLLBACK" in said, said=first_line(said))

    def refused_with(self, what: str, certificate: str, codes: set[str]) -> None:
        """The department must refuse this certificate with one of these codes."""
        status, said = self.ask("POST", "/verify", {"certificate": certificate})
        facts = {"what": what, "code": said.get("code"), "zh": said.get("zh"), "en": said.get("en")}
        self.report.check("refused", status == 403 and said.get("code") in codes, **facts)

    def expired_certificate(self) -> str:
        """A certificate that a listed CA issued for seconds, waited out."""
        issued, same, end = self.order_for_a_visitor()
        self.report.check("order_replay", same, serial=issued["serial"])
        certificate = str(issued["certificate_pem"])
        accepted = self.ask("POST", "/verify", {"certificate": certificate})[0] == 200
        self.report.check("accepted_before_expiry", accepted)
        time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds() + 1))
        return certificate

    # 8 ------------------------------------------------------------------------------------------

    def audit(self) -> None:
        """Export, verify offline, change one byte."""
        check = self.report.check
        self.clear()  # a stop signs the heads
        for service in ("ca", "ra", "pmi", "supervision"):
            export = self.folder / f"audit-{service}.jsonl"
            self.city.command("audit", "export", service, "--to", export)
            said = onecert("audit", "verify", export, "--data", self.city.data)
            check("audit_verifies", True, service=service, said=first_line(said))
            changed = bytearray(export.read_bytes())
            position = secrets.randbelow(len(changed) // 2) + len(changed) // 4
            changed[position] ^= 1
            broken = export.with_suffix(".changed.jsonl")
            broken.write_bytes(changed)
            found = refusal(
                lambda broken=broken: onecert("audit", "verify", broken, "--data", self.city.data)
            )
            check("audit_change_found", bool(found), service=service, byte=position, said=first_line(found))
        numbers = {row["idcard"] for row in self.rows if row.get("idcard")} | {
            row["agent_idcard"] for row in self.rows if row.get("agent_idcard")
        }
        texts = [path.read_text("utf-8", errors="replace") for path in self.folder.glob("audit-*.jsonl")]
        texts.append((self.city.data / "services.log").read_text("utf-8", errors="replace"))
        leaks = [number[:6] for number in numbers for text in texts if number in text]
        check("no_personal_data", not leaks, searched=len(texts), leaks=leaks)

    # helpers ------------------------------------------------------------------------------------


def main(folder: Path) -> int:
    """Tell the story in a fresh folder; the exit status is false when a check failed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(datetime.now(UTC).isoformat(timespec="seconds"), folder)
    return 0 if Story(folder).tell() else 1

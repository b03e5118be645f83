"""Chapters about a CA after it has issued: renewed, rolled over, crossed, revoked in bulk, checked."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from applicant import openssl
from bridge import Bridge
from commands import BIN, Process, onecert_verify, run
from counter import Counter
from report import Report
from stage import HERE, first_line, refusal


class LifeChapters(Counter):
    """An acceptance point's own software, security officers, and those who rely on certificates."""

    report: Report

    # the life of one certificate ------------------------------------------------------------------

    def renew_and_hold(self) -> None:
        """A citizen's certificate is renewed, then held and released; the department sees each."""
        check = self.report.check
        self.open_counter()
        old = self.order("pearl", "first")
        before = self.judged(old)
        new = self.order(
            "pearl",
            "second",
            kind="renew",
            replaces={"authority": "pearl", "serial": old["serial"]},
            revoke_replaced={"reason": "superseded", "when": "delivered"},
        )
        after = self.judged(new)
        same = before.get("id") is not None and before.get("id") == after.get("id")
        check("renewed_same_identity", same, identity=after.get("id"), code=after.get("code"))
        check("renewed_old_stays", self.judged(old).get("code") is None)
        told = self.post("deliveries", "onecert-delivery+json", order=new["order"], delivered_by=["clerk3"])
        refused = self.wait(lambda: self.judged(old).get("code") == "CERT_REVOKED")
        check(
            "delivered_old_refused", refused and told.get("replaced") == "done", replaced=told.get("replaced")
        )
        self.revoke_one("pearl", new["serial"], "certificateHold")
        held = self.wait(lambda: self.judged(new).get("code") is not None)
        said = self.judged(new)
        check("held_refused", held, code=said.get("code"), zh=said.get("zh"))
        self.revoke_one("pearl", new["serial"], "removeFromCRL")
        check("released_accepted", self.wait(lambda: self.judged(new).get("code") is None))

    # authorities ----------------------------------------------------------------------------------

    def roll_over(self) -> None:
        """harbour gets a new key; from a moment on it fills the orders, and both go on with status."""
        check = self.report.check
        old = self.order("harbour", "before")
        begins = datetime.now(UTC) + timedelta(seconds=2)
        text = (HERE / "ceremonies" / "harbour-2.toml").read_text("utf-8")
        reviewed = self.folder / "harbour-2.toml"
        moment = begins.isoformat(timespec="seconds").replace("+00:00", "Z")
        reviewed.write_text(text.replace("2030-01-07T00:00:00+08:00", moment), "utf-8")
        shown = self.city.command("ca", "ceremony", reviewed)
        check("ceremony_previewed", "harbour-b" in shown and "harbour-b" not in self.filled_by())
        self.city.command("ca", "ceremony", reviewed, "--apply", "--record", self.folder / "harbour-2.json")
        self.wait(lambda: datetime.now(UTC) > begins and self.filled_by().get("harbour") == "harbour-b")
        new = self.order("harbour", "after")
        issuers = [issuer_of(each["chain_pem"][0]) for each in (old, new)]
        check("same_name_new_key", len(set(issuers)) == 2, filled_by=self.filled_by().get("harbour"))
        verdicts = [self.chain_verdict(each, "harbour") for each in (old, new)]
        check("both_keep_status", verdicts == ["", ""], said="; ".join(verdicts))

    def speak_sm2(self) -> None:
        """An authority with SM2 and SM3 throughout: ceremony, order, list, OCSP, and the verifier's no."""
        check = self.report.check
        self.city.command("ca", "ceremony", HERE / "ceremonies" / "capital-sm2.toml", "--apply")
        self.fetch_authorities("capital")
        issued = self.order("capital", "sm2", algorithm="sm2")
        text = openssl("x509", "-noout", "-text", data=issued["certificate_pem"].encode()).stdout.decode()
        check("sm2_throughout", "SM2-with-SM3" in text and "SM2" in text)
        for sources in ("prefer-ocsp", "prefer-crl"):
            said = self.chain_verdict(issued, "capital", "--sources", sources)
            check("sm2_accepted", not said, sources=sources, said=said)
        self.revoke_one("capital", issued["serial"], "keyCompromise")
        for sources in ("prefer-ocsp", "prefer-crl"):
            said = self.chain_verdict(issued, "capital", "--sources", sources)
            check("sm2_refused", "CERT_REVOKED" in said, sources=sources, said=said)

    def cross_a_bridge(self) -> None:
        """A bridge is certified for one policy and one province; what lies outside is refused."""
        check = self.report.check
        bridge = Bridge()
        text = (HERE / "ceremonies" / "bridge.toml").read_text("utf-8")
        begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n"
        text = text[: text.index(begin)] + bridge.pem + text[text.index(end) + len(end) :]
        reviewed, crossed = self.folder / "bridge.toml", self.folder / "for-the-bridge.pem"
        reviewed.write_text(text, "utf-8")
        self.city.command("ca", "ceremony", reviewed, "--apply", "--out", crossed)
        ours, theirs = "1.3.6.1.4.1.58888.8.2.1", "1.3.6.1.4.1.58888.9.1.2"
        cases = (
            ("bridge_accepted", "Province", theirs, True),
            ("bridge_name_refused", "Elsewhere", theirs, False),
            ("bridge_policy_refused", "Province", "1.3.6.1.4.1.58888.9.1.1", False),
        )
        for name, organization, policy, wanted in cases:
            holder = self.folder / f"{name}.pem"
            holder.write_text(bridge.certify(organization, policy), "ascii")
            arguments: list[str | Path] = [
                "--anchor",
                self.city.papers / "harbour-root.pem",
                "--policy",
                ours,
            ]
            arguments += ["--require-explicit", "--revocation", "off", "--purpose", "any"]
            said = refusal(
                lambda arguments=arguments, holder=holder: onecert_verify(
                    "chain", *arguments, "--intermediate", crossed, holder
                )
            )
            check(
                name,
                wanted is not bool(said),
                organization=organization,
                policy=policy,
                said=first_line(said),
            )

    # many at once ---------------------------------------------------------------------------------

    def revoke_many(self) -> None:
        """Two officers revoke a stolen box of certificates; and the drill measures what it takes."""
        check = self.report.check
        stolen = [self.order("pearl", f"stolen-{number}") for number in range(3)]
        check("stolen_accepted_before", all(self.judged(each).get("code") is None for each in stolen))
        serials = self.folder / "stolen.txt"
        serials.write_text("".join(f"{each['serial']}\n" for each in stolen), "ascii")
        proposed = json.loads(
            self.city.command(
                "ca", "mass-revocation", "propose", "--authority", "pearl", "--officer", "chen",
                "--reason", "keyCompromise", "--why", "box stolen", "--serials", serials, "--apply",
                stdin=self.city.officer_pin("chen") + "\n",
            )
        )  # fmt: skip

        def confirm(officer: str) -> str:
            return self.city.command(
                "ca", "mass-revocation", "confirm", proposed["mass_revocation"], "--officer", officer,
                "--seen", proposed["serials_sha256"][:12], "--apply",
                stdin=self.city.officer_pin(officer) + "\n",
            )  # fmt: skip

        said = refusal(lambda: confirm("chen"))
        check("same_officer_refused", bool(said), said=first_line(said))
        began = time.monotonic()
        confirm("zhou")
        gone = self.wait(lambda: all(self.judged(each).get("code") == "CERT_REVOKED" for each in stolen))
        check("mass_refused", gone, certificates=len(stolen), seconds=round(time.monotonic() - began, 2))
        drill = json.loads(self.city.command("ca", "drill", "run", "--authority", "operations", "--json"))
        check("drill_done", drill["state"] == "done", milliseconds=json.dumps(drill.get("result", {}))[:300])

    # keeping its word -----------------------------------------------------------------------------

    def check_everything(self) -> None:
        """The checker finds nothing; in a copy with one altered row it does; status outlives the CA."""
        check = self.report.check
        said = refusal(lambda: self.city.command("ca", "check"))
        check("checker_finds_nothing", not said, said=first_line(said))
        copy = self.folder / "copy"
        shutil.copytree(self.city.data, copy, ignore=shutil.ignore_patterns("*.sock"))
        alter_a_row(copy)
        found = refusal(lambda: run("onecert", "ca", "check", "--data", copy))
        check("checker_finds_alteration", bool(found), said=first_line(found))
        serve, port = ("ca", "status", "serve"), self.city.http.rsplit(":", 1)[1]
        status = Process(
            [BIN / "onecert", *serve, "--listen", f"127.0.0.1:{port}", "--data", self.city.data],
            self.folder / "status.log",
        )
        try:
            key = next(key for key, each in self.issued.items() if each["authority"] == "pearl")
            check("status_outlives_the_ca", ": good" in self.openssl_ocsp("pearl", key))
            size = len(self.http().get(f"{self.city.http}/ca/pearl.crl").content)
            check("lists_outlive_the_ca", size > 0, octets=size)
        finally:
            status.stop()


def issuer_of(certificate_pem: str) -> bytes:
    """The public key of an issuing authority."""
    return openssl("x509", "-noout", "-pubkey", data=certificate_pem.encode()).stdout


def alter_a_row(data: Path) -> None:
    """What somebody with the database's password might do: a revoked certificate is good again."""
    for file in data.rglob("*.db"):
        with closing(sqlite3.connect(file)) as database:
            tables = {row[0] for row in database.execute("select name from sqlite_master")}
            if "ca_certificates" in tables:
                database.execute(
                    "update ca_certificates set status = 'good', revoked_at = null, reason = null"
                    " where status = 'revoked'"
                )
                database.commit()

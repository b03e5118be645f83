"""A chapter of the story: a declaration is signed, stamped, and proved on another machine."""

import json
import socket
import ssl
from pathlib import Path

import httpx
from applicant import openssl
from city import TIMESTAMPS
from commands import CommandError, onecert_verify
from filer import Filer
from report import Report
from stage import COMPANY, Stage, first_line

from onecert.verifier import VerifyError

RECORD = "evidence.json"


class FormChapters(Stage):
    """The tax office, as a taxpayer's program meets it."""

    report: Report

    def file_a_declaration(self) -> None:
        """Who is the server? Sign in, sign the declaration; its record holds elsewhere."""
        check = self.report.check
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.office = self.city.open_office(port)
        trusted = ssl.create_default_context(cafile=str(self.city.papers / "operations-root.pem"))
        key = self.of("harbour", COMPANY)
        with httpx.Client(verify=trusted, timeout=30) as client:
            filer = Filer(
                client,
                self.office.urls[0],
                certificate=self.home / f"{key}.pem",
                key=self.home / f"{key}.key",
                server=(self.city.papers / "office.pem").read_bytes(),
            )
            check("server_proved", filer.challenge().application == "tax-office")
            try:
                said = filer.challenge("customs").application
            except VerifyError as exc:
                said = exc.code
            check("other_server_refused", said == "LOGIN_SERVER_APPLICATION", code=said)
            answer = filer.sign_in()
            check(
                "office_login", answer.json().get("id") == f"uscc:{COMPANY}", identity=answer.json().get("id")
            )
            number = filer.declare(year="2026", income="1200.50", remark="季度 Q1")
            sent = filer.send_signature(number, self.home)
            check("declaration_signed", sent.status_code == 303, status=sent.status_code)
            record = filer.get(f"/declarations/{number}/evidence").content
            stamped = "--tsa-anchor" in filer.get(f"/declarations/{number}").text
            check("declaration_stamped", stamped and len(json.loads(record)["archive"]) == 1)
        self.carry_evidence(record)
        found = self.judge_evidence()
        check(
            "evidence_elsewhere",
            found.get("accepted") is True and found["signers"][0]["time_source"] == "archive",
            signed_at=found["signers"][0]["signed_at"] if found.get("accepted") else found.get("code"),
        )
        altered = record.replace(b'"created_at": "2', b'"created_at": "1', 1)
        (self.elsewhere / "altered.json").write_bytes(altered)
        found = self.judge_evidence("altered.json")
        check(
            "evidence_altered_refused",
            altered != record and found.get("code") == "EVIDENCE_ALTERED",
            code=found.get("code"),
        )
        verified, said = self.openssl_ts()
        check("openssl_ts", verified, said=said)

    @property
    def elsewhere(self) -> Path:
        """A machine that knows the record, the trust root and the timestamp authority's certificate."""
        return self.folder / "another-machine"

    def carry_evidence(self, record: bytes) -> None:
        """What is taken there."""
        self.elsewhere.mkdir()
        (self.elsewhere / RECORD).write_bytes(record)
        for name in ("trust-root.json", f"{TIMESTAMPS}.pem"):
            (self.elsewhere / name).write_bytes((self.city.papers / name).read_bytes())

    def judge_evidence(self, record: str = RECORD) -> dict[str, object]:
        """What onecert-verify says there, without network."""
        there = self.elsewhere
        arguments = ("--trust-root", there / "trust-root.json", "--tsa-anchor", there / f"{TIMESTAMPS}.pem")
        return answer_of("evidence", *arguments, "--json", there / record)

    def openssl_ts(self) -> tuple[bool, str]:
        """openssl ts asks the authority for itself, and verifies what it got."""
        folder, papers = self.folder / "stamp", self.city.papers
        folder.mkdir()
        (folder / "data").write_bytes(b"a contract\n")
        query, reply = folder / "data.tsq", folder / "data.tsr"
        openssl("ts", "-query", "-data", folder / "data", "-sha256", "-cert", "-out", query)
        answer = self.http().post(
            f"{self.city.http}/ca/{TIMESTAMPS}/tsa",
            content=query.read_bytes(),
            headers={"Content-Type": "application/timestamp-query"},
        )
        reply.write_bytes(answer.content)
        chain = ("-CAfile", papers / f"{TIMESTAMPS}-root.pem", "-untrusted", papers / f"{TIMESTAMPS}.pem")
        done = openssl("ts", "-verify", "-queryfile", query, "-in", reply, *chain, check=False)
        return done.returncode == 0, first_line((done.stdout + done.stderr).decode(errors="replace"))


def answer_of(*arguments: str | Path) -> dict[str, object]:
    """The JSON that onecert-verify answers, whether it accepts or refuses."""
    try:
        said = onecert_verify(*arguments)
    except CommandError as exc:
        said = exc.said[exc.said.index("{") :]
    found: dict[str, object] = json.loads(said)
    return found

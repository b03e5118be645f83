"""Chapters on privileges: a firm's role, and an official who comes into office, acts, and leaves it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import httpx
from authorities import APPROVER, ROLE_AUTHORITY, SUB_BUREAU
from filer import Filer
from report import Report
from stage import COMPANY, OTHER, Stage, free_ports, why

ROLE = "urn:onecert:role:tax.filer"
OFFICIAL = "official-summit"


class PrivilegeChapters(Stage):
    """Attribute certificates decide: in a department's own process, and at the example offices."""

    report: Report

    def decide_by_role(self) -> None:
        """Without the role no; with the role yes; after its revocation no."""
        check = self.report.check
        holder = (self.home / f"{self.of('pearl', COMPANY)}.pem").read_text("ascii")
        answer = self.act(holder, [])
        check("denied_without_role", answer.get("decision") == "deny", **why(answer))
        officer, approver = self.desk("pmi", "attribute1"), self.desk("pmi", "attribute2")
        asked = officer.post(
            "/v1/grants", {"authority": ROLE_AUTHORITY, "holder_pem": holder, "roles": [ROLE]}
        )
        asked.raise_for_status()
        grant = asked.json()
        waits = grant["serial"] is None
        given = approver.post(
            f"/v1/grants/{grant['id']}/approve", {"content_sha256": grant["content_sha256"]}
        )
        given.raise_for_status()
        issued = given.json()["certificate"]
        check("role_granted", waits and issued["status"] == "valid", role=ROLE, serial=issued["serial"])
        attribute = "".join(issued["certificate_pem"].splitlines()[1:-1])
        answer = self.act(holder, [attribute])
        check("role_verified", answer.get("findings") == [[]], findings=answer.get("findings"))
        check("permitted", answer.get("decision") == "permit", **why(answer))
        other = (self.home / f"{self.of(None, OTHER)}.pem").read_text("ascii")
        stolen = self.act(other, [attribute])
        check(
            "other_holder_denied",
            stolen.get("decision") == "deny" and stolen["findings"] == [["HOLDER"]],
            findings=stolen.get("findings"),
            **why(stolen),
        )
        gone = officer.post(
            f"/v1/attribute-certificates/{issued['serial']}/revoke", {"reason": "privilegeWithdrawn"}
        )
        gone.raise_for_status()
        answer = self.act(holder, [attribute])
        check(
            "role_revoked",
            answer.get("decision") == "deny" and answer["findings"] == [["REVOKED"]],
            findings=answer.get("findings"),
            **why(answer),
        )

    def act(self, holder: str, attributes: list[str]) -> dict[str, Any]:
        """Ask the department whether this holder may file a tax return."""
        resource = {"type": "TaxReturn", "id": "2026-10", "attributes": {"closed": False}}
        body = {
            "certificate": holder,
            "attribute_certificates": attributes,
            "action": "file",
            "resource": resource,
        }
        return self.ask("POST", "/act", body)[1]

    # an office is given and left -------------------------------------------------------------------

    def hold_an_office(self) -> None:
        """A sub-bureau makes somebody an approver; the office lets them approve, until they leave."""
        check = self.report.check
        officer, approver = self.desk("pmi", "attribute1"), self.desk("pmi", "attribute2")
        assert self.office is not None
        land = self.open_land_office()
        with self.http() as client:
            filer = self.at(client, self.office.urls[0], self.of("pearl", COMPANY))
            first, second = (self.file(filer) for _ in range(2))
        with self.http() as client:
            elsewhere = self.file(self.at(client, land, self.of("pearl", COMPANY), "land-office"))
        with self.http() as client, self.http() as other:
            official = self.at(client, self.office.urls[0], OFFICIAL)
            abroad = self.at(other, land, OFFICIAL, "land-office")
            signed = official.sign_in()
            check(
                "official_signed_in",
                signed.status_code == 200 and abroad.sign_in().status_code == 200,
                said=reason_of(signed) if signed.status_code != 200 else "",
            )
            said = official.approve(first)
            check(
                "no_office_no_approval",
                said.status_code == 403 and "NO_RULE" in said.text,
                status=said.status_code,
                reason=reason_of(said),
            )
            wide = officer.post("/v1/grants", self.office_of(roles=["urn:onecert:role:tax.auditor"]))
            check(
                "delegation_not_exceeded",
                wide.status_code in (403, 409, 422),
                status=wide.status_code,
                code=wide.json().get("code"),
            )
            serial, seconds = self.give_office(officer, approver, lambda: official.approve(first))
            in_office = datetime.now(UTC)
            check("official_approves", seconds is not None, serial=serial, seconds=seconds)
            said = abroad.approve(elsewhere)
            check(
                "denied_elsewhere",
                said.status_code == 403 and "TARGET" in said.text,
                status=said.status_code,
                reason=reason_of(said),
            )
            holder = (self.home / f"{OFFICIAL}.pem").read_text("ascii")
            shown = officer.post("/v1/holders/leaving", {"certificate": holder})
            shown.raise_for_status()
            left = officer.post(
                "/v1/departures",
                {"certificate": holder, "content_sha256": shown.json()["content_sha256"]},
            )
            began = time.monotonic()
            left.raise_for_status()
            denied = self.wait(lambda: official.approve(second).status_code == 403)
            seconds = round(time.monotonic() - began, 2)
            said = official.approve(second)
            check("left_and_denied", denied, seconds=seconds, reason=reason_of(said))
        then, now = (self.who_can(at) for at in (in_office, datetime.now(UTC)))
        check("who_could_then", len(then) == 1 and not now, then=len(then), now=len(now))

    def open_land_office(self) -> str:
        """Another department of the same city, with an address of its own."""
        port, _ = free_ports()
        self.land = self.city.open_office(port, application="land-office")
        return str(self.land.urls[0])

    def at(self, client: httpx.Client, site: str, key: str, application: str = "tax-office") -> Filer:
        """Somebody before an office."""
        return Filer(
            client,
            site,
            certificate=self.home / f"{key}.pem",
            key=self.home / f"{key}.key",
            server=(self.city.papers / "office.pem").read_bytes(),
            application=application,
        )

    def file(self, filer: Filer) -> str:
        """Sign in, declare and sign; the number."""
        filer.sign_in()
        number = filer.declare(year="2026", income="88000", remark="")
        filer.send_signature(number, self.home)
        return number

    def office_of(self, **changes: Any) -> dict[str, Any]:
        """What an officer of the sub-bureau asks for."""
        return {
            "authority": SUB_BUREAU,
            "holder_pem": (self.home / f"{OFFICIAL}.pem").read_text("ascii"),
            "roles": [APPROVER],
            "targets": ["urn:onecert:app:tax-office"],
            **changes,
        }

    def give_office(self, officer: Any, approver: Any, act: Any) -> tuple[str, float | None]:
        """Grant, approve, and try until the office lets it happen; the seconds that it took."""
        asked = officer.post("/v1/grants", self.office_of())
        asked.raise_for_status()
        grant = asked.json()
        given = approver.post(
            f"/v1/grants/{grant['id']}/approve", {"content_sha256": grant["content_sha256"]}
        )
        began = time.monotonic()
        given.raise_for_status()
        done = self.wait(lambda: act().status_code == 303)
        return given.json()["serial"], round(time.monotonic() - began, 2) if done else None

    def who_can(self, at: datetime) -> list[dict[str, Any]]:
        """Who could approve a declaration at this time, as the auditor asks."""
        answer = self.desk("pmi", "auditor1").post(
            "/v1/who-can",
            {
                "action": "approve",
                "resource": {"type": "TaxDeclaration", "id": "any", "attributes": {}},
                "target": "urn:onecert:app:tax-office",
                "at": at.isoformat(),
            },
        )
        answer.raise_for_status()
        holders: list[dict[str, Any]] = answer.json()["holders"]
        return holders


def reason_of(answer: httpx.Response) -> str:
    """The first reason on a page that says no."""
    found = re.search(r"<li>(.*?) <small>(.*?)</small>", answer.text)
    return f"{found[1]} ({found[2]})" if found else answer.text[:200]

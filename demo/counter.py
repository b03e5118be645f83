"""Another acceptance point with software of its own: it orders, revokes and tells of deliveries over REST."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from applicant import make_request
from commands import onecert_verify
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from stage import Stage, refusal

from onecert.server.documents import sign_document

COUNTER = "counter"
ORDERS = ("harbour:citizen", "pearl:citizen", "capital:citizen")
DAY = timedelta(days=1)


class Counter(Stage):
    """Citizens come to this counter; it signs with a key that the CA knows."""

    counter_key: ec.EllipticCurvePrivateKey

    def open_counter(self) -> None:
        """Register a key of its own, which may order citizens' certificates."""
        self.counter_key = ec.generate_private_key(ec.SECP256R1())
        public = self.city.papers / "counter.pem"
        public.write_bytes(
            self.counter_key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        scopes = [part for scope in ORDERS for part in ("--scope", scope)]
        self.city.command("ca", "registration-authority", "add", COUNTER, "--key", public, *scopes)

    def order(self, authority: str, name: str, *, algorithm: str = "p-256", **more: Any) -> dict[str, Any]:
        """Order a citizen's certificate for a day."""
        citizen = next(row for row in self.rows if row["type"] == "citizen")
        now = datetime.now(UTC).replace(microsecond=0)
        subject = {"common_name": citizen["name"], "country": "CN", "locality": citizen["locality"]}
        return self.post(
            "orders",
            "onecert-order+json",
            order=str(uuid.uuid4()),
            authority=authority,
            profile="citizen",
            profile_version=1,
            subject=subject,
            identity={"idcard": citizen["idcard"]},
            csr_pem=make_request(self.home, f"counter-{authority}-{name}", algorithm).read_text("ascii"),
            not_after=(now + DAY).isoformat(),
            application_sha256="00" * 32,
            approved_by=["clerk1", "clerk2"],
            **more,
        )

    def revoke_one(self, authority: str, serial: str, reason: str) -> None:
        """Revoke, hold or release one certificate."""
        self.post(
            "revocations",
            "onecert-revocation+json",
            revocation=str(uuid.uuid4()),
            authority=authority,
            serial=serial,
            reason=reason,
            requested_by=["clerk1"],
        )

    def post(self, path: str, typ: str, **content: Any) -> dict[str, Any]:
        """Sign and post one document."""
        head = {"registration_authority": COUNTER, "created_at": datetime.now(UTC).isoformat()}
        document = sign_document(head | content, typ=typ, keys=[self.counter_key])
        headers = {"Content-Type": "application/jose+json"}
        answer = self.http().post(f"{self.city.https}/ca/v1/{path}", content=document, headers=headers)
        if answer.status_code >= 400:
            raise RuntimeError(answer.text[:300])
        return dict(answer.json())

    def judged(self, issued: dict[str, Any]) -> dict[str, Any]:
        """What the department says about a certificate; `code` when it refuses."""
        return self.ask("POST", "/verify", {"certificate": issued["certificate_pem"]})[1]

    def filled_by(self) -> dict[str, str]:
        """Which authority fills the orders by each name."""
        listed = self.http().get(f"{self.city.https}/ca/v1/authorities").json()["authorities"]
        return {each["name"]: each["filled_by"] for each in listed}

    def fetch_authorities(self, name: str) -> None:
        """Keep an authority's root, as its owner would hand it over."""
        listed = self.http().get(f"{self.city.https}/ca/v1/authorities").json()["authorities"]
        chain = next(each["chain_pem"] for each in listed if each["name"] == name)
        (self.city.papers / f"{name}-root.pem").write_text(chain[-1], "ascii")

    def chain_verdict(self, issued: dict[str, Any], authority: str, *more: str) -> str:
        """Why the verifier refuses, asking the addresses in the certificates; empty when it accepts."""
        leaf, above = self.folder / "leaf.pem", self.folder / "above.pem"
        leaf.write_text(issued["certificate_pem"], "ascii")
        above.write_text("".join(issued["chain_pem"][:-1]), "ascii")
        root = self.city.papers / f"{authority}-root.pem"
        arguments: Sequence[str | Path] = ("--anchor", root, "--intermediate", above, *more, leaf)
        return refusal(lambda: onecert_verify("chain", "--fetch", "--allow-private", *arguments))

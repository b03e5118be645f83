"""The mass revocations of the fake CA: what its REST answers, and a `work` that stands for its job."""

import hashlib
import json
from typing import Any

from onecert.ra.emergency.documents import CONFIRMATION_TYP, PROPOSAL_TYP, RESUMPTION_TYP, STOP_TYP
from onecert.verifier.jws import key_id, verify_document


class FakeMass:
    """Keeps proposals by number; as strict as the CA about ids, lines, hashes and people."""

    def __init__(self, ca: Any) -> None:
        self.ca = ca
        self.made: dict[str, dict[str, Any]] = {}
        self.serials: dict[str, list[str]] = {}
        self.signed: list[tuple[str, dict[str, Any]]] = []
        ca.mass = self

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any] | str]:
        """The status, with a body or the code of a problem."""
        parts = path.removeprefix("/v1/mass-revocations").strip("/").split("/")
        if method == "POST" and parts == [""]:
            return self._propose(self._read(body, PROPOSAL_TYP))
        if method == "POST":
            types = {"confirmations": CONFIRMATION_TYP, "stops": STOP_TYP, "resumptions": RESUMPTION_TYP}
            said = self._read(body, types[parts[0]])
            row = self.made[said["mass_revocation"]]
            return self._confirm(row, said) if parts[0] == "confirmations" else self._turn(row, parts[0])
        row = self.made.get(parts[0], {})
        if not row:
            return 404, "MASS_REVOCATION_UNKNOWN"
        return self._lines(row, body) if method == "PUT" else (200, row)

    def work(self, count: int = 10_000) -> None:
        """Revoke so many of what is confirmed."""
        for row in self.made.values():
            if row["state"] not in {"confirmed", "running"}:
                continue
            row["state"] = "running"
            serials = self.serials[row["mass_revocation"]]
            for serial in serials[row["done"] : row["done"] + count]:
                self.ca.status[row["authority"], serial] |= {"status": "revoked", "reason": row["reason"]}
            row["done"] = min(len(serials), row["done"] + count)
            if row["done"] == len(serials):
                row |= {"state": "done", "finished_at": self.ca.now().isoformat(), "crl_number": 7}

    def _read(self, body: bytes, typ: str) -> dict[str, Any]:
        keys = {key_id(self.ca.order_key): self.ca.order_key}
        said = dict(verify_document(body, typ=typ, keys=keys, max_bytes=100_000))
        self.signed.append((typ, said))
        return said

    def _propose(self, said: dict[str, Any]) -> tuple[int, dict[str, Any] | str]:
        row = self.made.setdefault(
            said["mass_revocation"],
            {
                **said,
                "state": "arriving",
                "proposal_sha256": hashlib.sha256(json.dumps(said).encode()).hexdigest(),
                "serials_sha256": None,
                "certificates": 0,
                "already": 0,
                "done": 0,
                "confirmed_at": None,
                "finished_at": None,
                "crl_number": None,
            },
        )
        return 201, row

    def _lines(self, row: dict[str, Any], body: bytes) -> tuple[int, dict[str, Any] | str]:
        lines = row["selection"]["lines"]
        assert hashlib.sha256(body).hexdigest() == lines["sha256"]
        serials = body.decode().splitlines()
        places = [(row["authority"], serial) for serial in serials]
        if not all(place in self.ca.status for place in places):
            return 422, "MASS_REVOCATION_LINES"
        left = [
            serial for serial in serials if self.ca.status[row["authority"], serial]["status"] != "revoked"
        ]
        self.serials[row["mass_revocation"]] = left
        sha256 = hashlib.sha256("".join(f"{serial}\n" for serial in left).encode()).hexdigest()
        already = len(serials) - len(left)
        row |= {"state": "proposed", "certificates": len(left), "already": already, "serials_sha256": sha256}
        return 200, row

    def _confirm(self, row: dict[str, Any], said: dict[str, Any]) -> tuple[int, dict[str, Any] | str]:
        if not set(said["confirmed_by"]).isdisjoint(row["requested_by"]):
            return 403, "SECOND_PERSON"
        if row["state"] != "proposed":
            return 409, "MASS_REVOCATION_STATE"
        names = ("proposal_sha256", "serials_sha256", "certificates")
        if [said[name] for name in names] != [row[name] for name in names]:
            return 409, "MASS_REVOCATION_CHANGED"
        row |= {"state": "confirmed", "confirmed_at": self.ca.now().isoformat()}
        return 200, row

    def _turn(self, row: dict[str, Any], act: str) -> tuple[int, dict[str, Any] | str]:
        row["state"] = "stopped" if act == "stops" else "running"
        return 200, row

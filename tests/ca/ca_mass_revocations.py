"""What proposes and confirms mass revocations, for tests: an RA's people, and officers with keys."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from onecert.ca.revocation.mass_documents import (
    CONFIRMATION_TYPE,
    PROPOSAL_TYPE,
    RESUMPTION_TYPE,
    STOP_TYPE,
)
from onecert.server.documents import sign_document

__all__ = ["People"]


class People:
    """Signs about mass revocations, as the RA of a world or as one of its officers."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.officers: dict[str, ec.EllipticCurvePrivateKey] = {}

    @property
    def service(self) -> Any:
        return self.world.parts.mass_revocations

    def officer(self, name: str, person: str) -> str:
        """Open an account with a key of its own."""
        key = self.officers[name] = ec.generate_private_key(ec.SECP256R1())
        until = self.world.clock.now() + timedelta(days=365)
        with self.world.context.database.transaction() as connection:
            self.world.context.operators.add(connection, name, name, ["ca.security"], person, until)
        self.world.parts.security_officers.add(
            name, key.public_key(), token_label=f"ca-officer-{name}", actor="command:test"
        )
        return name

    def signed(self, typ: str, by: str, **payload: Any) -> bytes:
        signer = {"officer": by} if by in self.officers else {"registration_authority": "ra"}
        key = self.officers.get(by, self.world.ra_key)
        content = signer | {"created_at": self.world.clock.now().isoformat()}
        return sign_document(content | payload, typ=typ, keys=[key])

    def proposal(self, by: str = "li", **changes: Any) -> bytes:
        payload = {
            "mass_revocation": str(uuid.uuid4()),
            "authority": "harbour",
            "selection": {"everything": True},
            "reason": "keyCompromise",
            "invalidity_date": None,
            "requested_by": [by],
            "why": "a test",
        }
        return self.signed(PROPOSAL_TYPE, by, **(payload | changes))

    def propose(self, by: str = "li", **changes: Any) -> Any:
        return self.service.propose(self.proposal(by, **changes))[0]

    def propose_lines(
        self, lines: Sequence[str], by: str = "li", kind: str = "serial", **changes: Any
    ) -> Any:
        content = "".join(f"{line}\n" for line in lines).encode()
        head = {"kind": kind, "count": len(lines), "sha256": hashlib.sha256(content).hexdigest()}
        made = self.propose(by, selection={"lines": head}, **changes)
        return self.service.add_lines(made.mass_revocation, content)

    def confirmation(self, made: Any, by: str = "wang", **changes: Any) -> bytes:
        payload = {
            "mass_revocation": made.mass_revocation,
            "proposal_sha256": made.proposal_sha256,
            "serials_sha256": made.serials_sha256,
            "certificates": made.certificates,
            "confirmed_by": [by],
        }
        return self.signed(CONFIRMATION_TYPE, by, **(payload | changes))

    def confirm(self, made: Any, by: str = "wang", **changes: Any) -> Any:
        return self.service.confirm(self.confirmation(made, by, **changes))

    def stop(self, made: Any, by: str = "li") -> Any:
        return self.service.stop(self._note(STOP_TYPE, made, by))

    def resume(self, made: Any, by: str = "li") -> Any:
        return self.service.resume(self._note(RESUMPTION_TYPE, made, by))

    def _note(self, typ: str, made: Any, by: str) -> bytes:
        return self.signed(typ, by, mass_revocation=made.mass_revocation, requested_by=[by], why="a test")

"""Who is signed in, as a web session keeps it: small enough for a cookie, checked again as time goes on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from onecert.verifier.verifier import VerifiedCertificate, Verifier

__all__ = ["SignedIn"]


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """A holder who has signed in.

    Args:
        id: canonical identity; bind accounts to it.
        certificate_der: what they signed in with.
        entity_id: the legal entity, when the holder acts for one.
        until: end of the session.
        checked_at: when certificate and revocation were last checked.
    """

    id: str
    name: str
    holder_class: str
    assurance: str
    ca_service: str
    entity_id: str | None
    certificate_der: bytes
    until: datetime
    checked_at: datetime

    @classmethod
    def of(cls, verified: VerifiedCertificate, *, at: datetime, life: timedelta) -> SignedIn:
        """From the result of a login. The session ends with the certificate at the latest."""
        identity = verified.identity
        return cls(
            id=identity.id,
            name=identity.name,
            holder_class=identity.holder_class.value,
            assurance=identity.assurance,
            ca_service=identity.ca_service,
            entity_id=identity.entity.id if identity.entity else None,
            certificate_der=verified.path.target.der,
            until=min(at + life, verified.path.target.not_after),
            checked_at=at,
        )

    def still(self, verifier: Verifier, *, at: datetime, recheck: timedelta) -> SignedIn:
        """Verify the certificate again when its time has come, or the clock went back.

        Raises:
            VerifyError: as ``Verifier.verify``; the session is over, or nobody can tell.
        """
        if self.checked_at <= at < self.checked_at + recheck:
            return self
        verified = verifier.verify(self.certificate_der, at=at)
        return SignedIn.of(verified, at=at, life=self.until - at)

    def as_session(self) -> dict[str, Any]:
        """For a session store that takes JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "class": self.holder_class,
            "assurance": self.assurance,
            "ca": self.ca_service,
            "entity": self.entity_id,
            "certificate": base64.b64encode(self.certificate_der).decode("ascii"),
            "until": int(self.until.timestamp()),
            "checked": int(self.checked_at.timestamp()),
        }

    @classmethod
    def from_session(cls, kept: Any, *, at: datetime) -> SignedIn | None:
        """What ``as_session`` made; ``None`` when it is over or unreadable."""
        if not isinstance(kept, Mapping):
            return None
        try:
            found = cls(
                id=str(kept["id"]),
                name=str(kept["name"]),
                holder_class=str(kept["class"]),
                assurance=str(kept["assurance"]),
                ca_service=str(kept["ca"]),
                entity_id=None if kept["entity"] is None else str(kept["entity"]),
                certificate_der=base64.b64decode(kept["certificate"], validate=True),
                until=datetime.fromtimestamp(int(kept["until"]), UTC),
                checked_at=datetime.fromtimestamp(int(kept["checked"]), UTC),
            )
        except (KeyError, TypeError, ValueError, OverflowError, OSError, binascii.Error):
            return None
        return found if at < found.until else None

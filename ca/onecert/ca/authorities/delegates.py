"""Keys that an authority lends to a service: its OCSP responder, its timestamp authority.

Each has a certificate of its own from the authority, is found by the order that made it, and gets a successor
before it ends. The key is on the authority's token.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from sqlalchemy import bindparam, select

from onecert.ca.authorities.authorities import DESTROYED, Authorities, Authority
from onecert.ca.certificates.csr import CheckedKey
from onecert.ca.certificates.draft import CheckedRequest, key_identifier
from onecert.ca.issuing.certifier import Certifier
from onecert.ca.issuing.ledger import ABANDONED, GOOD, ISSUED, OrderRecord
from onecert.ca.models import certificates
from onecert.ca.signatures.algorithms import PublicKey, key_kind, spki_der
from onecert.ca.signatures.public_keys import key_of_certificate
from onecert.ca.signatures.tokens import KeyToken
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["Delegate", "Delegates"]

DEFAULT_KIND = "p-256"

_GOOD = select(certificates.c.order_id, certificates.c.certificate_der).where(
    certificates.c.authority == bindparam("a"),
    certificates.c.entity == bindparam("e"),
    certificates.c.state == ISSUED,
    certificates.c.status == GOOD,
)
# Also those that were revoked or given up: their numbers are used.
_FINISHED = select(certificates.c.order_id).where(
    certificates.c.authority == bindparam("a"),
    certificates.c.entity == bindparam("e"),
    certificates.c.state.in_((ISSUED, ABANDONED)),
)
_BELIEVED = _GOOD.where(certificates.c.not_after > bindparam("at"))
_NEWEST = _GOOD.order_by(certificates.c.not_after.desc(), certificates.c.order_id.desc()).limit(1)


@dataclass(frozen=True, kw_only=True)
class Delegate:
    """The key that serves now, and its certificate."""

    key_label: str
    certificate_der: bytes
    public_key: PublicKey
    key_hash: bytes
    not_before: datetime
    not_after: datetime

    def is_valid(self, at: datetime) -> bool:
        """Whether its certificate is valid at this moment."""
        return self.not_before <= at <= self.not_after


class Delegates:
    """The delegates of one profile, at most one in use for each authority.

    Args:
        profile: the profile of their certificates; authorities without it have no such delegate.
        label: begins the names of keys and orders: `ocsp-harbour-1`.
        common_name: ends the name in the certificate: `harbour OCSP`.
        used: the part of its time after which a delegate gets its successor.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        authorities: Authorities,
        certifier: Certifier,
        token: KeyToken,
        profile: str,
        label: str,
        common_name: str,
        used: float,
    ) -> None:
        self._database = database
        self._clock = clock
        self._authorities = authorities
        self._certifier = certifier
        self._token = token
        self._profile = profile
        self._label = label
        self._common_name = common_name
        self._used = used
        self._current: dict[str, Delegate] = {}

    def serves(self, authority: Authority) -> bool:
        """Whether this authority has such a delegate."""
        is_served = not authority.is_root and authority.state != DESTROYED
        return is_served and self._profile in authority.profiles

    def roll_all(self) -> None:
        """Give every authority that has one its first delegate, or the next in time."""
        for authority in self._authorities.reload():
            if self.serves(authority):
                self.roll(authority)

    def roll(self, authority: Authority) -> bool:
        """Give the authority a delegate, or the next one when it is time.

        Every step finds what an interrupted one left behind. Tell whether a new one was made.
        """
        at = self._clock.now()
        current = self.load(authority)
        if (
            current is not None
            and at < current.not_before + (current.not_after - current.not_before) * self._used
        ):
            return False
        label = f"{self._label}-{authority.name}-{self._next_number(authority)}"
        key, _made = self._token.find_or_make(label, self._kind(authority))
        public_key: PublicKey = key.public_key()
        request = CheckedRequest(
            profile=authority.profile(self._profile),
            key=CheckedKey(public_key, spki_der(public_key)),
            subject={"country": "CN", "common_name": f"{authority.name} {self._common_name}"},
            entity=self._entity(authority),
        )
        order = OrderRecord(
            id=label, content_sha256="0" * 64, ordered_by=f"job:ca.{self._label}", document=b"{}"
        )
        self._certifier.certify(authority.maker(request.profile), authority.key_label, request, order)
        self.load(authority)
        return True

    def current(self, authority: Authority, at: datetime | None = None) -> Delegate | None:
        """The delegate in use whose certificate is valid now; None when there is none.

        Args:
            at: the present moment, where the caller has just asked for it.
        """
        found = self._current.get(authority.name) or self.load(authority)
        return found if found is not None and found.is_valid(at or self._clock.now()) else None

    def load(self, authority: Authority) -> Delegate | None:
        """Read the newest delegate of an authority from the record."""
        names = {"a": authority.name, "e": self._entity(authority)}
        with self._database.reading() as connection:
            row = connection.execute(_NEWEST, names).one_or_none()
        if row is None:
            return None
        certificate = x509.load_der_x509_certificate(row.certificate_der)
        public_key = key_of_certificate(certificate)
        delegate = Delegate(
            key_label=row.order_id,
            certificate_der=row.certificate_der,
            public_key=public_key,
            key_hash=key_identifier(spki_der(public_key)),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
        )
        self._current[authority.name] = delegate
        return delegate

    def believed(self, authority: Authority) -> dict[str, bytes]:
        """The delegates whose signatures count now, by the labels of their keys, with their certificates."""
        names = {"a": authority.name, "e": self._entity(authority), "at": self._clock.now()}
        with self._database.reading() as connection:
            rows = connection.execute(_BELIEVED, names).all()
        return {row.order_id: row.certificate_der for row in rows}

    def _kind(self, authority: Authority) -> str:
        """P-256, which is quick and known everywhere, unless the profile leaves it out."""
        kinds = authority.profile(self._profile).key_kinds
        own = key_kind(authority.issuer.public_key)
        if DEFAULT_KIND in kinds:
            return DEFAULT_KIND
        return own if own in kinds else kinds[0]

    def _next_number(self, authority: Authority) -> int:
        """One more than the last that was finished; one that was interrupted is gone on with."""
        names = {"a": authority.name, "e": self._entity(authority)}
        with self._database.reading() as connection:
            labels = connection.execute(_FINISHED, names).scalars().all()
        return 1 + max((int(label.rpartition("-")[2]) for label in labels), default=0)

    def _entity(self, authority: Authority) -> str:
        return f"system:{self._profile}:{authority.name}"

"""The trust timestamp: "this is the newest root, list and snapshot", signed every hour by an online key.

Who holds back a newer list must hold back the timestamp too, and that ends within hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from onecert.verifier.arguments import check_aware, check_kind
from onecert.verifier.strict_json import Node
from onecert.verifier.trust_list.errors import TrustListError, TrustListUnavailableError
from onecert.verifier.trust_list.roles import CLOCK_SKEW, COUNTER_MAX, Role
from onecert.verifier.trust_list.root import TrustRoot
from onecert.verifier.trust_list.signed_part import SignedPart, read_sha256, read_validity, sha256_of
from onecert.verifier.trust_list.state import Seen

__all__ = [
    "TIMESTAMP_MAX_BYTES",
    "TIMESTAMP_TYP",
    "Named",
    "TrustTimestamp",
    "check_timestamp_current",
    "load_trust_timestamp",
]

TIMESTAMP_TYP = "onecert-trust-timestamp+json"
TIMESTAMP_MAX_BYTES = 256 * 1024
_VALIDITY_MAX = timedelta(days=7)
_PART = SignedPart(
    typ=TIMESTAMP_TYP,
    max_bytes=TIMESTAMP_MAX_BYTES,
    malformed=lambda detail: TrustListError("TRUST_TIMESTAMP_MALFORMED", detail=detail),
    unsigned=lambda detail: TrustListError("TRUST_TIMESTAMP_SIGNATURE", detail=detail),
)


@dataclass(frozen=True)
class Named:
    """One part that a timestamp names: its version, sequence or number, and the digest of its payload."""

    number: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class TrustTimestamp:
    """A timestamp whose signatures were checked.

    Args:
        epoch: of the role when it was read; versions of different epochs do not compare.
        registry: the snapshot of the register, where there is one.
    """

    version: int
    epoch: int
    issued_at: datetime
    expires_at: datetime
    root: Named
    list: Named
    registry: Named | None
    sha256: str

    @property
    def seen(self) -> Seen:
        """What a memory keeps of it."""
        return Seen(epoch=self.epoch, number=self.version, sha256=self.sha256)

    def check_names(self, role: Role, number: int, sha256: str) -> None:
        """Refuse a list or a snapshot that this timestamp does not name as the newest.

        Raises:
            TrustListUnavailableError: TRUST_PARTS_MIXED.
        """
        named = self.list if role is Role.LIST else self.registry
        if named != Named(number, sha256):
            raise TrustListUnavailableError(
                "TRUST_PARTS_MIXED",
                role=role.value,
                number=number,
                named="-" if named is None else named.number,
                version=self.version,
            )


def load_trust_timestamp(data: bytes, *, root: TrustRoot) -> TrustTimestamp:
    """Check and read a signed timestamp, at most 256 KiB.

    Its end is *not* checked: ``check_timestamp_current``.

    Args:
        root: the newest root at hand. A timestamp that names an older one is accepted: a new root is
            published before the timestamp that follows it.

    Raises:
        TrustListError: TRUST_TIMESTAMP_MALFORMED, TRUST_TIMESTAMP_SIGNATURE, or TRUST_ROOT_FORK when it
            names this version of the root with another content.
        TrustListUnavailableError: TRUST_ROOT_BEHIND when it names a later root.
    """
    check_kind(root, TrustRoot, "root")
    keys = root.roles[Role.TIMESTAMP]
    timestamp = _read(_PART.check(data, keys), keys.epoch)
    if timestamp.root.number > root.version:
        raise TrustListUnavailableError(
            "TRUST_ROOT_BEHIND", version=root.version, newest=timestamp.root.number
        )
    if timestamp.root.number == root.version and timestamp.root.sha256 != root.sha256:
        raise TrustListError("TRUST_ROOT_FORK", number=root.version)
    return timestamp


def check_timestamp_current(
    timestamp: TrustTimestamp, at: datetime, *, grace: timedelta = timedelta(0)
) -> tuple[str, ...]:
    """Refuse a timestamp outside its time: something newer may be held back.

    Args:
        grace: so long after its end it is still accepted, because this department would rather have that.

    Returns:
        codes of warnings: ``TRUST_TIMESTAMP_GRACE`` after the end.

    Raises:
        TrustListUnavailableError: TRUST_TIMESTAMP_EXPIRED or TRUST_TIMESTAMP_FUTURE.
    """
    check_aware(at)
    if at < timestamp.issued_at - CLOCK_SKEW:
        raise TrustListUnavailableError(
            "TRUST_TIMESTAMP_FUTURE", version=timestamp.version, issued_at=timestamp.issued_at
        )
    if at < timestamp.expires_at:
        return ()
    if at - timestamp.expires_at < grace:
        return ("TRUST_TIMESTAMP_GRACE",)
    raise TrustListUnavailableError(
        "TRUST_TIMESTAMP_EXPIRED", version=timestamp.version, expires_at=timestamp.expires_at
    )


def _read(octets: bytes, epoch: int) -> TrustTimestamp:
    with _PART.reading(octets) as node:
        issued_at, expires_at = read_validity(node, "issued_at", "expires_at", longest=_VALIDITY_MAX)
        return TrustTimestamp(
            version=node.integer("version", low=1, high=COUNTER_MAX),
            epoch=epoch,
            issued_at=issued_at,
            expires_at=expires_at,
            root=_named(node.node("root"), "version"),
            list=_named(node.node("list"), "sequence"),
            registry=_named(node.node("registry"), "number") if node.has("registry") else None,
            sha256=sha256_of(octets),
        )


def _named(node: Node, counter: str) -> Named:
    with node:
        number = node.integer(counter, low=1, high=COUNTER_MAX)
        return Named(number, read_sha256(node))

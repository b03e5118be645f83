"""Timestamps of the authorities on the trust list: whom this office asks, and whose tokens it believes."""

from dataclasses import dataclass
from datetime import datetime

from onecert.verifier import Verifier, VerifyError
from onecert.verifier.fetch import Fetch, listed_fetch
from onecert.verifier.signed_form import TimestampClient, TimestampTrust
from onecert.verifier.signed_form.listed_timestamps import listed_timestamps
from onecert.verifier.trust_list import Status, SupplyKind


@dataclass(frozen=True)
class StampAuthority:
    """A service that stamps; ``certificate_url`` is for who checks records without this office."""

    id: str
    url: str
    certificate_url: str


class Stamps:
    """What the trust list in use says about timestamps."""

    def __init__(self, verifier: Verifier, *, fetch: Fetch | None = None) -> None:
        self._verifier = verifier
        self._fetch = fetch or listed_fetch()

    def find_authority(self, at: datetime) -> StampAuthority | None:
        """The first one that is granted now and says where it is asked.

        Raises:
            VerifyError: there is no list that may be used.
        """
        for service in self._verifier.trust_list(at).services:
            entry = service.status_at(at)
            granted = entry is not None and entry.status is Status.GRANTED
            if service.is_timestamp_authority and granted and service.urls(SupplyKind.TIMESTAMP):
                certificates = service.urls(SupplyKind.CA_CERTIFICATE)
                return StampAuthority(
                    service.id, service.urls(SupplyKind.TIMESTAMP)[0], certificates[0] if certificates else ""
                )
        return None

    def client(self, authority: StampAuthority) -> TimestampClient:
        """Asks an authority."""
        return TimestampClient(authority.url, self._fetch)

    def trust(self, at: datetime) -> TimestampTrust | None:
        """Whose timestamps count; ``None`` when there is no authority on the list, or no list."""
        try:
            return listed_timestamps(self._verifier, at)
        except VerifyError:
            return None

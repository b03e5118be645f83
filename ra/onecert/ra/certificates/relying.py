"""What a department's verifier says: our own, asked with the city's trust list as a department asks.

The trust list, its root and the revocation lists are fetched by the addresses of the settings; nothing of the
RA's own database is asked. Without settings the answer is "not configured", which is neither yes nor no.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.ra.certificates.world import Sighting
from onecert.server.folders import make_private_folder
from onecert.verifier import CrlFetcher, FileState, TrustListUrl, Verifier, load_trust_root
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.purposes import LOGIN, SIGNING
from onecert.verifier.trust_list.model import TrustedService, TrustList

__all__ = ["Accepted", "Relying"]

_EVERY = timedelta(seconds=1)
_USES = (LOGIN, SIGNING)


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """Under which conditions the trust list lets departments rely on the authority of a certificate."""

    sequence: int
    operator: str
    service: str | None = None  # the id of the service; None: the list does not have this authority
    service_name: str = ""
    status: str = ""
    policies: tuple[str, ...] = ()
    uses: tuple[tuple[str, str], ...] = ()  # use -> the verifier's code; empty: accepted
    pointed: tuple[str, ...] = ()  # other lists that this one points to


class Relying:
    """Asks the verifier. `trust_list` is an address, `trust_root` a file whose fingerprint was compared."""

    def __init__(self, trust_list: str | None, trust_root: Path | None, *, folder: Path) -> None:
        self._trust_list = trust_list
        self._trust_root = trust_root
        self._folder = folder
        self._verifier: Verifier | None = None
        self._lists: TrustListUrl | None = None
        self._lock = threading.Lock()

    @property
    def is_configured(self) -> bool:
        """Whether there is anything to ask."""
        return self._trust_list is not None and self._trust_root is not None

    def look(self, certificate_pem: str, *, at: datetime) -> Sighting:
        """Ask as a department does at a login; never raises."""
        url = self._trust_list or ""
        if not self.is_configured:
            return Sighting(source="verifier", url=url, state="not-configured")
        try:
            self._open().verify(_der(certificate_pem), at=at, purpose=LOGIN)
        except CouldNotCheckError as exc:
            return Sighting(source="verifier", url=url, state="could-not", detail=exc.code)
        except VerifyError as exc:
            state = {"CERT_REVOKED": "revoked", "CERT_HELD": "hold"}.get(exc.code, "refused")
            since = getattr(exc, "revoked_at", None)
            return Sighting(source="verifier", url=url, state=state, since=since, detail=exc.code)
        except (OSError, ValueError) as exc:
            return Sighting(source="verifier", url=url, state="could-not", detail=type(exc).__name__)
        return Sighting(source="verifier", url=url, state="good")

    def accepted(self, certificate_pem: str, chain_pem: str, *, at: datetime) -> Accepted | None:
        """What the list says about this certificate's authority; None: nobody can tell now."""
        if not self.is_configured:
            return None
        try:
            verifier, found = self._open(), self._list(at)
            service = _service_of(found, chain_pem)
            uses = []
            for use in _USES:
                try:
                    verifier.verify(_der(certificate_pem), at=at, purpose=use)
                except VerifyError as exc:
                    uses.append((use.name, exc.code))
                else:
                    uses.append((use.name, ""))
        except (VerifyError, OSError, ValueError):
            return None
        entry = service.status_at(at) if service else None
        return Accepted(
            sequence=found.sequence,
            operator=found.operator.zh,
            service=service.id if service else None,
            service_name=service.name.zh if service else "",
            status=entry.status.value if entry else "",
            policies=service.policies if service else (),
            uses=tuple(uses),
            pointed=tuple(
                pointer.terms.id if pointer.terms else pointer.location for pointer in found.pointers
            ),
        )

    def _list(self, at: datetime) -> TrustList:
        self._open()
        assert self._lists is not None  # noqa: S101 - made with the verifier
        return self._lists.current(at)

    def _open(self) -> Verifier:
        """Made at the first use, so that a missing file is no reason not to start."""
        with self._lock:
            if self._verifier is None:
                assert self._trust_list is not None  # noqa: S101 - `is_configured` was asked
                assert self._trust_root is not None  # noqa: S101
                folder = self._folder
                make_private_folder(folder)
                (folder / "state").mkdir(exist_ok=True)
                self._lists = TrustListUrl(
                    self._trust_list,
                    root=load_trust_root(self._trust_root.read_bytes()),
                    folder=folder,
                    state=FileState(folder / "state" / "trust.json"),
                    every=_EVERY,
                )
                self._verifier = Verifier(
                    trust_list=self._lists,
                    evidence=CrlFetcher(folder / "crls", every=_EVERY),
                    application="registration-authority",
                )
            return self._verifier


def _der(certificate_pem: str) -> bytes:
    return x509.load_pem_x509_certificate(certificate_pem.encode("ascii")).public_bytes(Encoding.DER)


def _service_of(found: TrustList, chain_pem: str) -> TrustedService | None:
    """The service that one of the issuing certificates belongs to."""
    chain = x509.load_pem_x509_certificates(chain_pem.encode("ascii")) if chain_pem else []
    known = {each.public_bytes(Encoding.DER) for each in chain}
    for service in found:
        if any(each.der in known for each in service.certificates):
            return service
    return None

"""The CA's mass revocation over HTTP: many certificates of one authority by one signed proposal.

A proposal names serials by number and hash of lines, a second document by another person confirms that, and
the CA carries it out by itself. Each call may be repeated; `find` says how far it is, so nothing but
the number and the documents need be kept. Outcomes are those of `client.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onecert.ra.ca.client import JOSE_JSON, CaClient
from onecert.ra.ca.errors import CaAnswerError, CaRefusedError

__all__ = ["ARRIVING", "AT_WORK", "DONE", "EXPIRED", "PROPOSED", "STOPPED", "MassAnswer", "MassWire"]

# States at the CA.
ARRIVING, PROPOSED, STOPPED, DONE = "arriving", "proposed", "stopped", "done"
AT_WORK = frozenset({"confirmed", "running"})
EXPIRED = "MASS_REVOCATION_EXPIRED"
_PATH = "v1/mass-revocations"
_UNKNOWN = "MASS_REVOCATION_UNKNOWN"


@dataclass(frozen=True, kw_only=True)
class MassAnswer:
    """How a mass revocation stands at the CA.

    `certificates` are frozen, `already` were revoked before; `done` were gone through so far.
    """

    state: str
    authority: str
    selection: Mapping[str, Any]
    reason: str
    proposal_sha256: str
    serials_sha256: str | None
    certificates: int
    already: int
    done: int
    is_confirmed: bool
    finished_at: datetime | None
    crl_number: int | None


class MassWire:
    """Proposes, confirms, stops and asks; on the wire of a `CaClient`."""

    def __init__(self, client: CaClient) -> None:
        self._client = client

    def find(self, number: str) -> MassAnswer | None:
        """How it stands; None: the CA has none of this number.

        Raises:
            CaRefusedError: this CA offers nothing of the kind.
            CaUnreachableError, CaAnswerError
        """
        try:
            return _read(self._client.call("GET", f"{_PATH}/{number}"))
        except CaRefusedError as exc:
            if exc.ca_code == _UNKNOWN:
                return None
            raise

    def propose(self, document: bytes) -> MassAnswer:
        """Post a signed proposal."""
        return self._post(_PATH, document)

    def add_lines(self, number: str, lines: bytes) -> MassAnswer:
        """Bring the lines that the proposal names; with them its certificates are frozen."""
        return _read(self._client.call("PUT", f"{_PATH}/{number}/lines", content=lines))

    def confirm(self, document: bytes) -> MassAnswer:
        """Post the second person's signed word; from then on it is carried out."""
        return self._post(f"{_PATH}/confirmations", document)

    def stop(self, document: bytes) -> MassAnswer:
        """Post a signed stop."""
        return self._post(f"{_PATH}/stops", document)

    def resume(self, document: bytes) -> MassAnswer:
        """Post the signed wish to go on."""
        return self._post(f"{_PATH}/resumptions", document)

    def _post(self, path: str, document: bytes) -> MassAnswer:
        return _read(self._client.call("POST", path, content=document, headers={"Content-Type": JOSE_JSON}))


def _read(body: Mapping[str, Any]) -> MassAnswer:
    try:
        finished, crl_number = body.get("finished_at"), body.get("crl_number")
        return MassAnswer(
            state=str(body["state"]),
            authority=str(body["authority"]),
            selection=dict(body["selection"]),
            reason=str(body["reason"]),
            proposal_sha256=str(body["proposal_sha256"]),
            serials_sha256=body["serials_sha256"],
            certificates=int(body["certificates"]),
            already=int(body["already"]),
            done=int(body["done"]),
            is_confirmed=body["confirmed_at"] is not None,
            finished_at=datetime.fromisoformat(finished) if finished else None,
            crl_number=None if crl_number is None else int(crl_number),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise CaAnswerError(_PATH) from exc

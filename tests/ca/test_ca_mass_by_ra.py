"""A mass revocation as the registration authority's own code asks for it, at the real CA."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from onecert.ra.ca.client import CaClient
from onecert.ra.ca.errors import CaRefusedError
from onecert.ra.ca.mass import AT_WORK, DONE, PROPOSED, STOPPED, MassWire
from onecert.ra.emergency import documents
from onecert.ra.emergency.records import Emergency
from onecert.ra.orders.documents import sign_order

NUMBER, OTHER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


def emergency(at: Any, **changes: Any) -> Emergency:
    empty = dict.fromkeys(Emergency.__dataclass_fields__)
    values = {
        "seq": 3,
        "is_drill": False,
        "reason": "keyCompromise",
        "content_sha256": "ab" * 32,
        "proposed_by": "zhao",
        "decided_by": "sun",
        "invalidity_date": at - timedelta(days=1),
    }
    return Emergency(**(empty | values | changes))  # type: ignore[arg-type] # what is not asked for is None


def test_documents_and_answers_fit(lite: Any) -> None:
    """Proposed, frozen, refused to the same person, confirmed, done; a drill's is stopped for good."""
    wire = MassWire(
        CaClient(
            httpx.Client(transport=httpx.WSGITransport(app=lite.service.app), base_url="https://ca.test"),
            timeout_s=20,
        )
    )
    now = lite.clock.now()
    said = {"name": "ra", "at": now}
    serials = sorted(lite.issue().record.serial for _ in range(2))
    lines = documents.lines_of(serials)

    def signed(payload: dict[str, Any], typ: str) -> bytes:
        return sign_order(payload, typ=typ, key=lite.ra_key)

    def propose(about: Emergency, number: str) -> Any:
        payload = documents.proposal_payload(about, number, "harbour", lines, **said)
        wire.propose(signed(payload, documents.PROPOSAL_TYP))
        return wire.add_lines(number, lines)

    def confirm(about: Emergency, number: str, shown: Any) -> Any:
        payload = documents.confirmation_payload(about, number, shown, **said)
        return wire.confirm(signed(payload, documents.CONFIRMATION_TYP))

    assert wire.find(NUMBER) is None
    drill = emergency(now, is_drill=True)
    shown = propose(drill, OTHER)
    stop = documents.note_payload(drill, OTHER, "zhao", **said)
    assert wire.stop(signed(stop, documents.STOP_TYP)).state == STOPPED
    with pytest.raises(CaRefusedError) as caught:
        confirm(drill, OTHER, shown)
    assert caught.value.ca_code == "MASS_REVOCATION_STATE"

    real = emergency(now)
    shown = propose(real, NUMBER)
    assert (shown.state, shown.certificates, shown.selection) == (
        PROPOSED,
        2,
        documents.selection_of(lines),
    )
    with pytest.raises(CaRefusedError):
        confirm(emergency(now, decided_by="zhao"), NUMBER, shown)
    assert confirm(real, NUMBER, shown).state in AT_WORK
    stop = documents.note_payload(real, NUMBER, "sun", **said)
    assert wire.stop(signed(stop, documents.STOP_TYP)).is_confirmed
    assert wire.resume(signed(stop, documents.RESUMPTION_TYP)).state in AT_WORK
    lite.parts.mass_revocation_work.run()
    done = wire.find(NUMBER)
    assert done is not None
    assert (done.state, done.done) == (DONE, 2)
    assert done.crl_number
    assert lite.serials_on_list() == set(serials)

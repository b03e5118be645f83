"""What is written once for a second, and put around a CertID and a nonce, is what is written the long way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from onecert.ca import der
from onecert.ca.ocsp.messages import UNKNOWN, CertId, Status, around_answer, response_data, single_response

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
UNTIL = T + timedelta(hours=12)
KEY_HASH = bytes(range(20))
STATUSES = [UNKNOWN, Status(known=True), Status(known=True, revoked_at=T, reason="keyCompromise")]


@pytest.mark.parametrize("status", STATUSES, ids=["unknown", "good", "revoked"])
@pytest.mark.parametrize("nonce_octets", [0, 1, 16, 32, 128])
@pytest.mark.parametrize("serial_octets", [1, 8, 20, 90, 300])
def test_the_same_octets(status: Status, nonce_octets: int, serial_octets: int) -> None:
    """Lengths on both sides of 127 and 255, where DER writes them with more octets."""
    serial = int.from_bytes(b"\x5a" * serial_octets, "big")
    raw = der.sequence(der.octet_string(bytes(20)), der.octet_string(KEY_HASH), der.integer(serial))
    nonce = der.octet_string(b"\xa5" * nonce_octets) if nonce_octets else None
    cert_id = CertId(raw=raw, hash_name=None, name_hash=b"", key_hash=b"", serial=serial)
    single = single_response(cert_id, status, this_update=T, next_update=UNTIL)
    written = response_data(KEY_HASH, [single], produced_at=T, nonce_value_der=nonce)
    octets = len(nonce or b"")
    before, between = around_answer(
        KEY_HASH, status, at=T, next_update=UNTIL, cert_id_octets=len(raw), nonce_octets=octets
    )
    assert before + raw + between + (nonce or b"") == written

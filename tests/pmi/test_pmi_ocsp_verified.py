"""The PMI's OCSP answers as relying parties see them: the verifier believes them, at their time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from onecert.pmi.status.ocsp_messages import write_cert_id
from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.der import SEQUENCE

pytestmark = pytest.mark.token


@dataclass(frozen=True)
class Asking:
    """Asks the responder of the authority."""

    pmi: Any
    answers: list[bytes]

    def find_answers(self, authority: Any, serial: int) -> list[bytes]:
        cert_id = write_cert_id(authority.certificate, serial, "sha256").raw
        request = tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, cert_id))))
        self.answers.append(self.pmi.parts.responder.answer("tax-office", request))
        return [self.answers[-1]]


def test_good_held_revoked_and_the_past(pmi: Any, lab: Any) -> None:
    grant = pmi.grant(lab.READER_ROLE)
    data = pmi.certificate_der(grant)
    asking = Asking(pmi, [])
    verifier = replace(pmi.stranger(), answers=asking, sources="ocsp")

    def code(at: datetime | None = None, asked: Any = verifier) -> str:
        found = asked.explain(data, holder=pmi.holder, at=at or pmi.clock.now())
        return found.findings[0].code if found.findings else found.verified.status

    assert code() == "ocsp"
    pmi.clock.advance(timedelta(minutes=10))
    pmi.parts.revocations.hold(grant.serial, operator=pmi.officer)
    assert code() == "REVOKED"
    assert code(lab.T) == "STATUS_UNKNOWN", "the newest answer cannot show what was good before"
    pmi.parts.revocations.release(grant.serial, operator=pmi.officer)
    pmi.parts.revocations.revoke(grant.serial, reason="privilegeWithdrawn", operator=pmi.officer)
    assert code() == "REVOKED"
    kept = [asking.answers[0]]
    past = replace(verifier, answers=type("Kept", (), {"find_answers": lambda *_: kept})())
    assert code(lab.T, past) == "ocsp", "the answer of the time still tells it"

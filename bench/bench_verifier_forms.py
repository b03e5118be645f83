"""`verifier.form.*` and `verifier.evidence.*`: signed forms, and their records years later."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from unittest import mock

from forms import DOCUMENT, Forms
from harness import Contender, Row, benchmark
from pki import DAY, NOW, Pki, pki

from onecert.verifier import EvidenceTrust, check_evidence, make_evidence, signatures, verify_form

_NO_PEER = "no peer: pyhanko is not installed here, and openssl cms would be a new process for each form"


@benchmark("verifier.form.cms", "verifier.form.stamped")
def form(name: str) -> Iterator[Row]:
    """A detached message over two kilobytes, another signer each time; the CAs' lists are loaded."""
    made = pki("p256")
    office = Forms(made)
    is_stamped = name.endswith("stamped")
    messages = itertools.cycle(office.messages(stamped=is_stamped))

    def verify() -> None:
        found = verify_form(
            DOCUMENT, next(messages), trust=office.trust, timestamps=office.timestamps, at=NOW
        )
        assert found.signer.time.is_proved == is_stamped

    yield Row(unit="forms/s", ours=Contender(work=verify), floor=bare(made, verify), notes=[_NO_PEER])


@benchmark("verifier.evidence.check")
def evidence(name: str) -> Iterator[Row]:
    """A record with an archive timestamp, from its JSON; whatever the checker trusts comes with it."""
    made = pki("p256")
    office = Forms(made)
    records = []
    for message in office.messages(stamped=True)[:16]:
        found = verify_form(DOCUMENT, message, trust=office.trust, timestamps=office.timestamps, at=NOW)
        records.append(make_evidence(found, at=NOW, stamp=lambda data, _: office.authority.token(data, NOW)))
    trust = EvidenceTrust(timestamps=office.timestamps, anchors=office.trust.anchors)
    numbers = itertools.cycle(records)

    def check() -> None:
        assert check_evidence(next(numbers), DOCUMENT, trust=trust, at=NOW + DAY / 2).archive.archived_at

    yield Row(unit="records/s", ours=Contender(work=check), floor=bare(made, check), notes=[_NO_PEER])


def bare(made: Pki, work: Callable[[], None]) -> Contender:
    """As many bare signature checks as one unit of the work makes once everything is known."""
    for _ in range(3):
        work()
    with mock.patch.object(signatures, "_verify", wraps=signatures._verify) as counted:
        work()
    count = counted.call_count

    def check() -> None:
        for number in range(count):
            made.check_leaf_signature(number)

    return Contender(work=check, name=f"{count} bare signature checks")

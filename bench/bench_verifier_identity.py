"""`verifier.identify.*`: from a validated certificate to one identity, without path and signature."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import place
from bench_verifier import one_check
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from harness import Contender, Row, benchmark
from pki import NOW, pki

from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.identity import PersonRule, identify, parse_profile

# More than a profile remembers, so that in a ring of them none is met again in time.
STRANGERS, HOLDERS = 5000, 256
RULE = PersonRule(application="bench", pairwise_key=b"k" * 32)


@benchmark("verifier.identify.again", "verifier.identify.new")
def identify_one(name: str) -> Iterator[Row]:
    """Holders who have been here before, or such as nobody has seen."""
    made = pki("p256")
    profile = parse_profile(
        json.loads((place.ROOT / "demo" / "profiles" / "harbour.json").read_text("utf-8"))
    )
    count = HOLDERS if name.endswith("again") else STRANGERS
    holders = itertools.cycle([_validated(made.leaf(made.leaf_keys[0])) for _ in range(count)])
    yield Row(
        unit="identities/s",
        ours=Contender(
            work=lambda: identify(next(holders), profile, ca_service="harbour", at=NOW, persons=RULE)
        ),
        floor=one_check(made),
    )


def _validated(leaf: x509.Certificate) -> ParsedCertificate:
    """The certificate as path validation leaves it behind: taken apart."""
    parsed = parse_certificate(leaf.public_bytes(Encoding.DER))
    assert parsed.extensions
    assert parsed.subject_der
    return parsed

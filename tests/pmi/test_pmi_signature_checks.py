"""Signatures of a batch are checked in a process of their own; one that is ended changes no answer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from multiprocessing import active_children

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.pmi.issuing.checking import SignatureChecks
from onecert.pmi.issuing.signing import algorithm_of

KEY = ec.generate_private_key(ec.SECP256R1())
CONTENTS = [b"first", b"second"]
SIGNATURES = [KEY.sign(content, ec.ECDSA(hashes.SHA256())) for content in CONTENTS]


@pytest.fixture
def checks() -> Iterator[SignatureChecks]:
    made = SignatureChecks(1)
    yield made
    made.close()


def are_good(checks: SignatureChecks, contents: list[bytes]) -> bool:
    algorithm = algorithm_of(KEY.public_key()).identifier_der
    return checks.are_good(KEY.public_key(), algorithm, SIGNATURES, contents)


def test_one_wrong_signature_is_found_and_a_killed_process_is_made_up_for(checks: SignatureChecks) -> None:
    before = {child.pid for child in active_children()}
    assert are_good(checks, CONTENTS)
    assert not are_good(checks, [b"first", b"another"])
    ours = [child for child in active_children() if child.pid not in before]
    assert len(ours) == 1
    os.kill(ours[0].pid, signal.SIGKILL)
    ours[0].join()
    assert are_good(checks, CONTENTS)
    assert not are_good(checks, [b"another", b"second"])

"""Answers to a login challenge: each wrong in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.verifier import Challenge, Login, MemoryStore, SqliteStore, Verifier

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Answer:
    """A good answer; a row changes one thing of it."""

    world: Any
    verifier: Verifier
    login: Login
    challenge: Challenge
    leaf: Any
    certificate: bytes
    signature: bytes
    id: Any
    session: str = "session one"
    at: datetime = T + MINUTE
    algorithm: str | None = None

    def give(self) -> object:
        return self.login.verify(
            self.id,
            self.certificate,
            self.signature,
            session=self.session,
            at=self.at,
            algorithm=self.algorithm,
        )


def replayed(answer: Answer) -> None:
    answer.give()


def replayed_after_a_refusal(answer: Answer) -> None:
    good, answer.signature = answer.signature, b"wrong"
    with pytest.raises(Exception, match="LOGIN_SIGNATURE"):
        answer.give()
    answer.signature = good


def late(answer: Answer) -> None:
    answer.at = T + 5 * MINUTE


def from_the_future(answer: Answer) -> None:
    answer.at = T - 2 * MINUTE


def other_session(answer: Answer) -> None:
    answer.session = "session two"


def other_application(answer: Answer) -> None:
    store = answer.login._store
    answer.login = Login(answer.verifier, store=store, application="social")


def unknown(answer: Answer) -> None:
    answer.id = "A" * 22


def of_another_server(answer: Answer) -> None:
    answer.login = Login(answer.verifier)


def truncated_id(answer: Answer) -> None:
    answer.id = answer.id[:-1]


def truncated_text(answer: Answer) -> None:
    answer.id = answer.challenge.data[:-5]


def changed_text(answer: Answer) -> None:
    answer.id = answer.challenge.data.replace(b"application: ", b"application: X")


def truncated_signature(answer: Answer) -> None:
    answer.signature = answer.signature[:-1]


def empty_signature(answer: Answer) -> None:
    answer.signature = b""


def endless_signature(answer: Answer) -> None:
    answer.signature = answer.signature + b"\0" * 100_000


def signature_over_other_text(answer: Answer) -> None:
    answer.signature = answer.leaf.sign(b"transfer 1000")


def signature_over_the_digest(answer: Answer) -> None:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(answer.challenge.data)
    answer.signature = answer.leaf.sign(digest.finalize())


def signature_of_raw_numbers(answer: Answer) -> None:
    answer.signature = b"\x01" * 64  # r and s side by side, as some programs give them


def other_key(answer: Answer) -> None:
    answer.signature = answer.world.leaf().sign(answer.challenge.data)


def other_certificate(answer: Answer) -> None:
    answer.certificate = answer.world.leaf().der


def encryption_certificate(answer: Answer) -> None:
    usages = ("key_encipherment", "data_encipherment", "key_agreement")
    leaf = answer.world.leaf(usages=usages, key=answer.leaf.key)
    answer.certificate = leaf.der


def signing_of_forms_only(answer: Answer) -> None:
    leaf = answer.world.leaf(usages=("content_commitment",), key=answer.leaf.key)
    answer.certificate = leaf.der


def algorithm_of_another_key(answer: Answer) -> None:
    answer.algorithm = "rsa-sha256"


def algorithm_with_sha1(answer: Answer) -> None:
    answer.algorithm = "ecdsa-sha1"


def algorithm_that_is_none(answer: Answer) -> None:
    answer.algorithm = "none"


def algorithm_with_another_digest(answer: Answer) -> None:
    answer.algorithm = "ecdsa-sha512"


def certificate_that_is_none(answer: Answer) -> None:
    answer.certificate = b"\x30\x03\x02\x01\x01"


def certificate_twice(answer: Answer) -> None:
    answer.certificate = answer.leaf.pem * 2


def certificate_with_trailing_data(answer: Answer) -> None:
    answer.certificate = answer.leaf.der + b"\0"


def certificate_of_a_stranger(answer: Answer) -> None:
    answer.certificate = answer.world.leaf("stranger", key=answer.leaf.key).der


def certificate_that_ended(answer: Answer) -> None:
    leaf = answer.world.leaf(not_after=T - MINUTE, key=answer.leaf.key)
    answer.certificate = leaf.der


def certificate_of_tomorrow(answer: Answer) -> None:
    leaf = answer.world.leaf(not_before=T + timedelta(days=1), key=answer.leaf.key)
    answer.certificate = leaf.der


ROWS: list[tuple[Callable[[Answer], None], str]] = [
    (replayed, "LOGIN_CHALLENGE_USED"),
    (replayed_after_a_refusal, "LOGIN_CHALLENGE_USED"),
    (late, "LOGIN_CHALLENGE_EXPIRED"),
    (from_the_future, "LOGIN_CHALLENGE_EXPIRED"),
    (other_session, "LOGIN_OTHER_SESSION"),
    (other_application, "LOGIN_OTHER_APPLICATION"),
    (unknown, "LOGIN_CHALLENGE_UNKNOWN"),
    (of_another_server, "LOGIN_CHALLENGE_UNKNOWN"),
    (truncated_id, "LOGIN_CHALLENGE_UNKNOWN"),
    (truncated_text, "LOGIN_CHALLENGE_UNKNOWN"),
    (changed_text, "LOGIN_CHALLENGE_UNKNOWN"),
    (truncated_signature, "LOGIN_SIGNATURE"),
    (empty_signature, "LOGIN_SIGNATURE"),
    (endless_signature, "LOGIN_SIGNATURE"),
    (signature_over_other_text, "LOGIN_SIGNATURE"),
    (signature_over_the_digest, "LOGIN_SIGNATURE"),
    (signature_of_raw_numbers, "LOGIN_SIGNATURE"),
    (other_key, "LOGIN_SIGNATURE"),
    (other_certificate, "LOGIN_SIGNATURE"),
    (algorithm_with_another_digest, "LOGIN_SIGNATURE"),
    (encryption_certificate, "KEY_USAGE"),
    (signing_of_forms_only, "KEY_USAGE"),
    (algorithm_of_another_key, "ALGORITHM_MISMATCH"),
    (algorithm_with_sha1, "LOGIN_ALGORITHM"),
    (algorithm_that_is_none, "LOGIN_ALGORITHM"),
    (certificate_that_is_none, "NOT_DER"),
    (certificate_with_trailing_data, "NOT_DER"),
    (certificate_twice, "NOT_PEM"),
    (certificate_of_a_stranger, "ISSUER_UNKNOWN"),
    (certificate_that_ended, "CERT_EXPIRED"),
    (certificate_of_tomorrow, "CERT_NOT_YET_VALID"),
]


@pytest.mark.parametrize("kept", ["memory", "sqlite"])
@pytest.mark.parametrize(("change", "code"), ROWS, ids=[change.__name__ for change, _ in ROWS])
def test_answers(
    world: Any,
    verifier: Verifier,
    code_of: Callable[..., str],
    change: Callable[[Answer], None],
    code: str,
    kept: str,
    tmp_path: Path,
) -> None:
    """Afterwards the challenge is used up, or was never one: the good answer comes too late."""
    store = MemoryStore() if kept == "memory" else SqliteStore(tmp_path / "logins.sqlite")
    login = Login(verifier, store=store)
    challenge = login.challenge(session="session one", at=T)
    leaf = world.leaf(key=ec.generate_private_key(ec.SECP256R1()))
    signature = leaf.sign(challenge.data)
    answer = Answer(world, verifier, login, challenge, leaf, leaf.der, signature, challenge.id)
    change(answer)
    assert code_of(answer.give) == code
    if code not in {"LOGIN_CHALLENGE_UNKNOWN"}:
        good = Answer(world, verifier, login, challenge, leaf, leaf.der, signature, challenge.id)
        assert code_of(good.give) == "LOGIN_CHALLENGE_USED"


def test_the_good_answer_logs_in(world: Any, verifier: Verifier) -> None:
    """What every row starts from."""
    login = Login(verifier)
    challenge = login.challenge(session="session one", at=T)
    leaf = world.leaf()
    answer = Answer(
        world, verifier, login, challenge, leaf, leaf.der, leaf.sign(challenge.data), challenge.id
    )
    assert answer.give()

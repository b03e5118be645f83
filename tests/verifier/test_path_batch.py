"""Many certificates at once: one answer for each, in order, whatever is among them; little is held."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from onecert.verifier import (
    PathParameters,
    PathValidator,
    RevocationEvidence,
    ValidatedPath,
    VerifyError,
    load_crl,
)
from onecert.verifier.path.search import Search
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

OFF = PathParameters(revocation=RevocationPolicy(mode=RevocationMode.OFF))


def validator(root: Any, *cas: Any, crls: Any = ()) -> PathValidator:
    return PathValidator(
        anchors=[root.anchor],
        candidates=[ca.der for ca in cas],
        evidence=RevocationEvidence(crls=crls),
        parameters=PathParameters() if crls else OFF,
    )


def word(answer: ValidatedPath | VerifyError) -> str:
    """The subject of what was accepted, or the code of what was not."""
    return answer.target.subject_text if isinstance(answer, ValidatedPath) else answer.code


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_one_answer_each_in_order(pki: Any, threads: int) -> None:
    """root -> two CAs -> 300 leaves; every third expired, altered, revoked, foreign or not even DER."""
    root = pki.root()
    cas = [pki.ca(root, "CA 1"), pki.ca(root, "CA 2")]
    foreign = pki.leaf(pki.root("Nobody's root"))
    revoked = pki.leaf(cas[0])
    pki.revoke(cas[0], revoked)
    expired = pki.leaf(cas[1], not_after=pki.T - pki.DAY)
    good = [pki.leaf(cas[number % 2], f"Clerk {number}") for number in range(20)]
    altered = good[0].der[:-1] + bytes([good[0].der[-1] ^ 1])
    bad = itertools.cycle(
        [
            (revoked.der, "CERT_REVOKED"),
            (expired.der, "CERT_EXPIRED"),
            (foreign.der, "ISSUER_UNKNOWN"),
            (altered, "CERT_SIGNATURE_INVALID"),
            (b"0\x03nonsense", "NOT_DER"),
        ]
    )
    fine = itertools.cycle([(leaf.der, f"CN=Clerk {n},C=CN") for n, leaf in enumerate(good)])
    cases = [next(bad) if number % 3 == 2 else next(fine) for number in range(300)]
    check = validator(root, *cas, crls=pki.crls(root, *cas))

    answers = check.validate_many((der for der, _ in cases), at=pki.T, threads=threads)

    assert [word(answer) for answer in answers] == [expected for _, expected in cases]


def test_every_answer_is_that_of_a_single_call(pki: Any) -> None:
    """root -> CA -> leaves: paths, evidence and end are those that ``validate`` gives."""
    root = pki.root()
    ca = pki.ca(root)
    leaves = [pki.leaf(ca, f"Clerk {number}").der for number in range(5)]
    crls = pki.crls(root, ca)
    many = list(validator(root, ca, crls=crls).validate_many(leaves, at=pki.T, threads=2))
    for leaf, answer in zip(leaves, many, strict=True):
        alone = validator(root, ca, crls=crls).validate(leaf, at=pki.T)
        assert isinstance(answer, ValidatedPath)
        assert answer.as_dict() == alone.as_dict()


def test_candidates_of_the_call(pki: Any) -> None:
    """The CA comes with the call, and beside it bytes that nobody can read."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca).der
    answers = validator(root).validate_many([leaf] * 3, at=pki.T, candidates=[b"?", ca.der], threads=2)
    assert [word(answer) for answer in answers] == ["CN=Clerk 7,C=CN"] * 3


def test_an_endless_list_is_taken_as_it_is_used(pki: Any) -> None:
    """A million leaves that are never all there: after ten answers, some hundred have been asked for."""
    root = pki.root()
    leaf = pki.leaf(root).der
    taken = 0
    takers = set()

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            takers.add(threading.get_ident())
            yield leaf

    answers = validator(root).validate_many(endless(), at=pki.T, threads=2)
    assert taken == 0
    assert all(isinstance(answer, ValidatedPath) for answer in itertools.islice(answers, 10))
    assert taken < 1000
    assert takers == {threading.get_ident()}
    answers.close()  # type: ignore[attr-defined]  # it is a generator


def test_threads_end_with_the_batch(pki: Any) -> None:
    """Whether it is read to its end or given up: no thread is left."""
    root = pki.root()
    check = validator(root)
    leaf = pki.leaf(root).der
    before = threading.active_count()
    assert len(list(check.validate_many([leaf] * 300, at=pki.T, threads=3))) == 300
    given_up = check.validate_many([leaf] * 3000, at=pki.T, threads=3)
    next(given_up)
    given_up.close()  # type: ignore[attr-defined]  # it is a generator
    assert threading.active_count() == before


def test_what_the_caller_does_wrong_is_raised(pki: Any) -> None:
    """A time without a zone, at once; a list that breaks off with an error, when it does."""
    root = pki.root()
    check = validator(root)
    with pytest.raises(ValueError, match="aware"):
        check.validate_many([], at=pki.T.replace(tzinfo=None))

    def broken() -> Iterator[bytes]:
        yield pki.leaf(root).der
        raise OSError("the file ends here")

    with pytest.raises(OSError, match="ends here"):
        list(check.validate_many(broken(), at=pki.T, threads=2))


def test_the_first_of_each_issuer_finds_the_path_for_all(pki: Any, monkeypatch: Any) -> None:
    """root -> five CAs -> leaves, nothing known, four threads: each CA's path is searched once."""
    root = pki.root()
    cas = [pki.ca(root, f"CA {number}") for number in range(5)]
    leaves = [pki.leaf(ca).der for ca in cas for _ in range(100)]
    searched: list[str] = []
    run = Search.run

    def counted(search: Search, target: Any, **kept: Any) -> ValidatedPath:
        searched.append(target.issuer_text)
        return run(search, target, **kept)

    monkeypatch.setattr(Search, "run", counted)
    answers = list(validator(root, *cas).validate_many(leaves, at=pki.T, threads=4))
    assert all(isinstance(answer, ValidatedPath) for answer in answers)
    assert sorted(searched) == [f"CN=CA {number},C=CN" for number in range(5)]


def test_lists_that_arrive_meanwhile_count(pki: Any) -> None:
    """The leaf is revoked by a list that is added after its first answers: later ones refuse it."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    check = validator(root, ca, crls=pki.crls(root, ca))
    pki.revoke(ca, leaf)
    newer = load_crl(pki.crl(ca, this_update=pki.T - pki.DAY / 48))
    answers = check.validate_many(itertools.repeat(leaf.der, 2000), at=pki.T, threads=2)
    assert word(next(answers)) == "CN=Clerk 7,C=CN"
    check.evidence.add_crl(newer)
    assert word(list(answers)[-1]) == "CERT_REVOKED"

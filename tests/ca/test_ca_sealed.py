"""A CA with SM2 keys sealed under a key of its SoftHSM token: restarts, crashes, a token that is away."""

from __future__ import annotations

import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ca_algorithms import hold, issue, request_of, validate
from ca_fakes import FaultyLedger, InterruptedActError
from cryptography import x509
from sqlalchemy import func, select

from onecert.ca import models
from onecert.ca.activation.holders import Holders
from onecert.ca.errors import SignatureFaultError, TokenGoneError
from onecert.ca.signatures.tokens import CaToken, document_key
from onecert.hsm import ServiceToken, Sm2PrivateKey, TokenUnavailableError, libcrypto, sealed_keys
from onecert.hsm.sealed_keys import SealedKeys

pytestmark = pytest.mark.token
POINTS = [(when, act) for act in ("record_intent", "record_issued") for when in ("before", "after")]


@pytest.fixture
def services(softhsm_store: Path, tmp_path: Path) -> Iterator[Any]:
    made: list[ServiceToken] = []

    def make(label: str) -> ServiceToken:
        unique = f"{label}-{secrets.token_hex(4)}"
        made.append(ServiceToken(unique, tmp_path / f"{unique}.pin", store=softhsm_store, sessions=2))
        return made[-1]

    yield make
    for token in made:
        token.close()


@pytest.fixture
def sealed(empty_world: Any, services: Any, tmp_path: Path) -> Any:
    """The SM2 authority “capital”, its keys and its root's sealed under two tokens."""
    empty_world.ledger_type = FaultyLedger
    FaultyLedger.fault = FaultyLedger.crash = None
    empty_world.services = {"ca": services("ca"), "root": services("ca-root")}
    return hold(reopened(empty_world, tmp_path), "sm2")


def reopened(world: Any, folder: Path) -> Any:
    """As a new process has it: the same tokens and folders, nothing in memory."""
    # Nobody's PIN is split here.
    holders = [Holders(label, folder / "activation", world.clock.now) for label in ("ca", "ca-root")]
    world.token = CaToken(world.services["ca"], folder / "sealed-keys", holders[0])
    world.roots = CaToken(world.services["root"], folder / "sealed-root-keys", holders[1])
    world.restart()
    return world


def test_the_whole_ceremony_leaves_only_sealed_keys(sealed: Any, tmp_path: Path) -> None:
    record = issue(sealed, request_of("sm2")[1])
    validate(sealed, record.certificate_der)
    files = {path.name: path for path in (tmp_path / "sealed-keys").glob("*.sm2")}
    assert set(files) == {"ca-capital.sm2", "ocsp-capital-1.sm2", "tsa-capital-1.sm2"}
    assert [path.name for path in (tmp_path / "sealed-root-keys").glob("*.sm2")] == ["root-capital-root.sm2"]
    for label, path in files.items():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        key = sealed.token.key(label.removesuffix(".sm2"))
        assert isinstance(key, Sm2PrivateKey)
        scalar = key.unlock().scalar()
        everywhere = [each for each in tmp_path.rglob("*") if each.is_file()]
        assert not [each for each in everywhere if scalar in each.read_bytes()]


def test_a_new_process_finds_the_same_keys(sealed: Any, tmp_path: Path) -> None:
    first = issue(sealed, request_of("sm2")[1])
    before = sealed.token.key("ca-capital").public_key()
    reopened(sealed, tmp_path)
    assert sealed.token.key("ca-capital").public_key() == before
    second = issue(sealed, request_of("sm2")[1])
    for record in (first, second):
        validate(sealed, record.certificate_der)
    # The ceremony, held again, changes nothing.
    assert sealed.token.find_or_make("ca-capital", "sm2")[1] is False


def test_a_token_that_is_away_takes_the_sealed_keys_with_it(
    sealed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unlocked key signs without its token, until readiness looks; then nothing signs."""
    issue(sealed, request_of("sm2")[1])
    key = sealed.token.key("ca-capital")
    with monkeypatch.context() as patch:
        for name in ("check", "open", "sealing_key"):
            patch.setattr(ServiceToken, name, _gone)
        with pytest.raises(TokenGoneError):
            sealed.token.check()
        assert not key.is_unlocked
        with pytest.raises(TokenGoneError):
            issue(sealed, request_of("sm2")[1])
        with pytest.raises(TokenGoneError):
            sealed.token.find_or_make("ca-another", "sm2")
    issue(sealed, request_of("sm2")[1])
    assert key.is_unlocked
    sealed.token.close()
    assert not key.is_unlocked


def _gone(self: ServiceToken, *_arguments: object) -> None:
    raise TokenUnavailableError(label=self.label, reason="test")


def test_another_keys_file_in_its_place_signs_nothing(sealed: Any, tmp_path: Path) -> None:
    """The responder's file where the authority's was: it does not open, and nothing is issued."""
    folder = tmp_path / "sealed-keys"
    shutil.copy(folder / "ocsp-capital-1.sm2", folder / "ca-capital.sm2")
    reopened(sealed, tmp_path)
    with pytest.raises(TokenGoneError):
        issue(sealed, request_of("sm2")[1])


def test_a_key_that_was_made_anew_under_the_old_name_signs_nothing(sealed: Any, tmp_path: Path) -> None:
    """Whole and well sealed, but not the key of the authority's certificate."""
    keys = SealedKeys(sealed.services["ca"], tmp_path / "sealed-keys")
    keys.destroy("ca-capital")
    keys.find_or_make("ca-capital")
    reopened(sealed, tmp_path)
    with pytest.raises(SignatureFaultError):
        issue(sealed, request_of("sm2")[1])


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("posted_again", [True, False])
def test_issue_interrupted_at_each_commit(
    sealed: Any, tmp_path: Path, point: tuple[str, str], posted_again: bool
) -> None:
    """As with keys on a token: recovery, or the RA that posts again, finds one certificate."""
    document = sealed.order(authority="capital", csr_pem=request_of("sm2")[1])
    FaultyLedger.fault = point
    with pytest.raises(InterruptedActError):
        sealed.parts.issuance.issue(document)
    reopened(sealed, tmp_path)
    if posted_again:
        assert sealed.parts.issuance.issue(document).record.state == "issued"
    sealed.parts.recovery.run(sealed.clock.now())

    issued = models.certificates.c.order_id == sealed.parts.desk.open_order(document).id
    with sealed.context.database.reading() as connection:
        rows = connection.execute(select(models.certificates).where(issued)).all()
    assert len(rows) == (0 if point == ("before", "record_intent") and not posted_again else 1)
    for row in rows:
        assert row.state == "issued"
        validate(sealed, row.certificate_der)
        assert f"{x509.load_der_x509_certificate(row.certificate_der).serial_number:x}" == row.serial
    assert sealed.parts.ledger.unfinished() == []


@pytest.mark.parametrize("step", ["generate", "replace_file"])
def test_a_ceremony_interrupted_while_a_key_is_made_goes_on(
    empty_world: Any, services: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    empty_world.services = {"ca": services("ca"), "root": services("ca-root")}
    reopened(empty_world, tmp_path)
    place = libcrypto if step == "generate" else sealed_keys
    with monkeypatch.context() as patch:
        patch.setattr(place, step, _interrupted)
        with pytest.raises(InterruptedActError):
            hold(empty_world, "sm2")
    assert not list((tmp_path / "sealed-root-keys").glob("*.sm2"))
    world = hold(reopened(empty_world, tmp_path), "sm2")
    validate(world, issue(world, request_of("sm2")[1]).certificate_der)
    with world.context.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(models.authorities)).scalar_one() == 2


def _interrupted(*_args: Any, **_kwargs: Any) -> None:
    raise InterruptedActError


def test_documents_are_signed_with_keys_that_documents_know(sealed: Any) -> None:
    """No JWS algorithm is registered for SM2: the record of a ceremony is signed with the CA's P-256 key."""
    sm2 = sealed.roots.key("root-capital-root")
    chosen = document_key(sealed.token, "audit", sm2)
    assert chosen.public_key() == document_key(sealed.token, "audit").public_key()
    preferred = sealed.token.find_or_make("another", "p-256")[0]
    assert document_key(sealed.token, "audit", preferred) is preferred

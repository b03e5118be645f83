"""A sweep that finds nothing proves something only if it would find it: one broken thing after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text
from sweep_hooks import hooked
from sweep_invariants import ListWatch, broken, watch_signing
from sweep_points import POINTS, Crash, Fault
from sweep_runner import sweep
from sweep_scenarios import SCENARIOS
from sweep_worlds import Place, Prepared, sqlite_place

from onecert.ca.issuing.certifier import Certifier

REVOKE = next(each for each in SCENARIOS if each.name == "revoke")
ORDER = next(each for each in SCENARIOS if each.name == "order")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return sqlite_place(tmp_path_factory.mktemp("worlds"))


@pytest.fixture(scope="module")
def prepared(place: Place) -> Prepared:
    return place.prepare(REVOKE.prepare)


@pytest.fixture
def world(place: Place, prepared: Prepared) -> Iterator[Any]:
    """A CA that has revoked its one certificate, at rest."""
    with place.opened(prepared) as (opened, memo):
        REVOKE.act(opened, memo)
        opened.parts.responders.follow()
        assert list(broken(opened)) == []
        yield opened


def _sql(world: Any, statement: str) -> None:
    with world.context.database.transaction() as connection:
        connection.execute(text(statement))


def _sign_something(world: Any) -> None:
    certificate_der = world.parts.ledger.certificate("harbour", _serial(world)).certificate_der
    tbs_der = x509.load_der_x509_certificate(certificate_der).tbs_certificate_bytes
    world.token.keys["ca-harbour"].sign(tbs_der[:-1] + b"x", ec.ECDSA(hashes.SHA256()))


def _serial(world: Any) -> str:
    (serial,) = world.serials_on_list()
    return str(serial)


BREAKS: dict[str, tuple[Callable[[Any], None], str]] = {
    "signed and not on record": (_sign_something, "signed and not on record"),
    "the certificate is lost": (
        lambda world: _sql(world, "UPDATE ca_certificates SET certificate_der = NULL WHERE reason <> ''"),
        "checker:",
    ),
    "an intent is left": (
        lambda world: _sql(world, "UPDATE ca_certificates SET state = 'intended' WHERE reason <> ''"),
        "half-done:",
    ),
    "the revocation is taken back": (
        lambda world: _sql(world, "UPDATE ca_certificates SET status = 'good' WHERE reason <> ''"),
        "OCSP says",
    ),
    "the list lacks it": (
        lambda world: _sql(world, "DELETE FROM ca_crl_entries"),
        "checker:",
    ),
    "the list is torn": (
        lambda world: world.parts.files.path("harbour", "crl").write_bytes(b"\x30\x82"),
        "list checker:",
    ),
    "an order has no certificate": (
        lambda world: _sql(world, "UPDATE ca_certificates SET order_id = 'none' WHERE reason <> ''"),
        "orders without certificates",
    ),
    "the trail is altered": (
        lambda world: _sql(world, "UPDATE audit_entries SET actor = 'nobody' WHERE seq = 2"),
        "audit trail:",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_seen(world: Any, what: str) -> None:
    act, finding = BREAKS[what]
    act(world)
    assert [each for each in broken(world) if each.startswith(finding)]


def test_a_list_that_goes_back_is_seen(world: Any) -> None:
    path = world.parts.files.path("harbour", "crl")
    older = path.read_bytes()
    world.parts.publisher.publish("harbour")
    watch = ListWatch(world)
    assert watch.look() == []
    path.write_bytes(older)
    assert "went back" in watch.look()[0]
    path.unlink()
    assert watch.look() == ["harbour.crl is gone"]


def test_a_signature_before_the_record_is_seen(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CA that signs first and writes down after: nothing is wrong in the end, and yet it is found."""
    reserve = Certifier._reserve

    def eager(self: Any, maker: Any, key_label: str, request: Any, order: Any) -> Any:
        draft = self.draft(maker, request, self._clock.now())
        self.sign(maker.issuer, key_label, f"{draft.serial:x}", draft.tbs_der)
        return reserve(self, maker, key_label, request, order)

    faults: list[str] = []
    prepared = place.prepare(ORDER.prepare)
    with place.opened(prepared) as (world, memo):
        monkeypatch.setattr(Certifier, "_reserve", eager)
        watch_signing(world, faults)
        ORDER.act(world, memo)
        assert faults == ["signed before it was on record: ca-harbour"]
        assert any(each.startswith("signed and not on record") for each in broken(world))


def test_a_crash_leaves_no_trace_of_what_comes_after_it(place: Place, prepared: Prepared) -> None:
    """Handlers and other threads of a dead process do nothing more."""
    with hooked(), place.opened(prepared) as (world, memo):
        with POINTS.watched(Fault(0, "crash"), lambda _by, _passes: None):
            for _time in range(2):
                with pytest.raises(Crash):
                    REVOKE.act(world, memo)
        place.reopen(world)
        assert world.serials_on_list() == set()
        assert list(broken(world)) == []


def test_a_ca_that_forgets_is_found_by_the_sweep(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without recovery, an order that nobody posts again stays half-done."""
    monkeypatch.setattr("onecert.ca.issuing.recovery.Recovery.run", lambda *_arguments, **_named: None)
    with pytest.raises(RuntimeError, match="recovery without any fault"):
        sweep(place, only=["recovery"], kills=0)

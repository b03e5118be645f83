"""Processes beside the service prepare single orders: they save work and decide nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from ca_fakes import make_csr
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import update

from onecert.ca import models
from onecert.ca.errors import OrderAlteredError, RequestMalformedError
from onecert.ca.issuing.issuance import Issuance


@pytest.fixture
def helped(world: Any) -> Iterator[Any]:
    """A CA with one helper, which is ready."""
    world.config = replace(world.config, batch_workers=1)
    world.restart()
    issuance: Issuance = world.parts.issuance
    assert issuance.helpers is not None
    assert issuance.helpers.start(world.clock.now()) == 1
    with issuance.under_way:  # as if another order were under way
        yield world
    issuance.close()


def prepared(world: Any, document: bytes) -> Any:
    return world.parts.issuance.helpers.prepare(document, world.clock.now())


def test_prepared_order_becomes_the_same_certificate(helped: Any) -> None:
    """What the helper prepares is on record, linted and audited like any other, and posted again is known."""
    key = ec.generate_private_key(ec.SECP256R1())
    alone = x509.load_pem_x509_certificate(
        helped.issue(csr_pem=make_csr(key)).as_json()["certificate_pem"].encode()
    )
    document = helped.order(csr_pem=make_csr(key))
    assert prepared(helped, document) is not None
    issued = helped.parts.issuance.issue(document)
    assert issued.is_new
    made = x509.load_der_x509_certificate(issued.record.certificate_der)
    assert made.subject == alone.subject
    assert list(made.extensions) == list(alone.extensions)
    assert made.not_valid_after_utc == alone.not_valid_after_utc
    assert f"{made.serial_number:x}" == issued.record.serial
    again = helped.parts.issuance.issue(document)
    assert not again.is_new
    assert again.record.serial == issued.record.serial
    assert helped.parts.ledger.unfinished() == []


def test_what_is_refused_is_refused_by_the_service(helped: Any) -> None:
    """A helper says nothing about a bad order; the answer is the usual one and nothing is on record."""
    bad = helped.order(csr_pem="-----BEGIN nothing")
    assert prepared(helped, bad) is None
    assert prepared(helped, b"not a document") is None
    with pytest.raises(RequestMalformedError):
        helped.parts.issuance.issue(bad)
    good = helped.order()
    with pytest.raises(OrderAlteredError):
        helped.parts.issuance.issue(good, idempotency_key="another-number")
    assert helped.parts.issuance.issue(good).is_new


def test_two_keys_of_one_holder_prepared_at_once(helped: Any) -> None:
    """Both are drafted with the same key number: the second is taken back and drafted anew."""
    first, second = helped.order(), helped.order()
    ready = prepared(helped, first), prepared(helped, second)
    assert ready[0].intent.key_number == ready[1].intent.key_number
    authority = helped.parts.authorities.get("harbour")
    certify = helped.parts.certifier.certify_prepared
    assert certify(authority.issuer, authority.key_label, ready[0]).state == "issued"
    assert certify(authority.issuer, authority.key_label, ready[1]) is None
    assert certify(authority.issuer, authority.key_label, ready[0]) is None
    assert helped.parts.issuance.issue(second).is_new
    assert not helped.parts.issuance.issue(first).is_new


def test_helper_that_ends(helped: Any) -> None:
    """Killed: the order is filled without it, and another helper follows."""
    helpers = helped.parts.issuance.helpers
    for helper in helpers.all():
        helper.process.kill()
        helper.process.join()
    assert helped.parts.issuance.issue(helped.order()).is_new
    assert helpers.all() == []
    assert helpers.start(helped.clock.now()) == 1
    assert prepared(helped, helped.order()) is not None


def test_helper_that_knows_an_older_authority(helped: Any) -> None:
    """Partitions were raised since: what it prepared is not used, the certificate names its new list."""
    assert prepared(helped, helped.order()) is not None
    with helped.context.database.transaction() as connection:
        connection.execute(update(models.authorities).values(crl_partitions=4))
    helped.parts.authorities.reload()
    document = helped.order()
    assert prepared(helped, document).intent.record.crl_partition == 0
    assert helped.parts.issuance.issue(document).record.crl_partition > 0
    helped.parts.issuance.helpers.start(helped.clock.now())
    assert prepared(helped, helped.order()).intent.record.crl_partition > 0


def test_nobody_is_asked_for_a_single_order(lite: Any) -> None:
    """One order at a time: no process is started."""
    lite.config = replace(lite.config, batch_workers=1)
    lite.restart()
    assert lite.issue().is_new
    assert lite.parts.issuance.helpers.all() == []

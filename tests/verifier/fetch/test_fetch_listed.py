"""Lists, answers and the trust list from the addresses that the supervision has signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from onecert.verifier import CouldNotCheckError, CrlFetcher, VerifyError
from onecert.verifier.certificate import as_parsed
from onecert.verifier.fetch import FetchRequest, listed_fetch
from onecert.verifier.trust_list.vocabulary import SupplyKind

MINUTE = timedelta(minutes=1)


@dataclass
class Service:
    """As much of a ``TrustedService`` as is asked for here."""

    certificates: tuple[Any, ...]
    addresses: dict[SupplyKind, list[str]] = field(default_factory=dict)

    def urls(self, kind: SupplyKind) -> list[str]:
        return self.addresses.get(kind, [])


@dataclass
class Published:
    """Two CAs on a list, each with a CRL and an OCSP address on ``web``."""

    pki: Any
    web: Any
    cas: list[Any]
    listed: Any

    def publish(self, **changes: Any) -> None:
        for number, ca in enumerate(self.cas):
            self.web.serve(f"/{number}.crl", self.pki.crl(ca, **changes))


@pytest.fixture
def published(pki: Any, web: Any) -> Published:
    cas = [pki.root(f"CA {number}") for number in range(2)]
    services = [
        Service(
            (as_parsed(ca.certificate),),
            {
                SupplyKind.CRL: [web.url(f"/{number}.crl")],
                SupplyKind.OCSP: [web.url(f"/{number}/dead"), web.url(f"/{number}/ocsp")],
            },
        )
        for number, ca in enumerate(cas)
    ]
    made = Published(pki, web, cas, SimpleNamespace(services=services, sequence=1))
    made.publish()
    return made


def test_lists_inside_the_network(published: Published, tmp_path: Path) -> None:
    """The list's addresses may be private ones: here they lie on the loopback interface."""
    source = CrlFetcher(tmp_path)
    evidence = source.lists(published.listed, published.pki.T)
    assert all(evidence.crls_of(ca.anchor.name) for ca in published.cas)
    assert source.lists(published.listed, published.pki.T + 5 * MINUTE) is evidence
    assert len(published.web.asked) == 2
    version = evidence.version
    published.publish(this_update=published.pki.T)
    source.lists(published.listed, published.pki.T + 10 * MINUTE)
    assert evidence.version > version
    assert len(published.web.asked) == 4


def test_no_redirects(published: Published, tmp_path: Path) -> None:
    """The list says where to look, not some server."""
    published.web.pages["/0.crl"] = published.web.redirect("/1.crl")
    source = CrlFetcher(tmp_path)
    evidence = source.lists(published.listed, published.pki.T)
    assert not evidence.crls_of(published.cas[0].anchor.name)
    assert published.web.count("/1.crl") == 1


def test_a_restart_without_network(published: Published, tmp_path: Path) -> None:
    CrlFetcher(tmp_path).lists(published.listed, published.pki.T)
    published.web.pages.clear()
    evidence = CrlFetcher(tmp_path).lists(published.listed, published.pki.T + 60 * MINUTE)
    assert all(evidence.crls_of(ca.anchor.name) for ca in published.cas)


def test_an_outage_costs_little(published: Published, tmp_path: Path) -> None:
    """Nobody is asked at each login: after 1, 2, 4, 8 minutes, then every ten."""
    source = CrlFetcher(tmp_path)
    published.web.pages.clear()
    for minutes in range(30):
        source.lists(published.listed, published.pki.T + minutes * MINUTE)
    assert published.web.count("/0.crl") == len([0, 1, 3, 7, 15, 25])
    # Back again: there within ten minutes.
    published.publish()
    evidence = source.lists(published.listed, published.pki.T + 35 * MINUTE)
    assert evidence.crls_of(published.cas[0].anchor.name)


def test_a_new_trust_list(published: Published, tmp_path: Path) -> None:
    """A service that is no longer on the list is no longer asked, a new one at once."""
    source = CrlFetcher(tmp_path)
    source.lists(SimpleNamespace(services=published.listed.services[:1]), published.pki.T)  # type: ignore[arg-type]
    evidence = source.lists(
        SimpleNamespace(services=published.listed.services[1:]),  # type: ignore[arg-type]
        published.pki.T + MINUTE,
    )
    first, second = (evidence.crls_of(ca.anchor.name) for ca in published.cas)
    assert (first, len(second)) == ((), 1)
    source.refresh(published.pki.T + 20 * MINUTE)
    assert [asked.path for asked in published.web.asked] == ["/0.crl", "/1.crl", "/1.crl"]


def test_background(published: Published, tmp_path: Path) -> None:
    source = CrlFetcher(tmp_path, background=True)
    evidence = source.lists(published.listed, published.pki.T)
    published.publish(this_update=published.pki.T)
    source.lists(published.listed, published.pki.T + 20 * MINUTE)
    source.close()
    for ca in published.cas:
        (crl,) = evidence.crls_of(ca.anchor.name)
        assert crl.this_update == published.pki.T


def test_the_next_responder_is_asked(published: Published, tmp_path: Path) -> None:
    """The first one does not answer; the answer of the second is kept for ten minutes."""
    pki, web = published.pki, published.web
    leaf = pki.leaf(published.cas[1])
    web.pages["/1/ocsp"] = web.response(pki.ocsp(published.cas[1], leaf))
    source = CrlFetcher(tmp_path, use_ocsp=True)
    for minutes in (0, 5):
        (answer,) = source.answers(as_parsed(leaf.certificate), published.listed, pki.T + minutes * MINUTE)
        assert answer.answers[0].status == "good"
    assert [asked.path for asked in web.asked] == ["/1/dead", "/1/ocsp", "/1/dead"]
    assert CrlFetcher(tmp_path).answers(as_parsed(leaf.certificate), published.listed, pki.T) == ()


def test_listed_fetch_still_has_limits(web: Any) -> None:
    with pytest.raises(CouldNotCheckError, match="FETCH_SCHEME"):
        listed_fetch()(FetchRequest(url="file:///etc/passwd", max_bytes=10))
    with pytest.raises(VerifyError, match="FETCH_TOO_LARGE"):
        listed_fetch()(FetchRequest(url=web.serve("/a", bytes(11)), max_bytes=10))

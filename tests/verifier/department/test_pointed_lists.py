"""Our list points to others, over HTTP and with real keys; no list gets more than ours grants it.

own list -> pearl            followed: gd (province) -> harbour, summit; hk -> stranger, under a policy
Each list has a root, officers and a timestamp of its own.
"""

import base64
import copy
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.testkit.documents import sign_document
from onecert.testkit.trust_roles import TrustHolders
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.fetch import TrustListUrl
from onecert.verifier.fetch.listed import listed_fetch
from onecert.verifier.fetch.pointed_lists import follow_by_url
from onecert.verifier.revocation import RevocationEvidence
from onecert.verifier.trust_list import (
    FileState,
    Status,
    StatusEntry,
    TrustListError,
    load_trust_root,
    parse_trust_list,
)
from onecert.verifier.trust_list.pointers import PointedListError, PointedTrustLists, combine
from onecert.verifier.verifier import Verifier

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FIRM = "uscc:91440300MA5DEM004J"
HK_POLICY = "1.3.6.1.4.1.99999.1"
ALL_TYPES = ["uscc", "org", "idcard"]
ALL_CLASSES = ["organisation", "employee", "citizen"]


def written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def status(name: str, start: datetime) -> dict[str, str]:
    return {"ServiceStatus": f"urn:onecert:service-status:{name}", "StatusStartingTime": written(start)}


def service(payload: dict[str, Any], name: str) -> dict[str, Any]:
    services = payload["LoTE"]["TrustedEntitiesList"][0]["TrustedEntityServices"]
    return next(
        s for s in services if s["ServiceInformation"]["ServiceDigitalIdentity"]["OtherIds"] == [name]
    )


def certificate_of(name: str, certificate: x509.Certificate, payload: dict[str, Any]) -> dict[str, Any]:
    """A service that describes its holders as harbour does, with this certificate."""
    made = copy.deepcopy(service(payload, "harbour"))
    der = certificate.public_bytes(serialization.Encoding.DER)
    made["ServiceInformation"]["ServiceDigitalIdentity"] = {
        "X509Certificates": [{"val": base64.b64encode(der).decode()}],
        "OtherIds": [name],
    }
    return made


@dataclass
class Site:
    """One operator of a list: his keys, and the folder that he publishes."""

    folder: Path
    holders: TrustHolders = field(default_factory=TrustHolders)

    def __post_init__(self) -> None:
        self.root = self.holders.sign_root(1, at=T - 30 * DAY)

    def publish(
        self, payload: dict[str, Any], *, version: int = 1, lasts: timedelta = DAY, at: datetime = T
    ) -> None:
        listed = sign_document(payload, typ="onecert-trust-list+json", keys=self.holders.list.keys)
        stamp = self.holders.sign_timestamp(version, at=at, lasts=lasts, root=self.root, trust_list=listed)
        (self.folder / "trust-roots").mkdir(parents=True, exist_ok=True)
        for name, data in (
            ("trust-root.json", self.root),
            ("trust-roots/1.json", self.root),
            ("trust-list.json", listed),
            ("trust-timestamp.json", stamp),
        ):
            (self.folder / name).write_bytes(data)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


class Lists:
    """The three operators, their web server, and a department."""

    def __init__(self, world: Any, folder: Path, base: str) -> None:
        self.world, self.folder, self.base = world, folder, base
        self.sites = {name: Site(folder / "site" / name) for name in ("own", "gd", "hk")}
        self.terms: dict[str, dict[str, Any]] = {
            "gd": self.grant("gd"),
            "hk": self.grant("hk", policies=[HK_POLICY]),
        }
        self.locations = {name: f"{base}/{name}/trust-list.json" for name in ("gd", "hk")}

    def grant(self, name: str, **changes: Any) -> dict[str, Any]:
        return {
            "id": name,
            "root": base64.b64encode(self.sites[name].root).decode(),
            "history": [status("granted", T - 400 * DAY)],
            "id_types": ALL_TYPES,
            "classes": ALL_CLASSES,
            **changes,
        }

    def payload(self, *names: str, sequence: int = 1) -> dict[str, Any]:
        """A list of these services; ``stranger`` is a CA that describes its holders as harbour does."""
        payload = self.world.payload(sequence)
        entity = payload["LoTE"]["TrustedEntitiesList"][0]
        entity["TrustedEntityServices"] = [
            certificate_of(name, self.world.cas[name], payload)
            if name == "stranger"
            else service(payload, name)
            for name in names
        ]
        return payload

    def own_payload(self, *, sequence: int = 1) -> dict[str, Any]:
        payload = self.payload("pearl", sequence=sequence)
        payload["LoTE"]["ListAndSchemeInformation"]["PointersToOtherLoTE"] = [
            {
                "LoTELocation": self.locations[name],
                "SchemeOperatorName": [{"lang": "zh", "value": "某省"}, {"lang": "en", "value": name}],
                "PointerExtensions": [
                    {"Type": "urn:onecert:extension:pointer-terms", "Critical": True, "Value": terms}
                ],
            }
            for name, terms in self.terms.items()
        ]
        return payload

    def publish(self) -> None:
        self.sites["own"].publish(self.own_payload())
        self.sites["gd"].publish(self.payload("harbour", "summit"))
        self.sites["hk"].publish(self.payload("stranger"))

    def source(self, **changes: Any) -> PointedTrustLists:
        own = TrustListUrl(
            f"{self.base}/own/trust-list.json",
            root=load_trust_root(self.sites["own"].root),
            folder=self.folder / "copies" / "own",
            state=FileState(self.folder / "state" / "own.json"),
        )
        follow = follow_by_url(
            self.folder / "copies", state_folder=self.folder / "state" / "others", **changes
        )
        return PointedTrustLists(own, follow)

    def verifier(self, **changes: Any) -> Verifier:
        crls = [self.world.crl(name) for name in ("pearl", "harbour", "summit", "stranger")]
        return Verifier(
            trust_list=self.source(**changes), evidence=RevocationEvidence(crls=crls), application="tax"
        )


@pytest.fixture
def lists(world: Any, tmp_path: Path) -> Iterator[Lists]:
    (tmp_path / "site").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "site"))
    Thread(target=server.serve_forever, daemon=True).start()
    yield Lists(world, tmp_path, f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    server.server_close()


def hk_leaf(world: Any, *policies: str) -> bytes:
    number = world.leaf("harbour").certificate.extensions[-1]
    extensions = {number.oid.dotted_string: number.value.value}
    if policies:
        rows = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in policies]
        extensions["2.5.29.32"] = x509.CertificatePolicies(rows).public_bytes()
    return world.leaf("stranger", extensions=extensions).der  # type: ignore[no-any-return]  # a fixture of Any


def refused(verifier: Verifier, leaf: bytes, at: datetime = T) -> VerifyError:
    with pytest.raises(VerifyError) as caught:
        verifier.verify(leaf, at=at)
    assert caught.value.text("zh") not in {caught.value.code, caught.value.text("en")}
    return caught.value


def test_three_lists_are_one(lists: Lists, world: Any) -> None:
    """One firm with certificates from the city's, the province's and Hong Kong's CA is one identity."""
    lists.publish()
    verifier = lists.verifier()
    found = {
        (result.service.id, result.identity.id)
        for leaf in (world.leaf("pearl").der, world.leaf("summit").der, hk_leaf(world, HK_POLICY))
        for result in [verifier.verify(leaf, at=T)]
    }
    assert found == {("pearl", FIRM), ("gd/summit", FIRM), ("hk/stranger", FIRM)}
    trust_list = verifier.trust_list(T)
    assert [s.id for s in trust_list] == ["pearl", "gd/harbour", "gd/summit", "hk/stranger"]
    shown = trust_list.as_dict(T)
    assert [(p["terms"]["id"], p["terms"]["status"]) for p in shown["pointers"]] == [
        ("gd", "granted"),
        ("hk", "granted"),
    ]
    assert shown["missing_lists"] == []
    assert verifier.trust_list(T + HOUR / 2) is trust_list


def test_cross_recognition_needs_the_policy(lists: Lists, world: Any) -> None:
    lists.publish()
    verifier = lists.verifier()
    for policies in ((), ("1.2.3.4",)):
        assert refused(verifier, hk_leaf(world, *policies)).code == "CA_POLICY_NOT_ACCEPTED"
    # Its own operator may demand one too; then both count.
    payload = lists.payload("stranger", sequence=2)
    service(payload, "stranger")["ServiceInformation"]["ServiceInformationExtensions"].append(
        {"Type": "urn:onecert:extension:policies", "Critical": True, "Value": {"accepted": ["1.2.3.4"]}}
    )
    lists.sites["hk"].publish(payload, version=2, at=T + HOUR)
    later = T + 2 * HOUR
    assert verifier.verify(hk_leaf(world, HK_POLICY, "1.2.3.4"), at=later)
    assert refused(verifier, hk_leaf(world, HK_POLICY), later).code == "CA_POLICY_NOT_ACCEPTED"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id_types": ["idcard"]}, "OUT_OF_SCOPE"),
        ({"classes": ["citizen"]}, "OUT_OF_SCOPE"),
        ({"services": ["summit"]}, "ISSUER_UNKNOWN"),
        ({"history": [status("granted", T - HOUR)]}, "CA_NOT_GRANTED_AT_ISSUE"),
        (
            {"history": [status("granted", T - 400 * DAY), status("withdrawn", T - DAY)]},
            "CA_WITHDRAWN",
        ),
        (
            {"history": [status("granted", T - 400 * DAY), status("suspended", T - DAY)]},
            "CA_SUSPENDED",
        ),
    ],
)
def test_no_more_than_is_granted(lists: Lists, world: Any, changes: dict[str, Any], code: str) -> None:
    lists.terms["gd"] = lists.grant("gd", **changes)
    lists.publish()
    verifier = lists.verifier()
    assert refused(verifier, world.leaf("harbour").der).code == code
    assert verifier.verify(world.leaf("pearl").der, at=T).service.id == "pearl"


def test_what_the_other_operator_refuses_is_refused_here(lists: Lists, world: Any) -> None:
    lists.publish()
    payload = world.payload(status={"harbour": [("suspended", T - DAY)]})
    lists.sites["gd"].publish(payload)
    verifier = lists.verifier()
    assert refused(verifier, world.leaf("harbour").der).code == "CA_SUSPENDED"
    assert verifier.verify(world.leaf("summit").der, at=T).service.id == "gd/summit"


def test_another_list_has_no_key_and_no_name_of_ours(lists: Lists, world: Any) -> None:
    """gd claims pearl's key under another id, and a CA of its own under pearl's name."""
    lists.publish()
    payload = lists.payload("harbour")
    ours = world.cas["pearl"]
    key = ec.generate_private_key(ec.SECP256R1())
    same_name = (
        x509.CertificateBuilder(ours.subject, ours.subject, key.public_key(), 5)
        .not_valid_before(T - 1000 * DAY)
        .not_valid_after(T + 1000 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    full = world.payload()
    payload["LoTE"]["TrustedEntitiesList"][0]["TrustedEntityServices"] += [
        certificate_of("a-key", ours, full),
        certificate_of("a-name", same_name, full),
    ]
    lists.sites["gd"].publish(payload)
    verifier = lists.verifier()
    assert [s.id for s in verifier.trust_list(T)] == ["pearl", "gd/harbour", "hk/stranger"]
    assert verifier.verify(world.leaf("pearl").der, at=T).service.id == "pearl"


def test_what_another_list_points_to_is_not_followed(lists: Lists, world: Any) -> None:
    """gd points to hk, ours does not."""
    hk = lists.terms.pop("hk")
    lists.publish()
    payload = lists.payload("harbour")
    payload["LoTE"]["ListAndSchemeInformation"]["PointersToOtherLoTE"] = [
        {
            "LoTELocation": lists.locations["hk"],
            "PointerExtensions": [
                {"Type": "urn:onecert:extension:pointer-terms", "Critical": True, "Value": hk}
            ],
        }
    ]
    lists.sites["gd"].publish(payload)
    verifier = lists.verifier()
    assert [s.id for s in verifier.trust_list(T)] == ["pearl", "gd/harbour"]
    assert refused(verifier, hk_leaf(world, HK_POLICY)).code == "ISSUER_UNKNOWN"


def _wrong_root(lists: Lists) -> str:
    lists.sites["gd"].holders = TrustHolders()
    lists.sites["gd"].publish(lists.payload("harbour"))
    return "gd"


def _gone(lists: Lists) -> str:
    for name in ("trust-timestamp.json", "trust-list.json"):
        (lists.sites["gd"].folder / name).unlink()
    return "gd"


def _expired(lists: Lists) -> str:
    lists.sites["gd"].publish(lists.payload("harbour"), at=T - 2 * DAY)
    return "gd"


def _huge(lists: Lists) -> str:
    (lists.sites["gd"].folder / "trust-list.json").write_bytes(b"[" * (17 * 1024 * 1024))
    return "gd"


def _mixed(lists: Lists) -> str:
    before = (lists.sites["gd"].folder / "trust-list.json").read_bytes()
    lists.sites["gd"].publish(lists.payload("harbour", sequence=2))
    (lists.sites["gd"].folder / "trust-list.json").write_bytes(before)
    return "gd"


def _unsigned(lists: Lists) -> str:
    (lists.sites["gd"].folder / "trust-timestamp.json").write_bytes(b'{"payload":"e30","signatures":[]}')
    return "gd"


@pytest.mark.parametrize("spoil", [_wrong_root, _gone, _expired, _huge, _mixed, _unsigned])
def test_a_list_that_fails_takes_nothing_of_ours_away(
    lists: Lists, world: Any, spoil: Callable[[Lists], str]
) -> None:
    """Nobody can tell then whether a CA that we do not know is one of theirs."""
    lists.publish()
    spoil(lists)
    verifier = lists.verifier()
    assert verifier.verify(world.leaf("pearl").der, at=T).service.id == "pearl"
    assert verifier.verify(hk_leaf(world, HK_POLICY), at=T).service.id == "hk/stranger"
    error = refused(verifier, world.leaf("harbour").der)
    assert isinstance(error, PointedListError)
    assert isinstance(error, CouldNotCheckError)
    assert (error.code, error.facts["lists"]) == ("POINTED_LIST_MISSING", ["gd"])
    assert "gd: " in error.text("en")
    assert verifier.explain(world.leaf("harbour").der, at=T).answer.code == "POINTED_LIST_MISSING"
    assert [row["id"] for row in verifier.trust_list(T).as_dict(T)["missing_lists"]] == ["gd"]


def test_an_older_list_is_not_taken_back(lists: Lists, world: Any) -> None:
    """gd has withdrawn harbour; then the list of before is shown again, to a process that has just begun."""
    lists.publish()
    old = {path.name: path.read_bytes() for path in lists.sites["gd"].folder.glob("*.json")}
    payload = world.payload(2, status={"harbour": [("withdrawn", T - DAY)]})
    lists.sites["gd"].publish(payload, version=2)
    assert refused(lists.verifier(), world.leaf("harbour").der).code == "CA_WITHDRAWN"
    for name, data in old.items():
        (lists.sites["gd"].folder / name).write_bytes(data)
    assert refused(lists.verifier(), world.leaf("harbour").der).code == "CA_WITHDRAWN"  # the copy serves on
    for copied in (lists.folder / "copies" / "gd").glob("*.json"):
        copied.unlink()
    assert refused(lists.verifier(), world.leaf("harbour").der).code == "POINTED_LIST_MISSING"


def test_a_server_that_never_answers(lists: Lists, world: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lists.locations["gd"] = f"http://127.0.0.1:{silent.getsockname()[1]}/trust-list.json"
        lists.publish()
        verifier = lists.verifier(fetch=listed_fetch(timedelta(milliseconds=200)))
        assert verifier.verify(world.leaf("pearl").der, at=T).service.id == "pearl"
        assert refused(verifier, world.leaf("harbour").der).code == "POINTED_LIST_MISSING"


def test_a_list_that_comes_back_is_taken(lists: Lists, world: Any) -> None:
    lists.publish()
    _gone(lists)
    verifier = lists.verifier()
    assert refused(verifier, world.leaf("harbour").der).code == "POINTED_LIST_MISSING"
    lists.sites["gd"].publish(lists.payload("harbour"))
    assert verifier.verify(world.leaf("harbour").der, at=T + 2 * HOUR).service.id == "gd/harbour"


def entry(name: str, days: int, **terms: Any) -> StatusEntry:
    return StatusEntry(status=Status(name), start=T + days * DAY, **terms)


@pytest.mark.parametrize(
    ("one", "other", "combined"),
    [
        ([entry("granted", 0)], [entry("granted", 5)], [entry("granted", 5)]),
        (
            [entry("granted", 0), entry("suspended", 10), entry("granted", 20)],
            [entry("granted", 0), entry("withdrawn", 15)],
            [entry("granted", 0), entry("suspended", 10), entry("withdrawn", 15)],
        ),
        (
            [entry("granted", 0), entry("suspended", 3)],
            [entry("granted", 5)],
            [entry("suspended", 5)],  # was never granted under both
        ),
        (
            [entry("granted", 0), entry("key_compromised", 9)],
            [entry("granted", 0), entry("terminated", 9)],
            [entry("granted", 0), entry("key_compromised", 9)],
        ),
        (
            [entry("granted", 0), entry("suspended", 9, accept_existing=True)],
            [entry("granted", 0), entry("suspended", 9)],
            [entry("granted", 0), entry("suspended", 9)],
        ),
        (
            [entry("granted", 0), entry("withdrawn", 9, existing_until=T + 30 * DAY)],
            [entry("granted", 0), entry("withdrawn", 9, existing_until=T + 20 * DAY)],
            [entry("granted", 0), entry("withdrawn", 9, existing_until=T + 20 * DAY)],
        ),
        (
            [entry("granted", 0), entry("withdrawn", 9, existing_until=T + 30 * DAY)],
            [entry("granted", 0), entry("withdrawn", 9)],
            [entry("granted", 0), entry("withdrawn", 9)],
        ),
        (  # what one of them no longer accepts is not accepted because the other has ended it otherwise
            [entry("granted", 0), entry("withdrawn", 9)],
            [entry("granted", 0), entry("terminated", 9, existing_until=T + 30 * DAY)],
            [entry("granted", 0), entry("terminated", 9)],
        ),
        (
            [entry("granted", 0), entry("suspended", 9)],
            [entry("granted", 0), entry("withdrawn", 9, existing_until=T + 30 * DAY)],
            [entry("granted", 0), entry("withdrawn", 9)],
        ),
        (
            [entry("granted", 0), entry("suspended", 9, accept_existing=True)],
            [entry("granted", 0), entry("withdrawn", 9, existing_until=T + 30 * DAY)],
            [entry("granted", 0), entry("withdrawn", 9, existing_until=T + 30 * DAY)],
        ),
        (
            [entry("granted", 0), entry("withdrawn", 9, existing_until=T + 20 * DAY)],
            [entry("granted", 0), entry("terminated", 9, existing_until=T + 30 * DAY)],
            [entry("granted", 0), entry("terminated", 9, existing_until=T + 20 * DAY)],
        ),
    ],
)
def test_the_refusing_state_counts(
    one: list[StatusEntry], other: list[StatusEntry], combined: list[StatusEntry]
) -> None:
    assert list(combine(one, other)) == combined
    assert list(combine(other, one)) == combined


@pytest.mark.parametrize(
    "change",
    [
        {"id": "GD"},
        {"id": "gd/x"},
        {"id": "hk"},  # two lists of one id
        {"root": "???"},
        {"root": base64.b64encode(b"{}").decode()},
        {"history": []},
        {"history": [status("suspended", T)]},
        {"id_types": []},
        {"id_types": ["name"]},
        {"classes": ["cat"]},
        {"services": []},
        {"policies": ["gold"]},
        {"more": 1},
    ],
)
def test_wrong_terms_refuse_our_list(lists: Lists, change: dict[str, Any]) -> None:
    lists.terms["gd"] = lists.grant("gd", **change)
    with pytest.raises(TrustListError):
        parse_trust_list(lists.own_payload())


def test_a_pointer_without_terms_is_only_said(lists: Lists) -> None:
    payload = json.loads(json.dumps(lists.own_payload()))
    for pointer in payload["LoTE"]["ListAndSchemeInformation"]["PointersToOtherLoTE"]:
        del pointer["PointerExtensions"]
    lists.sites["own"].publish(payload)
    found = lists.source().current(T)
    assert [s.id for s in found] == ["pearl"]
    assert found.missing == ()
    assert [pointer.terms for pointer in found.pointers] == [None, None]

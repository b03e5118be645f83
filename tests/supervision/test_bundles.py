"""The offline bundle: what goes in, what keeps it from being made, and that a department reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from onecert.supervision.bundle_job import BundleJob
from onecert.supervision.bundles import Bundles
from onecert.supervision.errors import SupervisionError
from onecert.verifier import load_certificate
from onecert.verifier.bundle import load_bundle, open_offline_verifier
from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.fetch import FetchAnswer, FetchRequest
from onecert.verifier.purposes import ANY

from .conftest import CA_KEYS, DAY, FIRM, T, World, leaf_pem

HOUR = timedelta(hours=1)


class Web:
    """The CAs' web servers: what each serves, by the last part of the address."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.files = {f"{name}.crl": self.crl(name) for name in CA_KEYS}

    def crl(self, name: str, *, signer: str = "", this_update: Any = T - HOUR) -> bytes:
        issuer = x509.load_pem_x509_certificate(self._world.certificates[name].encode()).subject
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer)
            .last_update(this_update)
            .next_update(this_update + DAY)
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        crl = builder.sign(CA_KEYS[signer or name], hashes.SHA256())
        return crl.public_bytes(serialization.Encoding.DER)

    def __call__(self, request: FetchRequest) -> FetchAnswer:
        name = request.url.rpartition("/")[2]
        if name not in self.files:
            raise CouldNotCheckError("FETCH_FAILED", url=request.url, detail="down")
        return FetchAnswer(data=self.files[name])


@pytest.fixture
def city(world: World) -> World:
    """A list is published."""
    world.officers()
    world.editor.import_draft(world.draft(), actor="test")
    world.publish()
    world.supervision.release(actor="test")
    return world


@pytest.fixture
def web(city: World) -> Web:
    return Web(city)


def bundles(city: World, web: Web, *, validity: timedelta = 7 * DAY) -> Bundles:
    return Bundles(
        database=city.context.database,
        clock=city.clock,
        keys=city.keys,
        published=city.supervision.published,
        fetch=web,
        validity=validity,
    )


def refusal(call: Any, *args: Any, **kwargs: Any) -> SupervisionError:
    with pytest.raises(SupervisionError) as caught:
        call(*args, **kwargs)
    return caught.value


def test_a_department_works_with_it(city: World, web: Web, tmp_path: Path) -> None:
    made, missing = bundles(city, web).make(tmp_path / "bundle.zip")
    assert (made.made_at, made.manifest.use_until, missing) == (T, T + 7 * DAY, [])
    (tmp_path / "trust-root.json").write_bytes(
        (city.supervision.published / "trust-roots" / "1.json").read_bytes()
    )
    verifier = open_offline_verifier(tmp_path, application="tax")
    leaf = load_certificate(leaf_pem("pearl", FIRM).encode())
    result = verifier.verify(leaf, at=T + HOUR, purpose=ANY)
    assert (result.identity.id, result.as_of) == (f"uscc:{FIRM}", T)
    assert verifier.as_of(T + HOUR) == T
    assert len(made.crls) == 3


def test_with_the_register(city: World, web: Web, tmp_path: Path) -> None:
    key = city.supervision.register.key().public_key()
    city.import_root(city.draft_root(registry_key=key))
    line = json.dumps({"uscc": FIRM, "names": ["示例公司"], "state": "active"}).encode() + b"\n"
    city.supervision.register.make([line], tmp_path / "register")
    city.supervision.register.publish(tmp_path / "register", actor="test")
    city.supervision.release(actor="test")
    made, _ = bundles(city, web).make()
    assert made.registry is not None
    assert made.registry.data.entries == 1
    assert made.root.version == 2
    # Who still holds the first root reads it too.
    assert load_bundle(city.supervision.published / "bundle.zip", root=made.root).as_dict(T)["registry"]


WRONG = {
    "down": lambda web: web.files.pop("pearl.crl"),
    "garbage": lambda web: web.files.update({"pearl.crl": b"<html>"}),
    "stale": lambda web: web.files.update({"pearl.crl": web.crl("pearl", this_update=T - 2 * DAY)}),
    "future": lambda web: web.files.update({"pearl.crl": web.crl("pearl", this_update=T + HOUR)}),
    "other key": lambda web: web.files.update({"pearl.crl": web.crl("pearl", signer="summit")}),
    "other CA's list": lambda web: web.files.update({"pearl.crl": web.crl("summit")}),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_a_list_that_cannot_be_used_is_said(city: World, web: Web, tmp_path: Path, spoil: Any) -> None:
    spoil(web)
    out = tmp_path / "bundle.zip"
    error = refusal(bundles(city, web).make, out)
    assert (error.code, out.exists()) == ("BUNDLE_INCOMPLETE", False)
    assert "pearl" in str(error)
    made, missing = bundles(city, web).make(out, allow_missing=True)
    assert [each.service for each in missing] == ["pearl"]
    assert len(made.crls) == 2


def test_it_ends_with_the_list(city: World, web: Web) -> None:
    made, _ = bundles(city, web, validity=60 * DAY).make()
    assert made.manifest.use_until == made.trust_list.next_update < T + 60 * DAY


def test_a_clock_that_was_set_back(city: World, web: Web) -> None:
    maker = bundles(city, web)
    maker.make()
    assert refusal(maker.make).code == "BUNDLE_BACKWARDS"
    city.clock.advance(HOUR)
    assert maker.make()[0].made_at == T + HOUR


def test_policies(city: World, web: Web) -> None:
    policy = {"version": 1, "max_age": {"login": 3600}}
    made, _ = bundles(city, web).make(policy=json.dumps(policy).encode())
    assert made.policy is not None
    assert made.policy.max_age == {"login": HOUR}
    assert refusal(bundles(city, web).make, policy=b"{}").code == "BUNDLE_POLICY_MALFORMED"


def test_nothing_is_published(world: World) -> None:
    assert refusal(bundles(world, Web(world)).make).code == "BUNDLE_UNPUBLISHED"


def test_a_timestamp_that_is_over(city: World, web: Web) -> None:
    """The job that signs it has failed for a day: a bundle would claim that this is the newest."""
    city.clock.advance(2 * DAY)
    web.files = {f"{name}.crl": web.crl(name, this_update=T + 2 * DAY - HOUR) for name in CA_KEYS}
    assert refusal(bundles(city, web).make).code == "BUNDLE_REFUSED"


def test_the_job(city: World, web: Web, tmp_path: Path) -> None:
    supervision = replace(city.supervision, bundles=bundles(city, web))
    BundleJob(supervision).run(T)
    path = city.supervision.published / "bundle.zip"
    first = path.read_bytes()
    web.files.pop("pearl.crl")
    city.clock.advance(HOUR)
    assert refusal(BundleJob(supervision).run, T + HOUR).code == "BUNDLE_INCOMPLETE"
    assert path.read_bytes() == first
    absent = replace(supervision.config, bundle_policy=tmp_path / "absent.json")
    unreadable = BundleJob(replace(supervision, config=absent))
    assert refusal(unreadable.run, T + HOUR).code == "BUNDLE_POLICY_UNREADABLE"

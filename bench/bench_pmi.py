"""`pmi.*`: a role granted as an attribute certificate; a decision on roles that are proved."""

from __future__ import annotations

import atexit
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cedarpy
import place
from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from bench_verifier import one_check
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from harness import Contender, Row, benchmark
from pki import DAY, ECDSA_SHA256, NOW, Pki, pki

from onecert.hsm import KeyAlgorithm
from onecert.pmi.authorities.requests import make_request
from onecert.pmi.catalogue.reading import read_catalogue
from onecert.pmi.decisions.decide import Asked
from onecert.pmi.grants.acts import OFFICER, GrantRequest
from onecert.pmi.parts import Parts, assemble
from onecert.pmi.tokens import POLICY_KEY
from onecert.server.contexts import open_member
from onecert.server.operators import Operator
from onecert.verifier.decision import PolicySource, Resource
from onecert.verifier.trust_list.published import ROOT_FILE

AUTHORITY = "tax-office"
ROLE = "urn:onecert:role:tax.reader"
ACTOR = "command:bench"
HOLDERS = 64
CATALOGUE = f"""
[[roles]]
uri = "{ROLE}"
zh = "税务查询人"
en = "Tax reader"
authorities = ["{AUTHORITY}"]
second_person = false
max_days = 30
"""
RULES = """
@id("reader-reads")
permit(principal in Role::"urn:onecert:role:tax.reader", action == Action::"read", resource is Form)
when { resource.amount <= 10000 };

@id("nothing-sealed")
forbid(principal, action == Action::"read", resource is Form)
when { resource has sealed && resource.sealed };
"""
POLICY = f"""
name = "tax"
rules = '''{RULES}'''

[[tests]]
name = "nobody reads without the role"
action = "read"
resource = {{ type = "Form", id = "1", attributes = {{ amount = 500 }} }}
expect = "not_applicable"
"""


@dataclass(frozen=True)
class World:
    """One PMI with one authority (P-256 on the token) and holders of a listed CA."""

    parts: Parts
    officer: Operator
    authority: x509.Certificate
    pki: Pki
    holders: list[bytes]  # who ask for decisions, one attribute certificate each
    others: list[bytes]  # who are granted more and more


@cache
def world() -> World:
    """Set up as in life: trust list, CRLs in a folder, key on SoftHSM, SQLite, catalogue, signed policy."""
    made = pki("p256")
    opened = open_member("pmi", place.folder(), environ={})
    config = replace(opened.config, **_trust_files(made))
    parts = assemble(config, opened.context)
    atexit.register(opened.close)
    atexit.register(parts.close)
    with opened.context.database.transaction() as connection:
        officer = opened.context.operators.add(
            connection, "officer", "操作员", [OFFICER], "440300190001010015", NOW + 300 * DAY
        )
        label = parts.authorities.register(connection, AUTHORITY, KeyAlgorithm.P_256, actor=ACTOR)
    request = make_request(parts.token, label, KeyAlgorithm.P_256, name=AUTHORITY, organization="税务局")
    certificate = made.authority(x509.load_pem_x509_csr(request).public_key())
    catalogue = opened.context.data / "catalogue.toml"
    catalogue.write_text(CATALOGUE, "utf-8")
    policy_key = parts.token.own_key(POLICY_KEY)
    with opened.context.database.transaction() as connection:
        parts.authorities.install(
            connection, AUTHORITY, certificate, [made.issuing, made.root], signer=parts.signer, actor=ACTOR
        )
        parts.catalogues.publish(connection, read_catalogue(catalogue), actor=ACTOR)
        source = PolicySource.from_toml(POLICY.encode())
        parts.policies.publish(connection, source, key=policy_key, actor=ACTOR)
    parts.publisher.renew(opened.context.clock.now())
    return World(parts, officer, certificate, made, made.leaves_der[:HOLDERS], made.leaves_der[HOLDERS:])


def _trust_files(made: Pki) -> dict[str, Any]:
    folder = place.new_folder("trust")
    made.write_trust(folder)
    crls = folder / "crls"
    crls.mkdir()
    (crls / "issuing.crl").write_bytes(made.crl(10))
    return {"trust_list": str(folder), "trust_root": folder / ROOT_FILE, "crl_folder": crls}


@benchmark("pmi.issue")
def issue(name: str) -> Iterator[Row]:
    """One by one: an officer asks, the holder is verified, grant and intent are recorded, signed, audited."""
    made = world()
    holders = itertools.cycle(made.others)

    def grant() -> None:
        asked = GrantRequest(authority=AUTHORITY, holder=next(holders), roles=(ROLE,))
        if made.parts.grants.request(asked, made.officer).state != "issued":
            raise RuntimeError("the grant waits")

    yield Row(
        unit="attribute certificates/s",
        ours=Contender(work=grant),
        floor=place.token_rate("p-256"),
        peers=[
            Contender(
                work=_asn1crypto_issuer(made), name="asn1crypto, a token key, nothing verified or recorded"
            )
        ],
        notes=[place.flushes()],
    )


def _asn1crypto_issuer(made: World) -> Callable[[], bytes]:
    """How an attribute certificate is made without us: asn1crypto writes, a key on a token signs."""
    key: Any = place.key("p-256")
    holders = itertools.cycle(asn1_x509.Certificate.load(der) for der in made.others)
    issuer = asn1_x509.Certificate.load(made.authority.public_bytes(Encoding.DER)).subject
    key_id = x509.SubjectKeyIdentifier.from_public_key(made.authority.public_key()).digest  # type: ignore[arg-type]

    def directory(of: Any) -> Any:
        return asn1_x509.GeneralName("directory_name", of)

    url = asn1_x509.GeneralName("uniform_resource_identifier", "http://127.0.0.1:8080/pmi/tax-office.acrl")
    point = {"distribution_point": asn1_x509.DistributionPointName("full_name", [url])}

    def write() -> bytes:
        holder = next(holders)
        role = {"role_name": asn1_x509.GeneralName("uniform_resource_identifier", ROLE)}
        identifier = {"issuer": [directory(holder.issuer)], "serial": holder.serial_number}
        info = cms.AttributeCertificateInfoV2(
            {
                "version": "v2",
                "holder": {"base_certificate_id": identifier},
                "issuer": cms.AttCertIssuer("v2_form", {"issuer_name": [directory(issuer)]}),
                "signature": {"algorithm": "sha256_ecdsa"},
                "serial_number": x509.random_serial_number(),
                "att_cert_validity_period": {"not_before_time": NOW, "not_after_time": NOW + 30 * DAY},
                "attributes": [{"type": "role", "values": [role]}],
                "extensions": [
                    {"extn_id": "authority_key_identifier", "extn_value": {"key_identifier": key_id}},
                    {"extn_id": "crl_distribution_points", "extn_value": [point]},
                ],
            }
        )
        signature = key.sign(info.dump(), ECDSA_SHA256)
        document = {"ac_info": info, "signature_algorithm": info["signature"], "signature": signature}
        der: bytes = cms.AttributeCertificateV2(document).dump()
        return der

    return write


@benchmark("pmi.decide")
def decide(name: str) -> Iterator[Row]:
    """Holder verified, attribute certificate pulled from the records and verified, policy asked, logged."""
    made = world()
    for holder in made.holders:
        made.parts.grants.request(
            GrantRequest(authority=AUTHORITY, holder=holder, roles=(ROLE,)), made.officer
        )
    holders = itertools.cycle(made.holders)
    form = Resource(type="Form", id="7", attributes={"amount": 500})

    def ask() -> None:
        decided = made.parts.decider.decide(Asked(certificate=next(holders), action="read", resource=form))
        if decided.decision != "permit":
            raise RuntimeError(str(decided))

    check = one_check(made.pki)

    def two_checks() -> None:
        check.work()
        check.work()

    yield Row(
        unit="decisions/s",
        ours=Contender(work=ask),
        floor=Contender(work=two_checks, name="two signature checks"),
        peers=[Contender(work=_cedar(), name="cedarpy alone, roles believed")],
        notes=[place.flushes()],
    )


def _cedar() -> Callable[[], None]:
    policies = cedarpy.PolicySet.from_str(RULES)
    request = {
        "principal": {"type": "Holder", "id": "uscc:91440300MA5DEM004J"},
        "action": {"type": "Action", "id": "read"},
        "resource": {"type": "Form", "id": "7"},
        "context": {},
    }
    role = {"type": "Role", "id": ROLE}
    entities = [
        {"uid": request["principal"], "attrs": {}, "parents": [role]},
        {"uid": request["resource"], "attrs": {"amount": 500}, "parents": []},
        {"uid": role, "attrs": {}, "parents": []},
    ]

    def ask() -> None:
        if cedarpy.is_authorized(request, policies, entities).decision is not cedarpy.Decision.Allow:
            raise RuntimeError("Cedar denies")

    return ask

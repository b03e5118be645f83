"""`pmi.decide.rules1000*`, `pmi.who_can.*`: the policy alone, with many rules; everybody at once."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import bench_pmi
import cedarpy
from harness import LESS_IS_BETTER, Contender, Row, Seconds, benchmark, sizes
from sqlalchemy import delete, insert, select

from onecert.pmi.grants.acts import GrantRequest
from onecert.pmi.models import certificate_attributes, certificates, holders
from onecert.verifier.decision import (
    Act,
    PolicyEngine,
    PolicySource,
    Question,
    Resource,
    RoleModel,
    compile_policy,
)
from onecert.verifier.decision.engine import answer

RULES, ROLES, ACTIONS, PEOPLE = 1000, 100, 50, 1000
WHO = 100_000
PEER_PART = 100


@cache
def rules() -> str:
    """A thousand rules: ten permits for each pair of a role and an action, one forbid for all."""
    permits = [
        f'@id("r{n}") permit(principal in Role::"urn:x:role:{n % ROLES}", '
        f'action == Action::"a{n % ACTIONS}", resource is Form) '
        f"when {{ resource.amount <= {n * 100} }};"
        for n in range(RULES - 1)
    ]
    sealed = "forbid(principal, action, resource is Form) when { resource has sealed && resource.sealed };"
    return "\n".join([*permits, f'@id("sealed") {sealed}'])


@cache
def engine() -> PolicyEngine:
    """The rules, compiled."""
    return compile_policy(PolicySource(name="many", rules=rules(), schema="", cases=(), content={}))


def question(person: int, amount: int, number: int) -> Question:
    """One of a thousand people, with one role, asks about one of many forms."""
    return Question(
        subject=f"uscc:{person:018}",
        roles=frozenset({f"urn:x:role:{person % ROLES}"}),
        action=f"a{person % ACTIONS}",
        resource=Resource(type="Form", id=str(number), attributes={"amount": amount, "office": "4403"}),
        attributes={"entity": f"uscc:{person:018}", "person": "", "ca_service": "pearl"},
        context={"now": number, "channel": "counter"},
    )


@benchmark("pmi.decide.rules1000", "pmi.decide.rules1000.new")
def decide_many_rules(name: str) -> Iterator[Row]:
    """Proved roles and a thousand rules: questions of a working day, or each with a value never seen."""
    made, model, drawn = engine(), RoleModel(), random.Random(7)
    numbers = itertools.count()
    if name.endswith(".new"):
        asked = (question(n % PEOPLE, n, n) for n in numbers)
    else:
        day = [question(drawn.randrange(PEOPLE), drawn.randrange(1, 200) * 50, n) for n in range(20_000)]
        asked = itertools.cycle(day)

    def ask() -> None:
        if answer(made, model, next(asked)).errors:
            raise RuntimeError("not evaluated")

    some = [rule for rule in rules().splitlines() if '"r7"' in rule or '"sealed"' in rule]
    yield Row(
        unit="decisions/s",
        ours=Contender(work=ask),
        floor=Contender(work=_cedar("\n".join(some)), name="cedarpy with two rules, all parsed before"),
        peers=[Contender(work=_cedar(rules()), name="cedarpy with the same rules, all parsed before")],
    )


def _cedar(text: str) -> Callable[[], None]:
    """Cedar as it is, on entities that were parsed before."""
    policies = cedarpy.PolicySet.from_str(text)
    one = question(7, 500, 1)
    request = {
        "principal": {"type": "Holder", "id": one.subject},
        "action": {"type": "Action", "id": one.action},
        "resource": {"type": "Form", "id": "1"},
        "context": '{"now":1,"channel":"counter"}',
    }
    role = {"type": "Role", "id": "urn:x:role:7"}
    entities: list[dict[str, Any]] = [
        {"uid": request["principal"], "attrs": dict(one.attributes), "parents": [role]},
        {"uid": request["resource"], "attrs": dict(one.resource.attributes), "parents": []},
        {"uid": role, "attrs": {}, "parents": []},
    ]
    parsed = cedarpy.Entities.from_json_str(json.dumps(entities))

    def ask() -> None:
        if cedarpy.is_authorized(request, policies, parsed).decision is not cedarpy.Decision.Allow:
            raise RuntimeError("Cedar denies")

    return ask


@benchmark("pmi.who_can.100000")
def who_can(name: str) -> Iterator[Row]:
    """Everybody who can read a form, nine of ten on record; a hundred of them verified and decided."""
    number = min(WHO, sizes.entries)
    made = bench_pmi.world()
    _fill(made, number)
    act = Act(action="read", resource=Resource(type="Form", id="7", attributes={"amount": 500}))
    database = made.parts.context.database

    def ask() -> None:
        page = made.parts.who_can.page(act)
        if page.candidates < number * 9 // 10 or len(page.able) < min(100, number // 2):
            raise RuntimeError(str(page.candidates))

    def read() -> None:
        with database.reading() as connection:
            connection.exec_driver_sql(
                "SELECT c.holder_sha256 FROM pmi_certificate_attributes a JOIN pmi_certificates c"
                " ON c.serial = a.serial WHERE a.name = 'role'"
            ).fetchall()

    cedar = bench_pmi._cedar()
    yield Row(
        unit="s" + LESS_IS_BETTER,
        ours=Seconds(work=ask),
        floor=Seconds(work=read, name="reading who has a role, and nothing else"),
        peers=[
            _Part(
                work=lambda: [cedar() for _ in range(max(1, number // PEER_PART))],
                name="cedarpy asked for each holder, roles believed",
            )
        ],
    )
    with database.transaction() as connection:
        # Other rows share this record.
        connection.execute(delete(certificate_attributes).where(certificate_attributes.c.serial.like("who%")))
        connection.execute(delete(certificates).where(certificates.c.grant_id.like("%-filled")))
        connection.execute(delete(holders).where(holders.c.entity.like("filled:%")))


class _Part(Seconds):
    """Measured on a hundredth of the work."""

    def measure(self, seconds: float) -> float:
        return super().measure(seconds) * PEER_PART


def _fill(made: bench_pmi.World, number: int) -> None:
    """Put as many holders on record, each with one certificate that says the same of another."""
    granted = made.parts.grants.request(
        GrantRequest(authority=bench_pmi.AUTHORITY, holder=made.holders[0], roles=(bench_pmi.ROLE,)),
        made.officer,
    )
    with made.parts.context.database.transaction() as connection:
        one = (
            connection.execute(select(certificates).where(certificates.c.serial == granted.serial))
            .one()
            ._asdict()
        )
        known = (
            connection.execute(select(holders).where(holders.c.sha256 == one["holder_sha256"]))
            .one()
            ._asdict()
        )
        for start in range(0, number, 5000):
            rows, values, people = [], [], []
            for n in range(start, min(number, start + 5000)):
                digest, entity = hashlib.sha256(str(n).encode()).hexdigest(), f"filled:{n:018}"
                serial = f"who{n:09}"
                rows.append(
                    {
                        **one,
                        "serial": serial,
                        "grant_id": f"{n:09}-filled",
                        "holder_sha256": digest,
                        "key_sha256": digest,
                        "entity": entity,
                    }
                )
                role = bench_pmi.ROLE if n % 10 else "urn:onecert:role:tax.other"
                values.append({"name": "role", "value": role, "serial": serial})
                people.append({**known, "sha256": digest, "entity": entity})
            connection.execute(insert(certificates), rows)
            connection.execute(insert(certificate_attributes), values)
            connection.execute(insert(holders), people)

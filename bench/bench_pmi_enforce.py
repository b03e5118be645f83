"""`pmi.enforce.*`: the gateway's header, a database's plan, a machine that knows many people."""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import place
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from harness import Contender, Row, Seconds, benchmark
from pki import NOW

from onecert.verifier.enforce.config import read_config
from onecert.verifier.enforce.department import Department, DepartmentConfig
from onecert.verifier.enforce.gateway import GatewaySigner, GatewayVerifier, Privileges
from onecert.verifier.enforce.postgresql.plan import MARK, DatabaseRole, make_plan

ROLE = "urn:onecert:role:tax.approver"
WHO = Privileges(subject="uscc:91440300MA5DEM004J", roles=frozenset({ROLE}), certificates=("00" * 32,) * 2)
REQUEST = {"method": "POST", "path": "/declarations/7/approve"}
HEADERS, LOGINS, PEOPLE = 256, 10_000, 1000


@benchmark("pmi.enforce.gateway.sign", "pmi.enforce.gateway.verify")
def gateway(name: str) -> Iterator[Row]:
    """A header for a request, and what the application does with it; P-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    algorithm, data = ec.ECDSA(hashes.SHA256()), b"x" * 600
    signer = GatewaySigner(key, issuer="gateway")

    def sign() -> str:
        return signer.sign(WHO, audience="tax", at=NOW, **REQUEST)

    if name.endswith("sign"):
        yield Row(
            unit="headers/s",
            ours=Contender(work=sign),
            floor=Contender(work=lambda: key.sign(data, algorithm)),
        )
        return
    public = key.public_key()
    verifier = GatewayVerifier([public], issuer="gateway", audience="tax")
    signature = key.sign(data, algorithm)
    values = itertools.cycle([sign() for _ in range(HEADERS)])
    yield Row(
        unit="headers/s",
        ours=Contender(work=lambda: verifier.verify(next(values), at=NOW, **REQUEST)),
        floor=Contender(work=lambda: public.verify(signature, data, algorithm)),
    )


@benchmark("pmi.enforce.postgresql.plan")
def plan(name: str) -> Iterator[Row]:
    """Ten thousand login roles, of whom one has lost a role and one has been given one."""
    mark = {MARK: frozenset({"admin"})}
    has = {**mark, "approver": frozenset({"admin"})}
    found = {
        MARK: DatabaseRole(name=MARK, member_of={}),
        "approver": DatabaseRole(name="approver", member_of=mark),
    }
    found |= {f"u{n}": DatabaseRole(name=f"u{n}", member_of=has if n else mark) for n in range(LOGINS)}
    wanted = {f"u{n}": frozenset({"approver"}) if n != 1 else frozenset[str]() for n in range(LOGINS)}

    def work() -> None:
        made = make_plan(found, wanted, grantable=frozenset({"approver"}), create=frozenset())
        assert len(made.steps) == 2

    yield Row(unit="s (less is better)", ours=Seconds(work=work))


@benchmark("pmi.enforce.people.all", "pmi.enforce.people.key")
def people(name: str) -> Iterator[Row]:
    """What a thousand people can prove now: everybody, or the holder of the key that sshd was offered."""
    city = _city()
    with tempfile.TemporaryDirectory(dir=place.ROOT / "build") as folder:
        made = city.City(Path(folder) / "city", at=NOW)
        everybody = [made.person(f"p{number}", number) for number in range(PEOPLE)]
        for each in everybody:
            made.grant(each, ROLE)
        path = Path(folder) / "enforce.toml"
        path.write_text(made.config())
        config = DepartmentConfig.read(read_config(path, trusted_owner=False))
        form = PublicFormat.SubjectPublicKeyInfo
        own = everybody[7].key.public_key().public_bytes(Encoding.DER, form)

        def work() -> None:
            # A new one for each question, as each is a process of its own.
            found = Department(config).people(NOW, key_spki_der=own if name.endswith("key") else None)
            assert all(each.roles for each in found)

        yield Row(unit="s (less is better)", ours=Seconds(work=work))


def _city() -> ModuleType:
    # The tests' city: certificates of people, attribute certificates and lists in one folder.
    path = place.ROOT / "tests" / "verifier" / "enforce" / "conftest.py"
    spec = spec_from_file_location("bench_enforce_city", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module

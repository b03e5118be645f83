"""`ra.pages.*`: each page of the registration authority among a million certificates, each kind of search.

Rendered by the whole application, signed in as a security officer who also reviews; the peer is an empty
page in the same frame. The figure is pages a second, one caller; the notes say what one in twenty exceeds,
and what is promised. `RA_PAGES_ROWS=100000` fills less, `ENGINES=sqlite` asks one engine, `PLANS=1` prints
how the database does each.
"""

from __future__ import annotations

import atexit
import hashlib
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import place
import postgresql
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from flask import Flask, render_template_string
from flask.testing import FlaskClient
from harness import Contender, Row, benchmark
from ra_rows import POINTS, Filler, T, id_of, personal_of, serial_of, uscc_of
from rows import name_of
from sqlalchemy import Engine, event

from onecert.ra.app import create_app
from onecert.ra.config import RaConfig
from onecert.ra.operators.roles import ROLES
from onecert.ra.service import Ra, make_ra
from onecert.server.audit import AuditTrail
from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate
from onecert.server.members import Context
from onecert.server.operators import Operators
from onecert.server.web import public

ROWS = int(os.environ.get("RA_PAGES_ROWS") or "1000000")
ENGINES = (os.environ.get("ENGINES") or "postgresql sqlite").split()
# Milliseconds that one in twenty may exceed.
PROMISED = {"postgresql": 150, "sqlite": 300}
SEARCH_PROMISED = 1000
BASE = "https://127.0.0.1:8443/ra"
SAMPLES = 40
EMPTY = '{% extends "frame.html" %}{% block content %}<h1>.</h1>{% endblock %}'


class Keys:
    """Keys in software: the token's own time is another row's matter."""

    def __init__(self) -> None:
        self._order_key = ec.generate_private_key(ec.SECP256R1())
        self._sealing = AESGCM(AESGCM.generate_key(256))

    def order_key(self) -> ec.EllipticCurvePrivateKey:
        return self._order_key

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._sealing.encrypt(nonce, plaintext, aad)

    def unseal(self, sealed: bytes, aad: bytes) -> bytes:
        return self._sealing.decrypt(sealed[:12], sealed[12:], aad)

    def check(self) -> None:
        return

    def close(self) -> None:
        return


class Console:
    """An application on a full record, and somebody who is signed in."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        folder = Path(tempfile.mkdtemp(prefix="ra-pages-", dir=place.folder()))
        url = f"sqlite:///{folder / 'ra.db'}"
        schema = None
        if engine == "postgresql":
            url, schema = f"postgresql+psycopg://bench@/postgres?host={postgresql.server()}", "ra_pages"
        self.database = Database(url, schema=schema)
        migrate(self.database, "onecert.server.migrations", "onecert.ra.migrations")
        clock = FixedClock(T)
        audit = AuditTrail("ra", clock)
        operators = Operators(folder, audit=audit, clock=clock, roles=ROLES)
        keys, certificate = Keys(), _certificate()
        pem = certificate.public_bytes(Encoding.PEM).decode()
        context = Context(
            name="ra",
            data=folder,
            shared=folder,
            database=self.database,
            audit=audit,
            clock=clock,
            operators=operators,
            public_url="https://127.0.0.1:8443/ra",
            status_url="http://127.0.0.1:8080/ra",
            connect=lambda _service: httpx.Client(
                transport=httpx.MockTransport(lambda request: _ca(request, pem)),
                base_url="https://ca.test/ca/",
            ),
        )
        self.ra: Ra = make_ra(RaConfig(), context, keys)
        with self.database.transaction() as connection:
            for name, person in (("wang", "440300190001011018"), ("li", "440300190001011026")):
                operators.add(
                    connection, name, name.capitalize(), ["clerk.entry"], person, T + timedelta(days=9)
                )
            roles = ["security.officer", "clerk.review", "auditor"]
            operators.add(connection, "zhao", "Zhao", roles, "440300190001011034", T + timedelta(days=9))
            for point in POINTS[1:]:
                connection.exec_driver_sql(
                    "INSERT INTO ra_points (id, name, address, phone, opened_at) VALUES"
                    f" ('{point}', '{point}', '', '', '2026-01-01T00:00:00.000000Z')"
                )
            connection.exec_driver_sql("INSERT INTO ra_operator_scopes VALUES ('zhao', '*', '*', '*')")
            token = operators.create_link(connection, "zhao")
        self.ra.vault.idcard_hmac("0")
        filler = Filler(self.database, self.ra.vault, certificate, _csr(), ROWS)
        began = time.perf_counter()
        filler.fill()
        print(f"  {engine}: {ROWS:,} certificates in {time.perf_counter() - began:.0f} s", flush=True)
        self.applications, self.names = filler.applications, filler.names
        self.app: Flask = create_app("ra", context, self.ra)
        self.app.add_url_rule("/bench-floor", "bench_floor", public(lambda: render_template_string(EMPTY)))
        self.client: FlaskClient = self.app.test_client()
        self.token = ""
        self.get(f"/sign-in/{token}")
        self.post(f"/sign-in/{token}", {})
        atexit.register(self.database.close)

    def get(self, path: str) -> Any:
        answer = self.client.get(path, base_url=BASE, **_FROM)
        if answer.status_code not in {200, 303}:
            raise RuntimeError(f"{path}: {answer.status_code}")
        text = answer.get_data(as_text=True)
        if 'name="csrf_token" value="' in text:
            self.token = text.partition('name="csrf_token" value="')[2].partition('"')[0]
        return answer

    def post(self, path: str, form: dict[str, str]) -> Any:
        answer = self.client.post(path, base_url=BASE, data={"csrf_token": self.token, **form}, **_FROM)
        if answer.status_code not in {200, 303}:
            raise RuntimeError(f"{path}: {answer.status_code}")
        return answer


_FROM: dict[str, Any] = {
    "environ_overrides": {"REMOTE_ADDR": "127.0.0.1"},
    "headers": {"Accept": "text/html", "Accept-Language": "zh"},
}

# What is asked for -> the text of the box, for the certificate of a number.
SEARCHES: dict[str, Callable[[int], str]] = {
    "name": name_of,
    "begins": lambda n: name_of(n)[:8],
    "part": lambda n: name_of(n)[5 : 9 + len(str(n))],
    "frequent": lambda n: ("贸易有限公司", "深圳市", "科技", "有限")[n % 4],
    "words": lambda n: f"{n} 深圳市",
    "scattered": lambda n: f"公司 {str(n)[::-1]} 深圳",
    "nothing": lambda n: f"虚无{n}",
    "uscc": uscc_of,
    "serial": serial_of,
    "prefix": lambda n: serial_of(n)[:9],
    "decimal": lambda n: str(int(serial_of(n), 16)),
    "sha256": lambda n: hashlib.sha256(str(n).encode()).hexdigest(),
    "sha1": lambda n: hashlib.sha256(str(n).encode()).hexdigest()[:40],
    "token": lambda n: f"TK{n | 1:09}",
    "email": lambda n: personal_of(n)["email"],
    "mobile": lambda n: personal_of(n)["mobile"],
    "application": lambda n: f"20261121-{n + 1:06}",
}
PAGES = ("home", "queue", "review", "application", "certificates", "certificate")


@cache
def console(engine: str) -> Console:
    if engine == "postgresql" and postgresql.server() is None:
        raise RuntimeError("needs PostgreSQL (Debian package postgresql)")
    return Console(engine)


@benchmark(
    *(f"ra.pages.{engine}.{page}" for engine in ENGINES for page in PAGES),
    *(f"ra.pages.{engine}.search.{kind}" for engine in ENGINES for kind in SEARCHES),
)
def pages(name: str) -> Iterator[Row]:
    """One page, each time about another record; the peer is the empty page in the same frame."""
    _ra, _pages, engine, page, *kind = name.split(".")
    made = console(engine)
    works = _searches(made, kind[0]) if kind else _page(made, page)
    promised = SEARCH_PROMISED if kind else PROMISED[engine]
    works[0]()
    if os.environ.get("PLANS"):
        _show_plans(name, works[0])
    measured = [_timed(work) for work in works[:SAMPLES]]
    took, busy = sorted(wall for wall, _busy in measured), sorted(busy for _wall, busy in measured)
    last = int(len(took) * 0.95) - 1
    p95, middle = 1000 * took[last], 1000 * statistics.median(took)
    verdict = "as promised" if p95 <= promised else "TOO SLOW"
    asked = itertools.cycle(works)
    yield Row(
        unit="pages/s",
        ours=Contender(work=next(asked)),
        peers=[Contender(work=lambda: made.get("/bench-floor"), name="an empty page in the frame")],
        notes=[
            (
                f"median {middle:.0f} ms, one in twenty {p95:.0f} ms of {promised} ms: {verdict};"
                f" of this processor {1000 * statistics.median(busy):.0f} and {1000 * busy[last]:.0f} ms"
            )
        ],
    )


def _page(made: Console, page: str) -> list[Callable[[], Any]]:
    step = max(made.applications // SAMPLES, 1)
    ids = list(range(0, made.applications, step))[:SAMPLES]
    last = made.applications
    waiting = [n for n in range(last - 1, max(last - 600, -1), -1) if n % 3 == 0][:SAMPLES]
    paths = {
        "home": ["/"] * SAMPLES,
        "queue": ["/applications", "/applications?state=all", "/applications?state=submitted"] * 14,
        "review": [f"/applications/{id_of(n)}/review" for n in waiting],
        "application": [f"/applications/{id_of(n)}" for n in ids],
        "certificates": ["/certificates"] * SAMPLES,
        "certificate": [
            f"/certificates/{('pearl', 'harbour', 'summit')[n % made.names % 3]}/{serial_of(n)}" for n in ids
        ],
    }[page]
    return [lambda path=path: made.get(path) for path in paths]


def _searches(made: Console, kind: str) -> list[Callable[[], Any]]:
    top = min(made.applications, made.names) if kind not in {"serial", "sha256", "sha1", "decimal"} else ROWS
    numbers = range(top // 11, top, max(top // (SAMPLES + 5), 1))
    texts = [SEARCHES[kind](number) for number in numbers]
    return [lambda text=text: made.post("/search", {"q": text, "stay": "1"}) for text in texts]


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds that passed, and seconds that this process had the processor: load changes only the first."""
    began = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began[0], time.process_time() - began[1]


def _show_plans(name: str, act: Callable[[], object]) -> None:
    """What the database says about each statement of one page."""
    seen: dict[str, tuple[Any, Any, float]] = {}
    began = [0.0]

    def before(*_arguments: Any) -> None:
        began[0] = time.perf_counter()

    def after(connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            seen.setdefault(statement, (connection.engine, parameters, time.perf_counter() - began[0]))

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    try:
        act()
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)
    for statement, (engine, parameters, took) in seen.items():
        explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
        with engine.begin() as connection:
            plan = connection.exec_driver_sql(explain + statement, parameters).all()
        print(f"  {name}: {1000 * took:.1f} ms: {' '.join(statement.split())[:300]}")
        for row in plan[:8]:
            print(f"      {row[-1]}", flush=True)


def _ca(request: httpx.Request, pem: str) -> httpx.Response:
    """The authority answers at once: its list, and that a certificate is as we know it."""
    if request.url.path.endswith("/v1/authorities"):
        profile = {
            "name": "organisation",
            "version": 1,
            "title": {"zh": "机构", "en": "Organisation"},
            "identity_required": ["uscc"],
            "identity_optional": ["agent_idcard"],
            "key_kinds": ["p-256"],
        }
        return httpx.Response(
            200,
            json={
                "authorities": [
                    {
                        "name": name,
                        "title": {"zh": name, "en": name},
                        "certificate_pem": pem,
                        "profiles": [profile],
                    }
                    for name in ("pearl", "harbour", "summit")
                ]
            },
        )
    return httpx.Response(200, json={"status": "unchanged"})


def _certificate() -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "深圳市示例科技有限公司")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(T).not_valid_after(T + timedelta(days=365))
    return builder.sign(key, hashes.SHA256())


def _csr() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "applicant")])
    request = x509.CertificateSigningRequestBuilder(name).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    return request.public_bytes(Encoding.PEM).decode()

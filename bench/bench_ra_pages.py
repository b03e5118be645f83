"""`ra.pages.*`: each page of the registration authority among a million certificates, each kind of search.

Rendered by the whole application for whoever is signed in; the peer is an empty page in the same frame. The
figure is the milliseconds that one in twenty exceeds, one caller; the notes say the median, what is promised,
and how long this process and the database's had a processor. `ENGINES=sqlite` asks one engine,
`RA_PAGES_ROWS=100000` fills less, `RA_PAGES_KEEP=FOLDER` keeps what was filled for the next time, `PLANS=1`
prints how the database does each.
"""

from __future__ import annotations

import atexit
import hashlib
import itertools
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

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
from harness import LESS_IS_BETTER, Amount, Row, benchmark
from ra_rows import AUTHORITIES, POINTS, Filler, T, id_of, personal_of, serial_of, uscc_of
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
KEPT = Path(os.environ["RA_PAGES_KEEP"]).absolute() if os.environ.get("RA_PAGES_KEEP") else None
BASE = "https://127.0.0.1:8443/ra"
SAMPLES = 20  # of each round
# Who looks -> identity card, point, roles.
PEOPLE = {
    "wang": ("440300190001011018", "*", ["clerk.entry"]),
    "li": ("440300190001011026", "*", ["clerk.review"]),
    "zhao": ("440300190001011034", "*", ["security.officer", "clerk.review", "auditor"]),
    "sun": ("440300190001011042", "north", ["clerk.entry", "clerk.review", "clerk.media", "clerk.archive"]),
    "zhou": ("440300190001011050", "north", ["auditor"]),
    "gu": ("440300190001011069", "*", ["administrator"]),
}
EMPTY = '{% extends "frame.html" %}{% block content %}<h1>.</h1>{% endblock %}'


class Keys:
    """Keys in software: the token's own time is another row's matter."""

    def __init__(self) -> None:
        self._order_key = ec.generate_private_key(ec.SECP256R1())
        self._sealing = AESGCM(bytes(32))  # the same for records that are kept for the next time

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
        self._pids: list[int] = []
        folder = Path(tempfile.mkdtemp(prefix="ra-pages-", dir=place.folder()))
        url = f"sqlite:///{(KEPT or folder) / 'ra.db'}"
        schema = None
        if engine == "postgresql":
            kept = KEPT / "postgresql" if KEPT else None
            url, schema = f"postgresql+psycopg://bench@/postgres?host={postgresql.server(kept)}", "ra_pages"
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
            known = {account.id for account in operators.all(connection)}
            for point in POINTS[1:] if not known else ():
                connection.exec_driver_sql(
                    "INSERT INTO ra_points (id, name, address, phone, opened_at) VALUES"
                    f" ('{point}', '{point}', '', '', '2026-01-01T00:00:00.000000Z')"
                )
            for name, (number, point, roles) in PEOPLE.items():
                if name not in known:
                    operators.add(connection, name, name.capitalize(), roles, number, T + timedelta(days=9))
                    connection.exec_driver_sql(
                        f"INSERT INTO ra_operator_scopes VALUES ('{name}', '{point}', '*', '*')"
                    )
            links = {name: operators.create_link(connection, name) for name in PEOPLE}
        self.ra.vault.idcard_hmac("0")
        filler = Filler(self.database, self.ra.vault, certificate, _csr(), ROWS)
        if not known:
            began = time.perf_counter()
            filler.fill()
            self.ra.figures.run(T)
            print(f"  {engine}: {ROWS:,} certificates in {time.perf_counter() - began:.0f} s", flush=True)
        self.applications, self.names = filler.applications, filler.names
        self.cases = self.applications // 5
        self.app: Flask = create_app("ra", context, self.ra)
        self.app.add_url_rule("/bench-floor", "bench_floor", public(lambda: render_template_string(EMPTY)))
        self.clients: dict[str, FlaskClient] = {name: self.app.test_client() for name in PEOPLE}
        self.tokens = dict.fromkeys(PEOPLE, "")
        for name, link in links.items():
            self.get(name, f"/sign-in/{link}")
            self.post(name, f"/sign-in/{link}", {})
        atexit.register(self.database.close)

    def get(self, who: str, path: str) -> Any:
        return self._answered(who, path, self.clients[who].get(path, base_url=BASE, **_FROM))

    def post(self, who: str, path: str, form: dict[str, str]) -> Any:
        sent = {"csrf_token": self.tokens[who], **form}
        return self._answered(who, path, self.clients[who].post(path, base_url=BASE, data=sent, **_FROM))

    def _answered(self, who: str, path: str, answer: Any) -> Any:
        if answer.status_code not in {200, 303}:
            raise RuntimeError(f"{who}: {path}: {answer.status_code}")
        text = answer.get_data(as_text=True)
        if 'name="csrf_token" value="' in text:
            self.tokens[who] = text.partition('name="csrf_token" value="')[2].partition('"')[0]
        return answer

    def busy_s(self) -> float:
        """Seconds that this process and the database's had a processor: load does not change them."""
        return time.process_time() + sum(_ran_s(pid) for pid in self._backends())

    def _backends(self) -> list[int]:
        if self.engine == "sqlite":
            return []
        if not self._pids:
            with self.database.reading() as connection:
                query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
                self._pids = [int(pid) for pid in connection.exec_driver_sql(query).scalars()]
        return self._pids


def _ran_s(pid: int) -> float:
    """How long a process ran, by Linux's scheduler."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


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


def _around(made: Console) -> list[int]:
    """Numbers of applications, spread over all of them."""
    step = max(made.applications // 97, 1)
    return list(range(step // 2, made.applications, step))


def _in(made: Console, *remainders: int) -> list[int]:
    """Applications of the last day, which still wait; by their states."""
    last = made.applications
    return [n for n in range(last - 1, max(last - 590, -1), -1) if n % 3 in remainders]


def _certificate_path(made: Console, n: int) -> str:
    return f"/certificates/{AUTHORITIES[n % made.names % 3]}/{serial_of(n)}"


def _queue(*queries: str) -> Callable[[Console], list[str]]:
    return lambda _made: [f"/applications?{query}" for query in queries]


# Page -> who opens it, and the addresses for so many records.
PAGES: dict[str, tuple[str, Callable[[Console], list[str]]]] = {
    "home": ("zhao", lambda _made: ["/"]),
    "home.clerk": ("sun", lambda _made: ["/"]),
    "queue.review": ("zhao", _queue("queue=review", "")),
    "queue.filing": ("zhao", _queue("queue=filing", "queue=delivery")),
    "queue.clerk": ("sun", _queue("queue=review", "queue=delivery", "queue=filing", "queue=entry")),
    "queue.filters": (
        "zhao",
        _queue(
            "queue=filing&point=north",
            "queue=filing&authority=summit",
            "queue=filing&kind=citizen",
            "queue=filing&business=renew",
            "queue=filing&project=p7",
            "queue=filing&project=none",
            "queue=delivery&mine=1",
            "queue=delivery&point=east&kind=organisation&business=change",
        ),
    ),
    "queue.filters.clerk": (
        "sun",
        _queue(
            "queue=filing&kind=citizen",
            "queue=filing&project=none",
            "queue=delivery&mine=1",
            "queue=delivery&point=north&kind=organisation&business=change",
        ),
    ),
    "queue.all": ("zhao", _queue("state=all", "state=submitted", "state=archived", "state=rejected")),
    "queue.all.filters": (
        "zhao",
        _queue(
            "queue=all&point=north&kind=citizen",
            "queue=all&project=none",
            "queue=all&business=renew",
            "queue=all&mine=1",
            "state=archived&authority=summit&business=change",
        ),
    ),
    "queue.deep": (
        "zhao",
        lambda made: (
            [f"/applications?queue=all&cursor={made.applications // 2 + n}" for n in range(5)]
            + [
                f"/applications?queue=filing&cursor={quote((T - timedelta(minutes=n)).isoformat())}~{n}"
                for n in range(1000, made.applications, max(made.applications // 7, 1))
            ]
        ),
    ),
    "queue.search": (
        "zhao",
        lambda made: [
            f"/applications?q={quote(text)}"
            for n in _around(made)[:7]
            for text in (name_of(n), name_of(n)[:4], uscc_of(n), str(n + 1), "没有")
        ],
    ),
    "form": ("sun", lambda _made: ["/applications/new/summit/organisation"]),
    "form.draft": (
        "wang",
        lambda made: [f"/applications/{id_of(n)}/edit" for n in _in(made, 1, 2)],
    ),
    "review": ("zhao", lambda made: [f"/applications/{id_of(n)}/review" for n in _in(made, 0)]),
    "application": ("zhao", lambda made: [f"/applications/{id_of(n)}" for n in _around(made)]),
    "evidence": ("zhao", lambda made: [f"/applications/{id_of(n)}/evidence" for n in _around(made)]),
    "certificates": ("zhao", lambda _made: ["/certificates"]),
    "certificates.clerk": ("sun", lambda _made: ["/certificates"]),
    "certificate": ("zhao", lambda made: [_certificate_path(made, n) for n in _around(made)]),
    "watch": (
        "zhao",
        lambda made: [
            f"{_certificate_path(made, n - n % 20)}/watch/{id_of(n - n % 20, 'r')}" for n in _around(made)
        ],
    ),
    "life": ("zhao", lambda made: [f"/audit{_certificate_path(made, n)}" for n in _around(made)]),
    "cases": (
        "zhao",
        lambda _made: ["/cases", "/cases?state=all", "/cases?state=done", "/cases?business=hold"],
    ),
    "cases.clerk": ("sun", lambda _made: ["/cases", "/cases?state=all", "/cases?business=unlock&state=all"]),
    "case": ("zhao", lambda made: [f"/cases/{id_of(n, 'c')}" for n in _around(made) if n < made.cases]),
    "batches": ("sun", lambda _made: ["/batches/"]),
    "media": ("sun", lambda _made: ["/media"]),
    "reports": ("zhao", lambda _made: ["/reports", "/reports?period=day", _MONTHS]),
    "reports.clerk": ("sun", lambda _made: ["/reports", "/reports?period=day", _MONTHS]),
    "renewals": ("zhao", lambda _made: ["/renewals", "/renewals?days=7", "/renewals?point=north"]),
    "renewals.clerk": ("sun", lambda _made: ["/renewals", "/renewals?days=7"]),
    "notices": ("zhao", lambda _made: ["/notices", "/notices?state=failed", "/notices?state=sent"]),
    "audit": (
        "zhao",
        lambda _made: [
            "/audit",
            "/audit?actor=operator:wang",
            "/audit?event=application.issued",
            "/audit?day=2026-10-02",
        ],
    ),
    "audit.scoped": ("zhou", lambda _made: ["/audit", "/audit?actor=operator:wang", "/audit?day=2026-10-02"]),
    "emergency": ("zhao", lambda _made: ["/emergency"]),
    "operators": ("gu", lambda _made: ["/organisation", "/organisation/operators"]),
}
_MONTHS = "/reports?period=range&from=2026-09-01&to=2026-11-21"


@cache
def console(engine: str) -> Console:
    if engine == "postgresql" and not postgresql.is_installed():
        raise RuntimeError("needs PostgreSQL (Debian package postgresql)")
    return Console(engine)


@benchmark(
    *(f"ra.pages.{engine}.{page}" for engine in ENGINES for page in PAGES),
    *(f"ra.pages.{engine}.search.{kind}" for engine in ENGINES for kind in SEARCHES),
)
def pages(name: str) -> Iterator[Row]:
    """One page, each time about another record; the peer is the empty page in the same frame."""
    engine, _dot, page = name.removeprefix("ra.pages.").partition(".")
    made = console(engine)
    kind = page.removeprefix("search.")
    is_search = kind in SEARCHES
    works = itertools.cycle(_searches(made, kind) if is_search else _page(made, page))
    empty = itertools.repeat(lambda: made.get("zhao", "/bench-floor"))
    samples = Samples(made, SEARCH_PROMISED if is_search else PROMISED[engine])
    if os.environ.get("PLANS"):
        next(works)()
        _show_plans(name, next(works))
    yield Row(
        unit=f"ms{LESS_IS_BETTER}",
        ours=Amount(work=lambda: samples.take(works)),
        peers=[Amount(work=lambda: Samples(made, 0).take(empty), name="an empty page in the frame")],
        notes=samples.notes,
    )


class Samples:
    """Times of pages: what passed, and what they had of a processor, here and in the database."""

    def __init__(self, made: Console, promised_ms: float) -> None:
        self.notes = [""]
        self._made, self._promised = made, promised_ms
        self._wall: list[float] = []
        self._busy: list[float] = []
        self._is_warm = False

    def take(self, works: Iterator[Callable[[], Any]]) -> float:
        """Milliseconds that one in twenty pages of this round exceeds."""
        found = [self._timed(next(works)) for _sample in range(SAMPLES)]
        if not self._is_warm:
            self._wall, self._busy, self._is_warm = [], [], True
        self._wall += [wall for wall, _busy in found]
        self._busy += [busy for _wall, busy in found]
        middle, p95 = (1000 * _share(self._wall, share) for share in (0.5, 0.95))
        verdict = "as promised" if p95 <= self._promised else "TOO SLOW"
        self.notes[0] = (
            f"median {middle:.0f} ms, one in twenty {p95:.0f} ms of {self._promised} ms: {verdict}; of a"
            f" processor {1000 * _share(self._busy, 0.5):.0f} and {1000 * _share(self._busy, 0.95):.0f} ms"
        )
        return 1000 * _share([wall for wall, _busy in found], 0.95)

    def _timed(self, work: Callable[[], Any]) -> tuple[float, float]:
        began = time.perf_counter(), self._made.busy_s()
        work()
        return time.perf_counter() - began[0], self._made.busy_s() - began[1]


def _share(values: Sequence[float], share: float) -> float:
    """The smallest value that so many of all do not exceed."""
    return sorted(values)[max(math.ceil(len(values) * share) - 1, 0)]


def _page(made: Console, page: str) -> list[Callable[[], Any]]:
    who, addresses = PAGES[page]
    return [lambda path=path: made.get(who, path) for path in addresses(made)]


def _searches(made: Console, kind: str) -> list[Callable[[], Any]]:
    top = min(made.applications, made.names) if kind not in {"serial", "sha256", "sha1", "decimal"} else ROWS
    numbers = range(top // 11, top, max(top // 97, 1))
    texts = [SEARCHES[kind](number) for number in numbers]
    return [lambda text=text: made.post("zhao", "/search", {"q": text, "stay": "1"}) for text in texts]


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

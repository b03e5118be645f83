"""`ra.batch.check.100000`: a table of applications, from the upload on record to the complete report.

Read, sealed, each row checked (fields, check digits, signature of its request), duplicates looked for, each
stretch on record with its audit entry; on SQLite and SoftHSM, with two processes that check, as the service
has them. Every request has a key of its own. The floor is what cannot be left out: the rows split, each
request parsed and its signature verified, by two processes. `BATCH_ROWS=5000` in the environment: fewer rows.
"""

from __future__ import annotations

import base64
import csv
import io
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import httpx
import place
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from harness import LESS_IS_BETTER, Row, Seconds, benchmark

from onecert.ra.batches.acts import Upload
from onecert.ra.batches.records import Phase
from onecert.ra.config import RaConfig
from onecert.ra.content.fields import Kind
from onecert.ra.member import make_keys
from onecert.ra.operators.roles import ROLES
from onecert.ra.service import Ra, make_ra
from onecert.server.audit import AuditTrail
from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate
from onecert.server.members import Context
from onecert.server.operators import Operators

ROWS = int(os.environ.get("BATCH_ROWS") or "100000")
HEAD = ("姓名", "身份证号码", "单位名称", "统一社会信用代码", "省", "市", "手机", "地址", "邮编", "证书请求")
T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
STRETCH = 500


def _requests(amount: int) -> list[str]:
    """So many requests in one line of base64, each with a key of its own."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "applicant")])
    builder, made = x509.CertificateSigningRequestBuilder().subject_name(name), []
    for _ in range(amount):
        request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        made.append(base64.b64encode(request.public_bytes(Encoding.DER)).decode())
    return made


def _number(order: int) -> str:
    """A number of somebody born in January 1900: never a real person."""
    day, rest = divmod(order, 999)
    year, day = divmod(day, 28)
    first17 = f"440300{1900 + year}01{day + 1:02d}{rest + 1:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(first17, weights, strict=True))
    return first17 + "10X98765432"[total % 11]


@cache
def _table() -> bytes:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        share = [ROWS // 20 + 1] * 20
        requests = [each for some in pool.map(_requests, share) for each in some]
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(HEAD)
    company = ("深圳市示例科技有限公司", "91440300MA5DEM004J", "广东省", "深圳市")
    for order in range(ROWS):
        person = ("王小明", _number(order), *company, f"138{order:08d}", "深圳市福田区示范路1号", "518000")
        writer.writerow([*person, requests[order]])
    return out.getvalue().encode()


def _authorities(request: httpx.Request) -> httpx.Response:
    profile = {"name": "employee", "version": 1, "title": {}, "identity_required": []}
    entry = {"name": "pearl", "title": {}, "certificate_pem": "", "profiles": [profile]}
    return httpx.Response(200, json={"authorities": [entry]})


def _ra(folder: Path) -> Ra:
    """A registration authority on SQLite and SoftHSM, which knows one authority and asks nobody."""
    database, clock = Database(f"sqlite:///{folder / 'ra.db'}"), FixedClock(T)
    migrate(database, "onecert.server.migrations", "onecert.ra.migrations")
    audit, config = AuditTrail("ra", clock), RaConfig()
    context = Context(
        name="ra",
        data=folder,
        shared=place.folder(),
        database=database,
        audit=audit,
        clock=clock,
        operators=Operators(folder, audit=audit, clock=clock, roles=ROLES),
        public_url="https://127.0.0.1:8443/ra",
        status_url="http://127.0.0.1:8080/ra",
        connect=lambda _service: httpx.Client(),
    )
    http = httpx.Client(transport=httpx.MockTransport(_authorities), base_url="https://ca.test/ca/")
    return make_ra(config, context, make_keys(config, context), http=http)


def _verify(rows: Sequence[str]) -> int:
    """What cannot be left out of so many rows: split, parse, verify."""
    verified = 0
    for row in csv.reader(rows):
        request = x509.load_der_x509_csr(base64.b64decode(row[-1]))
        verified += request.is_signature_valid
    return verified


def _floor(pool: Executor, lines: Sequence[str]) -> None:
    stretches = [lines[at : at + STRETCH] for at in range(1, len(lines), STRETCH)]
    if sum(pool.map(_verify, stretches)) != ROWS:
        raise RuntimeError("a request of the table is not sound")


@benchmark(f"ra.batch.check.{ROWS}")
def check(name: str) -> Iterator[Row]:
    """One table, one job."""
    folder, table, numbers = place.new_folder("batch"), _table(), count()
    ra = _ra(folder)
    with ra.database.transaction() as connection:
        clerk = ra.operators.add(
            connection, "wang", "Wang", ["clerk.entry"], _number(99), T + timedelta(days=365)
        )
    lines = table.decode().splitlines()

    def work() -> None:
        upload = Upload(kind=Kind.EMPLOYEE, authority="pearl", file=table, file_name="table.csv")
        made = ra.batches.upload(clerk, upload, request_key=str(next(numbers)))
        began = time.perf_counter()
        ra.batch_work.run(T)
        done = ra.batches.batch(clerk, made.id)
        if done.phase is not Phase.CHECKED or done.good != ROWS:
            raise RuntimeError(f"{done.good} of {ROWS} rows are good, {done.phase}: {done.failure}")
        row.notes[:] = [f"{ROWS / (time.perf_counter() - began):.0f} rows/s"]

    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        _floor(pool, lines)  # its processes have started before the clock runs
        row = Row(
            unit="s" + LESS_IS_BETTER,
            ours=Seconds(work=work, calls_min=1, rounds=2),
            floor=Seconds(work=lambda: _floor(pool, lines), calls_min=1, rounds=2),
        )
        yield row
    ra.close()
    ra.database.close()

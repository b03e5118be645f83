"""`ca.issue.*`: from a signed order to a certificate that is linted, recorded twice, audited and durable."""

from __future__ import annotations

import atexit
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import peer_django_ca
import place
import traffic
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from harness import Contender, EmptyError, Row, Supply, benchmark
from orders import OrderDesk, make_csr

from onecert.ca.ceremonies.ceremony import Ceremony
from onecert.ca.ceremonies.file import load_ceremony_file
from onecert.ca.parts import Parts, assemble
from onecert.ca.signatures.tokens import root_token
from onecert.server.contexts import open_member

CEREMONIES = place.ROOT / "demo" / "ceremonies"
AUTHORITIES = {"p256": ("harbour", "p-256", 2000), "rsa2048": ("pearl", "rsa-2048", 1000)}
CLIENTS = 4
BATCH = 2000


@cache
def ca() -> Parts:
    """One CA in this process, on SQLite and SoftHSM: both authorities and one for timestamps."""
    opened = open_member("ca", place.folder(), environ={})
    context = opened.context
    parts = assemble(opened.config, context)
    roots = root_token(opened.config, context.data, context.shared)
    for authority in (*(name for name, _, _ in AUTHORITIES.values()), "city-tsa"):
        file = load_ceremony_file(CEREMONIES / f"{authority}.toml")
        list(Ceremony(file, parts, roots, actor="command:bench").hold())
    roots.close()
    atexit.register(opened.close)
    atexit.register(parts.batch_work.close)
    return parts


@benchmark("ca.issue.process.p256", "ca.issue.process.rsa2048")
def issue_in_process(name: str) -> Iterator[Row]:
    """One caller, one order after the other, each for another organisation."""
    authority, kind, per_second = AUTHORITIES[name.rpartition(".")[2]]
    parts, desk = ca(), OrderDesk(authority)
    parts.registration_authorities.add(desk.name, desk.public_pem, [f"{authority}:*"], actor="command:bench")
    orders = Supply(lambda: desk.order()[1], per_second=per_second)
    requests = Supply(make_csr, per_second=2 * per_second)
    build = _Builder(parts, authority)
    yield Row(
        unit="certificates/s",
        ours=Contender(work=lambda: parts.issuance.issue(orders.take()), prepare=orders.refill),
        floor=place.token_rate(kind),
        peers=[
            Contender(
                work=lambda: build(requests.take()),
                name="cryptography CertificateBuilder, same token key, nothing recorded",
                prepare=requests.refill,
            )
        ],
        notes=[place.flushes()],
    )


@benchmark("ca.issue.batch.p256", "ca.issue.batch.rsa2048")
def issue_in_batches(name: str) -> Iterator[Row]:
    """Accepted batches of two thousand orders each, filled as the job of the service fills them."""
    authority, kind, per_second = AUTHORITIES[name.rpartition(".")[2]]
    parts, desk = ca(), OrderDesk(authority)
    parts.registration_authorities.add(desk.name, desk.public_pem, [f"{authority}:*"], actor="command:bench")
    requests = Supply(make_csr, per_second=2 * per_second)
    build = _Builder(parts, authority)
    waiting: list[str] = []

    def accept(_seconds: float) -> None:
        batch, head, contents = desk.batch(BATCH)
        parts.batches.open(head)
        for number, content in enumerate(contents, start=1):
            parts.batches.add_part(batch, number, content)
        waiting.append(batch)

    def fill() -> None:
        if not waiting:
            raise EmptyError
        parts.batch_work.run(timedelta(minutes=1))
        progress = parts.batches.progress(waiting.pop())
        if progress.issued != BATCH:
            raise RuntimeError(f"a batch was not filled: {progress}")

    yield Row(
        unit="certificates/s",
        ours=Contender(work=fill, batch=BATCH, prepare=accept, calls_min=1),
        floor=place.token_rate(kind),
        peers=[
            Contender(
                work=lambda: build(requests.take()),
                name="cryptography CertificateBuilder, same token key, nothing recorded",
                prepare=requests.refill,
            )
        ],
        notes=[place.flushes()],
    )


class _Builder:
    """How a certificate is made without us: read the request, build, sign with the same key on the token."""

    def __init__(self, parts: Parts, authority: str) -> None:
        known = parts.authorities.get(authority)
        self._issuer = x509.load_der_x509_certificate(known.certificate_der)
        self._key: Any = parts.signer.key(known.key_label)
        self._url = f"http://127.0.0.1:8080/ca/{authority}"

    def __call__(self, csr_pem: str) -> x509.Certificate:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        if not request.is_signature_valid:
            raise ValueError("a request of ours is not signed")
        now = datetime.now(UTC)
        key = request.public_key()
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(f"{self._url}.crl")], None, None, None)
        access = [
            x509.AccessDescription(oid, x509.UniformResourceIdentifier(self._url + suffix))
            for oid, suffix in (
                (x509.AuthorityInformationAccessOID.OCSP, "/ocsp"),
                (x509.AuthorityInformationAccessOID.CA_ISSUERS, ".cer"),
            )
        ]
        policy = x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.58888.8.2.1"), None)
        usage = dict.fromkeys(_USAGES, False) | {"digital_signature": True, "content_commitment": True}
        issuer_key: Any = self._issuer.public_key()
        return (
            x509.CertificateBuilder(self._issuer.subject, request.subject, key, x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
            .add_extension(x509.CRLDistributionPoints([point]), critical=False)
            .add_extension(x509.AuthorityInformationAccess(access), critical=False)
            .add_extension(x509.CertificatePolicies([policy]), critical=False)
            .sign(self._key, hashes.SHA256())
        )


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@benchmark("ca.issue.http.p256")
def issue_over_http(name: str) -> Iterator[Row]:
    """Four clients with keep-alive over https on loopback, the service in a process of its own."""
    desk = OrderDesk("harbour")
    data = place.new_folder("ca-http")
    traffic.onecert(data, "ca", "ceremony", CEREMONIES / "harbour.toml", "--apply")
    (data / "ra.pem").write_text(desk.public_pem)
    scope = ["--key", data / "ra.pem", "--scope", "harbour:*"]
    traffic.onecert(data, "ca", "registration-authority", "add", desk.name, *scope)
    notes = [place.flushes()]
    with ExitStack() as stack:
        client = stack.enter_context(traffic.onecert_ca(data))

        def order() -> bytes:
            order_id, document = desk.order()
            key = f"Idempotency-Key: {order_id}"
            return client.request("/ca/v1/orders", document, "application/jose+json", key)

        ready = Supply(order, per_second=1000)
        took: list[float] = []

        def post() -> None:
            request = ready.take()
            began = time.perf_counter()
            client.send(request, status=201)
            took.append(time.perf_counter() - began)

        ready.refill(0)
        notes.append(f"one client: {_latency(_alone(post, took))}")
        yield Row(
            unit="certificates/s",
            ours=Contender(work=post, threads=CLIENTS, prepare=ready.refill),
            floor=place.token_rate("p-256"),
            peers=[*_cfssl(stack, notes), *_django_ca(stack, notes)],
            notes=notes,
        )
        notes.append(f"{CLIENTS} clients: {_latency(took)}")


def _alone(post: Callable[[], None], took: list[float]) -> list[float]:
    """The seconds of some orders, one after the other; the first ones open connections and fill caches."""
    for _ in range(40):
        post()
    alone, took[:] = took[10:], []
    return alone


def _latency(took: list[float]) -> str:
    hundredths = [1000 * each for each in statistics.quantiles(took, n=100)]
    return f"half of the answers within {hundredths[49]:.1f} ms, 99 of 100 within {hundredths[98]:.1f} ms"


def _cfssl(stack: ExitStack, notes: list[str]) -> list[Contender]:
    program = traffic.find_cfssl()
    if program is None:
        notes.append("no peer: cfssl is not installed (Debian: apt-get install golang-cfssl)")
        return []
    client = stack.enter_context(traffic.cfssl(program))

    def request() -> bytes:
        body = json.dumps({"certificate_request": make_csr(), "hosts": []}).encode()
        return client.request("/api/v1/cfssl/sign", body, "application/json")

    ready = Supply(request, per_second=1000)

    def work() -> None:
        if b'"success":true' not in client.send(ready.take(), status=200):
            raise RuntimeError("cfssl did not sign")

    name = "cfssl serve (Debian 1.2.0 of 2016), SQLite, key in memory"
    return [Contender(work=work, name=name, threads=CLIENTS, prepare=ready.refill)]


def _django_ca(stack: ExitStack, notes: list[str]) -> list[Contender]:
    python = peer_django_ca.find()
    if python is None:
        notes.append("no peer: django-ca is not installed (deploy/peers.sh)")
        return []
    client, path = stack.enter_context(peer_django_ca.django_ca(python))
    ready = Supply(lambda: peer_django_ca.request(client, path, make_csr()), per_second=500)

    def work() -> None:
        client.send(ready.take(), status=200)

    return [Contender(work=work, name=peer_django_ca.NAME, threads=CLIENTS, prepare=ready.refill)]

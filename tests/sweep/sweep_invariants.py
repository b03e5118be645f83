"""What must hold after any fault (section 3 of the design); each line names one thing that does not."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from sqlalchemy import func, select
from sweep_token import Signature
from sweep_worlds import open_database
from test_ca_ocsp import post

from onecert.ca import der, models
from onecert.ca.authorities.authorities import DESTROYED
from onecert.server.audit.check import verify_export
from onecert.server.audit.export import export_to_file
from onecert.verifier.jws import key_id

__all__ = ["ListWatch", "broken", "watch_signing"]

ASKED_OF_OCSP = 12


def broken(world: Any) -> Iterator[str]:
    """Name every invariant that is broken in a world at rest."""
    yield from _checker(world)
    rows = _certificates(world)
    yield from _once(world, rows)
    yield from _signed_is_on_record(world, rows)
    yield from _audit(world)
    yield from _status_answers(world, rows)


def _checker(world: Any) -> Iterator[str]:
    """Invariants 3, 5 and 6, by the product's own second opinion."""
    parts = world.parts
    for page in parts.checker.pages():
        for finding in page.findings:
            yield f"checker: {finding.as_json()}"
    for authority in parts.authorities.reload():
        for finding in parts.list_checker.check(authority):
            if not (finding.rule == "list-overdue" and authority.is_root):
                yield f"list checker: {finding.as_json()}"


def _certificates(world: Any) -> list[Any]:
    with world.context.database.reading() as connection:
        return list(connection.execute(select(models.certificates)).mappings())


def _once(world: Any, rows: list[Any]) -> Iterator[str]:
    """Invariant 4: one certificate for one order, no serial twice, nothing half-done."""
    by_order = defaultdict(list)
    for row in rows:
        by_order[row["order_id"]].append(row["serial"])
        if row["state"] == "intended":
            yield f"half-done: {row['authority']}/{row['serial']} is still an intent"
    for order, serials in by_order.items():
        if len(serials) != 1:
            yield f"order {order} has {len(serials)} certificates"
    with world.context.database.reading() as connection:
        orders = set(connection.execute(select(models.orders.c.id)).scalars())
        twice = connection.execute(
            select(models.revocations.c.serial, func.count())
            .group_by(
                models.revocations.c.authority, models.revocations.c.serial, models.revocations.c.reason
            )
            .having(func.count() > 1)
        ).all()
    if orders != set(by_order):
        yield f"orders without certificates: {sorted(orders ^ set(by_order))}"
    if twice:
        yield f"revoked twice: {twice}"


def _signed_is_on_record(world: Any, rows: list[Any]) -> Iterator[str]:
    """Invariant 2: whatever a key of an authority ever signed is on record, and a serial was used once."""
    known = {hashlib.sha256(_tbs(row)).hexdigest() for row in rows if _tbs(row)}
    with world.context.database.reading() as connection:
        for row in connection.execute(select(models.crls.c.tbs_sha256, models.crls.c.delta_tbs_sha256)):
            known |= {each for each in row if each}
    bytes_of: dict[tuple[str, int], set[str]] = defaultdict(set)
    for signature in (*world.token.log, *world.roots.log):
        if signature.data is not None and _is_document(signature.data):
            continue
        if _is_of_authority(signature.label) and signature.sha256 not in known:
            yield f"signed and not on record: {signature.label} {signature.sha256}"
        if _is_of_authority(signature.label) and signature.data is not None:
            number = _serial_of(signature.data)
            if number is not None:
                bytes_of[signature.label, number].add(signature.sha256)
    for (label, number), different in bytes_of.items():
        if len(different) > 1:
            yield f"serial {number:x} signed with different bytes by {label}"


def _is_of_authority(label: str) -> bool:
    return label.startswith(("ca-", "root-"))


def _is_document(data: bytes) -> bool:
    """A JWS cannot be taken for DER, whose SEQUENCE begins with 0x30."""
    return data.startswith(b"eyJ")


def _tbs(row: Any) -> bytes:
    if row["certificate_der"] is not None:
        return x509.load_der_x509_certificate(row["certificate_der"]).tbs_certificate_bytes
    return row["tbs_der"] or b""


def _serial_of(tbs_der: bytes) -> int | None:
    """The serial of a certificate to be signed; None for a list, which has none."""
    fields = der.elements(der.content_of(tbs_der))
    return int.from_bytes(fields[1][1], "big") if fields[0][0] == 0xA0 else None


def watch_signing(world: Any, faults: list[str]) -> None:
    """Ask the record at the very moment of each signature, from beside: is it committed already?"""
    beside = world.swept_beside = open_database(world.swept_url)

    def before(signature: Signature) -> None:
        if not _is_of_authority(signature.label) or signature.data is None or _is_document(signature.data):
            return
        number = _serial_of(signature.data)
        table = models.certificates
        if number is None:
            query: Any = select(func.count()).where(
                (models.crls.c.tbs_sha256 == signature.sha256)
                | (models.crls.c.delta_tbs_sha256 == signature.sha256)
            )
        else:
            query = select(func.count()).where(
                table.c.serial == f"{number:x}",
                (table.c.tbs_der == signature.data) | table.c.certificate_der.is_not(None),
            )
        with beside.reading() as connection:
            if not connection.execute(query).scalar():
                faults.append(f"signed before it was on record: {signature.label}")

    world.token.before_signing = world.roots.before_signing = before


def _audit(world: Any) -> Iterator[str]:
    """Invariant 5: the trail is whole, by an auditor's check of an export."""
    audit = world.token.keys.get("audit")
    if audit is None:
        return
    world.context.audit.sign_head(world.context.database, audit)
    path = world.context.shared / "audit.jsonl"
    export_to_file(world.context.database, path, service="ca")
    key = audit.public_key()
    try:
        verify_export(path, keys={key_id(key): key})
    except Exception as exc:
        yield f"audit trail: {exc}"
    path.unlink()


def _status_answers(world: Any, rows: list[Any]) -> Iterator[str]:
    """What is answered is what is on record, for those that are not good first."""
    authorities = {each.name: each for each in world.parts.authorities.everyone() if each.state != DESTROYED}
    at = world.clock.now()
    asked = [
        row
        for row in rows
        if row["authority"] in authorities
        and not authorities[row["authority"]].is_root
        and row["not_after"] > at
    ]
    asked.sort(key=lambda row: (row["status"] == "good", row["serial"]))
    for row in asked[:ASKED_OF_OCSP]:
        issuer = x509.load_der_x509_certificate(authorities[row["authority"]].certificate_der)
        names = hashlib.sha1(issuer.subject.public_bytes()).digest()
        key = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest
        builder = ocsp.OCSPRequestBuilder()
        request = builder.add_certificate_by_hash(names, key, int(row["serial"], 16), hashes.SHA1())
        body = request.build().public_bytes(Encoding.DER)
        status, _headers, content = post(world.service.status, body, row["authority"])
        answer = ocsp.load_der_ocsp_response(content)
        if status != 200 or answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            yield f"OCSP: no answer about {row['serial']}: {status} {answer.response_status}"
            continue
        is_good = answer.certificate_status is ocsp.OCSPCertStatus.GOOD
        if is_good != (row["status"] == "good"):
            yield f"OCSP says {answer.certificate_status} of {row['serial']}, which is {row['status']}"


class ListWatch:
    """Remembers every published list: numbers and times only grow (invariant 6)."""

    def __init__(self, world: Any) -> None:
        self._folder = world.parts.files.folder
        self._seen: dict[str, tuple[int, Any]] = {}
        self.look()

    def look(self) -> list[str]:
        faults = []
        for path in sorted(self._folder.glob("*.crl")):
            try:
                crl = x509.load_der_x509_crl(path.read_bytes())
            except ValueError:
                faults.append(f"{path.name} is not whole")
                continue
            number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            here = (number, crl.last_update_utc)
            before = self._seen.get(path.name, here)
            if here[0] < before[0] or here[1] < before[1]:
                faults.append(f"{path.name} went back from {before} to {here}")
            self._seen[path.name] = here
        faults += [f"{name} is gone" for name in self._seen if not (self._folder / name).exists()]
        return faults

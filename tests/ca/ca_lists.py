"""What the tests of partitioned and delta lists share: an authority that has them, and two judges of them."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sqlalchemy import update

from onecert.ca import models
from onecert.ca.issuing.order_notices import open_revocation
from onecert.verifier import RevocationEvidence, TrustAnchor
from onecert.verifier.errors import VerifyError
from onecert.verifier.path import PathValidator

HOUR = timedelta(hours=1)


def with_lists(world: Any, *, partitions: int = 0, delta_hours: int = 0) -> Any:
    """The harbour CA as its ceremony file would have made it with these two keys."""
    with world.context.database.transaction() as connection:
        connection.execute(
            update(models.authorities)
            .where(models.authorities.c.name == "harbour")
            .values(crl_partitions=partitions, crl_delta_s=delta_hours * 3600)
        )
    world.parts.authorities.reload()
    world.parts.publisher.publish_all("harbour")
    return world


def revoke(world: Any, serial: str, **changes: Any) -> Any:
    document = world.revocation(serial, **changes)
    return world.parts.revocation.revoke(open_revocation(world.parts.desk, document))


def list_der(world: Any, name: str = "harbour") -> bytes:
    data: bytes = world.parts.files.path(name, "crl").read_bytes()
    return data


def load(world: Any, name: str = "harbour") -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(list_der(world, name))


def serials(crl: x509.CertificateRevocationList) -> set[str]:
    return {f"{entry.serial_number:x}" for entry in crl}


def number_of(crl: x509.CertificateRevocationList) -> int:
    number: int = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    return number


def base_of(crl: x509.CertificateRevocationList) -> int:
    number: int = crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator).value.crl_number
    return number


def point_of(certificate_der: bytes) -> str:
    """The address in the certificate's one distribution point."""
    certificate = x509.load_der_x509_certificate(certificate_der)
    (point,) = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    (name,) = point.full_name or ()
    return str(name.value)


def verdict(world: Any, certificate_der: bytes, *lists: bytes) -> str:
    """What our verifier says with exactly these lists (and the root's): good, or the code of its refusal."""
    authorities = world.parts.authorities
    validator = PathValidator(
        anchors=[TrustAnchor.from_certificate(authorities.get("harbour-root").certificate_der)],
        candidates=[authorities.get("harbour").certificate_der],
        evidence=RevocationEvidence(crls=[list_der(world, "harbour-root"), *lists]),
    )
    try:
        validator.validate(certificate_der, at=world.clock.now())
    except VerifyError as exc:
        return exc.code
    return "good"


def openssl_verdict(world: Any, folder: Path, certificate_der: bytes, *lists: bytes) -> str:
    """What `openssl verify` says with exactly these lists (and the root's), deltas included."""
    authorities = world.parts.authorities
    pem = serialization.Encoding.PEM
    (folder / "lists.pem").write_bytes(
        b"".join(
            x509.load_der_x509_crl(der).public_bytes(pem) for der in (list_der(world, "harbour-root"), *lists)
        )
    )
    (folder / "root.pem").write_text(authorities.get("harbour-root").certificate_pem)
    (folder / "issuing.pem").write_text(authorities.get("harbour").certificate_pem)
    (folder / "leaf.pem").write_bytes(x509.load_der_x509_certificate(certificate_der).public_bytes(pem))
    moment = str(int(world.clock.now().timestamp()))
    done = subprocess.run(
        [
            "openssl", "verify", "-attime", moment, "-crl_check_all", "-use_deltas", "-CRLfile", "lists.pem",
            "-CAfile", "root.pem", "-untrusted", "issuing.pem", "leaf.pem",
        ],
        cwd=folder, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    if done.returncode == 0:
        return "good"
    return "revoked" if "certificate revoked" in done.stderr else done.stderr.strip()

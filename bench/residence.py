"""What a loaded CRL adds to the memory of a process: run by itself, it prints MiB.

Usage: python residence.py WHO FILE, with one of the names below. Each loads the list as one would before
looking up, and looks up once. What the process then holds more than before is counted, the list's own bytes
included.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asn1crypto import crl as asn1_crl
from cryptography import x509
from OpenSSL import crypto

from onecert.verifier import load_crl

SERIAL = 0x4A << 120


def raw(path: Path) -> Any:
    """The bytes, and nothing else."""
    return path.read_bytes()


def ours(path: Path) -> Any:
    """With its index."""
    crl = load_crl(path.read_bytes())
    return crl, crl.find(SERIAL)


def cryptography(path: Path) -> Any:
    """Looks up by going through the list."""
    crl = x509.load_der_x509_crl(path.read_bytes())
    return crl, crl.get_revoked_certificate_by_serial_number(SERIAL)


def openssl(path: Path) -> Any:
    """In a store, by way of the object that its interface takes."""
    store = crypto.X509Store()
    store.add_crl(x509.load_der_x509_crl(path.read_bytes()))
    return store


def certvalidator(path: Path) -> Any:
    """Its own search for a serial number: through all entries, as objects."""
    crl = asn1_crl.CertificateList.load(path.read_bytes())
    entries = crl["tbs_cert_list"]["revoked_certificates"]
    return crl, [entry for entry in entries if entry["user_certificate"].native == SERIAL]


CONTENDERS: tuple[Callable[[Path], Any], ...] = (raw, ours, cryptography, openssl, certvalidator)


def resident_mib() -> float:
    """Of this process, now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(who: str, path: str) -> None:
    """Print how much is added."""
    load = {contender.__name__: contender for contender in CONTENDERS}[who]
    before = resident_mib()
    kept = load(Path(path))
    after = resident_mib()
    print(f"{after - before:.2f}")
    del kept


if __name__ == "__main__":
    main(*sys.argv[1:])

"""`verifier.crl*`: what a long CRL costs to load, to keep and to look up in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import peers
import place
from asn1crypto import crl as asn1_crl
from cryptography import x509
from harness import LESS_IS_BETTER, Amount, Contender, Row, Seconds, benchmark
from OpenSSL import crypto
from pki import Pki, big_crl, check_signature, pki, revoked_serial, varied_entries

from onecert.verifier import Crl, load_crl

# asn1crypto makes an object of every entry: one call is enough. OpenSSL needs seconds too.
ONCE, FEW = 1, 3


@benchmark("verifier.crl_index.lookup")
def lookup(name: str) -> Iterator[Row]:
    """Look-ups in a list of a million; one in ten finds its serial, as no real traffic ever does."""
    data = big_crl("p256")
    entries = harness.sizes.entries
    ours: Crl = load_crl(data)
    theirs = x509.load_der_x509_crl(data)
    listed = {revoked_serial(number) for number in range(entries)}
    serials = [
        revoked_serial(number * 997 % entries) if number % 10 == 0 else x509.random_serial_number()
        for number in range(1000)
    ]

    def look_up() -> None:
        for serial in serials:
            ours.find(serial)

    def look_up_set() -> None:
        for serial in serials:
            listed.__contains__(serial)

    yield Row(
        unit="look-ups/s",
        ours=Contender(work=look_up, batch=len(serials)),
        floor=Contender(work=look_up_set, batch=len(serials), name="a Python set of all serials"),
        peers=[
            Contender(
                work=lambda: theirs.get_revoked_certificate_by_serial_number(serials[7]),
                name="cryptography get_revoked_certificate_by_serial_number",
            )
        ],
    )


@benchmark("verifier.crl.load.1000000", "verifier.crl.load_varied.1000000")
def load(name: str) -> Iterator[Row]:
    """From DER to a list that may be asked: read, indexed, signature checked. Varied: in 30 forms."""
    made = pki("p256")
    data = big_crl("p256") if "varied" not in name else made.list_of(varied_entries(harness.sizes.entries))
    key = made.key.public_key()
    theirs = x509.load_der_x509_crl(data)
    tbs, signature = theirs.tbs_certlist_bytes, theirs.signature

    def ours() -> None:
        crl = load_crl(data)
        crl.check_signature(key)
        crl.find(revoked_serial(1))

    def by_cryptography() -> None:
        crl = x509.load_der_x509_crl(data)
        if not crl.is_signature_valid(key):
            raise AssertionError("the list is good")
        crl.get_revoked_certificate_by_serial_number(revoked_serial(1))

    def by_asn1crypto() -> None:
        crl = asn1_crl.CertificateList.load(data)
        check_signature(key, crl["signature"].native, crl["tbs_cert_list"].dump())
        {entry["user_certificate"].native for entry in crl["tbs_cert_list"]["revoked_certificates"]}

    yield Row(
        unit=f"s{LESS_IS_BETTER}",
        ours=Seconds(work=ours, calls_min=1),
        floor=Seconds(
            work=lambda: check_signature(key, signature, tbs), calls_min=1, name="one check over its bytes"
        ),
        peers=[
            Seconds(work=by_cryptography, calls_min=1, name="cryptography, looked up once"),
            Seconds(
                work=_by_openssl(made, data),
                calls_min=1,
                rounds=FEW,
                name=f"{peers.OPENSSL}, first validation",
            ),
            Seconds(work=by_asn1crypto, calls_min=1, rounds=ONCE, name="asn1crypto, a set of serials"),
        ],
    )


def _by_openssl(made: Pki, data: bytes) -> Callable[[], None]:
    """OpenSSL checks the list's signature when it first needs it."""

    def verify() -> None:
        store = crypto.X509Store()
        store.add_cert(crypto.X509.from_cryptography(made.issuing))
        store.add_crl(x509.load_der_x509_crl(data))
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN | crypto.X509StoreFlags.CRL_CHECK)
        store.set_time(made.at)
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(made.leaves[0])).verify_certificate()

    return verify


@benchmark("verifier.crl.memory.1000000")
def memory(name: str) -> Iterator[Row]:
    """What a process holds more with the list than without, each contender in a fresh process."""
    path = place.new_folder("crl") / "list.crl"
    path.write_bytes(big_crl("p256"))

    def added(who: str) -> Callable[[], float]:
        program = Path(__file__).with_name("residence.py")
        command = [sys.executable, str(program), who, str(path)]
        return lambda: float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    yield Row(
        unit=f"MiB{LESS_IS_BETTER}",
        ours=Amount(work=added("ours")),
        floor=Amount(work=added("raw"), name="its bytes"),
        peers=[
            Amount(work=added("cryptography"), name="cryptography, without an index"),
            Amount(work=added("openssl"), name=peers.OPENSSL),
            Amount(
                work=added("certvalidator"), rounds=ONCE, name="asn1crypto, as pyhanko-certvalidator reads"
            ),
        ],
    )

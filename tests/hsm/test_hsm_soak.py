"""8 threads and 4 processes sign on one SoftHSM token, every signature is verified, nothing crashes.

``ONECERT_SOAK_SIGNATURES`` is the number of signatures in all: 4,000 by default, 100,000 in the full run.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from onecert.hsm import KeyAlgorithm, ensure_softhsm_token, open_token

pytestmark = [pytest.mark.token, pytest.mark.soak]

THREADS, PROCESSES = 8, 4
SIGNATURES = int(os.environ.get("ONECERT_SOAK_SIGNATURES", "4000"))

SIGNER = """
import faulthandler, hashlib, sys, threading
from pathlib import Path
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from onecert.hsm import TokenConfig, open_token

faulthandler.enable()
store, pin, number, threads, each = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
token = open_token(TokenConfig(label="soak", pin_file=pin, softhsm=store))
keys = [token.load_key(label) for label in token.key_labels()]
done = [0] * threads
failed = []

def sign(thread):
    try:
        for turn in range(each):
            key = keys[(turn + thread) % len(keys)]
            data = hashlib.sha256(b"%d %d %d" % (number, thread, turn)).digest()
            if isinstance(key, rsa.RSAPrivateKey):
                way = (padding.PKCS1v15(), hashes.SHA256())
            elif isinstance(key, ec.EllipticCurvePrivateKey):
                way = (ec.ECDSA(hashes.SHA384()),)
            else:
                way = ()
            key.public_key().verify(key.sign(data, *way), data, *way)
            done[thread] += 1
    except BaseException as exc:
        failed.append(repr(exc))

running = [threading.Thread(target=sign, args=(thread,)) for thread in range(threads)]
for thread in running:
    thread.start()
for thread in running:
    thread.join()
if failed:
    sys.exit("; ".join(failed))
print(sum(done))
"""


@pytest.mark.timeout(3600)
def test_threads_and_processes_sign_without_a_crash(tmp_path: Path, softhsm_store: Path) -> None:
    # Mostly P-256, as in service; the slower kinds take their turn.
    config = ensure_softhsm_token(softhsm_store, label="soak", pin_file=tmp_path / "pin")
    with open_token(config) as token:
        for number in range(5):
            token.generate_key(f"p256-{number}", KeyAlgorithm.P_256)
        for algorithm in (KeyAlgorithm.RSA_2048, KeyAlgorithm.P_384, KeyAlgorithm.ED25519):
            token.generate_key(algorithm, algorithm)
    each = -(-SIGNATURES // (THREADS * PROCESSES))
    arguments = [str(softhsm_store), str(config.pin_file)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SIGNER, *arguments, str(number), str(THREADS), str(each)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    signed = 0
    for process in processes:
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        signed += int(output)
    assert signed == each * THREADS * PROCESSES >= SIGNATURES

"""An applicant's software: keys, requests and signatures by the openssl command, which is not ours."""

import subprocess
from pathlib import Path

ALGORITHMS = {
    "rsa-2048": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "p-256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p-384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "sm2": ["SM2"],
}


def openssl(
    *arguments: str | Path, data: bytes | None = None, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """Run the openssl command; its output is the result."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done


def make_request(folder: Path, name: str, algorithm: str = "p-256", common_name: str = "applicant") -> Path:
    """Make NAME.key and NAME.csr (PEM; SHA-256, or SM3 for SM2) in ``folder``; return the request's path."""
    key, request = folder / f"{name}.key", folder / f"{name}.csr"
    openssl("genpkey", "-algorithm", *ALGORITHMS[algorithm], "-out", key)
    key.chmod(0o600)
    # GB/T 35276: who has no other identifier signs with this one.
    digest = ["-sm3", "-sigopt", "distid:1234567812345678"] if algorithm == "sm2" else ["-sha256"]
    openssl("req", "-new", *digest, "-utf8", "-key", key, "-subj", f"/CN={common_name}", "-out", request)
    return request


def sign(key: Path, data: bytes) -> bytes:
    """Sign ``data`` with SHA-256: PKCS#1 v1.5 for RSA, a DER signature for ECDSA."""
    return openssl("dgst", "-sha256", "-sign", key, data=data).stdout

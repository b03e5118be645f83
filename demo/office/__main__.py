"""Serve the tax office: `python demo/office --folder FOLDER --trust-list URL --https-port 8444`."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from app import APPLICATION, create_app, now
from cryptography.hazmat.primitives import serialization

from onecert.server.tls import TlsAdapter, WaitingServer, ensure_certificate
from onecert.verifier import TrustListUrl, VerifyError, load_signer
from onecert.verifier.trust_list import FileState, load_trust_root

LOOK_EVERY_S = 30.0
log = logging.getLogger(__name__)


class Office:
    """The web server, and the CA certificates with which its TLS asks browsers for theirs."""

    def __init__(self, options: argparse.Namespace, *, clock: Callable[[], datetime] = now) -> None:
        folder: Path = options.folder
        self._clock = clock
        self._authorities = folder / "client-authorities"
        self._authorities.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._list = TrustListUrl(
            options.trust_list,
            root=load_trust_root((folder / "trust-root.json").read_bytes()),
            folder=folder / "tls",
            state=FileState(folder / "tls" / "trust.json"),
        )
        self.look()
        certificate, key = options.tls_certificate, options.tls_key
        if certificate is None:
            certificate, key, _ = ensure_certificate(folder / "tls", host="127.0.0.1", at=clock())
        # Clients pin this certificate, or follow it to a root of their own.
        signer = load_signer(Path(certificate).read_bytes(), Path(key).read_bytes())
        app = create_app(
            folder,
            trust_list=options.trust_list,
            name=options.application,
            privileges=options.privileges,
            signer=signer,
            clock=clock,
        )
        self.server = WaitingServer(
            ("127.0.0.1", options.https_port), app, numthreads=8, server_name="office"
        )
        self.server.ssl_adapter = TlsAdapter(certificate, key, anchors_folder=self._authorities, anchors=())
        self._stopping = threading.Event()

    def look(self) -> None:
        """Browsers are asked for certificates of the CAs that stand on the list now.

        Without a list those known before stay: they only say what browsers offer.
        """
        try:
            trust_list = self._list.current(self._clock())
        except VerifyError as error:
            log.warning("no trust list", extra={"code": error.code})
            return
        wanted = {}
        for service in trust_list.services:
            if service.is_timestamp_authority:
                continue  # no holder has a certificate of it
            pem = service.certificates[0].certificate.public_bytes(serialization.Encoding.PEM)
            wanted[self._authorities / f"{service.id}.pem"] = pem
        for file in set(self._authorities.glob("*.pem")) - set(wanted):
            file.unlink()
        for file, pem in wanted.items():
            if not file.exists() or file.read_bytes() != pem:
                file.write_bytes(pem)

    def serve(self) -> None:
        """Serve until stopped."""
        self.server.prepare()
        threading.Thread(target=self._watch, daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=self.stop).start())
        print(f"ready https://127.0.0.1:{self.server.bind_addr[1]}", flush=True)
        self.server.serve()

    def stop(self) -> None:
        """Let the answers that are on their way go out, then end."""
        self._stopping.set()
        self.server.stop()

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            self.look()


def main() -> int:
    """Read the options and serve."""
    options = argparse.ArgumentParser(prog="office", description=__doc__)
    options.add_argument("--folder", type=Path, required=True, help="holds trust-root.json and secret.key")
    options.add_argument("--trust-list", required=True, help="address of the signed trust list")
    options.add_argument("--application", default=APPLICATION, help="who this office is, for challenges")
    options.add_argument("--privileges", help="address of the PMI; policy-key.pem lies in the folder")
    options.add_argument("--https-port", type=int, default=8444)
    options.add_argument("--tls-certificate", type=Path, help="default: self-signed, for this machine")
    options.add_argument("--tls-key", type=Path)
    Office(options.parse_args()).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""All that a department needs, from one folder and one address.

    verifier = open_verifier(Path("pki"), trust_list="http://pki.example/trust-list.json", application="tax")

| in the folder | is |
| --- | --- |
| ``list-keys.json`` | the officers' keys: put there by hand, compared with the printed ones |
| ``trust-list.json``, ``crls/`` | copies that serve while the network is gone |
| ``state/`` | the newest list ever seen; do not restore it from a backup |
| ``pairwise.key`` | made at the first start; ids of citizens depend on it, so keep a copy |
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.fetch import CrlFetcher, Fetch, TrustListUrl
from onecert.verifier.identity import load_pairwise_key
from onecert.verifier.identity.registry import Registry
from onecert.verifier.trust_list import FileState, load_list_keys
from onecert.verifier.verifier import Verifier

__all__ = ["open_verifier"]


def open_verifier(
    folder: Path,
    *,
    trust_list: str,
    application: str,
    use_ocsp: bool = False,
    refresh: timedelta = timedelta(minutes=10),
    registry: Registry | None = None,
    fetch: Fetch | None = None,
) -> Verifier:
    """Make the verifier of a department. Nothing is fetched before the first certificate is checked.

    Args:
        folder: private to the programs of this department on this machine; they may share it.
        trust_list: http or https address of the signed list.
        application: name of the application; ids of natural persons differ from one to the next.
        use_ocsp: ask the CA about each certificate, beside the lists.
        refresh: how often the trust list and revocation lists are fetched.
        registry: a mirror of the register of legal entities.
        fetch: how to fetch, when a proxy or limits of your own are needed.

    Raises:
        CouldNotCheckError: ``FILE_UNREADABLE``.
        RefusedError: ``LIST_KEYS_MALFORMED``.
    """
    return Verifier(
        trust_list=TrustListUrl(
            trust_list,
            cache=folder / "trust-list.json",
            keys=load_list_keys(_read(folder / "list-keys.json")),
            state=FileState(folder / "state" / "trust-list.json"),
            fetch=fetch,
            every=refresh,
        ),
        evidence=CrlFetcher(folder / "crls", fetch=fetch, every=refresh, use_ocsp=use_ocsp, background=True),
        application=application,
        pairwise_key=load_pairwise_key(folder / "pairwise.key", create=True),
        registry=registry,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise CouldNotCheckError("FILE_UNREADABLE", path=str(path), detail=exc.strerror or str(exc)) from exc

"""All that a department needs, from one folder and one address.

    verifier = open_verifier(Path("pki"), trust_list="http://pki.example/trust-list.json", application="tax")

| in the folder | is |
| --- | --- |
| ``trust-root.json`` | put there by hand, its fingerprint compared with the printed one |
| ``trust-list.json``, ``trust-timestamp.json``, ``trust-roots/`` | copies, for when the network is gone |
| ``lists/`` | the same of the lists that ours points to |
| ``crls/`` | the same of the revocation lists |
| ``registry/`` | the same of the register of legal entities, where the city publishes one, with its index |
| ``issuances/`` | the same of the record of issued certificates, for CAs that must report them |
| ``state/`` | the newest parts ever seen; do not restore it from a backup |
| ``pairwise.key`` | made at the first start; ids of citizens depend on it, so keep a copy |
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from onecert.verifier.fetch import (
    CrlFetcher,
    Fetch,
    IssuanceRecordUrl,
    RegistryUrl,
    TrustListUrl,
    follow_by_url,
)
from onecert.verifier.identity import load_pairwise_key
from onecert.verifier.identity.registry import ClosedEntities, Registry
from onecert.verifier.trust_list import FileState, PointedTrustLists, TrustRoot
from onecert.verifier.trust_list.root_folder import RootFolder, held_root
from onecert.verifier.verifier import Verifier

__all__ = ["RootFolder", "load_roots", "open_verifier"]


def open_verifier(
    folder: Path,
    *,
    trust_list: str,
    application: str,
    use_ocsp: bool = False,
    refresh: timedelta = timedelta(minutes=10),
    grace: timedelta = timedelta(0),
    registry: Registry | None = None,
    closed: ClosedEntities | None = None,
    fetch: Fetch | None = None,
) -> Verifier:
    """Make the verifier of a department. Nothing is fetched before the first certificate is checked.

    Args:
        folder: private to the programs of this department on this machine; they may share it.
        trust_list: http or https address of the signed list, or of the place where it lies.
        application: name of the application; ids of natural persons differ from one to the next.
        use_ocsp: ask the CA about each certificate, beside the lists.
        refresh: how often the trust list and revocation lists are fetched.
        grace: how long the list is still used when nobody confirms any more that it is the newest. Results
            then have the warning ``TRUST_TIMESTAMP_GRACE``.
        registry: a mirror of the register of your own, or ``NoRegistry()`` for none. By default the city's is
            fetched, where the trust timestamp names one; see ``RegistryUrl`` for while it cannot be had.
        closed: what becomes of entities that are cancelled or revoked in the city's register.
        fetch: how to fetch, when a proxy or limits of your own are needed.

    Raises:
        CouldNotCheckError: ``FILE_UNREADABLE``.
        RefusedError: ``TRUST_ROOT_MALFORMED``, ``TRUST_ROOT_SIGNATURE``, ``TRUST_ROOT_KEY_SHARED``.
        ValueError: ``closed`` beside a mirror of your own, which has rules of its own.
    """
    state = FileState(folder / "state" / "trust.json")
    then = None
    if registry is None:
        registry = RegistryUrl(
            trust_list,
            folder=folder / "registry",
            state=state,
            fetch=fetch,
            closed=closed or ClosedEntities(),
        )
        then = registry.follow
    elif closed is not None:
        raise ValueError("closed is for the city's register; your own mirror has rules of its own")
    own = TrustListUrl(
        trust_list,
        root=held_root(folder),
        folder=folder,
        state=state,
        fetch=fetch,
        every=refresh,
        grace=grace,
        then=then,
    )
    others = follow_by_url(
        folder / "lists", state_folder=folder / "state" / "lists", fetch=fetch, every=refresh
    )
    return Verifier(
        trust_list=PointedTrustLists(own, others),
        evidence=CrlFetcher(folder / "crls", fetch=fetch, every=refresh, use_ocsp=use_ocsp, background=True),
        application=application,
        pairwise_key=load_pairwise_key(folder / "pairwise.key", create=True),
        registry=registry,
        issuances=IssuanceRecordUrl(
            trust_list, root=lambda: own.root, folder=folder / "issuances", fetch=fetch, every=refresh
        ),
    )


def load_roots(folder: Path) -> tuple[TrustRoot, ...]:
    """Every version of the trust root that is at hand now, ascending; see ``RootFolder``.

    Raises:
        CouldNotCheckError: ``FILE_UNREADABLE``.
        RefusedError: ``TRUST_ROOT_…``, for the first or one that followed.
    """
    return RootFolder(folder)()

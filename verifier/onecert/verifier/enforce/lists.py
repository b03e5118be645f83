"""Fetch the revocation lists of the authorities that the configuration names, and keep what is newer.

What comes is verified before it replaces anything: another authority's list, an altered one and an older one
leave the list at hand where it is. While nothing can be fetched, that one serves until it runs out.
"""

from __future__ import annotations

from pathlib import Path

from onecert.verifier.attribute_certificate.acrl import MAX_BYTES, load_revocation_list
from onecert.verifier.attribute_certificate.credential_folder import CredentialFolder
from onecert.verifier.attribute_certificate.trust import AttributeTrust
from onecert.verifier.enforce.department import DepartmentConfig, trust_of
from onecert.verifier.errors import CouldNotCheckError, RefusedError, VerifyError
from onecert.verifier.fetch.transfer import Fetch, FetchRequest
from onecert.verifier.files import read_regular_file, write_atomically

__all__ = ["fetch_lists"]


def fetch_lists(config: DepartmentConfig, fetch: Fetch) -> dict[str, VerifyError | None]:
    """Fetch every list that has an address.

    Returns:
        Address of the list -> what went wrong, or ``None``.

    Raises:
        CouldNotCheckError: an authority of the configuration has no certificate in the folder.
    """
    trust = trust_of(config, CredentialFolder(config.privileges))
    folder = config.privileges / "acrls"
    said: dict[str, VerifyError | None] = {}
    for each, authority in zip(config.authorities, trust.authorities, strict=True):
        if each.acrl is None:
            continue
        try:
            own = AttributeTrust(authorities=(authority,))
            _fetch_one(each.acrl, folder / f"{Path(each.file).stem}.acrl", own, fetch)
            said[each.acrl] = None
        except VerifyError as exc:
            said[each.acrl] = exc
    return said


def _fetch_one(url: str, path: Path, trust: AttributeTrust, fetch: Fetch) -> None:
    data = fetch(FetchRequest(url=url, max_bytes=MAX_BYTES)).data or b""
    found = load_revocation_list(data, trust)
    known = _number(path, trust)
    if known is not None and found.number < known:
        raise RefusedError("ACRL_BACKWARDS", number=found.number, known=known)
    if found.number != known:
        try:
            write_atomically(path, data)
            # Programs of other accounts read it too, and it is public.
            path.chmod(0o644)
        except OSError as exc:
            raise CouldNotCheckError("FILE_UNREADABLE", path=path, detail=exc.strerror or str(exc)) from exc


def _number(path: Path, trust: AttributeTrust) -> int | None:
    try:
        return load_revocation_list(read_regular_file(path, MAX_BYTES), trust).number
    except (OSError, VerifyError):
        return None

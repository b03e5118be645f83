"""The register by its signed snapshot, the one that departments look numbers up in.

The job fetches head and rows from a folder or from the address of the trust list, checks them by the role
`registry` of the trust root, and puts them into the member's own folder; every process answers from there,
without the network. A snapshot that is over, damaged or missing answers "unchecked".
"""

import json
import logging
import os
import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from onecert.ra.registry.answers import Answer, NoRegistry, Registry
from onecert.server.folders import make_private_folder, write_file
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.fetch.registry_url import RegistryUrl
from onecert.verifier.fetch.transfer import Fetch
from onecert.verifier.fetch.trust_list_url import TrustListUrl
from onecert.verifier.identity.registry import ClosedEntities
from onecert.verifier.identity.registry_head import DATA_FILE, HEAD_FILE, load_head
from onecert.verifier.identity.registry_index import check_data
from onecert.verifier.identity.registry_snapshot import RegistrySnapshot
from onecert.verifier.trust_list.roles import Role, RoleKeys
from onecert.verifier.trust_list.root import TrustRoot, load_trust_root
from onecert.verifier.trust_list.state import FileState

__all__ = ["SnapshotRegistry", "make_registry"]

log = logging.getLogger(__name__)

_KEYS_FILE = "registry-keys.json"
_FETCH_S = 600.0
# Who is closed is told to the clerk; whether that is refused is the RA's policy, not the reader's.
_TOLD = ClosedEntities(cancelled="warn", revoked="warn")


class SnapshotRegistry:
    """A `Registry` on a folder of its own; see the module.

    Args:
        source: folder with `registry.json` and `registry.jsonl`, or the http(s) address of the trust list.
        trust_root: `trust-root.json`, whose fingerprint a person has compared.
        folder: private to this member; kept fresh by `refresh`.
        every: after so long at the latest the address is asked again; whoever asks sooner is told what is
            known. After a failure it is asked again after a minute, then after twice as long, up to this.
        fetch: for tests; by default the verifier's own.
    """

    def __init__(
        self,
        source: str,
        *,
        trust_root: Path,
        folder: Path,
        every: timedelta = timedelta(minutes=10),
        fetch: Fetch | None = None,
    ) -> None:
        self._every = every
        self._source = source
        self._trust_root = trust_root
        self._folder = folder
        self._fetch = fetch
        self._snapshot = RegistrySnapshot(folder, keys=self._keys, closed=_TOLD)
        self._urls: tuple[TrustListUrl, RegistryUrl] | None = None

    def look(self, uscc: str, at: datetime) -> Answer:
        """See `Registry`."""
        try:
            head = self._snapshot.head(at)
            entry = self._snapshot.find(f"uscc:{uscc}", at)
        except VerifyError as exc:
            return Answer(state="unchecked", why=exc.code)
        if entry is None:
            return Answer(state="unknown", as_of=head.issued_at, number=head.number)
        if entry.state not in {"active", "cancelled", "revoked"}:
            return Answer(state="unchecked", why="REGISTRY_STATE", as_of=head.issued_at)
        return Answer(
            state=entry.state,  # type: ignore[arg-type]  # one of the three, just checked
            names=entry.names,
            since=entry.until,
            as_of=head.issued_at,
            number=head.number,
        )

    def refresh(self, at: datetime) -> None:
        """Fetch, check, and only then replace what answers now; trouble goes to the log."""
        try:
            if self._source.startswith(("https://", "http://")):
                self._from_address(at)
            else:
                self._from_folder(Path(self._source), at)
        except (VerifyError, OSError, ValueError) as exc:
            log.warning("register not refreshed", extra={"error": str(exc)[:300]})

    def close(self) -> None:
        """Let go of files."""
        self._snapshot.close()
        if self._urls is not None:
            self._urls[1].close()

    def _from_folder(self, source: Path, at: datetime) -> None:
        keys = self._root().roles.get(Role.REGISTRY)
        if keys is None:
            raise CouldNotCheckError("REGISTRY_MISSING", detail="the trust root names no keys for it")
        self._take(source / HEAD_FILE, source / DATA_FILE, keys, at)

    def _from_address(self, at: datetime) -> None:
        trust_list, registry = self._urls = self._urls or self._open_urls()
        parts = trust_list.parts(at)
        registry.follow(parts, at)
        registry.wait(_FETCH_S)
        keys = parts.root.roles.get(Role.REGISTRY)
        head = registry.head(at)
        if keys is None or head is None:
            raise CouldNotCheckError("REGISTRY_MISSING", detail="the city publishes none")
        if registry.failure is not None:  # what was fetched before goes on answering until its own end
            log.warning("newest register not fetched", extra={"error": str(registry.failure)[:300]})
        folder = self._folder / "fetched" / "register"
        self._take(folder / HEAD_FILE, folder / f"rows-{head.data.sha256[:40]}.jsonl", keys, at)

    def _open_urls(self) -> tuple[TrustListUrl, RegistryUrl]:
        folder = self._folder / "fetched"
        for name in ("list", "register"):
            make_private_folder(folder / name)
        state = FileState(folder / "seen.json")
        registry = RegistryUrl(
            self._source, folder=folder / "register", state=state, fetch=self._fetch, closed=_TOLD
        )
        trust_list = TrustListUrl(
            self._source,
            root=self._root(),
            folder=folder / "list",
            state=state,
            fetch=self._fetch,
            every=self._every,
        )
        return trust_list, registry

    def _take(self, head_file: Path, data_file: Path, keys: RoleKeys, at: datetime) -> None:
        """Copy, check the copy, and put it where every process answers from; the head last."""
        signed = head_file.read_bytes()
        make_private_folder(self._folder)
        written = _written(keys)
        if _read(self._folder / HEAD_FILE) == signed and _read(self._folder / _KEYS_FILE) == written:
            return
        head = load_head(signed, keys=keys, at=at, state=FileState(self._folder / "seen-here.json"))
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".rows-")
        try:
            with os.fdopen(descriptor, "w+b") as copy, data_file.open("rb") as rows:
                shutil.copyfileobj(rows, copy)
                copy.flush()
                check_data(copy, head.data)
            os.replace(name, self._folder / DATA_FILE)
        finally:
            Path(name).unlink(missing_ok=True)
        write_file(self._folder / _KEYS_FILE, written)
        write_file(self._folder / HEAD_FILE, signed)
        self._snapshot.refresh(at)
        log.info("register refreshed", extra={"snapshot": head.number, "entries": head.data.entries})

    def _root(self) -> TrustRoot:
        return load_trust_root(self._trust_root.read_bytes())

    def _keys(self) -> RoleKeys:
        """The keys that the job found in the root when it took the snapshot."""
        try:
            document = json.loads((self._folder / _KEYS_FILE).read_bytes())
            keys = {kid: load_pem_public_key(pem.encode()) for kid, pem in document["keys"].items()}
            return RoleKeys(int(document["threshold"]), keys, int(document["epoch"]))  # type: ignore[arg-type]  # as written below
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise CouldNotCheckError("REGISTRY_MISSING", detail=str(exc)[:200]) from exc


def _written(keys: RoleKeys) -> bytes:
    pems = {
        kid: key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        for kid, key in keys.keys.items()
    }
    document = {"threshold": keys.threshold, "epoch": keys.epoch, "keys": pems}
    return json.dumps(document, sort_keys=True).encode()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def make_registry(
    source: str | None, trust_root: Path | None, folder: Path, *, every: timedelta = timedelta(minutes=10)
) -> Registry:
    """What the settings say; without them nothing can be checked, and every answer says so.

    Raises:
        ValueError: a source without the trust root that says whose signature counts.
    """
    if source is None:
        return NoRegistry()
    if trust_root is None:
        raise ValueError("registry needs trust_root: the file that says whose signature counts")
    return SnapshotRegistry(source, trust_root=trust_root, folder=folder, every=every)

"""Reading a draft file. ``certificate_file`` and ``identity_profile_file`` point to files beside it.

The contents of those files are taken into the draft, so that what officers sign never changes behind them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onecert.supervision.draft import Draft, parse_draft
from onecert.supervision.errors import DraftMalformedError
from onecert.verifier.errors import MalformedError
from onecert.verifier.jws import load_json

__all__ = ["read_draft_file", "read_service_file"]

MAX_BYTES = 16 * 1024 * 1024
MAX_PART_BYTES = 512 * 1024


def read_draft_file(path: Path) -> Draft:
    """Read a draft and the files it names.

    Raises:
        DraftMalformedError: a file is missing, too large or not what it should be.
    """
    value = _json(path, MAX_BYTES)
    services = value.get("services") if isinstance(value, dict) else None
    for service in services if isinstance(services, list) else []:
        if isinstance(service, dict):
            _inline(service, path.parent)
    return parse_draft(value)


def read_service_file(path: Path) -> dict[str, Any]:
    """Read one service, written as in a draft file, and the files it names; the draft checks what it says.

    Raises:
        DraftMalformedError: a file is missing, too large or not what it should be.
    """
    value = _json(path, MAX_BYTES)
    if not isinstance(value, dict):
        raise DraftMalformedError("a service must be an object")
    _inline(value, path.parent)
    return value


def _inline(service: dict[str, Any], folder: Path) -> None:
    _certificate(service, folder)
    if "identity_profile_file" in service:
        if "identity_profile" in service:
            raise DraftMalformedError("identity_profile and identity_profile_file exclude each other")
        file = _beside(folder, service.pop("identity_profile_file"))
        service["identity_profile"] = _json(file, MAX_PART_BYTES)
    samples = service.get("samples")
    for sample in samples if isinstance(samples, list) else []:
        if isinstance(sample, dict):
            _certificate(sample, folder)


def _certificate(owner: dict[str, Any], folder: Path) -> None:
    if "certificate_file" not in owner:
        return
    if "certificate_pem" in owner:
        raise DraftMalformedError("certificate_pem and certificate_file exclude each other")
    file = _beside(folder, owner.pop("certificate_file"))
    owner["certificate_pem"] = _read(file, MAX_PART_BYTES).decode("ascii", "replace")


def _beside(folder: Path, name: object) -> Path:
    if not isinstance(name, str) or not name:
        raise DraftMalformedError("a file name must be text")
    return folder / name


def _json(path: Path, max_bytes: int) -> Any:
    try:
        return load_json(_read(path, max_bytes), max_bytes=max_bytes)
    except MalformedError as exc:
        raise DraftMalformedError(f"{path.name}: {exc.text('en')}") from exc


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as exc:
        raise DraftMalformedError(f"{path}: {exc.strerror}") from exc
    if len(data) > max_bytes:
        raise DraftMalformedError(f"{path.name}: more than {max_bytes} bytes")
    return data

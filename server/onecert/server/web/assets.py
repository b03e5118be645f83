"""Files that browsers load: the frame's own, a member's own, and htmx from its package.

    {{ asset('onecert.css') }}    <script src="{{ asset('enter.js') }}" defer></script>

A member's files lie in ``static/`` of its package; one with the name of a frame's file takes its place. Every
address carries a hash of the content, so that browsers keep the file for good and never an old one. htmx is
the file of the installed package django_htmx, of which nothing is imported (docs/decisions/0009).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from flask import Response, abort, send_file, url_for

from onecert.server.errors import ServiceError
from onecert.server.web.access import public
from onecert.server.web.frame import current_frame

__all__ = ["AssetPackageMissingError", "Assets", "asset", "htmx_file", "serve"]

STATIC = Path(__file__).parent / "static"
HTMX_PACKAGE = "django_htmx"
HTMX_PATH = "static/django_htmx/htmx-2.min.js"


class AssetPackageMissingError(ServiceError):
    """A package with files for browsers is not installed, or no longer has the file."""

    def __init__(self, package: str, file: str) -> None:
        super().__init__(
            "ASSET_PACKAGE_MISSING",
            status=503,
            text="The package %(package)s with the file %(file)s is not installed.",
            hint="Install it from requirements/browser.txt, without its dependencies.",
            package=package,
            file=file,
        )


def htmx_file(package: str = HTMX_PACKAGE) -> Path:
    """Where htmx 2 lies. Raises AssetPackageMissingError."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / HTMX_PATH
        if file.is_file():
            return file
    raise AssetPackageMissingError(package, HTMX_PATH)


class Assets:
    """The files of one service, by the name that pages use."""

    def __init__(self, folders: Sequence[Path] = (), files: Mapping[str, Path] | None = None) -> None:
        """`folders` are looked through in this order, the frame's own last; `files` are single ones."""
        self._folders = (*folders, STATIC)
        self._files = dict(files or {})
        self._hashes: dict[str, str] = {}

    def find(self, name: str) -> Path | None:
        """The file of this name; None when there is none. A name never leads out of its folder."""
        if name in self._files:
            return self._files[name]
        for folder in self._folders:
            file = (folder / name).resolve()
            if file.is_relative_to(folder.resolve()) and file.is_file():
                return file
        return None

    def content_hash(self, name: str) -> str:
        """Twelve hex digits that change with the content. Raises FileNotFoundError: a page names no file."""
        if name not in self._hashes:
            file = self.find(name)
            if file is None:
                raise FileNotFoundError(name)
            self._hashes[name] = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        return self._hashes[name]


def asset(name: str) -> str:
    """Address of a file that changes with its content, so that browsers may keep it."""
    return url_for("frame.static", filename=name, v=current_frame().assets.content_hash(name))


@public
def serve(filename: str) -> Response:
    """The file itself; headers.py says how long it is kept."""
    file = current_frame().assets.find(filename) if "\0" not in filename else None
    if file is None:
        abort(404)
    return send_file(file, conditional=True)

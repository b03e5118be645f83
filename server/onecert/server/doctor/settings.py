"""Settings that are allowed and not safe, and the files that the settings name."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

from onecert.server.config import ServerConfig, Settings
from onecert.server.doctor.finding import Finding, sound
from onecert.server.languages import gettext
from onecert.server.operators import SignInConfig

__all__ = ["look_at_settings"]

MACHINE, SUBJECT = "machine", "settings"
_SECRETS = ("pin_file", "password_file", "tls_key")


def look_at_settings(settings: Settings, sections: list[str], file: Path | None) -> Iterator[Finding]:
    """Look at settings that could be read.

    Args:
        sections: all of them.
        file: where they are from, if from a file.
    """
    server, sign_in = settings.section("server", ServerConfig), settings.section("sign_in", SignInConfig)
    found = [*_files(settings, sections, file)]
    if server.https_socket is not None and not sign_in.certificate_header:
        found.append(
            _fault(
                "SIGN_IN_BY_LINKS_ONLY",
                gettext("behind the proxy operators cannot sign in by certificate, only by links"),
                gettext(
                    "have the proxy hand over the certificate, and name its header in certificate_header"
                ),
            )
        )
    if sign_in.allow_same_person:
        found.append(
            _fault(
                "SAME_PERSON_ALLOWED",
                gettext("allow_same_person is true: one person may hold several accounts"),
                gettext("take it out of [sign_in], unless the service is a trial"),
            )
        )
    yield from found or [sound(MACHINE, SUBJECT)]


def _files(settings: Settings, sections: list[str], file: Path | None) -> Iterator[Finding]:
    if file is not None and stat.S_IMODE(file.stat().st_mode) & 0o022:
        yield _fault(
            "SETTINGS_WRITABLE",
            gettext("%(path)s can be changed by other users", path=file),
            gettext("chmod go-w %(path)s, and read what it says now", path=file),
        )
    for section in sections:
        config = settings[section]
        for field in fields(config) if is_dataclass(config) else ():
            path = getattr(config, field.name)
            if field.name.endswith(_SECRETS) and isinstance(path, Path):
                yield from _secret(path, f"[{section}] {field.name}")


def _secret(path: Path, name: str) -> Iterator[Finding]:
    try:
        mode = path.stat().st_mode
    except OSError as exc:
        yield _fault(
            "SECRET_MISSING",
            gettext(
                "%(name)s: %(path)s cannot be read (%(reason)s)", name=name, path=path, reason=exc.strerror
            ),
            gettext("restore the file, or name the right one in the settings"),
        )
        return
    if stat.S_IMODE(mode) & 0o077:
        yield _fault(
            "SECRET_READABLE",
            gettext("%(path)s can be read by other users", path=path),
            gettext("chmod 600 %(path)s; if strangers use this machine, change the secret too", path=path),
        )


def _fault(code: str, text: str, hint: str) -> Finding:
    return Finding(place=MACHINE, subject=SUBJECT, code=code, text=text, hint=hint)

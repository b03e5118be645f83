"""A profile file as people write it: TOML of bounded size; all its faults at once, whatever the bytes are."""

from __future__ import annotations

import tomllib

from onecert.ca.errors.profiles import ProfileFileError
from onecert.ca.profiles.profile import Profile, read_profile
from onecert.server.languages import Sentence, _

__all__ = ["PROFILE_MAX_BYTES", "profile_from_text"]

PROFILE_MAX_BYTES = 64 * 1024


def profile_from_text(text: str | bytes) -> Profile:
    """Read the profile of holders' certificates.

    Args:
        text: TOML, UTF-8, at most 64 KiB.

    Raises:
        ProfileFileError: with every fault.
    """
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if len(content) > PROFILE_MAX_BYTES:
        kilobytes = PROFILE_MAX_BYTES // 1024
        raise ProfileFileError([Sentence(_("it has more than %(kilobytes)s KiB"), kilobytes=kilobytes)])
    try:
        data = tomllib.loads(content.decode())
    # Deep nesting ends the recursion, endless digits the conversion of numbers.
    except (ValueError, RecursionError) as exc:
        reason = str(exc)[:200] if isinstance(exc, ValueError) else "nested too deeply"
        raise ProfileFileError([Sentence(_("it is not TOML: %(reason)s"), reason=reason)]) from exc
    profile, faults = read_profile(data)
    if profile is not None and profile.is_authority:
        faults = [Sentence(_("certificates of authorities are made in ceremonies"))]
    if profile is None or faults:
        raise ProfileFileError(faults)
    return profile

"""The roles of the registration authority (DOMAIN: 受理, 审核, 制证, 档案, 安全, 审计, 管理)."""

from collections.abc import Mapping
from types import MappingProxyType

from onecert.server.languages import _

__all__ = ["ADMINISTRATOR", "ARCHIVE", "AUDITOR", "ENTRY", "MEDIA", "REVIEW", "ROLES", "SECURITY"]

ENTRY = "clerk.entry"
REVIEW = "clerk.review"
MEDIA = "clerk.media"
ARCHIVE = "clerk.archive"
SECURITY = "security.officer"
AUDITOR = "auditor"
ADMINISTRATOR = "administrator"

ROLES: Mapping[str, str] = MappingProxyType(
    {
        ENTRY: _("Entry clerk"),
        REVIEW: _("Review clerk"),
        MEDIA: _("Media clerk"),
        ARCHIVE: _("Archive clerk"),
        SECURITY: _("Security officer"),
        AUDITOR: _("Auditor"),
        ADMINISTRATOR: _("Administrator"),
    }
)

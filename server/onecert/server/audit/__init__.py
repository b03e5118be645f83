"""The audit trail: entries in the transaction of the act, chained, signed, and checked offline."""

from onecert.server.audit.canonical import Json
from onecert.server.audit.trail import AuditEntry, AuditTrail, find_entries

__all__ = ["AuditEntry", "AuditTrail", "Json", "find_entries"]

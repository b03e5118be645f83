"""The signed list of licensed CA services (ETSI TS 119 602 names, JSON, JWS)."""

from onecert.verifier.trust_list.errors import (
    TrustListError,
    TrustListRollbackError,
    TrustListUnavailableError,
)
from onecert.verifier.trust_list.load import (
    FixedTrustList,
    ListKeys,
    TrustListFile,
    TrustListSource,
    check_current,
    load_list_keys,
    load_trust_list,
)
from onecert.verifier.trust_list.model import (
    Contact,
    LocalText,
    StatusEntry,
    SupplyPoint,
    TrustedService,
    TrustList,
)
from onecert.verifier.trust_list.parse import parse_trust_list
from onecert.verifier.trust_list.state import FileState, MemoryState, TrustListState
from onecert.verifier.trust_list.vocabulary import Status, SupplyKind

__all__ = [
    "Contact",
    "FileState",
    "FixedTrustList",
    "ListKeys",
    "LocalText",
    "MemoryState",
    "Status",
    "StatusEntry",
    "SupplyKind",
    "SupplyPoint",
    "TrustList",
    "TrustListError",
    "TrustListFile",
    "TrustListRollbackError",
    "TrustListSource",
    "TrustListState",
    "TrustListUnavailableError",
    "TrustedService",
    "check_current",
    "load_list_keys",
    "load_trust_list",
    "parse_trust_list",
]

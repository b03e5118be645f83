"""The signed list of licensed CA services (ETSI TS 119 602 names, JSON, JWS)."""

from onecert.verifier.trust_list.errors import (
    TrustListError,
    TrustListRollbackError,
    TrustListUnavailableError,
)
from onecert.verifier.trust_list.folder import TrustListFolder
from onecert.verifier.trust_list.load import (
    FixedTrustList,
    TrustListSource,
    check_current,
    load_trust_list,
)
from onecert.verifier.trust_list.model import (
    AllowedAlgorithm,
    Contact,
    LocalText,
    ServiceLevel,
    StatusEntry,
    SupplyPoint,
    TrustedService,
    TrustList,
)
from onecert.verifier.trust_list.parse import parse_trust_list
from onecert.verifier.trust_list.pointer import MissingList, Pointer, PointerTerms
from onecert.verifier.trust_list.pointers import PointedListError, PointedTrustLists
from onecert.verifier.trust_list.published import PublishedTrust, TrustedParts, load_trusted_list
from onecert.verifier.trust_list.roles import Role, RoleKeys
from onecert.verifier.trust_list.root import TrustRoot, check_root_current, load_trust_root, next_trust_root
from onecert.verifier.trust_list.state import FileState, MemoryState, Seen, TrustState
from onecert.verifier.trust_list.timestamp import (
    TrustTimestamp,
    check_timestamp_current,
    load_trust_timestamp,
)
from onecert.verifier.trust_list.vocabulary import Status, SupplyKind

__all__ = [
    "AllowedAlgorithm",
    "Contact",
    "FileState",
    "FixedTrustList",
    "LocalText",
    "MemoryState",
    "MissingList",
    "PointedListError",
    "PointedTrustLists",
    "Pointer",
    "PointerTerms",
    "PublishedTrust",
    "Role",
    "RoleKeys",
    "Seen",
    "ServiceLevel",
    "Status",
    "StatusEntry",
    "SupplyKind",
    "SupplyPoint",
    "TrustList",
    "TrustListError",
    "TrustListFolder",
    "TrustListRollbackError",
    "TrustListSource",
    "TrustListUnavailableError",
    "TrustRoot",
    "TrustState",
    "TrustTimestamp",
    "TrustedParts",
    "TrustedService",
    "check_current",
    "check_root_current",
    "check_timestamp_current",
    "load_trust_list",
    "load_trust_root",
    "load_trust_timestamp",
    "load_trusted_list",
    "next_trust_root",
    "parse_trust_list",
]

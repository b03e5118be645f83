"""The URIs and bounds of our trust list. ETSI TS 119 602 leaves these to the scheme that runs a list."""

from __future__ import annotations

from enum import StrEnum

TYP = "onecert-trust-list+json"
LOTE_VERSION = 1
LOTE_TYPE = "urn:onecert:lote:licensed-certification-authorities"
SERVICE_TYPE_CA = "urn:onecert:service-type:ca"
# A timestamp authority: its certificate issues those of its units, and none of holders.
SERVICE_TYPE_TSA = "urn:onecert:service-type:tsa"
SERVICE_TYPES = frozenset({SERVICE_TYPE_CA, SERVICE_TYPE_TSA})

MAX_BYTES = 16 * 1024 * 1024
# A list that nobody had to renew for longer than this would make a withdrawal invisible for as long.
MAX_VALIDITY_DAYS = 190


class Status(StrEnum):
    """State of a service: 有效, 暂停, 撤销许可, 终止, 密钥泄露."""

    GRANTED = "granted"
    SUSPENDED = "suspended"
    WITHDRAWN = "withdrawn"
    TERMINATED = "terminated"
    KEY_COMPROMISED = "key_compromised"

    @property
    def uri(self) -> str:
        """As written in the list."""
        return f"urn:onecert:service-status:{self.value}"


STATUS_BY_URI = {status.uri: status for status in Status}


class SupplyKind(StrEnum):
    """What a supply point of a service gives."""

    CRL = "crl"
    OCSP = "ocsp"
    CA_CERTIFICATE = "ca-certificate"
    TIMESTAMP = "timestamp"

    @property
    def uri(self) -> str:
        """As written in the list."""
        return f"urn:onecert:supply-point:{self.value}"


SUPPLY_BY_URI = {kind.uri: kind for kind in SupplyKind}

# Extensions: {"Type": URI, "Critical": bool, "Value": …}
EXT_IDENTITY_PROFILE = "urn:onecert:extension:identity-profile"
EXT_STATUS_TERMS = "urn:onecert:extension:status-terms"
EXT_ISSUANCE_LOG = "urn:onecert:extension:issuance-log"
EXT_CONTACT = "urn:onecert:extension:contact"
EXT_POLICIES = "urn:onecert:extension:policies"
EXT_ALGORITHMS = "urn:onecert:extension:algorithms"
EXT_SERVICE_LEVEL = "urn:onecert:extension:sla"
# Of a pointer to another list.
EXT_POINTER_TERMS = "urn:onecert:extension:pointer-terms"

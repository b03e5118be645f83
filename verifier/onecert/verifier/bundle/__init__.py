"""The offline bundle: list, revocation lists, register and policy in one signed file, carried by hand."""

from onecert.verifier.bundle.load import BUNDLE_FILE, Bundle, check_usable, load_bundle
from onecert.verifier.bundle.offline import OfflineVerifier, import_bundle, open_offline_verifier

__all__ = [
    "BUNDLE_FILE",
    "Bundle",
    "OfflineVerifier",
    "check_usable",
    "import_bundle",
    "load_bundle",
    "open_offline_verifier",
]

"""Keys that never leave a PKCS#11 token, shown as ordinary private keys of ``cryptography``.

Open a token with ``open_token``; ``ensure_softhsm_token`` makes one in software at first start; a service has
its token as a ``ServiceToken``. What is not listed here may change.
"""

from onecert.hsm.algorithms import KeyAlgorithm
from onecert.hsm.config import TokenConfig
from onecert.hsm.errors import (
    AlgorithmNotSupportedError,
    ForkedError,
    KeyExistsError,
    KeyNotExportableError,
    KeyNotFoundError,
    KeyUnusableError,
    ModuleError,
    PinError,
    PinFileError,
    PinFormError,
    PinLockedError,
    PinsExhaustedError,
    PinThrottledError,
    StoreConflictError,
    TokenBusyError,
    TokenClosedError,
    TokenConfigError,
    TokenError,
    TokenNotFoundError,
    TokenOperationError,
    TokenUnavailableError,
    UnsealError,
)
from onecert.hsm.holder import HolderToken, HolderTokens
from onecert.hsm.keys import PrivateKey, PublicKey
from onecert.hsm.opening import open_token
from onecert.hsm.personal import PersonalToken
from onecert.hsm.sealed_keys import SealedKeys
from onecert.hsm.sealing import SealingKey, WrappedKey
from onecert.hsm.service_token import ServiceToken
from onecert.hsm.sm2 import Sm2PrivateKey, Sm2PublicKey
from onecert.hsm.softhsm import ensure_softhsm_token, find_module
from onecert.hsm.token import Token, TokenInfo

__all__ = [
    "AlgorithmNotSupportedError",
    "ForkedError",
    "HolderToken",
    "HolderTokens",
    "KeyAlgorithm",
    "KeyExistsError",
    "KeyNotExportableError",
    "KeyNotFoundError",
    "KeyUnusableError",
    "ModuleError",
    "PersonalToken",
    "PinError",
    "PinFileError",
    "PinFormError",
    "PinLockedError",
    "PinThrottledError",
    "PinsExhaustedError",
    "PrivateKey",
    "PublicKey",
    "SealedKeys",
    "SealingKey",
    "ServiceToken",
    "Sm2PrivateKey",
    "Sm2PublicKey",
    "StoreConflictError",
    "Token",
    "TokenBusyError",
    "TokenClosedError",
    "TokenConfig",
    "TokenConfigError",
    "TokenError",
    "TokenInfo",
    "TokenNotFoundError",
    "TokenOperationError",
    "TokenUnavailableError",
    "UnsealError",
    "WrappedKey",
    "ensure_softhsm_token",
    "find_module",
    "open_token",
]

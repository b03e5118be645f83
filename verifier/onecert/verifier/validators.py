"""The path validators of a façade: one for each purpose, for as long as the trust list is the same.

They share what is costly, the lists: a CRL is parsed, indexed and its signature checked once for all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from onecert.verifier.path import PathValidator
from onecert.verifier.purposes import Purpose
from onecert.verifier.revocation import RevocationEvidence
from onecert.verifier.trust_list.model import TrustList

__all__ = ["VALIDATORS_MAX", "ValidatorMemory"]

VALIDATORS_MAX = 32  # purposes in use at once; a program has a few, unless it makes a new one for each call


class ValidatorMemory:
    """Keeps validators and what they have learned. Safe to share between threads."""

    def __init__(self, make: Callable[[TrustList, RevocationEvidence, Purpose], PathValidator]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._holds_for: tuple[TrustList, RevocationEvidence] | None = None
        self._validators: dict[Purpose, PathValidator] = {}

    def __len__(self) -> int:
        return len(self._validators)

    def find(self, trust_list: TrustList, evidence: RevocationEvidence, purpose: Purpose) -> PathValidator:
        """The validator of this purpose; what it learned about paths goes with the trust list."""
        with self._lock:
            known = self._holds_for
            if known is None or known[0] is not trust_list or known[1] is not evidence:
                self._holds_for = trust_list, evidence
                self._validators = {}
            validators = self._validators
            validator = validators.get(purpose)
            if validator is None:
                validator = validators[purpose] = self._make(trust_list, evidence, purpose)
                if len(validators) > VALIDATORS_MAX:
                    del validators[next(iter(validators))]
            return validator

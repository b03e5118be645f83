"""The ways into the library, one module each.

A target is a module with ``SEEDS``, a function that makes its first inputs; ``run``, which takes the bytes of
one input and raises when a rule of ``fuzz.rules`` is broken; and ``IS_DER``, whether edits of a DER tree
are worth more on it than edits of octets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module

NAMES = (
    "certificate",
    "crl",
    "ocsp",
    "path",
    "constraints",
    "documents",
    "attribute",
    "delegations",
    "keys",
    "pem",
    "forms",
    "jws_forms",
    "xml_forms",
    "pdf_forms",
    "records",
    "fetched",
    "bundles",
    "ocsp_request",
    "timestamp_request",
)


@dataclass(frozen=True)
class Target:
    """One target, loaded."""

    name: str
    seeds: Callable[[], Iterable[bytes]]
    run: Callable[[bytes], None]
    is_der: bool


def load(name: str) -> Target:
    """Import a target, and with it what it tests."""
    if name not in NAMES:
        raise LookupError(name)
    module = import_module(f"fuzz.targets.{name}")
    return Target(name, module.seeds, module.run, module.IS_DER)

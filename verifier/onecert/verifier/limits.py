"""How much hostile input may cost. One frozen object, handed down; the defaults fit real certificates."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Upper bounds; whatever exceeds one is refused with its own reason code.

    Sizes are in octets; the others are counts. A larger bound lets a stranger spend more of your time.

    Raises:
        ValueError: a bound is negative.
    """

    certificate_max_bytes: int = 64 * 1024
    crl_max_bytes: int = 64 * 1024 * 1024  # a million entries are about 37 MB
    crl_entries: int = 2_000_000
    # Entries with other extensions than a reason and an invalidity date, unlike their neighbours: such an
    # entry takes ten times as long.
    crl_unusual_entries: int = 100_000
    ocsp_max_bytes: int = 64 * 1024
    document_max_bytes: int = 16 * 1024 * 1024
    # Certificates between the target and the anchor, both excluded.
    path_max_intermediates: int = 16
    # One search, all branches together. NIST PKITS needs fewer than 20 signature checks for any case.
    signature_checks: int = 256
    path_steps: int = 4096
    name_comparisons: int = 250_000
    # Inside one certificate.
    policies_max: int = 256
    names_max: int = 4096

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a bound that nothing can keep."""
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise ValueError(f"{field.name} must not be negative")


DEFAULT_LIMITS = Limits()

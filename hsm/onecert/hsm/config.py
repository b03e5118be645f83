"""Settings of one token. A secret is the path of a file, never a value."""

from dataclasses import dataclass
from pathlib import Path

from onecert.hsm.errors import TokenConfigError
from onecert.hsm.messages import Reason

LABEL_MAX_BYTES = 32  # PKCS#11 v2.40, CK_TOKEN_INFO: the label is 32 bytes, padded with blanks.
SESSIONS_MAX = 64


@dataclass(frozen=True, kw_only=True)
class TokenConfig:
    """Which token, and how to open it; see hsm/README.md for one line on each.

    ``module`` None finds SoftHSM. ``softhsm`` is the folder of a SoftHSM store; with it, the settings of
    SoftHSM are taken from there and not from the environment. ``sessions`` is how many signatures may be
    under way at once. Without ``pin_file`` a person types the PIN (see ``PersonalToken``); after
    ``wrong_pins_max`` wrong ones in a row none is tried any more. ``notes`` is the folder where they are
    counted, for tokens that are neither in a SoftHSM store nor have a PIN file.
    """

    label: str
    pin_file: Path | None = None
    module: Path | None = None
    softhsm: Path | None = None
    sessions: int = 4
    notes: Path | None = None
    wrong_pins_max: int | None = None

    def __post_init__(self) -> None:
        faults = []
        octets = len(self.label.encode())
        if (
            not 0 < octets <= LABEL_MAX_BYTES
            or not self.label.isprintable()
            or self.label != self.label.strip()
        ):
            faults.append(Reason("FAULT_LABEL", label=repr(self.label), limit=LABEL_MAX_BYTES))
        if not 1 <= self.sessions <= SESSIONS_MAX:
            faults.append(Reason("FAULT_SESSIONS", sessions=self.sessions, limit=SESSIONS_MAX))
        if faults:
            raise TokenConfigError(tuple(faults))

"""SM2 signatures with SM3 (GB/T 32918, GM/T 0003, GM/T 0009): verification, in pure Python.

Only public data is handled here, so nothing needs to be constant in time. Why it is done so, and what else
was measured, is in ``docs/decisions/0005-sm2.md``.
"""

from onecert.verifier.sm2.keys import DEFAULT_ID, EmptyIdError, Sm2PublicKey, find_sm2_key

__all__ = ["DEFAULT_ID", "EmptyIdError", "Sm2PublicKey", "find_sm2_key"]

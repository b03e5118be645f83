"""``python -m onecert.verifier.enforce.cli``: the same as ``onecert-enforce``."""

from onecert.verifier.enforce.cli import entry

entry()

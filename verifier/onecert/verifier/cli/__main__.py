"""``python -m onecert.verifier.cli``."""

from onecert.verifier.cli import run_program

run_program()

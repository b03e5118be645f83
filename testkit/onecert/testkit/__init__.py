"""A department's test kit: certificates of every fate, and a check of its own sign-in before it goes live."""

from onecert.testkit.errors import KitError, NotReachableError
from onecert.testkit.kit import Case, Kit, load_kit, make_kit

__all__ = ["Case", "Kit", "KitError", "NotReachableError", "load_kit", "make_kit"]

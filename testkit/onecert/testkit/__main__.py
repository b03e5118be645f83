"""``python -m onecert.testkit``."""

import sys

from onecert.testkit.cli import main

sys.exit(main())

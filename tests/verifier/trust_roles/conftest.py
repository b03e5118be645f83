"""The four roles that keep the trust list."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

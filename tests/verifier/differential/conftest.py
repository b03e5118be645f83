"""Our verifier beside others on generated hierarchies; see ``docs/verifier-disagreements.md``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

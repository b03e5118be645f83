"""Who a holder is, over three CAs with RSA, P-256 and SM2 keys: real certificates and paths."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

"""Write the list of components (SBOM) as CycloneDX 1.5 JSON, made from the pinned requirements.

    python deploy/sbom.py [requirements/run.txt] [--out onecert.cdx.json]

Each package with its exact version, its package URL and the SHA-256 of every file that pip may install.
The same requirements make the same bytes: no date, no name of a machine. Source: CycloneDX 1.5; package URLs
of type pypi (names in lower case, `_` and `.` as `-`).
"""

import argparse
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_ROOT = Path(__file__).resolve().parents[1]


def bill_of(requirements: str, *, version: str) -> dict[str, Any]:
    """The document for the text of a pinned requirements file.

    Raises:
        ValueError: a package is not pinned, or has no hash.
    """
    components = [_component(entry) for entry in _entries(requirements)]
    content = json.dumps([version, components], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": "onecert", "name": "onecert", "version": version}
        },
        "components": components,
        "dependencies": [{"ref": "onecert", "dependsOn": [each["bom-ref"] for each in components]}],
    }


def _entries(requirements: str) -> list[str]:
    """One text for each requirement, its continuation lines joined."""
    lines = [line.split(" #")[0] for line in requirements.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("-")]


def _component(entry: str) -> dict[str, Any]:
    pin, hashes = _PIN.match(entry), _HASH.findall(entry)
    if pin is None or not hashes:
        raise ValueError(f"not pinned with a hash: {entry[:60]}")
    name = re.sub(r"[-_.]+", "-", pin[1]).lower()
    url = f"pkg:pypi/{name}@{pin[2]}"
    return {
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": pin[2],
        "purl": url,
        # Each file of a release has its own; which one is installed depends on the machine.
        "properties": [{"name": "onecert:sha256", "value": each} for each in sorted(hashes)],
    }


def main() -> int:
    """Write it; `-` is stdout."""
    parser = argparse.ArgumentParser(description="Write the SBOM as CycloneDX JSON.")
    parser.add_argument("requirements", nargs="?", type=Path, default=_ROOT / "requirements" / "run.txt")
    parser.add_argument("--out", default="-")
    given = parser.parse_args()
    found = re.search(r'^version = "([^"]+)"', (_ROOT / "ra" / "pyproject.toml").read_text("utf-8"), re.M)
    bill = bill_of(given.requirements.read_text("utf-8"), version=found[1] if found else "0")
    text = json.dumps(bill, indent=2, sort_keys=True) + "\n"
    if given.out == "-":
        sys.stdout.write(text)
    else:
        Path(given.out).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

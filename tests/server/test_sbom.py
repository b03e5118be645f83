"""The list of components: every pinned package, by name, version and hash; the same bytes each time."""

import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
bill_of = runpy.run_path(str(ROOT / "deploy" / "sbom.py"))["bill_of"]


def test_every_pinned_package_is_listed() -> None:
    """Read by another pattern from requirements/run.txt."""
    text = (ROOT / "requirements" / "run.txt").read_text("utf-8")
    pinned = dict(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[.*\])?==(\S+)", text, re.M))
    bill = bill_of(text, version="1")
    listed = {each["name"]: each["version"] for each in bill["components"]}
    assert listed == {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pinned.items()}
    assert all(each["properties"] for each in bill["components"])
    assert json.dumps(bill) == json.dumps(bill_of(text, version="1"))
    assert bill["serialNumber"] != bill_of(text, version="2")["serialNumber"]


@pytest.mark.parametrize("line", ["flask>=3", "flask==3.1.0", "flask"])
def test_what_is_not_pinned_is_no_component(line: str) -> None:
    """Without an exact version or without a hash. Must be refused."""
    with pytest.raises(ValueError, match="not pinned"):
        bill_of(line + "\n", version="1")

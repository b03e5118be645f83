"""The main job, as `make demo` runs it: every step of the story holds, and the report says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DEPARTMENT = ROOT / ".tools" / "department" / "bin" / "python"


@pytest.mark.token
@pytest.mark.timeout(900)  # a minute or two by itself; the tests beside it have the same processors
def test_the_story_holds_from_the_ceremonies_to_the_audit(tmp_path: Path) -> None:
    assert DEPARTMENT.exists(), "deploy/setup.sh makes the department's environment; run `make test`"
    done = subprocess.run(
        [sys.executable, "demo", "story", "--folder", str(tmp_path / "story")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    report = json.loads((tmp_path / "story" / "report.json").read_text("utf-8"))
    assert report["passed"] is True
    assert report["failed"] == 0
    steps = {step["step"]: step["checks"] for step in report["steps"]}
    assert list(steps) == [
        "city",
        "apply",
        "approve",
        "login",
        "foreign",
        "declaration",
        "office",
        "revoke",
        "life",
        "rollover",
        "sm2",
        "bridge",
        "many",
        "offline",
        "province",
        "refusals",
        "officers",
        "thief",
        "attribute",
        "audit",
        "word",
    ]
    # What was refused, was refused for the right reason.
    codes = {
        check["facts"]["what"]: check["facts"]["code"]
        for check in steps["refusals"]
        if "what" in check["facts"]
    }
    assert codes == {
        "tampered": "CERT_SIGNATURE_INVALID",
        "unknown_ca": "ISSUER_UNKNOWN",
        "expired": "CERT_EXPIRED",
        "withdrawn_ca": "CA_WITHDRAWN",
    }
    text = (tmp_path / "story" / "report.txt").read_text("utf-8")
    assert "FAILED" not in text
    assert "三张证书，同一身份" in text


def test_a_failed_check_makes_the_exit_status_false(tmp_path: Path) -> None:
    """The report is worth something only if it can say no."""
    code = (
        "import sys; sys.path.insert(0, 'demo'); from pathlib import Path; from report import Report\n"
        "r = Report()\n"
        "with r.step('city'): r.check('services_ready', True)\n"
        "with r.step('apply'): raise RuntimeError('broken')\n"
        f"sys.exit(0 if r.write(Path({str(tmp_path)!r})) else 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["failed"] == 1

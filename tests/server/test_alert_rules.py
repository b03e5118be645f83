"""The alert rules: each fires when it should and not before, has both languages, and a page to turn to.

Prometheus's own `promtool` (Debian package prometheus; `deploy/setup.sh test` unpacks it) evaluates them on
made-up samples. That a running service exports every figure is tested in
tests/integration/test_backup_drill.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "monitoring" / "onecert.rules.yml"
CJK = re.compile(r"[\u3400-\u9fff]")

# alert -> series that must raise it, series that must not, labels that the alert has besides its severity.
# Each series is what promtool takes: one value a minute, "x" means "that value, again and again".
CASES: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str]]] = {}


def case(alert: str, bad: dict[str, str], good: dict[str, str], **labels: str) -> None:
    CASES[alert] = (bad, good, labels)


def always(value: float) -> str:
    return f"{value}x120"


OF_CA = '{service="ca"}'
case("OneCertServiceDown", {'up{job="onecert"}': always(0)}, {'up{job="onecert"}': always(1)}, job="onecert")
# promtool's clock begins at 0, so that moments are small numbers; it is asked after 90 minutes.
MINUTES = 90
AT = MINUTES * 60
case(
    "OneCertFiguresOld",
    {f"onecert_figures_timestamp_seconds{OF_CA}": always(AT - 600)},
    {f"onecert_figures_timestamp_seconds{OF_CA}": always(AT - 30)},
    service="ca",
)
case(
    "OneCertNotReady",
    {'onecert_ready{service="ca",check="token"}': always(0)},
    {'onecert_ready{service="ca",check="token"}': always(1)},
    service="ca",
    check="token",
)
case(
    "OneCertDatabaseDown",
    {f"onecert_database_up{OF_CA}": always(0)},
    {f"onecert_database_up{OF_CA}": always(1)},
    service="ca",
)
case(
    "OneCertDatabaseErrors",
    {'onecert_database_errors_total{kind="locked"}': "0+2x120"},
    {'onecert_database_errors_total{kind="locked"}': always(100)},
    kind="locked",
)
case(
    "OneCertCrlHalfLife",
    {
        'onecert_ca_crl_this_update_timestamp_seconds{list="harbour"}': always(0),
        'onecert_ca_crl_next_update_timestamp_seconds{list="harbour"}': always(2000),
    },
    {
        'onecert_ca_crl_this_update_timestamp_seconds{list="harbour"}': always(0),
        'onecert_ca_crl_next_update_timestamp_seconds{list="harbour"}': always(2 * AT + 60),
    },
    list="harbour",
)
case(
    "OneCertCrlLapses",
    {'onecert_ca_crl_next_update_timestamp_seconds{list="harbour"}': always(AT + 1800)},
    {'onecert_ca_crl_next_update_timestamp_seconds{list="harbour"}': always(AT + 7200)},
    list="harbour",
)
case(
    "OneCertOcspOld",
    {'onecert_ca_ocsp_due_timestamp_seconds{authority="harbour"}': always(AT - 3600)},
    {
        'onecert_ca_ocsp_due_timestamp_seconds{authority="harbour"}': always(AT - 600),
        'onecert_ca_ocsp_due_timestamp_seconds{authority="none"}': always(0),
    },
    authority="harbour",
)
case(
    "OneCertOcspBehind",
    {'onecert_ca_ocsp_compared_timestamp_seconds{authority="harbour"}': always(AT - 600)},
    {'onecert_ca_ocsp_compared_timestamp_seconds{authority="harbour"}': always(AT - 10)},
    authority="harbour",
)
case(
    "OneCertTokenErrors",
    {'onecert_ca_token_errors_total{token="ca"}': "0+2x120"},
    {'onecert_ca_token_errors_total{token="ca"}': always(50)},
    token="ca",
)
case(
    "OneCertTokenSlow",
    {
        'onecert_ca_sign_seconds_sum{token="ca"}': "0+60x120",
        'onecert_ca_sign_seconds_count{token="ca"}': "0+60x120",
    },
    {
        'onecert_ca_sign_seconds_sum{token="ca"}': "0+1x120",
        'onecert_ca_sign_seconds_count{token="ca"}': "0+60x120",
    },
    token="ca",
)
case(
    "OneCertJobLate",
    {'onecert_job_due_timestamp_seconds{service="ca",job="ca.crl"}': always(AT - 900)},
    {'onecert_job_due_timestamp_seconds{service="ca",job="ca.crl"}': always(0)},
    service="ca",
    job="ca.crl",
)
case(
    "OneCertJobFails",
    {'onecert_job_failures_in_a_row{service="ca",job="ca.crl"}': always(3)},
    {'onecert_job_failures_in_a_row{service="ca",job="ca.crl"}': always(2)},
    service="ca",
    job="ca.crl",
)
case(
    "OneCertAuditUnsigned",
    {f"onecert_audit_unsigned_since_timestamp_seconds{OF_CA}": always(AT - 900)},
    {
        f"onecert_audit_unsigned_since_timestamp_seconds{OF_CA}": always(0),
        'onecert_audit_unsigned_since_timestamp_seconds{service="ra"}': always(AT - 60),
    },
    service="ca",
)
case(
    "OneCertDiskLow",
    {
        f"onecert_disk_free_bytes{OF_CA}": always(4_000_000_000),
        f"onecert_disk_size_bytes{OF_CA}": always(100_000_000_000),
    },
    {
        f"onecert_disk_free_bytes{OF_CA}": always(40_000_000_000),
        f"onecert_disk_size_bytes{OF_CA}": always(100_000_000_000),
    },
    service="ca",
)
case(
    "OneCertClock",
    {"onecert_clock_kept": always(0), "onecert_clock_error_seconds": always(0)},
    {"onecert_clock_kept": always(1), "onecert_clock_error_seconds": "0.2x120"},
)
case(
    "OneCertCheckerFindings",
    {'onecert_ca_check_findings{kind="record"}': always(1)},
    {'onecert_ca_check_findings{kind="record"}': always(0)},
    kind="record",
)
for _alert, _count, _oldest, _limit in (
    ("OneCertIntentsOpen", "unfinished_intents", "unfinished_intent_oldest", 900),
    ("OneCertMassRevocationStuck", "open_mass_revocations", "open_mass_revocation_oldest", 900),
    ("OneCertBatchStuck", "open_batches", "open_batch_oldest", 7200),
):
    case(
        _alert,
        {
            f"onecert_ca_{_count}": always(1),
            f"onecert_ca_{_oldest}_timestamp_seconds": f"{AT - _limit - 60}x120",
        },
        {
            f"onecert_ca_{_count}": always(1),
            f"onecert_ca_{_oldest}_timestamp_seconds": f"{AT - _limit + 60}x120",
        },
    )
for _alert, _name in (("OneCertBackupOld", "backup"), ("OneCertDrillOld", "backup_drill")):
    case(
        _alert,
        {
            f"onecert_{_name}_max_age_seconds{OF_CA}": always(600),
            f"onecert_{_name}_timestamp_seconds{OF_CA}": always(0),  # never
        },
        {
            f"onecert_{_name}_max_age_seconds{OF_CA}": always(600),
            f"onecert_{_name}_timestamp_seconds{OF_CA}": always(AT - 300),
            f'onecert_{_name}_max_age_seconds{{service="ra"}}': always(0),  # nobody asked for an alarm
            f'onecert_{_name}_timestamp_seconds{{service="ra"}}': always(0),
        },
        service="ca",
    )
for _alert, _kind, _days in (
    ("OneCertCertificateEnds", "authority", 180),
    ("OneCertDelegateEnds", "ocsp", 2),
):
    _series = f'onecert_ca_certificate_expires_timestamp_seconds{{kind="{_kind}",authority="harbour"}}'
    case(
        _alert,
        {_series: always(_days * 86400)},
        {_series: always(_days * 86400 + 90 * 60)},
        kind=_kind,
        authority="harbour",
    )
case(
    "OneCertTlsEnds",
    {"onecert_tls_certificate_expires_timestamp_seconds": always(86400)},
    {"onecert_tls_certificate_expires_timestamp_seconds": always(31 * 86400)},
)
case(
    "OneCertRequestsFail",
    {
        'onecert_requests_total{service="ca",status="503"}': "0+10x120",
        'onecert_requests_total{service="ca",status="200"}': "0+90x120",
    },
    {
        'onecert_requests_total{service="ca",status="503"}': "0+1x120",
        'onecert_requests_total{service="ca",status="200"}': "0+99x120",
    },
    service="ca",
)


def rules() -> list[dict[str, str]]:
    """The rules file is plain enough to be read line by line: each key once in each rule."""
    found: list[dict[str, str]] = []
    for line in RULES.read_text(encoding="utf-8").splitlines():
        key, _colon, value = line.strip().partition(": ")
        if key == "- alert":
            found.append({"alert": value})
        elif found and value:
            found[-1][key] = json.loads(value) if value.startswith('"') else value.strip("'")
    return found


@pytest.fixture(scope="module")
def promtool() -> str:
    for path in (shutil.which("promtool"), ROOT / ".tools/debian/usr/bin/promtool"):
        if path is not None and Path(path).exists():
            return str(path)
    reason = "needs promtool (Debian package prometheus)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_says_in_both_languages_what_is_wrong_and_where_to_read_on(rule: dict[str, str]) -> None:
    assert rule["severity"] in {"warning", "critical"}
    for key in ("summary", "description"):
        assert rule[key]
        assert not CJK.search(rule[key])
        assert CJK.search(rule[f"{key}_zh"])
        assert sorted(re.findall(r"{{[^}]*}}", rule[key])) == sorted(
            re.findall(r"{{[^}]*}}", rule[f"{key}_zh"])
        )
    file, _hash, place = rule["runbook"].partition("#")
    text = (ROOT / file).read_text(encoding="utf-8")
    headings = [line.lstrip("#").strip() for line in text.splitlines() if line.startswith("#")]
    assert place in {anchor(heading) for heading in headings}


def test_every_alert_is_tried() -> None:
    assert CASES.keys() == {rule["alert"] for rule in rules()}


def test_alerts_fire_when_they_should_and_not_before(promtool: str, tmp_path: Path) -> None:
    severities = {rule["alert"]: rule["severity"] for rule in rules()}
    tests: list[dict[str, Any]] = []
    for alert, (bad, good, labels) in CASES.items():
        for series, fires in ((bad, True), (good, False)):
            expected = {"exp_labels": labels | {"severity": severities[alert]}}
            tests.append(
                {
                    "name": f"{alert} {'fires' if fires else 'is silent'}",
                    "interval": "1m",
                    "input_series": [{"series": name, "values": values} for name, values in series.items()],
                    "alert_rule_test": [
                        {
                            "eval_time": f"{MINUTES}m",
                            "alertname": alert,
                            "exp_alerts": [expected] if fires else [],
                        }
                    ],
                }
            )
    # Texts are tested above; here only whether an alert is there, so a copy without annotations is evaluated.
    copy = tmp_path / "rules.yml"
    lines, skipping = [], False
    for line in RULES.read_text(encoding="utf-8").splitlines():
        skipping = line.strip() == "annotations:" or (skipping and not line.strip().startswith("- alert"))
        if not skipping:
            lines.append(line)
    copy.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "tests.yml").write_text(
        json.dumps({"rule_files": [copy.name], "evaluation_interval": "5m", "tests": tests})
    )
    for command in (["check", "rules", str(RULES)], ["test", "rules", "tests.yml"]):
        done = subprocess.run([promtool, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

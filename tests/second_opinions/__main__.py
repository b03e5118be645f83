"""Other implementations on all that the CA signed: ``python tests/second_opinions FOLDER [--json FILE]``.

FOLDER is what a test run left there (COLLECT_SIGNED, see collecting.py). Exit code 1 when a judge refuses
anything that is not known to be wrong, judges too little, is missing in CI, accepts what it is
exempt from, or lets one of our forgeries pass.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import by_bouncy_castle
import by_gnutls
import by_openssl
import by_pkilint
from artefacts import load_run
from opinions import Report

JUDGES = {
    "pkilint": by_pkilint,
    "openssl": by_openssl,
    "GnuTLS": by_gnutls,
    "Bouncy Castle": by_bouncy_castle,
}


def main(arguments: list[str]) -> int:
    """Judge everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="write all figures and findings there, too")
    parser.add_argument("--only", choices=JUDGES, action="append", help="these judges alone")
    options = parser.parse_args(arguments)
    if not any(options.folder.glob("index-*.jsonl")):
        print(f"second opinions: nothing was collected in {options.folder}", file=sys.stderr)
        print("hint: COLLECT_SIGNED=FOLDER pytest … collects", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="second-opinions-") as folder:
        run = load_run(options.folder, Path(folder))
        report = Report(run)
        chosen = {name: judge for name, judge in JUDGES.items() if name in (options.only or JUDGES)}
        for name, judge in chosen.items():
            if judge.missing():
                report.is_missing(name, judge.missing())
        report.ask({name: judge for name, judge in chosen.items() if not judge.missing()})
    print(report.text())
    if options.json:
        options.json.write_text(report.json(), "utf-8")
    return 1 if report.faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""Other implementations on the corpus of attribute certificates: who accepts what RFC 5755 forbids.

``python tests/second_opinions/attribute_certificates.py`` prints the table of
docs/attribute-certificates-interop.md; ``--write`` writes it. Each is asked for the most that it offers:
Bouncy Castle to read, and to verify signature, date, holder and the issuer's name; pyhanko-certvalidator to
validate; strongSwan's ``pki --print`` and asn1crypto to read; pyasn1-modules to read and to write again.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = [
    "CORPUS",
    "JUDGES",
    "NOT_ASKED",
    "PAGE",
    "Said",
    "bouncy_castle",
    "judge_lines",
    "load_rows",
    "missing",
    "table",
]

HERE = Path(__file__).parent
CORPUS = HERE.parent / "verifier" / "test_attribute_certificate" / "corpus"
PAGE = HERE.parents[1] / "docs" / "attribute-certificates-interop.md"
_JARS = [Path("/usr/share/java") / f"{name}.jar" for name in ("bcprov", "bcutil", "bcpkix", "bsh")]
_PKI = "/usr/bin/pki"
_PLUGIN = Path("/usr/lib/ipsec/plugins/libstrongswan-openssl.so")
_WHAT = {
    "der": "DER",
    "version": "version",
    "issuer": "form of the issuer",
    "serial": "serial number",
    "attributes": "attributes",
    "algorithm": "two algorithms",
    "time": "form of the times",
    "extension": "extensions",
    "authority": "the authority's certificate",
    "signature": "signature",
    "holder": "holder",
    "target": "target",
    "status": "noRevAvail and a list",
}
_MARKS = "<!-- table -->\n", "<!-- end of table -->\n"
# Who reads without judging says nothing about holder, time, target or status.
READERS = frozenset({"strongSwan pki --print", "asn1crypto", "pyasn1-modules"})
Row = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One opinion: accepted or not, the same octets written again or not, and what was said."""

    is_accepted: bool
    is_same: bool
    text: str


NOT_ASKED = Said(False, False, "reads only")


def load_rows() -> list[Row]:
    """Rows of the corpus that others can judge, each with its octets in DER as ``der``."""
    rows: list[Row] = json.loads((CORPUS / "corpus.json").read_text("utf-8"))
    rows = [row for number, row in enumerate(rows) if number in {*_asked(rows)}]
    for row in rows:
        data = (CORPUS / row["file"]).read_bytes()
        if data.startswith(b"-----"):
            data = base64.b64decode(b"".join(data.splitlines()[1:-1]))
        row["der"] = data
    return rows


def _asked(rows: Sequence[Row]) -> list[int]:
    # Not those that are larger than we read: the others need seconds for them, and have no bound.
    return [number for kind in ("forbidden", "local", "good") for number in _of_kind(rows, kind)]


def missing() -> str:
    """Debian's packages that have to be installed; empty when all are there."""
    packages = []
    if not (shutil.which("java") and all(jar.exists() for jar in _JARS)):
        packages += ["default-jre-headless", "libbcpkix-java", "bsh"]
    if not (Path(_PKI).exists() and _PLUGIN.exists()):
        packages += ["strongswan-pki", "libstrongswan-standard-plugins"]
    return " ".join(packages)


def bouncy_castle(lines: Sequence[str]) -> list[Said]:
    """One Java machine for all questions of attribute_certificates.bsh."""
    # One thread for the collector and the quick compiler alone: it lives for two seconds.
    command = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", ":".join(map(str, _JARS))]
    command += ["bsh.Interpreter", str(HERE / "attribute_certificates.bsh")]
    done = subprocess.run(
        command,
        input="".join(f"{line}\n" for line in lines).encode(),
        capture_output=True,
        check=True,
        timeout=300,
    )
    said = [line.split("\t") for line in done.stdout.decode().splitlines()]
    if len(said) != len(lines):
        raise RuntimeError(
            f"Bouncy Castle stopped after {len(said)} of {len(lines)}: {done.stderr.decode()[-2000:]}"
        )
    return [Said(verdict == "accepted", same == "same", text) for verdict, same, text in said]


def judge_lines(rows: Sequence[Row], folder: Path) -> list[str]:
    """The questions to Bouncy Castle about rows; ``folder`` is for their octets."""
    lines = []
    for number, row in enumerate(rows):
        file = folder / f"{number}.der"
        file.write_bytes(row["der"])
        certificates = (CORPUS / "certificates" / row[each] for each in ("authority", "holder"))
        at = int(datetime.fromisoformat(row["at"]).timestamp())
        lines.append("\t".join(("judge", str(file), *map(str, certificates), str(at))))
    return lines


def _by_bouncy_castle(rows: Sequence[Row], folder: Path) -> list[Said]:
    return bouncy_castle(judge_lines(rows, folder))


def _by_strongswan(rows: Sequence[Row], folder: Path) -> list[Said]:
    def ask(row: Row) -> Said:
        command = [_PKI, "--print", "--type", "ac"]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        done = subprocess.run(
            command, input=row["der"], capture_output=True, check=False, env=environment, timeout=60
        )
        text = done.stdout.decode("utf-8", "replace")
        return Said(done.returncode == 0 and "serial:" in text, False, text)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda row: NOT_ASKED if row["kind"] == "local" else ask(row), rows))


@lru_cache(maxsize=1)
def _libraries() -> dict[str, list[list[Any]]]:
    # A process of its own: importing one of them changes what another one reads.
    script = HERE / "attribute_certificate_libraries.py"
    done = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, timeout=300)
    said: dict[str, list[list[Any]]] = json.loads(done.stdout)
    return said


def _by_library(name: str) -> Callable[[Sequence[Row], Path], list[Said]]:
    return lambda rows, folder: [Said(*each) for each in _libraries()[name]]


JUDGES: dict[str, Callable[[Sequence[Row], Path], list[Said]]] = {
    "Bouncy Castle": _by_bouncy_castle,
    "pyhanko-certvalidator": _by_library("pyhanko-certvalidator"),
    "strongSwan pki --print": _by_strongswan,
    "asn1crypto": _by_library("asn1crypto"),
    "pyasn1-modules": _by_library("pyasn1-modules"),
}


def ask(rows: Sequence[Row]) -> dict[str, list[Said]]:
    """The opinions of all, in the order of the rows."""
    with tempfile.TemporaryDirectory(prefix="attribute-certificates-") as folder:
        return {name: judge(rows, Path(folder)) for name, judge in JUDGES.items()}


def _of_kind(rows: Sequence[Row], kind: str) -> list[int]:
    """Numbers of the rows of a kind; delegation apart, which none of the others knows."""
    about_delegation = re.compile("deleg|exceeds|fork|loop|levels")
    return [
        number
        for number, row in enumerate(rows)
        if row["kind"] == kind and not row["dropped"] and not about_delegation.match(row["file"])
    ]


def table(rows: Sequence[Row], opinions: Mapping[str, Sequence[Said]]) -> str:
    """The table for the page, in Markdown."""
    lines = [
        f"| what is broken | files | OneCert | {' | '.join(opinions)} |",
        "| --- " * (len(opinions) + 3) + "|",
    ]

    def line(what: str, numbers: Sequence[int], own: int = 0) -> str:
        counts = [sum(said[number].is_accepted for number in numbers) for said in opinions.values()]
        return f"| {what} | {len(numbers)} | {own} | {' | '.join(map(str, counts))} |"

    forbidden = _of_kind(rows, "forbidden")
    groups: dict[str, list[int]] = {}
    for number in forbidden:
        groups.setdefault(re.split(r"[-.]", rows[number]["file"])[0], []).append(number)
    lines += [line(_WHAT[name], numbers) for name, numbers in groups.items()]
    lines.append(line("**all that a standard forbids**", forbidden))
    local = _of_kind(rows, "local")
    counts = [
        "–" if name in READERS else sum(said[n].is_accepted for n in local) for name, said in opinions.items()
    ]
    lines.append(f"| right in itself, wrong here | {len(local)} | 0 | {' | '.join(map(str, counts))} |")
    good = _of_kind(rows, "good")
    lines.append(line("good", good, len(good)))
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Print the table, or write it."""
    if missing():
        print(f"missing: install Debian's {missing()}", file=sys.stderr)
        return 2
    rows = load_rows()
    opinions = ask(rows)
    shown = table(rows, opinions)
    print(shown, end="")
    if "--details" in arguments:
        for number, row in enumerate(rows):
            accepted = [name for name, said in opinions.items() if said[number].is_accepted]
            print(f"{row['kind']:<10}{row['file']:<34}{row['code']:<22}{', '.join(accepted)}")
    if "--write" in arguments:
        text = PAGE.read_text("utf-8")
        begin, end = text.index(_MARKS[0]) + len(_MARKS[0]), text.index(_MARKS[1])
        PAGE.write_text(text[:begin] + shown + text[end:], "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""Writes the corpus of attribute certificates, the same octets each time: ``python make_corpus.py``.

``corpus.json`` says of each file what must be said about it, ``certificates/`` has holders, authorities and
their lists. Keys are in ``corpus_keys.py``, for all the world to see.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from corpus_delegations import delegation_rows
from corpus_form_rows import form_rows
from corpus_keys import EcKey, tlv
from corpus_use_rows import use_rows
from corpus_world import DAY, HELD, HOUR, REVOKED, T, extension, make_list, parties

__all__ = ["corpus"]

_POINT, _URI = "2.5.29.28", b"http://aa.example/all.crl"


def lists() -> dict[str, bytes]:
    """Revocation lists: one good one of every authority, and odd ones of the first."""
    people = parties()
    found = {
        f"{label}.acrl": make_list(each, REVOKED, HELD, reasons={HELD: 6})
        for label, each in people.items()
        if label.startswith("aa-") or label in {"bureau", "bureau-expired", "branch", "station"}
    }
    first = people["aa-p256"]
    only_attributes = b"\x85\x01\xff"
    found |= {
        "acrl-old.crl": make_list(first, REVOKED, begin=T - 3 * DAY, end=T - DAY, revoked_at=T - 4 * DAY),
        "acrl-future.crl": make_list(first, begin=T + HOUR),
        "acrl-later.crl": make_list(first, REVOKED, begin=T - HOUR, revoked_at=T + HOUR),
        "acrl-forged.crl": make_list(first, key=EcKey(99)),
        "acrl-plain.crl": make_list(first, point=b""),
        "acrl-not-critical.crl": make_list(first, point=extension(_POINT, tlv(0x30, only_attributes))),
        "acrl-everything.crl": make_list(
            first, point=extension(_POINT, tlv(0x30, tlv(0xA0, tlv(0xA0, tlv(0x86, _URI)))), critical=True)
        ),
        "acrl-user.crl": make_list(first, point=extension(_POINT, tlv(0x30, b"\x81\x01\xff"), critical=True)),
        "acrl-reasons.crl": make_list(
            first, point=extension(_POINT, tlv(0x30, b"\x83\x02\x06\x40", only_attributes), critical=True)
        ),
        "acrl-indirect.crl": make_list(
            first, point=extension(_POINT, tlv(0x30, b"\x84\x01\xff", only_attributes), critical=True)
        ),
        # Of public-key certificates, for the paths of the authorities; that of one CA is missing on purpose.
        "ca-root.crl": make_list(people["ca-root"], people["aa-revoked"].serial, point=b""),
        "ca-stranger.crl": make_list(people["ca-stranger"], point=b""),
    }
    return found


def corpus() -> dict[str, bytes]:
    """Every file by its name."""
    found: dict[str, bytes] = {f"certificates/{label}.cer": each.der for label, each in parties().items()}
    found |= {f"certificates/{file}": data for file, data in lists().items()}
    described = []
    for row in (*form_rows(), *use_rows(), *delegation_rows()):
        file = f"{row.slug}.{'pem' if row.der.startswith(b'-----') else 'der'}"
        if file in found:
            raise ValueError(f"two rows are called {row.slug}")
        found[file] = row.der
        found |= {f"delegations/{each}": data for each, data in row.extra_files.items()}
        described.append(row.to_json(file))
    found["corpus.json"] = (json.dumps(described, ensure_ascii=False, indent=1) + "\n").encode()
    return found


if __name__ == "__main__":
    folder = Path(__file__).parent
    written = corpus()
    for old in (*folder.rglob("*.der"), *folder.rglob("*.pem"), *(folder / "certificates").glob("*")):
        if old.relative_to(folder).as_posix() not in written:
            old.unlink()
    for file, data in written.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(data)
    sys.stdout.write(f"{len(json.loads(written['corpus.json']))} attribute certificates\n")

"""Libraries of Python on the corpus, for attribute_certificates.py: their opinions as JSON on stdout."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime
from pathlib import Path

from asn1crypto import cms, x509
from attribute_certificates import CORPUS, NOT_ASKED, Row, Said, load_rows
from pyasn1.codec.der import decoder, encoder
from pyasn1.error import PyAsn1Error
from pyasn1_alt_modules import rfc5755
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.context import ACTargetDescription
from pyhanko_certvalidator.validate import async_validate_ac

_PATH_LISTS = ("ca-root.crl", "ca-stranger.crl")


def _by_certvalidator(rows: Sequence[Row]) -> list[Said]:
    files = {path.name: path.read_bytes() for path in (CORPUS / "certificates").iterdir()}
    certificates = {
        name: x509.Certificate.load(data) for name, data in files.items() if name.endswith(".cer")
    }
    path_lists = [files[each] for each in _PATH_LISTS]

    async def ask(row: Row) -> Said:
        target = None
        if row["target"]:
            own, *groups = (
                x509.GeneralName("uniform_resource_identifier", each)
                for each in (row["target"], *row["groups"])
            )
            target = ACTargetDescription([own], groups)
        named = [f"{Path(row['authority']).stem}.acrl"] if row["lists"] is None else row["lists"]
        context = ValidationContext(
            trust_roots=[certificates["ca-root.cer"], certificates["ca-silent.cer"]],
            other_certs=[certificates[row["authority"]]],
            moment=datetime.fromisoformat(row["at"]),
            crls=[*path_lists, *(files[each] for each in named)],
            acceptable_ac_targets=target,
            revocation_mode="require",
        )
        try:
            loaded = cms.AttributeCertificateV2.load(row["der"], strict=True)
            await async_validate_ac(loaded, context, holder_cert=certificates[row["holder"]])
        except Exception as exc:
            return Said(False, False, f"{type(exc).__name__}: {exc}")
        return Said(True, False, "")

    async def ask_all() -> list[Said]:
        return [await ask(row) for row in rows]

    return asyncio.run(ask_all())


def _by_asn1crypto(rows: Sequence[Row]) -> list[Said]:
    def ask(row: Row) -> Said:
        try:
            loaded = cms.AttributeCertificateV2.load(row["der"], strict=True)
            # Reads every part.
            return Said(bool(loaded.native), loaded.dump(force=True) == row["der"], "")
        except Exception as exc:
            return Said(False, False, f"{type(exc).__name__}: {exc}")

    return [NOT_ASKED if row["kind"] == "local" else ask(row) for row in rows]


def _by_pyasn1(rows: Sequence[Row]) -> list[Said]:
    def ask(row: Row) -> Said:
        try:
            loaded, rest = decoder.decode(row["der"], asn1Spec=rfc5755.AttributeCertificate())
            return Said(not rest, encoder.encode(loaded) == row["der"], "")
        except (PyAsn1Error, RecursionError, ValueError) as exc:
            return Said(False, False, f"{type(exc).__name__}: {exc}")

    return [NOT_ASKED if row["kind"] == "local" else ask(row) for row in rows]


if __name__ == "__main__":
    logging.disable()
    all_rows = load_rows()
    judges = {
        "pyhanko-certvalidator": _by_certvalidator,
        "asn1crypto": _by_asn1crypto,
        "pyasn1-modules": _by_pyasn1,
    }
    said = {name: [astuple(each) for each in judge(all_rows)] for name, judge in judges.items()}
    json.dump(said, sys.stdout)

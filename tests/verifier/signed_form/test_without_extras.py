"""The plain verifier: without signxml and pyHanko everything else works, and these forms say what is missing.

A child process in which these libraries cannot be imported stands for a department that has not got them.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from onecert.verifier import CouldNotCheckError, PdfSignature, XmlSignature
from onecert.verifier.signed_form import extras

PROGRAM = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"signxml", "lxml", "pyhanko", "asn1crypto"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nothing())
from datetime import UTC, datetime
import onecert.verifier as v
from onecert.verifier.revocation import RevocationEvidence

trust = v.PathTrust(anchors=(), evidence=RevocationEvidence())
extras = (v.XmlSignature(value=b"<a/>"), v.PdfSignature(value=b"%PDF"))
for signature in (*extras, v.JwsSignature(value=b"a.b"), b"x"):
    try:
        v.verify_form(b"document", signature, trust=trust, at=datetime(2026, 11, 21, tzinfo=UTC))
    except v.VerifyError as exc:
        print(exc.code, exc.facts.get("extra", "-"))
print(sorted(name for name in sys.modules if name.partition(".")[0] in {"signxml", "lxml", "pyhanko"}))
"""


def test_plain() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "FORM_EXTRA_MISSING xml",
        "FORM_EXTRA_MISSING pdf",
        "DOCUMENT_MALFORMED -",
        "NOT_PEM -",
        "[]",
    ]


@pytest.mark.parametrize(("kind", "name"), [(XmlSignature, "xml"), (PdfSignature, "pdf")])
def test_what_to_install(monkeypatch: pytest.MonkeyPatch, office: Any, kind: Any, name: str) -> None:
    """Nobody can tell: no refusal of the signer, but of this installation, in both languages."""

    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'signxml'")

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(CouldNotCheckError) as caught:
        office.verify(kind(value=b""), None)
    for language in ("zh", "en"):
        assert f"onecert-verifier[{name}]" in caught.value.text(language) + caught.value.hint(language)

"""What ``form`` and ``evidence`` print: a signed form that was accepted, a record that holds."""

from __future__ import annotations

from onecert.verifier.cli.text import identity_rows, table_lines, time_text
from onecert.verifier.messages import message
from onecert.verifier.signed_form import CheckedEvidence, FormSigner, SignedForm

__all__ = ["evidence_lines", "form_lines"]


def form_lines(form: SignedForm, language: str) -> list[str]:
    """An accepted form: the document, then each signer with the time and who vouches for it."""
    lines = table_lines([("ACCEPTED", form.document_sha256)], language)
    for signer in form.signers:
        lines += ["", *_signer_lines(signer, language)]
    return lines


def evidence_lines(checked: CheckedEvidence, language: str) -> list[str]:
    """A record that holds: the form, then the archive timestamps, oldest first."""
    rows = [("RECORDED_AT", time_text(checked.record.created_at))]
    rows += [("ARCHIVED_AT", f"{time_text(t.time)}  {t.authority}") for t in checked.archive.timestamps]
    if not checked.document_seen:
        rows.append(("WARNING", message("EVIDENCE_DOCUMENT_NOT_SEEN", language)))
    rows += [("WARNING", notice.text(language)) for notice in checked.notices]
    return [*form_lines(checked.form, language), "", *table_lines(rows, language)]


def _signer_lines(signer: FormSigner, language: str) -> list[str]:
    rows = [("SIGNER", signer.certificate.subject_text)]
    if signer.identity is not None:
        rows += identity_rows(signer.identity, language)
    rows.append(("SIGNED_BEFORE", time_text(signer.signed_at)))
    rows.append(("TIME_SOURCE", message(f"TIME_SOURCE_{signer.time.source.upper()}", language)))
    if signer.timestamp is not None:
        rows.append(("TIMESTAMP_BY", signer.timestamp.authority))
    told = {notice.code: notice.text(language) for notice in signer.judged.judged.path.warnings}
    told |= {notice.code: notice.text(language) for notice in signer.notices}
    rows += [("WARNING", told.get(code) or message(code, language)) for code in signer.warnings]
    lines = table_lines(rows, language)
    for other in signer.countersigners:
        lines += ["", *table_lines([("COUNTERSIGNED_BY", other.certificate.subject_text)], language)]
    return lines

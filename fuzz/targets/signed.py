"""What the targets of signed files have in common; no target itself."""

from __future__ import annotations

from typing import Any

from fuzz.forms_material import LATER, forms
from fuzz.material import T
from fuzz.rules import answer, check_json, check_texts, require
from onecert.verifier.messages import LANGUAGES
from onecert.verifier.signed_form import FormPolicy, SignedForm, check_evidence, make_evidence, verify_form

_POLICY = FormPolicy(several_signers=True)


def judged(document: bytes | None, signature: Any) -> SignedForm | None:
    """The form if it is accepted; then the firm has signed it, and its record says the same later."""
    world = forms()
    form = answer(
        verify_form,
        document,
        signature,
        at=T,
        trust=world.trust,
        timestamps=world.timestamps,
        policy=_POLICY,
    )
    if form is None:
        return None
    require({signer.certificate.der for signer in form.signers} == {world.firm.der}, "a signer of no trust")
    check_json(form.as_dict())
    for language in LANGUAGES:
        check_texts([notice.text(language) for signer in form.signers for notice in signer.notices])
    record = answer(make_evidence, form, at=T)
    if record is not None:
        checked = check_evidence(record, form.document, trust=world.evidence_trust, at=LATER)
        require(checked.form.document == form.document, "the record is about something else")
    return form

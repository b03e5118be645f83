"""Declarations as files: what was typed, the octets that are signed, the evidence of the signature."""

import json
import logging
import os
import re
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from stamps import Stamps

from onecert.verifier import Verifier, VerifyError
from onecert.verifier.signed_form import (
    EvidenceTrust,
    SignedForm,
    canonical_json,
    check_evidence,
    make_evidence,
    verify_form,
)
from onecert.verifier.web.session import SignedIn

log = logging.getLogger(__name__)
NUMBER = re.compile(r"[0-9a-f]{16}", re.ASCII)


class FormError(Exception):
    """The holder did something that the form does not take; ``code`` is a text of this application."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Declaration:
    """One declaration; ``document`` is what is signed, octet for octet (canonical JSON, RFC 8785)."""

    number: str
    holder_id: str
    created_at: datetime
    document: bytes
    proof: dict[str, Any] | None
    approval: dict[str, Any] | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """What was typed, as it is signed."""
        found: dict[str, Any] = json.loads(self.document)
        return found

    @property
    def is_signed(self) -> bool:
        """Whether there is evidence."""
        return self.proof is not None


class Declarations:
    """The folder of declarations, one folder each.

    In it ``draft.json``, then ``evidence.json`` and ``proof.json``, then ``approval.json``.

    Args:
        trust: whom this office believes about evidence records at a time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        verifier: Verifier,
        stamps: Stamps,
        trust: Callable[[datetime], EvidenceTrust],
    ) -> None:
        self._folder = folder
        self._verifier = verifier
        self._stamps = stamps
        self._trust = trust

    def create(
        self, holder: SignedIn, values: dict[str, str], *, at: datetime
    ) -> Declaration | dict[str, str]:
        """Keep a new declaration; or say, by field, what is wrong."""
        faults = find_faults(values, at)
        if faults:
            return faults
        number = secrets.token_hex(8)
        document = canonical_json(
            {
                "form": "tax-declaration",
                "number": number,
                "holder": holder.id,
                "name": holder.name,
                "year": int(values["year"]),
                "income": f"{Decimal(values['income']):.2f}",
                "remark": values["remark"],
            }
        )
        draft = {"holder": holder.id, "at": at.isoformat(), "document": document.decode("utf-8")}
        place = self._folder / number
        place.mkdir(parents=True, mode=0o700)
        write(place / "draft.json", json.dumps(draft, ensure_ascii=False).encode("utf-8"))
        return Declaration(number, holder.id, at, document, None)

    def find(self, number: str) -> Declaration | None:
        """The declaration of this number."""
        place = self._folder / number
        if NUMBER.fullmatch(number) is None or not (place / "draft.json").exists():
            return None
        draft = json.loads((place / "draft.json").read_text("utf-8"))
        return Declaration(
            number,
            draft["holder"],
            datetime.fromisoformat(draft["at"]),
            draft["document"].encode("utf-8"),
            read(place / "proof.json"),
            read(place / "approval.json"),
        )

    def of(self, holder_id: str) -> list[Declaration]:
        """All declarations of a holder, the newest first."""
        return [each for each in self._all() if each.holder_id == holder_id]

    def signed(self) -> list[Declaration]:
        """All signed declarations, the newest first: what officials look at."""
        return [each for each in self._all() if each.is_signed]

    def _all(self) -> list[Declaration]:
        numbers = [each.name for each in self._folder.iterdir()] if self._folder.is_dir() else []
        found = [each for number in numbers if (each := self.find(number)) is not None]
        return sorted(found, key=lambda each: each.created_at, reverse=True)

    def approve(self, declaration: Declaration, by: SignedIn, decision: str, *, at: datetime) -> None:
        """Keep that an official approved it, with the decision that let them.

        Raises:
            FormError: it is not signed, or approved already.
        """
        if not declaration.is_signed or declaration.approval is not None:
            raise FormError("NOT_TO_APPROVE")
        approval = {"by": by.id, "name": by.name, "at": at.isoformat(), "decision": decision}
        place = self._folder / declaration.number
        write(place / "approval.json", json.dumps(approval, ensure_ascii=False).encode("utf-8"))

    def sign(self, declaration: Declaration, holder: SignedIn, signature: bytes, *, at: datetime) -> None:
        """Verify a CMS signature (detached or attached) and keep the evidence.

        Raises:
            FormError: signed already, or by somebody else.
            VerifyError: the signature, the signer's certificate or its status is not good, or not known.
        """
        if declaration.is_signed:
            raise FormError("ALREADY_SIGNED")
        form = verify_form(declaration.document, signature, verifier=self._verifier, at=at)
        identity = form.signer.identity
        if identity is None or identity.id != holder.id:
            raise FormError("SIGNED_BY_ANOTHER")
        record, not_stamped = self._record(form, at)
        # As anybody will check it later; nothing is said about a record that does not hold.
        checked = check_evidence(record, trust=self._trust(at), at=at)
        proof = {**checked.as_dict(), "not_stamped": not_stamped}
        place = self._folder / declaration.number
        write(place / "evidence.json", record)
        # Last: a declaration counts as signed only when its evidence is there.
        write(place / "proof.json", json.dumps(proof, ensure_ascii=False).encode("utf-8"))

    def _record(self, form: SignedForm, at: datetime) -> tuple[bytes, dict[str, str] | None]:
        """The evidence record, with a timestamp where one can be had; or why it has none.

        A declaration is not refused because an authority is away: its record then proves less.
        """
        authority = self._stamps.find_authority(at)
        if authority is None:
            return make_evidence(form, at=at, include_document=True), {"code": "NO_AUTHORITY"}
        try:
            stamp = self._stamps.client(authority)
            return make_evidence(form, at=at, stamp=stamp, include_document=True), None
        except VerifyError as error:
            log.warning("declaration not stamped", extra={"authority": authority.id, "code": error.code})
            said = {"code": error.code, "zh": error.text("zh"), "en": error.text("en")}
            return make_evidence(form, at=at, include_document=True), said

    def evidence(self, declaration: Declaration) -> bytes | None:
        """The evidence record, if it is signed."""
        path = self._folder / declaration.number / "evidence.json"
        return path.read_bytes() if declaration.is_signed else None


def find_faults(values: dict[str, str], at: datetime) -> dict[str, str]:
    """Field -> code of what is wrong with it."""
    faults = {}
    year = values["year"]
    if not (year.isascii() and year.isdigit() and at.year - 5 <= int(year) <= at.year):
        faults["year"] = "WRONG_YEAR"
    try:
        income = Decimal(values["income"])
        exponent = income.as_tuple().exponent
        if (
            not income.is_finite()
            or not 0 <= income < 10**12
            or not isinstance(exponent, int)
            or exponent < -2
        ):
            faults["income"] = "WRONG_INCOME"
    except InvalidOperation:
        faults["income"] = "WRONG_INCOME"
    if not values["remark"].isprintable():
        faults["remark"] = "WRONG_REMARK"
    return faults


def read(path: Path) -> dict[str, Any] | None:
    """What a file holds; None when there is none."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(name, path)

"""The papers themselves: what stands on each, in the language of who prints it.

A personal number stands only on the application form and never in a QR code. A PIN stands on the PIN letter
only, which is made, given out and forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from onecert.ra.papers.fonts import load_font
from onecert.ra.papers.wording import DECLARATION, FETCHING, PIN_RULES, RECEIVED, TWO_COPIES
from onecert.server.languages import _, format_date, format_datetime, gettext

if TYPE_CHECKING:
    from onecert.ra.papers.sheet import Sheet

__all__ = ["Business", "Item", "Papers", "Point"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """Where it is taken in and fetched."""

    name: str
    address: str = ""
    phone: str = ""


@dataclass(frozen=True, kw_only=True)
class Business:
    """What every paper says at its head; all texts translated."""

    number: str
    link: str  # of the page about it; no personal number in it
    business: str
    certificate: str
    authority: str
    holder: str
    point: Point


@dataclass(frozen=True, kw_only=True)
class Item:
    """One paper or thing, with what marks it."""

    name: str
    mark: str = ""


class Papers:
    """Prints; `font`: a file with Chinese characters, None for Debian's Noto Sans CJK."""

    def __init__(self, font: Path | None = None) -> None:
        self._font = font

    def application_form(
        self,
        business: Business,
        groups: Sequence[tuple[str, Sequence[tuple[str, str]]]],
        *,
        content_sha256: str | None,
        request_key: str,
        agreement: str,
        materials: Sequence[Item],
        entered_by: str,
        at: datetime,
    ) -> bytes:
        """申请表: all fields as they are frozen, with places for seal and signatures.

        Args:
            groups: (heading, [(label, value)]), as submitted.
            content_sha256: None while it is a draft; the form says so then.
            request_key: fingerprint of the request's public key, hex; empty without a request.
            agreement: version of the texts that the applicant agrees to; empty: not recorded.
        """
        title = gettext(_("Application for a digital certificate"))
        mark = content_sha256[:16] if content_sha256 else gettext(_("Draft, not submitted"))
        foot = f"{business.number} · {mark}"
        sheet = self._sheet(title, at=at, foot=foot)
        sheet.head(
            title,
            [
                gettext(_("Number: %(number)s"), number=business.number),
                f"{business.business} · {business.certificate} · {business.authority}",
                gettext(_("Printed: %(at)s"), at=format_datetime(at)),
            ],
            f"{business.number} {content_sha256[:16]}" if content_sha256 else business.number,
        )
        for heading, pairs in groups:
            sheet.section(heading)
            sheet.fields(pairs)
        sheet.section(gettext(_("Certificate request and evidence")))
        sheet.fields(
            [
                (gettext(_("Key's fingerprint")), _spaced(request_key[:32]) or "—"),
                *((item.name, item.mark) for item in materials),
            ]
        )
        sheet.section(gettext(_("Declaration of the applicant")))
        sheet.text(gettext(DECLARATION))
        if agreement:
            sheet.text(gettext(_("Version of both texts: %(version)s"), version=agreement), size=9, grey=True)
        sheet.signatures(
            [gettext(_("Applicant (seal)")), gettext(_("Agent or applicant (signature)"))], height=28
        )
        sheet.signatures(
            [
                gettext(_("Taken in by: %(name)s"), name=entered_by),
                gettext(_("Reviewed by:")),
            ],
            height=17,
        )
        sheet.text(
            gettext(TWO_COPIES, hash=_spaced(content_sha256 or "") or mark),
            size=8.5,
            grey=True,
        )
        return sheet.octets()

    def receipt(
        self,
        business: Business,
        *,
        submitted_at: datetime,
        materials: Sequence[Item],
        taken_in_by: str,
        days: int,
        at: datetime,
    ) -> bytes:
        """受理回执: what was taken in, and when and where the certificate is fetched. No personal number."""
        title = gettext(_("Receipt"))
        sheet = self._sheet(title, at=at, foot=business.number)
        sheet.head(
            title,
            [
                gettext(_("Number: %(number)s"), number=business.number),
                gettext(_("Taken in: %(at)s"), at=format_datetime(submitted_at)),
            ],
            business.link,
        )
        sheet.section(gettext(_("What was applied for")))
        sheet.fields(_what(business))
        sheet.section(gettext(_("What was handed in")))
        if materials:
            sheet.fields([(gettext(_("Material")), item.name) for item in materials])
        else:
            sheet.text(gettext(_("No material is on record with it.")))
        sheet.section(gettext(_("When and where it is fetched")))
        sheet.text(gettext(FETCHING, days=days))
        sheet.fields(_where(business.point))
        sheet.signatures(
            [gettext(_("Taken in by: %(name)s"), name=taken_in_by), gettext(_("Acceptance point (seal)"))]
        )
        return sheet.octets()

    def hand_over_slip(
        self,
        business: Business,
        *,
        serial_hex: str,
        not_before: datetime,
        not_after: datetime,
        token_number: str,
        handed_over_by: str,
        at: datetime,
    ) -> bytes:
        """领取单: what the holder takes away, to be signed and filed."""
        title = gettext(_("Hand-over slip"))
        sheet = self._sheet(title, at=at, foot=business.number)
        sheet.head(
            title,
            [
                gettext(_("Number: %(number)s"), number=business.number),
                gettext(_("Printed: %(at)s"), at=format_datetime(at)),
            ],
            business.link,
        )
        sheet.section(gettext(_("What is handed over")))
        sheet.fields(
            [
                *_what(business),
                (gettext(_("Serial number")), _spaced(serial_hex)),
                (gettext(_("Valid from and until")), f"{format_date(not_before)} – {format_date(not_after)}"),
                (gettext(_("USB key's number")), token_number or "—"),
            ]
        )
        sheet.ln(2)
        sheet.boxes(
            [
                gettext(_("USB key with the certificate")),
                gettext(_("PIN letter, unopened")),
                gettext(_("Invoice")),
                gettext(_("Guide for use")),
            ]
        )
        sheet.section(gettext(_("Who fetches it")))
        sheet.boxes(
            [
                gettext(_("The identity card was seen in the original; photo and person agree.")),
                gettext(_("The letter of authorisation names this person.")),
                gettext(_("The one-time code was right.")),
            ]
        )
        sheet.text(gettext(RECEIVED))
        sheet.signatures(
            [
                gettext(_("Fetched by (signature)")),
                gettext(_("Handed over by: %(name)s"), name=handed_over_by),
            ],
            height=32,
        )
        sheet.fields(_where(business.point))
        return sheet.octets()

    def pin_letter(
        self,
        *,
        number: str,
        holder: str,
        token_number: str,
        pin: str,
        point: Point,
        at: datetime,
    ) -> bytes:
        """PIN 信函: the only place where a PIN stands. Nothing keeps it: print, seal, forget.

        Args:
            number: of the application or case. pin: as set on the token.
        """
        title = gettext(_("PIN letter"))
        sheet = self._sheet(title, at=at, foot=number)
        sheet.head(
            title,
            [
                gettext(_("Number: %(number)s"), number=number),
                gettext(_("Printed: %(at)s"), at=format_datetime(at)),
            ],
            number,
        )
        sheet.fields([(gettext(_("Holder")), holder), (gettext(_("USB key's number")), token_number or "—")])
        sheet.ln(5)
        sheet.secret(gettext(_("First PIN")), pin)
        sheet.text(gettext(PIN_RULES))
        sheet.ln(2)
        sheet.fields(_where(point))
        return sheet.octets()

    def _sheet(self, title: str, *, at: datetime, foot: str) -> "Sheet":
        from onecert.ra.papers.sheet import Sheet  # noqa: PLC0415 - fpdf2 takes long to load

        return Sheet(load_font(self._font), title=title, at=at, foot=foot)


def _what(business: Business) -> list[tuple[str, str]]:
    return [
        (gettext(_("Holder")), business.holder),
        (gettext(_("Business")), business.business),
        (gettext(_("Type")), business.certificate),
        (gettext(_("Certification authority")), business.authority),
    ]


def _where(point: Point) -> list[tuple[str, str]]:
    pairs = [
        (gettext(_("Acceptance point")), point.name),
        (gettext(_("Telephone")), point.phone),
        (gettext(_("Address")), point.address),
    ]
    return [(label, value) for label, value in pairs if value]


def _spaced(digits: str) -> str:
    """Hex in groups of four, as people compare it."""
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))

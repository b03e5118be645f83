"""REST for the one box: what was found, and as what the text was read."""

from typing import Any

from flask import Blueprint, Response, jsonify

from onecert.ra.errors import BodyError
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.rest.answers import application_json, certificate_json
from onecert.ra.rest.common import read_body, read_text
from onecert.ra.rest.openapi_parts import MAYBE, TEXT, operation, record
from onecert.ra.search.find import Hit
from onecert.ra.search.terms import TEXT_MAX, Read

__all__ = ["add_to", "paths", "schemas"]


def add_to(api: Blueprint) -> None:
    """Add the endpoint of the search."""
    api.add_url_rule("/search", "search", _search, methods=["POST"])


def paths() -> dict[str, Any]:
    """Its part of the OpenAPI document."""
    return {
        "/search": {"post": operation("Find certificates, applications and cases", "Found", None, "Find")}
    }


def schemas() -> dict[str, Any]:
    """Its schemas."""
    kinds = {"enum": [kind.value for kind in Read]}
    return {
        "Find": record(
            {"q": {"type": "string", "maxLength": TEXT_MAX}, "as": kinds, "cursor": TEXT}, required=["q"]
        ),
        "Found": record(
            {
                "read_as": {"oneOf": [kinds, {"type": "null"}]},
                "others": {"type": "array", "items": kinds},
                "items": {"type": "array", "items": {"type": "object"}},
                "next": MAYBE,
            }
        ),
    }


def _search() -> Response:
    body = read_body()
    text, kind = read_text(body, "q"), read_text(body, "as", default="")
    if len(text) > TEXT_MAX:
        raise BodyError("q")
    if kind and kind not in set(Read):
        raise BodyError("as")
    answer = the_ra().search.find(
        the_operator(),
        text,
        read_as=Read(kind) if kind else None,
        cursor=read_text(body, "cursor", default="") or None,
    )
    return jsonify(
        {
            "read_as": answer.read.kind.value if answer.read else None,
            "others": [other.kind.value for other in answer.others],
            "items": [_item(hit) for hit in answer.hits],
            "next": answer.next,
        }
    )


def _item(hit: Hit) -> dict[str, Any]:
    if hit.certificate is not None:
        cases = [case.number for case in hit.cases]
        return {"what": "certificate", **certificate_json(hit.certificate), "cases": cases}
    if hit.application is not None:
        return {"what": "application", **application_json(hit.application)}
    case = hit.case
    assert case is not None  # noqa: S101 - one of the three
    return {
        "what": "case",
        "id": case.id,
        "number": case.number,
        "business": case.business.value,
        "state": case.state.value,
        "authority": case.authority,
        "serial": case.serial_hex,
    }

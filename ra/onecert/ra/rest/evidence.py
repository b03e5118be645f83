"""REST for evidence: list, add, fetch, remove."""

from io import BytesIO
from typing import Any, BinaryIO, cast

from flask import Blueprint, Response, jsonify, request

from onecert.ra.errors import BodyError, EvidenceRefusedError
from onecert.ra.evidence.records import Evidence
from onecert.ra.evidence.sniffing import in_megabytes
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.pages.evidence import answer_file
from onecert.ra.rest.common import moment

__all__ = ["add_to"]


def add_to(api: Blueprint) -> None:
    """Add the endpoints of evidence."""
    of_application = "/applications/<uuid:application_id>/evidence"
    of_case = "/cases/<uuid:case_id>/evidence"
    for path, word in ((of_application, "evidence"), (of_case, "case_evidence")):
        api.add_url_rule(path, f"list_{word}", _list)
        api.add_url_rule(path, f"add_{word}", _add, methods=["POST"])
    api.add_url_rule("/evidence/<uuid:evidence_id>", "get_evidence", _get)
    api.add_url_rule("/evidence/<uuid:evidence_id>/content", "evidence_content", _content)
    api.add_url_rule("/evidence/<uuid:evidence_id>/remove", "remove_evidence", _remove, methods=["POST"])


def _list(**record: Any) -> Response:
    items = the_ra().evidence.all_of(the_operator(), _id(record))
    return jsonify({"items": [_json(item) for item in items]})


def _add(**record: Any) -> tuple[Response, int]:
    """The file is the body itself, or the part `file` of a form (which needs the form token)."""
    ra, operator = the_ra(), the_operator()
    material = request.args.get("material") or request.form.get("material", "")
    key = request.headers.get("Idempotency-Key", "")[:64] or None
    sent = request.files.get("file")
    if sent is not None:
        file = cast(BinaryIO, sent.stream)
    elif request.mimetype == "multipart/form-data":
        raise BodyError("file")
    else:
        file = BytesIO(_body(ra.evidence.limits.file_octets))
    added = ra.evidence.add(operator, _id(record), material[:32], file, request_key=key)
    return jsonify(_json(added)), 201


def _id(record: dict[str, Any]) -> str:
    """The id of the application or case, whichever the path names."""
    (found,) = record.values()
    return str(found)


def _body(max_octets: int) -> bytes:
    """The request's body, read no further than a file may be long."""
    content = request.stream.read(max_octets + 1)
    if len(content) > max_octets:
        size = max(request.content_length or 0, len(content))
        raise EvidenceRefusedError(
            "EVIDENCE_TOO_LARGE", size=in_megabytes(size), limit=in_megabytes(max_octets)
        )
    return content


def _get(evidence_id: Any) -> Response:
    return jsonify(_json(the_ra().evidence.load(the_operator(), str(evidence_id))))


def _content(evidence_id: Any) -> Response:
    return answer_file(str(evidence_id))


def _remove(evidence_id: Any) -> Response:
    """What no reviewer had is gone; the rest is set aside and returned."""
    ra, operator = the_ra(), the_operator()
    left = ra.evidence.remove(operator, str(evidence_id))
    return jsonify({"evidence": None if left is None else _json(left)})


def _json(item: Evidence) -> dict[str, Any]:
    return {
        "id": item.id,
        "record": item.record_id,
        "material": item.material,
        "sha256": item.sha256,
        "size": item.size,
        "media_type": item.media_type,
        "width": item.width,
        "height": item.height,
        "added_at": moment(item.added_at),
        "added_by": item.added_by,
        "frozen_at": moment(item.frozen_at),
        "set_aside_at": moment(item.set_aside_at),
    }

"""One service of a list, from JSON to the model."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.errors import VerifyError
from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.description import EXTENSIONS, Description, read_description
from onecert.verifier.trust_list.fields import read_local_text, read_url
from onecert.verifier.trust_list.history import check_history, read_history_entry, read_status_entry
from onecert.verifier.trust_list.model import LocalText, StatusEntry, SupplyPoint, TrustedService
from onecert.verifier.trust_list.parts import Part, PartReader
from onecert.verifier.trust_list.usual import UsualService, find_usual

__all__ = ["read_service", "read_usual_services"]

_NOTHING = Description()
_SERVICE_ID = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)


def read_usual_services(
    rows: Sequence[tuple[bytes, LocalText]], parts: PartReader
) -> list[TrustedService | None]:
    """What ``read_service`` gives for the octets of services, in less time; ``None`` where it must be asked.

    Args:
        rows: the octets of each service with the name of its entity.

    Raises:
        NotInPartsError, VerifyError, ValueError: extensions or a certificate cannot be read.
    """
    # One step after the other for all of them: taking turns costs a third more time.
    found = [find_usual(octets) for octets, _ in rows]
    described = [
        read_description(Part(row.extensions), "", parts) if row is not None and row.extensions else _NOTHING
        for row in found
    ]
    certificates = [None if row is None else parse_certificate(row.certificate_der) for row in found]
    return [
        None
        if row is None or certificate is None or description.terms is not None
        else _usual_service(row, description, certificate, entity)
        for row, description, certificate, (_, entity) in zip(
            found, described, certificates, rows, strict=True
        )
    ]


def _usual_service(
    found: UsualService, described: Description, certificate: ParsedCertificate, entity: LocalText
) -> TrustedService:
    _check_certificates((certificate,), "")
    return TrustedService(
        id=found.id,
        service_type=found.service_type,
        name=found.name,
        entity=entity,
        certificates=(certificate,),
        history=found.history,
        supply_points=found.supply_points,
        **described.as_arguments(),
    )


def read_service(node: Node, entity: LocalText, parts: PartReader | None) -> TrustedService:
    """Read a service of this entity.

    Args:
        parts: the reader that has put a part in place of the extensions; ``None`` when all is decoded.

    Raises:
        TrustListError, VerifyError, StrictJsonError, CriticalExtensionError: it is no service of a list.
    """
    with node:
        history = [read_history_entry(item) for item in node.nodes("ServiceHistory", high=500, default=[])]
        with node.node("ServiceInformation") as info:
            service_type = info.choice("ServiceTypeIdentifier", v.SERVICE_TYPES)
            name = read_local_text(info, "ServiceName")
            service_id, certificates = _digital_identity(info)
            described = read_description(info.take(EXTENSIONS, []), info.where, parts)
            history.append(read_status_entry(info, described.terms_node()))
            return TrustedService(
                id=service_id,
                service_type=service_type,
                name=name,
                entity=entity,
                certificates=certificates,
                history=_in_order(service_id, history),
                supply_points=tuple(_supply_point(p) for p in info.nodes("ServiceSupplyPoints", default=[])),
                **described.as_arguments(),
            )


def _in_order(service_id: str, history: list[StatusEntry]) -> tuple[StatusEntry, ...]:
    # The standard lists history newest first; what counts is the starting time.
    history.sort(key=lambda entry: entry.start)
    check_history(service_id, history)
    return tuple(history)


def _digital_identity(info: Node) -> tuple[str, tuple[ParsedCertificate, ...]]:
    with info.node("ServiceDigitalIdentity") as identity:
        (service_id,) = identity.texts("OtherIds", low=1, high=1)
        if _SERVICE_ID.fullmatch(service_id) is None:
            raise StrictJsonError(identity.place("OtherIds"), "an id has lower-case letters, digits and -")
        certificates: list[ParsedCertificate] = []
        for item in identity.nodes("X509Certificates", low=1, high=16):
            with item:
                text = item.text("val", max_length=100_000)
            try:
                certificates.append(parse_certificate(base64.b64decode(text, validate=True)))
            except (binascii.Error, ValueError) as exc:
                raise StrictJsonError(item.place("val"), "not base64") from exc
            except VerifyError as exc:
                raise StrictJsonError(item.place("val"), f"not a certificate ({exc.code})") from exc
        _check_certificates(certificates, identity.where)
        return service_id, tuple(certificates)


def _check_certificates(certificates: Sequence[ParsedCertificate], where: str) -> None:
    first, *others = certificates
    if any((c.spki_der, c.subject) != (first.spki_der, first.subject) for c in others):
        # TS 119 612, 5.5.3: all certificates of one service name the same key and subject.
        raise StrictJsonError(where, "the certificates have different keys or names")
    if not first.is_ca:
        raise StrictJsonError(where, "not a certificate of a CA")


def _supply_point(node: Node) -> SupplyPoint:
    with node:
        kind = v.SUPPLY_BY_URI[node.choice("ServiceType", v.SUPPLY_BY_URI)]
        return SupplyPoint(kind=kind, url=read_url(node, "uriValue"))

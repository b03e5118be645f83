"""A form signed in XML: XMLDSig with one signature, enveloped, enveloping or detached, with or without XAdES.

XML Signature Syntax and Processing 1.1. Its dangers are its freedom, so that the shape is decided here before
signxml does the mathematics: no DTD, one signature, one reference to the document, transforms that only take
the signature out and canonicalise, no address that would have to be fetched. What the application gets is the
octets that were signed, canonical and without comments, never the file around them: a second form that
somebody wrapped round the signed one is not seen. Not supported: SM2, Ed25519, XPath, XSLT, manifests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidDigest
from signxml.verifier import SignatureConfiguration, XMLVerifier

from onecert.verifier.algorithms import ALGORITHMS, AlgorithmPolicy
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import (
    CouldNotCheckError,
    MalformedError,
    RefusedError,
    SignatureInvalidError,
    VerifyError,
)
from onecert.verifier.keys import load_public_key
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.signatures import verify_signature
from onecert.verifier.signed_form.digests import check_digest
from onecert.verifier.signed_form.extras import XmlSignature
from onecert.verifier.signed_form.form_signature import CheckedSignature, Enclosed, FormSignature, OpenedForm
from onecert.verifier.signed_form.proved_time import Stamped
from onecert.verifier.signed_form.signer_check import Content
from onecert.verifier.signed_form.xml_shape import DS, DetachedForm, Shape, find_shape, octets_of, only
from onecert.verifier.signed_form.xml_xades import Properties, digest_of, read_properties

__all__ = ["open_form"]

_DEPTH_MAX, _ELEMENTS_MAX, _ATTRIBUTES_MAX = 100, 100_000, 100
# Canonicalisation looks for each namespace in force among all of them, at every element: 50 million such
# steps take half a second. A hundred thousand elements under twenty namespaces stay below.
_NAMESPACE_STEPS_MAX = 50_000_000
_NOT_MADE_YET = "the signature is checked first"


def open_form(document: bytes | None, source: XmlSignature) -> OpenedForm:
    """Read a signed XML file.

    Args:
        document: of a detached signature; compared with what is signed for the others.

    Raises:
        MalformedError: ``TOO_LARGE``, ``XML_MALFORMED``.
        RefusedError: ``XML_DOCTYPE``, ``XML_SIGNATURES``, ``XML_REFERENCE``, ``XML_TRANSFORM``,
            ``XML_PARTLY_SIGNED``, ``XML_ELEMENT``, ``UNSUPPORTED_ALGORITHM``.
        CouldNotCheckError: ``FORM_DOCUMENT_NEEDED``.
    """
    root = _parse(source.value)
    found = list(root.iter(DS + "Signature"))
    if len(found) != 1:
        # Also a countersignature of XAdES is a second one: what it would cover is not looked at.
        raise RefusedError("XML_SIGNATURES", source="XMLDSig, section 4", count=len(found))
    shape = find_shape(root, found[0], source.element)
    if isinstance(shape, DetachedForm) and document is None:
        raise CouldNotCheckError("FORM_DOCUMENT_NEEDED", algorithm="-")
    signature = _Xml(root, found[0], shape, read_properties(found[0], shape), document)
    return OpenedForm(content=signature.content, signatures=(signature,))


def _parse(data: bytes) -> Any:
    if len(data) > DEFAULT_LIMITS.document_max_bytes:
        raise MalformedError("TOO_LARGE", kind="XML", max=DEFAULT_LIMITS.document_max_bytes)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.LxmlError, ValueError) as exc:
        _malformed(str(exc)[:200])
    info = root.getroottree().docinfo
    if info.doctype or info.internalDTD is not None or info.externalDTD is not None:
        # Entities, defaults of attributes, and which attribute is an identifier: a DTD changes the meaning.
        raise RefusedError("XML_DOCTYPE", source="XMLDSig Best Practices, section 2")
    _check_size(root)
    return root


def _check_size(root: Any) -> None:
    """Bound what canonicalisation costs, which grows with the square of attributes and of namespaces."""
    depth = elements = namespaces = steps = 0
    for event, item in etree.iterwalk(root, events=("start", "end", "start-ns", "end-ns")):
        if event == "start":
            depth, elements, steps = depth + 1, elements + 1, steps + namespaces * namespaces
            if depth > _DEPTH_MAX:
                _malformed("it is nested too deeply")
            if elements > _ELEMENTS_MAX or len(item.attrib) > _ATTRIBUTES_MAX:
                _malformed("it has too many elements, or one has too many attributes")
            if steps > _NAMESPACE_STEPS_MAX:
                _malformed("it declares too many namespaces")
        elif event == "end":
            depth -= 1
        else:
            namespaces += 1 if event == "start-ns" else -1


@dataclass
class _Xml:
    """See ``FormSignature``."""

    root: Any
    signature: Any
    shape: Shape
    properties: Properties
    document: bytes | None
    digest_algorithm: str = ""
    countersignatures: Sequence[FormSignature] = ()
    _signed: bytes | None = field(default=None, init=False)

    @property
    def stamps(self) -> Sequence[Stamped]:
        return [Stamped(token, self.properties.stamped) for token in self.properties.tokens]

    @property
    def enclosed(self) -> Enclosed:
        return self.properties.enclosed

    def content(self) -> Content:
        assert self._signed is not None, _NOT_MADE_YET  # noqa: S101  the judge of forms keeps the order
        return Content(data=self._signed)

    def check(
        self, known: Sequence[ParsedCertificate], policy: AlgorithmPolicy, at: datetime
    ) -> CheckedSignature:
        # 1. Whose key: the signer's certificate is among those that came, or are at hand.
        offered = list(dict.fromkeys((*self.properties.key_certificates, *known)))
        meant = [c for c in offered if self.properties.means(c, policy, at)]
        if not meant:
            if not offered:
                raise RefusedError("CMS_NO_CERTIFICATE", source="XMLDSig, section 4.5.4", signer="-")
            subject = offered[0].subject_text
            raise RefusedError(
                "CMS_SIGNING_CERTIFICATE",
                certificate=offered[0].certificate,
                source="EN 319 132-1, section 5.2.2",
                subject=subject,
            )
        # 2. Its signature over SignedInfo, by our rules about keys and algorithms.
        for reference in self.shape.references:
            check_digest(digest_of(only(reference, DS + "DigestMethod")), policy, at)
        failure: VerifyError | None = None
        for certificate in meant:
            try:
                self._check_key(certificate, policy, at)
            except VerifyError as exc:
                failure = failure or exc
                continue
            # 3. The references, and the octets that were signed.
            self._signed = self._check_references(certificate)
            return CheckedSignature(
                certificates=(certificate,),
                names_certificate=self.properties.names_certificate,
                claimed_at=self.properties.claimed_at,
            )
        assert failure is not None  # noqa: S101  at least one was meant
        raise failure

    def _check_key(self, certificate: ParsedCertificate, policy: AlgorithmPolicy, at: datetime) -> None:
        info = only(self.signature, DS + "SignedInfo")
        row = ALGORITHMS[self.shape.algorithm]
        key = load_public_key(certificate.spki_der)
        value = octets_of(only(self.signature, DS + "SignatureValue"))
        if row.scheme == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            # XMLDSig, section 6.4.3: r and s, each as long as the field, one after the other.
            size = (key.key_size + 7) // 8
            if len(value) != 2 * size:
                raise SignatureInvalidError("SIGNATURE_INVALID", algorithm=row.name)
            r, s = int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big")
            value = encode_dss_signature(r, s)
        data = self.shape.canonical_info(info)
        verify_signature(key, row, value, data, policy=policy, at=at)

    def _check_references(self, certificate: ParsedCertificate) -> bytes:
        """What signxml finds signed by the reference to the document."""
        shape = self.shape
        config = SignatureConfiguration(
            location=".//",
            expect_references=len(shape.references),
            signature_methods=frozenset(SignatureMethod),
            digest_algorithms=frozenset(DigestAlgorithm),
            ignore_ambiguous_key_info=True,  # the key is that of the certificate, whatever else stands there
            verification_time=certificate.not_before,  # whether the certificate counts is asked by us
            default_reference_c14n_method=CanonicalizationMethod.CANONICAL_XML_1_0,
        )
        try:
            results = XMLVerifier().verify(
                self.root,
                x509_cert=certificate.certificate,
                uri_resolver=self._resolve,
                expect_config=config,
            )
        except InvalidDigest as exc:
            raise SignatureInvalidError("XML_DIGEST", source="XMLDSig, section 3.2.1") from exc
        except Exception as exc:
            raise MalformedError("XML_MALFORMED", source="XMLDSig", detail=str(exc)[:200]) from exc
        listed = results if isinstance(results, list) else [results]
        signed: bytes = listed[shape.references.index(shape.document)].signed_data
        if self.document is not None and not isinstance(shape, DetachedForm) and signed != self.document:
            raise RefusedError("FORM_CONTENT_DIFFERS", source="XMLDSig, section 3.2.1")
        return signed

    def _resolve(self, uri: str) -> bytes | None:
        """The document of a detached signature, under whatever name the signer's program gave it."""
        return self.document if isinstance(self.shape, DetachedForm) and uri == self.shape.uri else None


def _malformed(detail: str) -> NoReturn:
    raise MalformedError("XML_MALFORMED", source="XML 1.0", detail=detail)

"""The verifier and the others behind one question: what do you say to this world?

A peer that cannot be given an input says so with ``NOT_ASKED`` and the reason; it never gets a question that
differs from the one the others get.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FrameType

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from diff_build import Built, build, policy
from diff_world import ANY, T, World
from OpenSSL import crypto
from pyhanko_certvalidator import CertificateValidator
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, ValidationError
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    PKIXValidationParams,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)

from onecert.verifier import (
    CouldNotCheckError,
    MalformedError,
    PathParameters,
    PolicyInputs,
    RevocationEvidence,
    RevocationMode,
    RevocationPolicy,
    TrustAnchor,
    VerifyError,
    load_certificate,
    load_crl,
    purposes,
    validate_path,
)

ACCEPT, REFUSE, CRASH, SLOW, NOT_ASKED = "accept", "refuse", "crash", "too slow", "not asked"
OPENSSL = shutil.which("openssl") or ""
PYHANKO_SECONDS = 5.0

# Flags that OpenSSL has and pyOpenSSL has no names for.
_INHIBIT_ANY, _EXTENDED_CRL, _USE_DELTAS = 0x200, 0x1000, 0x2000

logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Verdict:
    """``reason`` is a code where there is one, else the first words of the peer's message.

    ``path`` and ``lists`` are ours alone: DER of the accepted path, the anchor's certificate last, and of the
    newest list that answered for each of its certificates.
    """

    kind: str
    reason: str = ""
    path: tuple[bytes, ...] = field(default=(), compare=False, repr=False)
    lists: tuple[bytes, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}" if self.reason else self.kind


@dataclass(frozen=True)
class Question:
    """A world with its bytes."""

    world: World

    @cached_property
    def built(self) -> Built:
        return build(self.world)

    @cached_property
    def anchors(self) -> list[bytes]:
        return [self.built.certificates[number] for number in self.world.anchors]

    @cached_property
    def others(self) -> list[bytes]:
        hidden = {*self.world.anchors, *self.world.withheld, len(self.built.certificates) - 1}
        return [der for number, der in enumerate(self.built.certificates) if number not in hidden]

    @property
    def target(self) -> bytes:
        return self.built.certificates[-1]

    @property
    def crls(self) -> tuple[bytes, ...]:
        return self.built.crls if self.world.inputs.crls else ()


def ours(question: Question) -> Verdict:
    """The verifier. What cannot be read is left out, as a folder of certificates would do."""
    inputs = question.world.inputs
    crls = []
    for der in question.crls:
        try:
            crls.append(load_crl(der))
        except MalformedError:
            continue
    candidates = []
    for der in question.others:
        try:
            candidates.append(load_certificate(der))
        except MalformedError:
            continue
    parameters = PathParameters(
        purpose=purposes.CLIENT if inputs.client else purposes.ANY,
        policies=PolicyInputs(
            initial=frozenset(policy(number) for number in inputs.policies),
            require_explicit=inputs.explicit,
            inhibit_mapping=inputs.inhibit_mapping,
            inhibit_any=inputs.inhibit_any,
        ),
        revocation=RevocationPolicy(
            mode=RevocationMode.REQUIRE if inputs.crls else RevocationMode.OFF, use_deltas=inputs.deltas
        ),
    )
    anchors: list[TrustAnchor] = []
    refused = Verdict(REFUSE)
    for der in question.anchors:
        try:
            anchors.append(TrustAnchor.from_certificate(der, use_extensions=inputs.anchor_extensions))
        except VerifyError as error:
            refused = Verdict(REFUSE, error.code)
    if not anchors:
        return refused
    try:
        path = validate_path(
            question.target,
            candidates=candidates,
            anchors=anchors,
            at=T,
            revocation=RevocationEvidence(crls=crls),
            parameters=parameters,
        )
    except VerifyError as error:
        causes = error.facts.get("causes")
        text = "+".join(causes) if isinstance(causes, tuple) else ""
        unknown = "?" if isinstance(error, CouldNotCheckError) else ""
        return Verdict(REFUSE, f"{error.code}{unknown}{':' if text else ''}{text}")
    anchor = path.anchor.certificate
    assert anchor is not None
    chain = (*(certificate.der for certificate in path.chain), anchor.public_bytes(Encoding.DER))
    lists = tuple(source.answer.der for source in path.sources)
    return Verdict(ACCEPT, path=chain, lists=lists)


class _TimeUpError(BaseException):
    """Not an Exception, so that nobody in between takes it for one of theirs."""


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Processor time, so that a busy machine changes nothing, and the test's own alarm stays."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _TimeUpError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def pyhanko(question: Question) -> Verdict:
    """pyhanko-certvalidator: everything but purposes of a path and the choice of delta lists."""
    inputs = question.world.inputs
    if inputs.client:
        return Verdict(NOT_ASKED, "it has no purpose for a path")
    if inputs.crls and not inputs.deltas:
        return Verdict(NOT_ASKED, "it decides about delta lists by itself")
    rule = RevocationCheckingRule.CRL_REQUIRED if inputs.crls else RevocationCheckingRule.NO_CHECK
    try:
        with _limit(PYHANKO_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = ValidationContext(
                trust_roots=[
                    CertTrustAnchor(
                        asn1_x509.Certificate.load(der),
                        derive_default_quals_from_cert=inputs.anchor_extensions,
                    )
                    for der in question.anchors
                ],
                other_certs=[asn1_x509.Certificate.load(der) for der in question.others],
                moment=T,
                crls=list(question.crls),
                revinfo_policy=CertRevTrustPolicy(RevocationCheckingPolicy(rule, rule)),
                time_tolerance=None,  # type: ignore[arg-type]  # "if time_tolerance else timedelta(0)"
            )
            parameters = PKIXValidationParams(
                user_initial_policy_set=frozenset(
                    "any_policy" if number == ANY else policy(number) for number in inputs.policies
                ),
                initial_policy_mapping_inhibit=inputs.inhibit_mapping,
                initial_explicit_policy=inputs.explicit,
                initial_any_policy_inhibit=inputs.inhibit_any,
            )
            validator = CertificateValidator(
                asn1_x509.Certificate.load(question.target),
                validation_context=context,
                pkix_params=parameters,
            )
            asyncio.run(validator.async_validate_path())
    except (PathBuildingError, ValidationError) as error:
        return Verdict(REFUSE, f"{type(error).__name__}: {error}"[:300])
    except _TimeUpError:
        return Verdict(SLOW)
    except Exception as error:
        return Verdict(CRASH, f"{type(error).__name__}: {error}"[:300])
    return Verdict(ACCEPT)


def _policies_matter(world: World) -> bool:
    return world.inputs.explicit or any(cert.require_explicit is not None for cert in world.certificates)


def pyopenssl(question: Question) -> Verdict:
    """pyOpenSSL's X509StoreContext: OpenSSL 4 without a user policy set and without purposes."""
    inputs = question.world.inputs
    if inputs.client:
        return Verdict(NOT_ASKED, "it cannot be given a purpose")
    if inputs.policies != frozenset({ANY}) or _policies_matter(question.world):
        return Verdict(NOT_ASKED, "it cannot be given the user's policies, and without them none is explicit")
    flags = crypto.X509StoreFlags.PARTIAL_CHAIN | crypto.X509StoreFlags.POLICY_CHECK
    flags |= crypto.X509StoreFlags.INHIBIT_MAP * inputs.inhibit_mapping | _INHIBIT_ANY * inputs.inhibit_any
    if inputs.crls:
        flags |= crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL | _EXTENDED_CRL
        flags |= _USE_DELTAS * inputs.deltas
    try:
        store = crypto.X509Store()
        for der in question.anchors:
            store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, der))
        for der in question.crls:
            store.add_crl(x509.load_der_x509_crl(der))
        store.set_flags(flags)
        store.set_time(T.replace(tzinfo=None))
        context = crypto.X509StoreContext(
            store,
            crypto.load_certificate(crypto.FILETYPE_ASN1, question.target),
            [crypto.load_certificate(crypto.FILETYPE_ASN1, der) for der in question.others],
        )
        context.verify_certificate()
    except crypto.X509StoreContextError as error:
        return Verdict(REFUSE, f"{error.errors[0]} at {error.errors[1]}: {error.errors[2]}")
    except Exception as error:
        return Verdict(CRASH, f"{type(error).__name__}: {error}"[:300])
    return Verdict(ACCEPT)


def openssl(question: Question) -> Verdict:
    """The ``openssl`` command."""
    inputs = question.world.inputs
    command = [OPENSSL, "verify", "-no-CAfile", "-no-CApath", "-no-CAstore", "-partial_chain"]
    command += ["-attime", str(int(T.timestamp())), "-policy_check"]
    for number in sorted(inputs.policies):
        command += ["-policy", policy(number)]
    command += ["-explicit_policy"] * inputs.explicit + ["-inhibit_map"] * inputs.inhibit_mapping
    command += ["-inhibit_any"] * inputs.inhibit_any + ["-purpose", "sslclient"] * inputs.client
    if inputs.crls:
        command += ["-crl_check_all", "-extended_crl", *["-use_deltas"] * inputs.deltas]
    with tempfile.TemporaryDirectory(prefix="differential-") as folder:
        command += ["-trusted", _pem(folder, "anchors", "CERTIFICATE", question.anchors)]
        if question.others:
            command += ["-untrusted", _pem(folder, "others", "CERTIFICATE", question.others)]
        if question.crls:
            command += ["-CRLfile", _pem(folder, "crls", "X509 CRL", question.crls)]
        command.append(_pem(folder, "target", "CERTIFICATE", [question.target]))
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        except subprocess.TimeoutExpired:
            return Verdict(SLOW)
    if done.returncode == 0:
        return Verdict(ACCEPT)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error ")]
    if done.returncode not in {1, 2} or not any("lookup:" in line for line in lines):
        return Verdict(CRASH, f"{done.returncode} {done.stderr}"[-300:])
    return Verdict(REFUSE, lines[0].removeprefix("error ").replace(" depth lookup", ""))


def _pem(folder: str, label: str, kind: str, ders: list[bytes] | tuple[bytes, ...]) -> str:
    path = Path(folder, label)
    path.write_text(
        "".join(
            f"-----BEGIN {kind}-----\n{base64.encodebytes(der).decode()}-----END {kind}-----\n"
            for der in ders
        )
    )
    return str(path)


PEERS: dict[str, Callable[[Question], Verdict]] = {
    "pyhanko": pyhanko,
    "pyopenssl": pyopenssl,
    "openssl": openssl,
}

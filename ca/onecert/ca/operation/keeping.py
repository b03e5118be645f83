"""What a backup asks the CA, and what a drill looks at on a restored one.

The keys on a restored token must sign, and must be those that the certificates name; the whole record and the
lists are read as the checker reads them. Nothing that is signed here could be taken for anything: it is a
sentence, neither a certificate nor a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onecert.ca.authorities.authorities import Authority
from onecert.ca.config import CaConfig
from onecert.ca.errors import CaError
from onecert.ca.lists.snapshot import newest
from onecert.ca.parts import Parts, assemble
from onecert.ca.signatures.algorithms import is_signature_valid, sign, spki_der
from onecert.ca.signatures.tokens import CaToken, KeyToken, document_key, root_token
from onecert.hsm import TokenError
from onecert.server.documents import PrivateKey
from onecert.server.languages import gettext
from onecert.server.members import Context, Kept

__all__ = ["AUDIT_KEY", "keep", "key_faults"]

AUDIT_KEY = "audit"
_SENTENCE = b"OneCert tries whether this key signs; this is no certificate and no list."
# A backup is older than its lists may be; they are made anew when the service starts.
_TO_BE_EXPECTED = {"list-overdue"}


def keep(config: CaConfig, context: Context) -> Kept:
    """Say what backups of this CA need; the token is opened when it is asked for a key."""
    parts = assemble(config, context)
    roots = root_token(config, context.data, context.shared)
    pin_file = config.root_token_pin_file or context.data / "root-token.pin"

    def close() -> None:
        parts.issuance.close()
        parts.batch_work.close()
        roots.close()
        parts.token.close()

    return Kept(
        audit_key=lambda: _audit_key(parts),
        numbers=lambda: _numbers(parts),
        # The root's PIN is locked away, as it should be: then only whoever has it can try its key.
        faults=lambda: _faults(parts, roots if pin_file.exists() else None),
        close=close,
    )


def _audit_key(parts: Parts) -> PrivateKey | None:
    try:
        return document_key(parts.token, AUDIT_KEY)
    except CaError:
        return None


def _numbers(parts: Parts) -> Mapping[str, int]:
    """The number of the newest list of each authority: all its lists take theirs from one sequence."""
    with parts.database.reading() as connection:
        return {
            f"crl {authority.name}": newest(connection, authority.name)[0]
            for authority in parts.authorities.reload()
        }


def _faults(parts: Parts, roots: CaToken | None) -> Iterator[str]:
    if _audit_key(parts) is None:
        yield gettext("the key of the audit trail cannot be used")
    for authority in parts.authorities.reload():
        if authority.state == "destroyed":
            continue
        token = roots if authority.is_root else parts.token
        if token is not None:
            yield from key_faults(authority, token)
        # As the service does at its start: of lists, files are copied before the record that goes on.
        for partition in parts.publisher.partitions(authority.name):
            parts.publisher.write_file(authority.name, partition)
        for finding in parts.list_checker.check(authority):
            if finding.rule not in _TO_BE_EXPECTED:
                yield f"{finding.rule} {finding.authority}/{finding.serial} {finding.facts}".rstrip()
    for page in parts.checker.pages():
        for finding in page.findings:
            yield f"{finding.rule} {finding.authority}/{finding.serial} {finding.facts}".rstrip()


def key_faults(authority: Authority, token: KeyToken) -> Iterator[str]:
    """Whether the key of an authority signs, and is the one of its certificate; a sentence for each fault."""
    try:
        key: Any = token.key(authority.key_label)
        if spki_der(key.public_key()) != spki_der(authority.issuer.public_key):
            yield gettext("the key of %(name)s is not the one of its certificate", name=authority.name)
        elif not is_signature_valid(authority.issuer.public_key, sign(key, _SENTENCE), _SENTENCE):
            yield gettext("the key of %(name)s signs wrongly", name=authority.name)
    except (CaError, TokenError) as exc:
        yield gettext("the key of %(name)s cannot be used: %(reason)s", name=authority.name, reason=exc)

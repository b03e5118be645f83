"""Name forms under constraints: for each form, whether a name lies in a subtree.

RFC 5280, section 4.2.1.10, for directory, DNS, e-mail, URI and IP names; RFC 4985 for SRVName and RFC 9598
for SmtpUTF8Mailbox; ITU-T X.509 for registeredID. A form without a row cannot be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from onecert.verifier.der import Reader, decode_oid
from onecert.verifier.extensions import GeneralName
from onecert.verifier.names import canonical_name, is_within

__all__ = ["DIRECTORY", "EMAIL", "IP", "Form", "Matcher", "comparable_forms", "form_of"]

OTHER, EMAIL, DNS, DIRECTORY, URI, IP, REGISTERED_ID = 0, 1, 2, 4, 6, 7, 8
UTF8_STRING, IA5_STRING = 0x0C, 0x16

# The tag of the GeneralName, and the type of an otherName.
Form = tuple[int, str]
# (name, base, permitting) -> whether the name lies in the subtree.
Matcher = Callable[[bytes, bytes, bool], bool]

# One function per form: (name, base, permitting). A name that is not well formed raises ValueError and is
# refused; a base that is not well formed permits nothing and excludes everything, which is the same.


def _directory(name: bytes, base: bytes, _: bool) -> bool:
    return is_within(canonical_name(name), canonical_name(base))


def _dns(name: bytes, base: bytes, permitting: bool) -> bool:
    # "Any DNS name that can be constructed by simply adding zero or more labels to the left-hand side."
    # There is no form with a leading period; only URI and e-mail constraints have one.
    suffix_labels = _host(base).split(".") if base else []
    labels = _host(name).split(".")
    if labels[0] == "*" and not permitting and len(labels) == len(suffix_labels):
        # A wildcard that could stand for the excluded name is excluded with it.
        return labels[1:] == suffix_labels[1:]
    if len(labels) < len(suffix_labels):
        return False
    return labels[len(labels) - len(suffix_labels) :] == suffix_labels


def _host(name: bytes) -> str:
    host = name.decode("ascii").lower()
    if not host or any(not label for label in host.split(".")) or not host.isprintable() or " " in host:
        raise ValueError("host name")
    return host


def _email(name: bytes, base: bytes, _: bool) -> bool:
    local, separator, domain = name.decode("utf-8").rpartition("@")
    quoted = len(local) > 1 and local[0] == local[-1] == '"'
    if not separator or not local or ("@" in local and not quoted):
        raise ValueError("e-mail address")
    domain = _host(domain.encode())
    constraint = base.decode("ascii")
    if "@" in constraint:
        base_local, _sep, base_domain = constraint.rpartition("@")
        # RFC 5280, section 7.5: the local part is compared exactly, the host without regard to case.
        return local == base_local and domain == base_domain.lower()
    if constraint.startswith("."):
        return domain.endswith(constraint.lower())
    return domain == constraint.lower()


def _mailbox(name: bytes, base: bytes, permitting: bool) -> bool:
    return _email(_other_text(name, UTF8_STRING).encode(), base, permitting)


def _uri(name: bytes, base: bytes, _: bool) -> bool:
    text = name.decode("ascii")
    scheme, separator, rest = text.partition("://")
    if not separator or not scheme:
        raise ValueError("a URI without a host")
    authority = rest.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        raise ValueError("a URI with an address")
    host = _host(host.partition(":")[0].encode())
    if host.replace(".", "").isdigit():
        raise ValueError("a URI with an address")
    constraint = base.decode("ascii").lower()
    if constraint.startswith("."):
        return host.endswith(constraint)
    return host == constraint


def _ip(name: bytes, base: bytes, _: bool) -> bool:
    if len(name) not in {4, 16} or len(base) not in {8, 32}:
        raise ValueError("IP address")
    if len(base) != 2 * len(name):
        return False
    network, mask = base[: len(name)], base[len(name) :]
    bits = int.from_bytes(mask, "big")
    inverted = bits ^ ((1 << 8 * len(mask)) - 1)
    if inverted & (inverted + 1):
        raise ValueError("the mask is not a prefix")
    return int.from_bytes(name, "big") & bits == int.from_bytes(network, "big") & bits


def _registered_id(name: bytes, base: bytes, _: bool) -> bool:
    # RFC 5280 leaves this form open. ITU-T X.509 constrains forms that are hierarchical: object identifiers
    # are, and a subtree is an arc with everything below it.
    decode_oid(name), decode_oid(base)
    return name.startswith(base)


def _srv_name(name: bytes, base: bytes, _: bool) -> bool:
    # RFC 4985, section 4: service and domain of the constraint are handled separately, either may be absent.
    service, domain = _split_service(_other_text(name, IA5_STRING))
    base_service, base_domain = _split_service(_other_text(base, IA5_STRING))
    if not service or not domain or not (base_service or base_domain):
        raise ValueError("SRVName")
    if base_service and service != base_service:
        return False
    return not base_domain or f".{_host(domain.encode())}".endswith(f".{_host(base_domain.encode())}")


def _split_service(text: str) -> tuple[str, str]:
    if not text.startswith("_"):
        return "", text.lower()
    service, _separator, domain = text.lower().partition(".")
    return service, domain


def _other_text(value: bytes, tag: int) -> str:
    """The string in an ``otherName`` value."""
    reader = Reader(value)
    reader.oid()
    explicit = reader.enter(0xA0)
    reader.done()
    text = explicit.contents(tag)
    explicit.done()
    return text.decode("ascii" if tag == IA5_STRING else "utf-8")


def form_of(name: GeneralName) -> Form:
    """The form a constraint speaks about. Each type of otherName is a form of its own."""
    return (OTHER, Reader(name.value).oid()) if name.tag == OTHER else (name.tag, "")


def comparable_forms(name: GeneralName) -> Iterator[tuple[Form, bytes, Matcher | None]]:
    """The forms whose constraints bind ``name``, with its value and the comparison; ``None`` when unknown."""
    form = form_of(name)
    yield form, name.value, _MATCHERS.get(form)
    if form == _SMTP_UTF8_MAILBOX:
        # RFC 9598, section 6: an internationalised address is bound by the constraints on e-mail.
        yield (EMAIL, ""), name.value, _mailbox


_SMTP_UTF8_MAILBOX: Form = (OTHER, "1.3.6.1.5.5.7.8.9")
_MATCHERS: Mapping[Form, Matcher] = {
    (EMAIL, ""): _email,
    (DNS, ""): _dns,
    (DIRECTORY, ""): _directory,
    (URI, ""): _uri,
    (IP, ""): _ip,
    (REGISTERED_ID, ""): _registered_id,
    (OTHER, "1.3.6.1.5.5.7.8.7"): _srv_name,
}

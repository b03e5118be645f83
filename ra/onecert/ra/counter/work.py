"""The work at the counter, step by step; each step looks at what is there, so that it goes on after a break.

    make(number)    token made ready → key on it → request signed by it → into the draft
    write(number)   issued certificate fits the key → certificate and chain on the token → tried out
    unlock(number)  new PIN by the SO PIN → the case is done

The key's label is the application's number: another key for it is made only when somebody asks (`again`), and
takes the place of the one before.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from onecert.hsm import HolderToken, HolderTokens, KeyAlgorithm, PrivateKey, Token
from onecert.ra.counter.desk import Desk, DeskError, fresh_label, label_of, new_pin
from onecert.ra.counter.registration import AtCounter, Registration
from onecert.server.languages import _

__all__ = ["ALGORITHMS", "Counter", "Made"]

# SM2 is asked of the token like the others: one that has it not says so, and SoftHSM has it not.
ALGORITHMS = (KeyAlgorithm.P_256, KeyAlgorithm.RSA_2048, KeyAlgorithm.SM2)


@dataclass(frozen=True)
class Made:
    """What `make` did."""

    application: AtCounter
    token: HolderToken
    csr_pem: str
    is_new_key: bool


class Counter:
    """One counter: its tokens, what its PC keeps, and the registration."""

    def __init__(self, tokens: HolderTokens, desk: Desk, registration: Registration) -> None:
        self._tokens = tokens
        self._desk = desk
        self._registration = registration

    # --- making -----------------------------------------------------------------------------------

    def make(
        self,
        number: str,
        *,
        algorithm: KeyAlgorithm = KeyAlgorithm.P_256,
        serial: str | None = None,
        again: bool = False,
        erase: bool = False,
        so_pin: str | None = None,
        send: bool = True,
    ) -> Made:
        """Token, key and request for an application; run again, it goes on.

        Args:
            serial: the token to use; None: the one that was begun for this application, or an empty one.
            again: make another key though there is one. erase: take a token that is not empty.
            so_pin: of a token that was made ready elsewhere, such as the factory's; it stays.
            send: put the request into the draft; otherwise it is only made.

        Raises:
            DeskError: TOKEN_NOT_EMPTY, or its PIN is not known here. RegistrationError: the registration
            refused or could not be asked. Errors of the token layer.
        """
        application = self._registration.application(number)
        if serial is None and application.token_number is not None and not again:
            serial = self._named(application.token_number).serial  # never a second token unasked
        token = self._ready(application.number, serial, erase=erase, so_pin=so_pin)
        with self._opened(token.serial) as opened:
            before = _labels(opened, application.number)
            is_new = not before or again
            if is_new:
                # The new one first: what the token cannot make must not cost the one that is there.
                key = opened.generate_key(_next_label(application.number, before), algorithm)
                for label in before:
                    opened.destroy_key(label)
            else:
                key = opened.load_key(before[-1])
            csr_pem = _request(application, key)
        if send:
            application = self._registration.bring(
                application.number, csr_pem=csr_pem, token_number=token.serial
            )
        return Made(application, token, csr_pem, is_new)

    def needs_erasing(self, number: str, serial: str | None) -> HolderToken | None:
        """The token that `make` would erase; None: it would erase nothing."""
        token = self._chosen(number, serial)
        return token if token is not None and not self._is_begun(token, number) else None

    def _chosen(self, number: str, serial: str | None) -> HolderToken | None:
        """The token named, or the one that was begun for this number; None: an empty one is taken."""
        if serial is not None:
            return self._named(serial)
        return next((each for each in self._tokens.all() if self._is_begun(each, number)), None)

    def _named(self, serial: str) -> HolderToken:
        for each in self._tokens.all():
            if each.serial.upper() == serial.strip().upper():
                return each
        raise DeskError(
            "TOKEN_NOT_HERE",
            _("The token %(token)s is not plugged in."),
            _("Run: onecert counter tokens"),
            token=serial,
        )

    def _is_begun(self, token: HolderToken, number: str) -> bool:
        """Whether this PC began this token for this application, and still knows its PIN."""
        if token.label == self._desk.begun(number):
            return True
        return token.label.startswith(label_of(number)) and self._desk.pin(token.serial) is not None

    def _ready(self, number: str, serial: str | None, *, erase: bool, so_pin: str | None) -> HolderToken:
        token = self._chosen(number, serial)
        if token is not None and self._is_begun(token, number):
            if token.label == self._desk.begun(number):  # a crash came before this PC noted its serial
                self._desk.made(number, token.serial)
            if not token.has_user_pin:
                so, pin = self._desk.so_pin(token.serial), self._desk.pin(token.serial) or new_pin()
                self._tokens.set_pin(token.serial, so_pin=so, pin=pin)
            return token
        if token is not None and not erase:
            raise DeskError(
                "TOKEN_NOT_EMPTY",
                _("The token %(token)s (“%(label)s”) is not empty: everything on it would be destroyed."),
                _("Take an empty token, or say so with --apply."),
                token=token.serial,
                label=token.label,
            )
        if token is not None:
            kept, pin = so_pin or self._desk.so_pin(token.serial), new_pin()
            label = fresh_label(number)
            ready = self._tokens.make_ready(label=label, so_pin=kept, pin=pin, serial=token.serial)
            self._desk.keep_so_pin(ready.serial, kept)
            self._desk.keep_pin(ready.serial, pin)
            return ready
        label, made, pin = self._desk.begin(number)
        ready = self._tokens.make_ready(label=label, so_pin=made, pin=pin)
        self._desk.made(number, ready.serial)
        return ready

    # --- writing and trying out -------------------------------------------------------------------

    def write(self, number: str) -> HolderToken:
        """Put the issued certificate on the token that has its key; run again, it goes on.

        Raises: as `make`; KeyUnusableError: the certificate is for another key.
        """
        application = self._registration.application(number)
        certificate_pem, chain_pem = self._registration.certificate(application.number)
        own = x509.load_pem_x509_certificate(certificate_pem.encode())
        chain = x509.load_pem_x509_certificates(chain_pem.encode()) if chain_pem.strip() else []
        token = self._named(application.token_number or "-")
        with self._opened(token.serial) as opened:
            opened.write_certificates(_newest_label(opened, application.number), own, chain)
            _try_out(opened, _newest_label(opened, application.number), opened.certificates())
        self._registration.written(application.number, token_number=token.serial)
        return token

    def check(self, number: str) -> x509.Certificate:
        """Sign a nonce with the key on the token, and verify it with the certificate on the token."""
        application = self._registration.application(number)
        token = self._named(application.token_number or "-")
        with self._opened(token.serial) as opened:
            return _try_out(opened, _newest_label(opened, application.number), opened.certificates())

    # --- PINs -------------------------------------------------------------------------------------

    def unlock(self, number: str, *, serial: str | None = None) -> HolderToken:
        """Give the token of an approved unlocking a new PIN; its letter is printed next."""
        case = self._registration.unlocking(number)
        token = self._named(case.token_number or serial or "-")
        known = self._desk.pin(token.serial) is not None
        if case.state != "approved" and not (case.state == "done" and known):
            raise DeskError(
                "UNLOCK_NOT_APPROVED",
                _("The unlocking %(number)s is not approved."),
                _("A second person approves it first."),
                number=case.number,
            )
        if not known:
            pin = new_pin()
            self._tokens.set_pin(token.serial, so_pin=self._desk.so_pin(token.serial), pin=pin)
            self._desk.keep_pin(token.serial, pin)
        self._registration.unlocked(case.number, token_number=token.serial)
        return token

    def _opened(self, serial: str) -> Token:
        pin = self._desk.pin(serial)
        if pin is None:
            raise DeskError(
                "PIN_GIVEN_OUT",
                _("The PIN of token %(token)s is no longer known here: its letter was printed."),
                _("The holder types it, or the token is unlocked by its own application."),
                token=serial,
            )
        return self._tokens.open(serial, pin)


def _labels(token: Token, number: str) -> list[str]:
    """The labels of the keys for an application, oldest first: the number, then the number with (2), (3) …"""
    found = [label for label in token.key_labels() if label == number or label.startswith(f"{number} (")]
    return sorted(found, key=lambda label: (len(label), label))


def _newest_label(token: Token, number: str) -> str:
    return [number, *_labels(token, number)][-1]


def _next_label(number: str, before: Sequence[str]) -> str:
    if not before:
        return number
    counted = before[-1].removeprefix(number).strip(" ()")
    return f"{number} ({int(counted or '1') + 1})"


def _request(application: AtCounter, key: PrivateKey) -> str:
    """The PKCS#10 request in PEM, signed on the token; its name is for people, the profile decides."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, application.name[:64] or application.number)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _try_out(token: Token, label: str, found: Sequence[x509.Certificate]) -> x509.Certificate:
    """Sign a nonce and verify it with the certificate of this key. Raises `DeskError`."""
    key = token.load_key(label)
    encoding, form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    wanted = key.public_key().public_bytes(encoding, form)
    nonce = secrets.token_bytes(32)
    for certificate in found:
        public = certificate.public_key()
        if public.public_bytes(encoding, form) != wanted:
            continue
        try:
            if isinstance(public, ec.EllipticCurvePublicKey):
                public.verify(key.sign(nonce, ec.ECDSA(hashes.SHA256())), nonce, ec.ECDSA(hashes.SHA256()))  # type: ignore[call-arg, arg-type]
            elif isinstance(public, RSAPublicKey):
                signature = key.sign(nonce, padding.PKCS1v15(), hashes.SHA256())  # type: ignore[call-arg, arg-type]
                public.verify(signature, nonce, padding.PKCS1v15(), hashes.SHA256())
            else:
                continue
        except InvalidSignature:
            continue
        return certificate
    raise DeskError(
        "TOKEN_DOES_NOT_SIGN",
        _("The token does not sign as its certificate says."),
        _("Record it as spoiled and make the key again on another token."),
    )

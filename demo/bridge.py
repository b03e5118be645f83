"""A CA of others, made with another library's builder; its key lives as long as this program."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


class Bridge:
    """It certifies holders in a province of its own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = name_of("Province", "Example Bridge CA")
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = self._made(self._name, self._key, basic, [])
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def certify(self, organization: str, policy: str) -> str:
        """A holder behind the bridge, PEM."""
        policies = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(policy), None)])
        key = ec.generate_private_key(ec.SECP256R1())
        holder = self._made(
            name_of(organization, "holder"),
            key,
            x509.BasicConstraints(ca=False, path_length=None),
            [policies],
        )
        return holder.public_bytes(serialization.Encoding.PEM).decode()

    def _made(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        basic: x509.BasicConstraints,
        more: Sequence[x509.ExtensionType],
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        own = self._key.public_key()
        others = ("key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
        usage = dict.fromkeys(others, False)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 3650 * DAY)
            .add_extension(basic, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not basic.ca,
                    content_commitment=False,
                    key_cert_sign=basic.ca,
                    crl_sign=basic.ca,
                    **usage,
                ),
                critical=True,
            )
        )
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def name_of(organization: str, common_name: str) -> x509.Name:
    """The name of somebody in the province, or elsewhere."""
    parts = (
        (NameOID.COUNTRY_NAME, "CN"),
        (NameOID.ORGANIZATION_NAME, organization),
        (NameOID.COMMON_NAME, common_name),
    )
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])

"""Mints the keys, the certificate and the tokens that every peer is measured with.

    mint.py DIRECTORY FRESH

FRESH is how many tokens there are of each algorithm that are sent once only; the others are always the same:

    keys/ALG.pem, keys/jwks-ALG.json      the issuer's public key
    keys/certificate.pem, keys/tls.pem    what listeners with TLS show
    tokens/ALG.one, .10k, .fresh          one, 10,000 and FRESH distinct valid tokens, a line each
    tokens/ALG.issuers-N                  1,000 tokens of N issuers in turn
    tokens/ALG.cases.json                 one valid token and those that have to be refused

Runs in the bench's own Python environment: the one part that needs more than the standard library.
"""

import base64
import datetime
import hashlib
import hmac
import json
import multiprocessing
import sys
import time
import uuid
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

ISSUER, AUDIENCE, SCOPE = "https://idp.test/", "orders-api", "orders:read"
GRANTED = "openid profile orders:read orders:write"
ALGORITHMS = ("RS256", "ES256")
ISSUERS = (1, 10, 100, 1_000)
LIFETIME = 30 * 86_400
# Minted anew long before they expire: a token that expires within a run would be measured as a refusal.
KEPT = 20 * 86_400
BATCH = 1_000


def base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def integer(value: int, length: int | None = None) -> str:
    return base64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def sign(key, message: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return hmac.new(key, message, hashlib.sha256).digest()


def claims(**others) -> dict:
    """What an identity provider's access token looks like: about 800 octets when signed with RS256."""
    now = int(time.time())
    usual = {
        "iss": ISSUER, "sub": "user-" + uuid.uuid4().hex[:12], "aud": AUDIENCE, "azp": "web-frontend",
        "iat": now, "nbf": now - 60, "exp": now + LIFETIME, "jti": str(uuid.uuid4()), "scope": GRANTED,
    }
    return {name: value for name, value in {**usual, **others}.items() if value is not None}


def token(algorithm: str, key, payload: dict, kid: str | None = None) -> str:
    header = {"alg": algorithm, "typ": "JWT", "kid": kid or f"k-{algorithm.lower()}"}
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in (header, payload))
    message = ".".join(base64url(part) for part in parts)
    return f"{message}.{base64url(sign(key, message.encode()))}"


class Minter:
    """The private keys: one for each algorithm, alive for one minting only."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.keys = {"RS256": rsa.generate_private_key(65_537, 2_048), "ES256": ec.generate_private_key(ec.SECP256R1())}
        for part in ("keys", "tokens"):
            (directory / part).mkdir(parents=True, exist_ok=True)

    def everything(self, fresh: int) -> None:
        self.certificate()
        for algorithm in ALGORITHMS:
            self.public(algorithm)
            cases = self.directory / "tokens" / f"{algorithm}.cases.json"
            cases.write_text(json.dumps(self.cases(algorithm), indent=1))
            for name, count in (("one", 1), ("10k", 10_000), ("fresh", fresh)):
                self.write(f"{algorithm}.{name}", algorithm, count, 1)
        for issuers in ISSUERS:
            self.write(f"ES256.issuers-{issuers}", "ES256", 1_000, issuers)

    def public(self, algorithm: str) -> None:
        public = self.keys[algorithm].public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (self.directory / "keys" / f"{algorithm}.pem").write_bytes(pem)
        numbers = public.public_numbers()
        if algorithm == "RS256":
            jwk = {"kty": "RSA", "n": integer(numbers.n), "e": integer(numbers.e)}
        else:
            jwk = {"kty": "EC", "crv": "P-256", "x": integer(numbers.x, 32), "y": integer(numbers.y, 32)}
        jwk |= {"kid": f"k-{algorithm.lower()}", "alg": algorithm, "use": "sig"}
        (self.directory / "keys" / f"jwks-{algorithm}.json").write_text(json.dumps({"keys": [jwk]}))

    def certificate(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=60))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        (self.directory / "keys" / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (self.directory / "keys" / "tls.pem").write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    def cases(self, algorithm: str) -> dict:
        """Tokens by what is wrong with them. `valid` and `audience_list` are in order."""
        def minted(**others) -> str:
            return token(algorithm, self.keys[algorithm], claims(**others))

        now, good = int(time.time()), minted()
        header, payload, signature = good.split(".")
        broken = signature[:20] + ("A" if signature[20] != "A" else "B") + signature[21:]
        # The classic confusion: the public key's text taken for an HMAC secret.
        pem = (self.directory / "keys" / f"{algorithm}.pem").read_bytes()
        return {
            "valid": good, "audience_list": minted(aud=["another-api", AUDIENCE]),
            "no_token": None, "garbage": "abc.def.ghi",
            "bad_signature": f"{header}.{payload}.{broken}",
            "no_algorithm": base64url(b'{"alg":"none","typ":"JWT"}') + f".{payload}.",
            "hmac_by_public_key": token("HS256", pem, claims(), f"k-{algorithm.lower()}"),
            "expired": minted(exp=now - 3_600), "no_expiry": minted(exp=None), "not_yet": minted(nbf=now + KEPT + 86_400),
            "wrong_issuer": minted(iss="https://evil.test/"), "wrong_audience": minted(aud="another-api"),
            "no_scope": minted(scope="openid profile"), "scope_prefix": minted(scope="openid orders:readonly"),
        }

    def write(self, name: str, algorithm: str, count: int, issuers: int) -> None:
        batches = [(algorithm, begin, min(begin + BATCH, count), issuers) for begin in range(0, count, BATCH)]
        # Forked, so that the keys travel in memory and never through a file.
        with multiprocessing.get_context("fork").Pool(initializer=lend, initargs=(self.keys,)) as pool:
            with open(self.directory / "tokens" / name, "w") as file:
                for lines in pool.imap(mint_batch, batches):
                    file.write(lines)


lent: dict = {}


def lend(keys: dict) -> None:
    lent.update(keys)


def issuer(number: int, issuers: int) -> str:
    return ISSUER if issuers == 1 else f"https://idp-{number % issuers}.test/"


def mint_batch(batch: tuple) -> str:
    algorithm, begin, end, issuers = batch
    return "".join(token(algorithm, lent[algorithm], claims(iss=issuer(number, issuers))) + "\n" for number in range(begin, end))


def main() -> None:
    directory, fresh = Path(sys.argv[1]), int(sys.argv[2])
    stamp = directory / "minted"
    source = Path(__file__).stat().st_mtime
    if stamp.exists() and stamp.stat().st_mtime > max(source, time.time() - KEPT):
        return
    print(f"minting {fresh:,} tokens of each algorithm", flush=True)
    Minter(directory).everything(fresh)
    stamp.touch()


if __name__ == "__main__":
    main()

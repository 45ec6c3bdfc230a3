"""Public keys: those of Alpine by their digests, and those that the user names."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import MalformedError, SettingsError, ToolError
from muslbackend.system.failures import reported_io_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_NAME: Final = "alpine-devel@lists.alpinelinux.org-{}.rsa.pub"
#: The address of a key's file at Alpine.
ADDRESS: Final = "https://alpinelinux.org/keys/{}"
#: Alpine's keys since October 2021 (aports, alpine-keys 2.6): architecture, name, SHA-256.
_ALPINE: Final = (
    ("x86_64", "6165ee59", "207e4696d3c05f7cb05966aee557307151f1f00217af4143c1bcaf33b8df733f"),
    ("x86", "61666e3f", "128d34d4aec39b0daedea8163cd8dc24dff36fd3d848630ab97eeb1d3084bbb3"),
    ("aarch64", "616ae350", "d11f6b21c61b4274e182eb888883a8ba8acdbf820dcc7a6d82a7d9fc2fd2836d"),
    ("armv7", "616adfeb", "ebe717d228555aa58133c202314a451f81e71f174781fd7ff8d8970d6cfa60da"),
    ("armhf", "616a9724", "10877cce0a935e46ad88cb79e174a2491680508eccda08e92bf04fb9bf37fbc1"),
    ("ppc64le", "616abc23", "4a095a9daca86da496a3cd9adcd95ee2197fdbeb84638656d469f05a4d740751"),
    ("s390x", "616ac3bc", "0caf5662fde45616d88cfd7021b7bda269a2fcaf311e51c48945a967a609ec0b"),
    ("riscv64", "616db30d", "40a216cbd163f22e5f16a9e0929de7cde221b9cbae8e36aa368b1e128afe0a31"),
    ("loongarch64", "66ba20fe", "7cf4cb8314e6ccc985b0d7f1aa0c6e0a81e3588f69a41f383af7a63d1ba61793"),
)
#: The hash of each kind of signature, and so of entries ``.SIGN.KIND.KEY``.
KINDS: Final = {"RSA": "SHA1", "RSA256": "SHA256", "RSA512": "SHA512"}
#: Bytes of a file with a key; those of Alpine have 451 and 800.
LARGEST_KEY: Final = 16_384
_SMALLEST_BITS: Final = 2048


class Signature(NamedTuple):
    """A signature of an index or a package, and the file name of its key."""

    kind: str
    key: str
    value: bytes


class Keyring:
    """The trusted keys for one architecture. ``obtain`` returns the file of a key of Alpine."""

    def __init__(
        self, arch: str, files: Iterable[Path], obtain: Callable[[str], bytes | None]
    ) -> None:
        """Raises :class:`SettingsError` if a file in ``files`` is not a public key."""
        self._arch = arch
        self._obtain = obtain
        self._keys: dict[str, RSAPublicKey] = {}
        for file in files:
            if file.name in self._keys:
                msg = f"{file}: two keys have this file name"
                raise SettingsError(msg, hint="name each key once")
            self._keys[file.name] = _read(file)

    def verify(
        self, signatures: Sequence[Signature], data: bytes, place: str, *, index: bool
    ) -> None:
        """Verify the first signature with a trusted key.

        An index must be signed by the key of its architecture; packages without machine code may
        come from the builder of another. Raises :class:`MalformedError` if there is none, or it is
        wrong.
        """
        if not signatures:
            msg = f"{place}: is not signed"
            raise MalformedError(msg, hint="use a mirror that signs its files")
        for signature in signatures:
            key = self._find(signature.key, any_arch=not index)
            if key is not None:
                _verify(key, signature, data, place)
                return
        names = ", ".join(signature.key for signature in signatures[:3])
        msg = f"{place}: is signed by an unknown key: {names}"
        raise MalformedError(msg, hint="if you trust it, name its public key with --key FILE")

    def _find(self, name: str, *, any_arch: bool) -> RSAPublicKey | None:
        if name in self._keys:
            return self._keys[name]
        digest = _digests(None if any_arch else self._arch).get(name)
        if digest is None:
            return None
        data = self._obtain(name)
        if data is None:
            msg = f"{name}: this key of Alpine is not in the folder of --keys"
            raise SettingsError(msg, hint="copy /etc/apk/keys of an Alpine, or omit --keys")
        if hashlib.sha256(data).hexdigest() != digest:
            msg = f"{name}: has other contents than Alpine's key of this name"
            raise MalformedError(
                msg, hint="copy the key of an Alpine, and name its folder with --keys"
            )
        self._keys[name] = _parsed(data, name)
        return self._keys[name]


def _digests(arch: str | None) -> Mapping[str, str]:
    """Return the SHA-256 of each key of Alpine, or of those for one architecture, by name."""
    return {_NAME.format(name): digest for of, name, digest in _ALPINE if arch in (None, of)}


def _read(file: Path) -> RSAPublicKey:
    with reported_io_errors(), file.open("rb") as stream:
        data = stream.read(LARGEST_KEY)
    return _parsed(data, str(file))


def _parsed(data: bytes, name: str) -> RSAPublicKey:
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < _SMALLEST_BITS:
        msg = f"{name}: is not a public RSA key of at least {_SMALLEST_BITS} bits in PEM format"
        raise SettingsError(msg, hint="name a file as in Alpine's /etc/apk/keys")
    return key


def _verify(key: RSAPublicKey, signature: Signature, data: bytes, place: str) -> None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    algorithm = getattr(hashes, KINDS[signature.kind])()
    try:
        key.verify(signature.value, data, PKCS1v15(), algorithm)
    except InvalidSignature:
        msg = f"{place}: the signature by {signature.key} is wrong"
        raise MalformedError(msg, hint="fetch it again, or use another mirror") from None
    except UnsupportedAlgorithm as error:
        msg = f"{place}: OpenSSL of this machine does not verify {algorithm.name} signatures"
        raise ToolError(msg, hint="run the command where its policy permits them") from error


def require_cryptography() -> None:
    """Raise :class:`ToolError` if the package that verifies signatures is not installed."""
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        msg = "the package cryptography, which verifies signatures, is not installed"
        raise ToolError(msg, hint="run pip install 'muslbackend[sysroot]'") from error

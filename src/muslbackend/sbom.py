"""What was bundled, as a CycloneDX 1.6 document for ``.dist-info/sboms/`` (PEP 770).

The same wheel gives the same bytes: no time, no random number, everything in a fixed order. A
bundled library is a modified variant of the file it was made from, so it has the SHA-256 of the
file in the wheel, and its ``pedigree`` an ancestor with that of the original
(https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import json
import re
import uuid
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from muslbackend.values import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"
#: The property that has the floor which the wheel declares.
FLOOR: Final = "muslbackend:musl-floor"
#: What stands before the content of a document.
_HEAD: Final = frozenset({"$schema", "bomFormat", "specVersion", "serialNumber"})
#: Of a document that is read again, in bytes.
_LARGEST: Final = 16 << 20
CHANGES: Final = "copied by muslbackend; names and search path rewritten"


class Origin(Enum):
    """Where a bundled library came from."""

    APK = "apk"
    """A package of Alpine, by its package database."""
    DEB = "deb"
    """A package of Debian or a relative, by its package database."""
    BUILD = "build"
    """The project's own CMake build made it."""
    FILE = "file"
    """Found elsewhere on the machine; no package database knows it."""


class Owner(NamedTuple):
    """The package that a file on the machine belongs to."""

    name: str
    version: str
    database: Origin
    purl: str
    source: str = ""
    """The source package (Alpine's origin) that it was built from."""
    licence: str = ""
    """As the database words it; often, not always, an SPDX expression."""
    supplier: str = ""
    """The distribution's name."""
    licence_files: tuple[Path, ...] = ()
    """Texts that the package or its origin left on the machine."""


class Bundled(NamedTuple):
    """A library that was copied into the wheel."""

    dest: str
    """Path in the wheel."""
    source_name: str
    """The name of the file it was made from."""
    source_sha256: str
    """Empty where it tells of the folder that the library was built in."""
    shipped_sha256: str
    size: int
    """Of the shipped file, in bytes."""
    origin: Origin
    owner: Owner | None = None
    needs: tuple[str, ...] = ()
    """The bundled libraries that it loads, by their paths in the wheel."""


class Product(NamedTuple):
    """The distribution that the wheel is of."""

    name: str
    version: str

    @classmethod
    def of(cls, distribution: str) -> Product:
        """Take the ``NAME-VERSION`` of a wheel's file name, which escapes ``-`` as ``_``."""
        name, _, version = distribution.partition("-")
        return cls(name, version)

    @property
    def purl(self) -> str:
        """The package URL on PyPI, with the name as PEP 503 normalises it."""
        return package_url("pypi", "", re.sub(r"[-_.]+", "-", self.name), self.version)


def package_url(kind: str, namespace: str, name: str, version: str, **qualifiers: str) -> str:
    """Return a package URL; empty qualifiers are left out.

    The purl specification (https://github.com/package-url/purl-spec): every part is
    percent-encoded but for ``A-Za-z0-9.-_~`` and the colon, qualifiers are sorted. The names of
    all types here are lower case.
    """
    path = "/".join(quote(part.lower(), safe=":") for part in (namespace, name) if part)
    pairs = "&".join(f"{k}={quote(v, safe=':')}" for k, v in sorted(qualifiers.items()) if v)
    return f"pkg:{kind}/{path}@{quote(version, safe=':')}" + (f"?{pairs}" if pairs else "")


def sbom_path(dist_info: str) -> str:
    """Return the path in the wheel; ``dist_info`` ends with a slash."""
    return f"{dist_info}sboms/muslbackend.cdx.json"


def document(product: Product, libraries: Sequence[Bundled], tool_version: str) -> bytes:
    """Return the SBOM as JSON, in UTF-8 with a newline at its end."""
    parts = sorted(libraries, key=lambda library: library.dest)
    content = {
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "tools": {
                "components": [
                    {"type": "application", "name": "muslbackend", "version": tool_version}
                ]
            },
            "component": {
                "type": "library",
                "bom-ref": product.purl,
                "name": product.name,
                "version": product.version,
                "purl": product.purl,
            },
        },
        "components": [_component(part) for part in parts],
        "dependencies": _dependencies(product.purl, parts),
    }
    return _identified(content)


def _identified(content: dict[str, Any]) -> bytes:
    """Return a document as JSON, with a serial number that its content makes."""
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    head = {"$schema": SCHEMA, "bomFormat": "CycloneDX", "specVersion": "1.6"}
    whole = {**head, "serialNumber": f"urn:uuid:{serial}", **content}
    return (json.dumps(whole, indent=2) + "\n").encode()


def declaring(sbom: bytes, floor: str) -> bytes:
    """Return a document of ours that has the floor of the wheel as a property of its product.

    Without a floor it has no such property. A document of another shape stays as it is.
    """
    if (not floor and FLOOR.encode() not in sbom) or len(sbom) > _LARGEST:
        return sbom
    try:
        return _identified(_with_floor(json.loads(sbom), floor))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return sbom


def _with_floor(content: dict[str, Any], floor: str) -> dict[str, Any]:
    """Return what a document says, without its head."""
    product = content["metadata"]["component"]
    properties = [each for each in product.pop("properties", []) if each["name"] != FLOOR]
    if floor:
        properties.append({"name": FLOOR, "value": floor})
    if properties:
        product["properties"] = properties
    return {key: value for key, value in content.items() if key not in _HEAD}


def _component(library: Bundled) -> dict[str, Any]:
    owner = library.owner
    properties = {
        "origin": library.origin.value,
        "path": library.dest,
        "size": str(library.size),
        "source-package": owner.source if owner else "",
    }
    return {
        "type": "library",
        "bom-ref": library.dest,
        **_identity(library),
        "hashes": _sha256(library.shipped_sha256),
        **_licences(owner.licence if owner else ""),
        **({"purl": owner.purl} if owner else {}),
        "pedigree": {
            "ancestors": [
                {
                    "type": "library",
                    **_identity(library),
                    **({"hashes": _sha256(library.source_sha256)} if library.source_sha256 else {}),
                    **({"purl": owner.purl} if owner else {}),
                }
            ],
            "notes": CHANGES,
        },
        "properties": [
            {"name": f"muslbackend:{name}", "value": value}
            for name, value in properties.items()
            if value
        ],
    }


def _identity(library: Bundled) -> dict[str, Any]:
    owner = library.owner
    supplied = {"supplier": {"name": owner.supplier}} if owner and owner.supplier else {}
    version = {"version": owner.version} if owner else {}
    return {**supplied, "name": library.source_name, **version}


def _sha256(digest: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest}]


def _licences(words: str) -> dict[str, Any]:
    """Return what is declared: an SPDX expression, else a name, as Alpine's older ones are."""
    declared = {"acknowledgement": "declared"}
    if not words:
        return {}
    try:
        expression = canonicalize_license_expression(words)
    except InvalidLicenseExpression:
        return {"licenses": [{"license": {"name": words, **declared}}]}
    return {"licenses": [{"expression": expression, **declared}]}


def _dependencies(root: str, parts: Sequence[Bundled]) -> list[dict[str, Any]]:
    known = {part.dest for part in parts}
    graph = [{"ref": root, "dependsOn": sorted(known)}]
    return graph + [{"ref": p.dest, "dependsOn": sorted(known & {*p.needs})} for p in parts]

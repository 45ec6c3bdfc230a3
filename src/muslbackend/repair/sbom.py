"""The bundled libraries as a CycloneDX 1.6 document for ``.dist-info/sboms/`` (PEP 770).

The document is deterministic: without times or random numbers, in a fixed order. A bundled library
is a modified variant of its original: its digest is that of the file in the wheel, and its
``pedigree`` has an ancestor with the digest of the original (https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import json
import re
import uuid
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"
#: The property with the declared floor.
FLOOR: Final = "muslbackend:musl-floor"
#: The head of a document.
_HEAD: Final = frozenset({"$schema", "bomFormat", "specVersion", "serialNumber"})
#: The largest SBOM that is read, in bytes; a library takes about one thousand.
LARGEST: Final = 16 << 20
_SIZE: Final = "muslbackend:size"
CHANGES: Final = "copied by muslbackend; names and search path rewritten"


class Origin(Enum):
    """The origin of a bundled library."""

    APK = "apk"
    """A package of Alpine, by its package database."""
    DEB = "deb"
    """A package of Debian or a relative, by its package database."""
    BUILD = "build"
    """The project's own CMake build."""
    FILE = "file"
    """Another folder of the machine; not in a package database."""


class Owner(NamedTuple):
    """The package of a file on the machine."""

    name: str
    version: str
    database: Origin
    purl: str
    source: str = ""
    """The source package (Alpine's origin)."""
    license: str = ""
    """The text in the database; often, but not always, an SPDX expression."""
    supplier: str = ""
    """The distribution's name."""
    license_files: tuple[Path, ...] = ()
    """License texts of the package or its origin on the machine."""


class Bundled(NamedTuple):
    """A library in the wheel."""

    dest: str
    """Path in the wheel."""
    source_name: str
    """The name of the original."""
    source_sha256: str
    """Empty if it depends on the build folder."""
    shipped_sha256: str
    size: int
    """The size of the file in the wheel, in bytes."""
    origin: Origin
    owner: Owner | None = None
    needs: tuple[str, ...] = ()
    """The paths of the bundled libraries that it loads."""


class Product(NamedTuple):
    """The project of the wheel."""

    name: str
    version: str

    @classmethod
    def of(cls, distribution: str) -> Product:
        """Return the project for the ``NAME-VERSION`` of a wheel, in which ``_`` may mean ``-``."""
        name, _, version = distribution.partition("-")
        return cls(name, version)

    @property
    def purl(self) -> str:
        """The package URL on PyPI, with the normalized name (PEP 503)."""
        return package_url("pypi", "", re.sub(r"[-_.]+", "-", self.name), self.version)


def package_url(kind: str, namespace: str, name: str, version: str, **qualifiers: str) -> str:
    """Return a package URL without empty qualifiers.

    According to the purl specification (https://github.com/package-url/purl-spec), every part is
    percent-encoded except ``A-Za-z0-9.-_~`` and the colon, and qualifiers are sorted. Names of the
    types used here are lowercase.
    """
    path = "/".join(quote(part.lower(), safe=":") for part in (namespace, name) if part)
    pairs = "&".join(f"{k}={quote(v, safe=':')}" for k, v in sorted(qualifiers.items()) if v)
    return f"pkg:{kind}/{path}@{quote(version, safe=':')}" + (f"?{pairs}" if pairs else "")


def sbom_path(dist_info: str) -> str:
    """Return the path of the SBOM in the wheel; ``dist_info`` ends with a slash."""
    return f"{dist_info}sboms/muslbackend.cdx.json"


class Earlier(NamedTuple):
    """A library from the SBOM of an earlier repair."""

    dest: str
    """Path in the wheel."""
    component: dict[str, Any]

    def shipped(self, sha256: str, size: int) -> Earlier:
        """Return the library with the digest and the size of the present file."""
        found = self.component.get("properties")
        properties = [
            {"name": _SIZE, "value": str(size)} if _is_size(one) else one
            for one in (found if isinstance(found, list) else [])
        ]
        component = {**self.component, "hashes": _sha256(sha256), "properties": properties}
        return self._replace(component=component)


def _is_size(prop: object) -> bool:
    return isinstance(prop, dict) and prop.get("name") == _SIZE


def earlier(data: bytes) -> tuple[Earlier, ...]:
    """Return the libraries in an SBOM of muslbackend; raise ``ValueError`` for any other text."""
    if len(data) > LARGEST:
        msg = f"it has more than {LARGEST} bytes"
        raise ValueError(msg)
    try:
        content = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    components = content.get("components") if isinstance(content, dict) else None
    if not isinstance(components, list) or content.get("bomFormat") != "CycloneDX":
        raise ValueError("it is not a CycloneDX document with components")
    found = {}
    for component in components:
        place = component.get("bom-ref") if isinstance(component, dict) else None
        if not isinstance(place, str) or component.get("type") != "library":
            raise ValueError("it has components that muslbackend does not write")
        found[place] = Earlier(place, component)
    return tuple(found.values())


def document(
    product: Product,
    libraries: Sequence[Bundled],
    tool_version: str,
    before: Sequence[Earlier] = (),
    needs: Mapping[str, Collection[str]] | None = None,
) -> bytes:
    """Return the SBOM as JSON, in UTF-8 with a final newline.

    ``before`` has libraries from an earlier repair, and ``needs`` their dependencies.
    """
    parts = {part.dest: _component(part) for part in libraries}
    parts |= {part.dest: part.component for part in before}
    loads = {**(needs or {}), **{part.dest: part.needs for part in libraries}}
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
        "components": [parts[dest] for dest in sorted(parts)],
        "dependencies": _dependencies(product.purl, {dest: loads.get(dest, ()) for dest in parts}),
    }
    return _identified(content)


def _identified(content: dict[str, Any]) -> bytes:
    """Return a document as JSON, with a serial number derived from its content."""
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    head = {"$schema": SCHEMA, "bomFormat": "CycloneDX", "specVersion": "1.6"}
    whole = {**head, "serialNumber": f"urn:uuid:{serial}", **content}
    return (json.dumps(whole, indent=2) + "\n").encode()


def declaring(sbom: bytes, floor: str) -> bytes:
    """Return a document with the floor of the wheel as a property of its component.

    Without a floor the property is removed. A document of another shape stays unchanged.
    """
    if (not floor and FLOOR.encode() not in sbom) or len(sbom) > LARGEST:
        return sbom
    try:
        return _identified(_with_floor(json.loads(sbom), floor))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return sbom


def _with_floor(content: dict[str, Any], floor: str) -> dict[str, Any]:
    """Return the content of a document, without its head."""
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
        **_licenses(owner.license if owner else ""),
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


def _licenses(words: str) -> dict[str, Any]:
    """Return the declared license: an SPDX expression, else a name (in older Alpine packages)."""
    declared = {"acknowledgement": "declared"}
    if not words:
        return {}
    try:
        expression = canonicalize_license_expression(words)
    except InvalidLicenseExpression:
        return {"licenses": [{"license": {"name": words, **declared}}]}
    return {"licenses": [{"expression": expression, **declared}]}


def _dependencies(root: str, needs: Mapping[str, Collection[str]]) -> list[dict[str, Any]]:
    graph = [{"ref": root, "dependsOn": sorted(needs)}]
    known = needs.keys()
    return graph + [{"ref": p, "dependsOn": sorted(known & {*needs[p]})} for p in sorted(needs)]

"""The document is CycloneDX by its own schema, and says of each library what is known."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any, Final

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from muslbackend.repair.sbom import (
    Bundled,
    Origin,
    Owner,
    Product,
    declaring,
    document,
    package_url,
    sbom_path,
)

PRODUCT: Final = Product("Demo.Project_x", "1.0+local.1")
ZLIB: Final = Bundled(
    "demo.libs/libz-0f1e2d3c.so.1.3.1",
    "libz.so.1.3.1",
    "a" * 64,
    "b" * 64,
    12345,
    Origin.APK,
    Owner(
        "zlib",
        "1.3.1-r1",
        Origin.APK,
        "pkg:apk/alpine/zlib@1.3.1-r1?arch=x86_64&distro=alpine-3.20",
        source="zlib",
        license="Zlib",
        supplier="Alpine Linux",
    ),
)
OWN: Final = Bundled(
    "demo.libs/libown-11111111.so",
    "libown.so",
    "c" * 64,
    "d" * 64,
    99,
    Origin.BUILD,
    needs=("demo.libs/libz-0f1e2d3c.so.1.3.1", "demo/_core.so"),
)
FOUND: Final = OWN._replace(dest="demo.libs/libx-2.so", origin=Origin.FILE, needs=())
LIBRARIES: Final = (ZLIB, OWN, FOUND)


def read(*libraries: Bundled) -> dict[str, Any]:
    """Return the document as its readers see it, and hold it against the schema."""
    data = document(PRODUCT, libraries, "9.8")
    complaint = JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode())
    assert complaint is None, complaint
    content: dict[str, Any] = json.loads(data)
    return content


def component(library: Bundled) -> dict[str, Any]:
    (found,) = read(library)["components"]
    assert isinstance(found, dict)
    return found


def properties(found: dict[str, Any]) -> dict[str, str]:
    return {p["name"].removeprefix("muslbackend:"): p["value"] for p in found["properties"]}


def test_a_schema_that_is_broken_is_noticed() -> None:
    broken = document(PRODUCT, LIBRARIES, "9.8").replace(b'"SHA-256"', b'"SHA-257"')
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken.decode()) is not None


def test_the_document_is_about_the_distribution() -> None:
    content = read(*LIBRARIES)
    assert (content["bomFormat"], content["specVersion"]) == ("CycloneDX", "1.6")
    root = content["metadata"]["component"]
    assert root["purl"] == root["bom-ref"] == "pkg:pypi/demo-project-x@1.0%2Blocal.1"
    assert (root["type"], root["name"], root["version"]) == (
        *("library", "Demo.Project_x"),
        "1.0+local.1",
    )
    (tool,) = content["metadata"]["tools"]["components"]
    assert (tool["name"], tool["version"]) == ("muslbackend", "9.8")
    assert "timestamp" not in content["metadata"]


def test_a_library_of_a_package_names_its_owner_and_both_files() -> None:
    found = component(ZLIB)
    assert found["bom-ref"] == ZLIB.dest
    assert (found["name"], found["version"]) == ("libz.so.1.3.1", "1.3.1-r1")
    assert ZLIB.owner is not None
    assert found["purl"] == ZLIB.owner.purl
    assert found["licenses"] == [{"expression": "Zlib", "acknowledgement": "declared"}]
    assert found["supplier"] == {"name": "Alpine Linux"}
    assert found["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    (original,) = found["pedigree"]["ancestors"]
    assert original["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert (original["name"], original["purl"]) == (found["name"], found["purl"])
    assert properties(found) == {
        "origin": "apk",
        "path": ZLIB.dest,
        "size": "12345",
        "source-package": "zlib",
    }


@pytest.mark.parametrize(("library", "origin"), [(OWN, "build"), (FOUND, "file")])
def test_a_library_without_owner_claims_no_version_and_no_purl(
    library: Bundled, origin: str
) -> None:
    found = component(library)
    assert not {"version", "purl", "licenses", "supplier"} & set(found)
    assert found["hashes"][0]["content"] == "d" * 64
    assert found["pedigree"]["ancestors"][0]["hashes"][0]["content"] == "c" * 64
    assert properties(found) == {"origin": origin, "path": library.dest, "size": "99"}


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        ("MIT", "MIT"),
        ("zlib", "Zlib"),  # Alpine 3.8 wrote it so
        ("ISC AND (BSD-3-Clause OR MIT)", "ISC AND (BSD-3-Clause OR MIT)"),
        ("GPL-3.0-or-later WITH GCC-exception-3.1",) * 2,
        ("LicenseRef-scancode-x", "LicenseRef-scancode-x"),
        ("MIT BSD GPL2+", ""),  # musl-utils
        ("custom", ""),  # libressl
        ("MIT (BSD-3-Clause)", ""),
        ("MIT AND", ""),
    ],
)
def test_a_license_is_an_expression_only_if_spdx_knows_it(words: str, expression: str) -> None:
    assert ZLIB.owner is not None
    (found,) = component(ZLIB._replace(owner=ZLIB.owner._replace(license=words)))["licenses"]
    wanted: dict[str, Any] = {"expression": expression} if expression else {}
    assert found == {**wanted, "acknowledgement": "declared"} or found == {
        "license": {"name": words, "acknowledgement": "declared"}
    }
    assert ("expression" in found) == bool(expression)


def test_the_graph_has_the_distribution_on_top_and_bundled_libraries_only() -> None:
    graph = {d["ref"]: d["dependsOn"] for d in read(*LIBRARIES)["dependencies"]}
    assert graph == {
        PRODUCT.purl: sorted(library.dest for library in LIBRARIES),
        ZLIB.dest: [],
        OWN.dest: [ZLIB.dest],
        FOUND.dest: [],
    }


def test_the_order_of_libraries_makes_no_difference() -> None:
    documents = {document(PRODUCT, order, "1") for order in permutations(LIBRARIES)}
    assert len(documents) == 1


def test_the_serial_number_is_of_the_content() -> None:
    serials = {
        read()["serialNumber"],
        read(ZLIB)["serialNumber"],
        read(ZLIB._replace(shipped_sha256="e" * 64))["serialNumber"],
    }
    assert len(serials) == 3


def test_the_text_is_ascii_with_a_newline_at_its_end() -> None:
    assert ZLIB.owner is not None
    odd = ZLIB._replace(
        source_name="lib\u00e4\udc80.so", owner=ZLIB.owner._replace(supplier="\u00c4")
    )
    data = document(PRODUCT, [odd], "1")
    assert data.isascii()
    assert data.endswith(b"}\n")
    assert b'\n  "components": [\n' in data


def test_a_reader_of_cyclonedx_makes_the_same_of_it() -> None:
    bom = Bom.from_json(read(*LIBRARIES))
    found = {str(c.bom_ref.value): c for c in bom.components}
    assert set(found) == {library.dest for library in LIBRARIES}
    zlib = found[ZLIB.dest]
    assert str(zlib.purl) == zlib.pedigree.ancestors[0].purl.to_string()
    bom.validate()


@pytest.mark.parametrize(
    ("parts", "qualifiers"),
    [
        (("deb", "debian", "libstdc++6", "12.2.0-14+deb12u1"), {"arch": "amd64"}),
        (("deb", "ubuntu", "zlib1g", "1:1.2.11.dfsg-2~x"), {"distro": "ubuntu-22.04", "arch": ""}),
        (("apk", "Alpine", "R", "4.4.0-r0"), {"distro": "alpine-3.20", "arch": "x86_64"}),
        (("pypi", "", "demo-x", "1.0+a b%?#@"), {}),
    ],
)
def test_package_urls_are_those_of_the_reference_library(
    parts: tuple[str, str, str, str], qualifiers: dict[str, str]
) -> None:
    kind, namespace, name, version = parts
    wanted = PackageURL(kind, namespace.lower(), name.lower(), version, qualifiers)
    assert package_url(*parts, **qualifiers) == wanted.to_string()


def test_the_name_of_a_wheel_says_what_it_is_of() -> None:
    assert Product.of("demo_project-1.0+x_y") == Product("demo_project", "1.0+x_y")
    assert Product.of("demo_project-1.0").purl == "pkg:pypi/demo-project@1.0"
    assert sbom_path("demo-1.0.dist-info/") == "demo-1.0.dist-info/sboms/muslbackend.cdx.json"


def test_the_floor_of_a_wheel_is_a_property_of_its_product() -> None:
    before = document(PRODUCT, LIBRARIES, "9.8")
    assert declaring(before, "") == before
    first = declaring(before, "1.2.5")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(first.decode()) is None
    content = json.loads(first)
    assert properties(content["metadata"]["component"]) == {"musl-floor": "1.2.5"}
    assert content["serialNumber"] != json.loads(before)["serialNumber"]
    assert declaring(first, "1.2.5") == first
    assert declaring(declaring(first, "1.2.6"), "") == before


@pytest.mark.parametrize(
    "sbom",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"metadata": []}',
        b'{"metadata": {"component": []}}',
        b'{"metadata": {"component": {"properties": 1}}}',
        b'{"metadata": {"component": {"properties": [{}]}}}',
        b'{"metadata": {"component": {}}, "x": ' + b"[" * 600 + b"]" * 600 + b"}",
        b'{"metadata": {"component": {}}, "x": ' + b"[" * 99999 + b"]" * 99999 + b"}",
        b'{"metadata": {"component": {}}, "x": ' + b"9" * 9999 + b"}",
        b"\xff\xfe\x00\xd8",
    ],
)
def test_a_document_that_is_not_ours_stays_as_it_is(sbom: bytes) -> None:
    made = declaring(sbom, "1.2.5")
    assert made == sbom or b'"value": "1.2.5"' in made

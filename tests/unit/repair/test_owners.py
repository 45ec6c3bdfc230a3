"""Package databases as apk-tools and dpkg write them, in a root folder of the test's own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL

from muslbackend.repair.package_db import find_owners
from muslbackend.repair.sbom import Origin

#: The lines are those of a real database (Alpine 3.14 and 3.20), in their order.
APK: Final = """\
C:Q1OQ7xOVNbNVB9ZbTtJEYVkXAvYCA=
P:musl
V:1.2.5-r0
A:x86_64
S:407278
I:667648
T:the musl c library (libc) implementation
U:https://musl.libc.org/
L:MIT
o:musl
m:Timo Ter\u00e4s <timo.teras@iki.fi>
t:1714000000
p:so:libc.musl-x86_64.so.1=1
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1OR21cpf2INrOZXtXeMnWdqhkld4=
R:libc.musl-x86_64.so.1
a:0:0:777
Z:Q1nIC5KDc++AsuZFnKQtw6GsOp7eQ=

C:Q1QYgeusv2V7pMd22MjUjVuRUO9g8=
P:libstdc++
V:13.2.1_git20240309-r0
A:x86_64
L:GPL-2.0-or-later AND LGPL-2.1-or-later
o:gcc
D:so:libc.musl-x86_64.so.1 so:libgcc_s.so.1
r:libgcc
F:usr
F:usr/lib
R:libstdc++.so.6
a:0:0:777
Z:Q1T2si+c7ts7sgDxQYve4B3i1Dgo0=
R:libstdc++.so.6.0.32
a:0:0:755
Z:Q1x1H1VhQ1eMsslNVg+lFlTh92tIg=
F:usr/share
F:usr/share/gcc
M:0:0:1777
F:

C:Q1WzBIrxUIYokXKuSCxLPrfVDfXK0=
P:zlib
V:1.3.1-r1
A:x86_64
L:Zlib
o:zlib
F:lib
R:libz.so.1
a:0:0:777
Z:Q1a2H8hP24ryCAGf8fnc1Nha9IIHc=
R:libz.so.1.3.1
a:0:0:755
Z:Q16ZywS/QvJdu9aF/VeyzWP59fXvE=

C:Q1etIoH9Bn//8ZAZJzjaLilkFdk98=
P:zlib-dev
V:1.3.1-r1
A:x86_64
L:Zlib
o:zlib
F:usr
F:usr/lib
R:libz.so
a:0:0:777
Z:Q1etIoH9Bn//8ZAZJzjaLilkFdk98=
"""
ALPINE: Final = 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME="Alpine v3.20"\n'

#: As dpkg writes them: fields with continuation lines, one paragraph for each package.
STATUS: Final = """\
Package: zlib1g
Status: install ok installed
Maintainer: Mark Brown <broonie@debian.org>
Architecture: amd64
Multi-Arch: same
Source: zlib
Version: 1:1.2.13.dfsg-1
Description: compression library - runtime
 zlib is a library.
 .
 Version: not this one

Package: zlib1g
Status: install ok installed
Architecture: i386
Multi-Arch: same
Source: zlib
Version: 1:1.2.13.dfsg-1+b1

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Source: gcc-12 (12.2.0-14)
Version: 12.2.0-14+deb12u1

Package: libplain
Status: install ok installed
Architecture: amd64
Version: 2.0~rc1-1
"""
LISTS: Final = {
    "zlib1g:amd64": "/.\n/lib\n/lib/x86_64-linux-gnu\n/lib/x86_64-linux-gnu/libz.so.1.2.13\n",
    "zlib1g:i386": "/.\n/lib/i386-linux-gnu/libz.so.1.2.13\n",
    "libgcc-s1:amd64": "/.\n/lib/x86_64-linux-gnu/libgcc_s.so.1\n",
    "libplain": "/.\n/usr/lib/libplain.so.2\n",
}
DEBIAN: Final = 'PRETTY_NAME=\'Debian 12\'\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n'


def put(root: Path, path: str, text: str = "") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def link(root: Path, path: str, target: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(target)


@pytest.fixture
def alpine(tmp_path: Path) -> Path:
    put(tmp_path, "lib/apk/db/installed", APK)
    put(tmp_path, "etc/os-release", ALPINE)
    for library in ("lib/libz.so.1.3.1", "usr/lib/libstdc++.so.6.0.32"):
        put(tmp_path, library)
    link(tmp_path, "lib/libz.so.1", "libz.so.1.3.1")
    link(tmp_path, "usr/lib/libz.so", "../../lib/libz.so.1.3.1")
    return tmp_path


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    put(tmp_path, "var/lib/dpkg/status", STATUS)
    put(tmp_path, "etc/os-release", DEBIAN)
    for name, text in LISTS.items():
        put(tmp_path, f"var/lib/dpkg/info/{name}.list", text)
    put(tmp_path, "usr/lib/x86_64-linux-gnu/libz.so.1.2.13")
    link(tmp_path, "lib", "usr/lib")
    return tmp_path


def test_a_file_of_alpine_has_its_package(alpine: Path) -> None:
    owner = find_owners(["/lib/libz.so.1.3.1"], alpine)["/lib/libz.so.1.3.1"]
    assert (owner.name, owner.version, owner.database) == ("zlib", "1.3.1-r1", Origin.APK)
    assert owner.purl == "pkg:apk/alpine/zlib@1.3.1-r1?arch=x86_64&distro=alpine-3.20"
    assert (owner.license, owner.source, owner.supplier) == ("Zlib", "zlib", "Alpine Linux")
    assert owner.license_files == ()


def test_a_file_of_debian_has_its_package(debian: Path) -> None:
    path = "/usr/lib/x86_64-linux-gnu/libz.so.1.2.13"
    owner = find_owners([path], debian)[path]
    assert (owner.name, owner.version, owner.database) == (
        *("zlib1g", "1:1.2.13.dfsg-1"),
        Origin.DEB,
    )
    assert owner.purl == "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12"
    assert (owner.license, owner.source, owner.supplier) == ("", "zlib", "Debian GNU/Linux")


def test_a_symlink_is_of_the_package_that_has_the_file(alpine: Path) -> None:
    """``usr/lib/libz.so`` is of zlib-dev, what it leads to is of zlib."""
    found = find_owners(["/lib/libz.so.1", "/usr/lib/libz.so"], alpine)
    assert {path: owner.name for path, owner in found.items()} == {
        "/lib/libz.so.1": "zlib",
        "/usr/lib/libz.so": "zlib",
    }


def test_a_merged_usr_is_seen_through(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/apk/db/installed", APK)
    put(tmp_path, "usr/lib/libz.so.1.3.1")
    link(tmp_path, "lib", "usr/lib")
    paths = ["/usr/lib/libz.so.1.3.1", "/lib/libz.so.1.3.1"]
    assert {o.name for o in find_owners(paths, tmp_path).values()} == {"zlib"}
    assert list(find_owners(paths, tmp_path)) == paths


def test_the_database_of_a_merged_usr_is_found_without_a_lib_folder(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/apk/db/installed", APK)
    put(tmp_path, "usr/lib/libstdc++.so.6.0.32")
    (owner,) = find_owners(["/usr/lib/libstdc++.so.6.0.32"], tmp_path).values()
    # No os-release here: the vendor is Alpine, its release is not known.
    assert owner.purl == "pkg:apk/alpine/libstdc%2B%2B@13.2.1_git20240309-r0?arch=x86_64"
    assert (owner.source, owner.supplier) == ("gcc", "")


@pytest.mark.parametrize(
    ("path", "purl"),
    [
        (
            "/usr/lib/i386-linux-gnu/libz.so.1.2.13",
            "zlib1g@1:1.2.13.dfsg-1%2Bb1?arch=i386&distro=debian-12",
        ),
        (
            "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
            "libgcc-s1@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12",
        ),
        ("/usr/lib/libplain.so.2", "libplain@2.0~rc1-1?arch=amd64&distro=debian-12"),
    ],
)
def test_debian_lists_with_and_without_architecture(debian: Path, path: str, purl: str) -> None:
    put(debian, path[1:])
    (owner,) = find_owners([path], debian).values()
    assert owner.purl == f"pkg:deb/debian/{purl}"
    assert PackageURL.from_string(owner.purl).to_string() == owner.purl


def test_the_source_of_debian_is_named_without_its_version(debian: Path) -> None:
    put(debian, "usr/lib/x86_64-linux-gnu/libgcc_s.so.1")
    (owner,) = find_owners(["/lib/x86_64-linux-gnu/libgcc_s.so.1"], debian).values()
    assert owner.source == "gcc-12"


def test_files_that_no_package_has_are_left_out(alpine: Path) -> None:
    put(alpine, "opt/libz.so.1.3.1")
    paths = ["/opt/libz.so.1.3.1", "/usr/lib/libz.so.1.3.1", "/lib/none.so"]
    assert find_owners(paths, alpine) == {}
    assert find_owners([], alpine) == {}


def test_a_file_that_two_packages_claim_has_no_owner(debian: Path) -> None:
    put(debian, "var/lib/dpkg/info/libgcc-s1:amd64.list", LISTS["zlib1g:amd64"])
    assert find_owners(["/lib/x86_64-linux-gnu/libz.so.1.2.13"], debian) == {}


def test_license_texts_of_alpine_are_those_of_package_and_origin(alpine: Path) -> None:
    folder = "usr/share/licenses"
    own = put(alpine, f"{folder}/libstdc++/sub/COPYING.RUNTIME")
    origin = put(alpine, f"{folder}/gcc/COPYING")
    put(alpine, f"{folder}/zlib/LICENSE")
    (owner,) = find_owners(["/usr/lib/libstdc++.so.6.0.32"], alpine).values()
    assert owner.license_files == (origin, own)


def test_license_texts_of_debian_are_copyright_and_what_it_refers_to(debian: Path) -> None:
    words = "see /usr/share/common-licenses/GPL-3.\nand '/usr/share/common-licenses/GFDL-1.2'\n"
    text = put(debian, "usr/share/doc/zlib-base/copyright", words)
    link(debian, "usr/share/doc/zlib1g", "zlib-base")
    gpl = put(debian, "usr/share/common-licenses/GPL-3")
    (owner,) = find_owners(["/lib/x86_64-linux-gnu/libz.so.1.2.13"], debian).values()
    assert owner.license_files == (debian / "usr/share/doc/zlib1g/copyright", gpl)
    assert text.samefile(owner.license_files[0])


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", ".hidden"])
def test_a_package_name_leads_nowhere_else(alpine: Path, name: str) -> None:
    put(alpine, "lib/apk/db/installed", APK.replace("P:zlib\n", f"P:{name}\n"))
    assert find_owners(["/lib/libz.so.1.3.1"], alpine) == {}
    put(alpine, "lib/apk/db/installed", APK.replace("o:zlib\n", "o:../../../etc\n"))
    assert find_owners(["/lib/libz.so.1.3.1"], alpine) == {}


@pytest.mark.parametrize(
    ("text", "qualifier"),
    [
        ("ID=alpine\nVERSION_ID=3.22_alpha20250108\n", "&distro=alpine-3.22_alpha20250108"),
        ("ID=wolfi\n", ""),
        ('ID=alpine\nVERSION_ID="3.20.3\n', ""),
        ("VERSION_ID=3.20.3\n", ""),
        ("", ""),
    ],
)
def test_the_release_is_what_os_release_says(alpine: Path, text: str, qualifier: str) -> None:
    put(alpine, "etc/os-release", text)
    (owner,) = find_owners(["/lib/libz.so.1.3.1"], alpine).values()
    vendor = "wolfi" if "wolfi" in text else "alpine"
    assert owner.purl == f"pkg:apk/{vendor}/zlib@1.3.1-r1?arch=x86_64{qualifier}"
    assert PackageURL.from_string(owner.purl).to_string() == owner.purl


def test_the_second_place_of_os_release_counts_too(alpine: Path) -> None:
    (alpine / "etc/os-release").unlink()
    put(alpine, "usr/lib/os-release", ALPINE)
    (owner,) = find_owners(["/lib/libz.so.1.3.1"], alpine).values()
    assert owner.supplier == "Alpine Linux"


@pytest.mark.parametrize("make_folder", [True, False])
def test_without_databases_there_are_no_owners(tmp_path: Path, make_folder: bool) -> None:
    put(tmp_path, "lib/libz.so.1.3.1")
    if make_folder:
        for path in ("lib/apk/db/installed", "var/lib/dpkg/info/a.list", "var/lib/dpkg/status"):
            (tmp_path / path).mkdir(parents=True)
    else:
        put(tmp_path, "var/lib/dpkg")
    assert find_owners(["/lib/libz.so.1.3.1"], tmp_path) == {}


def test_a_file_whose_package_is_not_in_status_has_no_owner(debian: Path) -> None:
    put(debian, "var/lib/dpkg/status", "Package: zlib1g\nArchitecture: amd64\n")
    assert find_owners(["/lib/x86_64-linux-gnu/libz.so.1.2.13"], debian) == {}


@pytest.mark.parametrize("folder", ["lib\0", "x" * 5000, "../" * 99, "\udfff"])
def test_a_folder_that_cannot_be_is_passed_over(alpine: Path, folder: str) -> None:
    damaged = APK.replace("P:zlib\n", f"P:odd\nV:1\nF:{folder}\nR:libz.so.1.3.1\n\nP:zlib\n")
    database = alpine / "lib/apk/db/installed"
    database.write_bytes(damaged.encode("utf-8", "surrogatepass"))
    assert find_owners(["/lib/libz.so.1.3.1"], alpine)["/lib/libz.so.1.3.1"].name == "zlib"


NAMES: Final = ("libz.so.1.3.1", "usr/lib\0", "lib", "P:zlib", "V:1", "\n\n", "R:", "F:", "/", "\r")


@settings(deadline=None, derandomize=True)
@given(st.lists(st.one_of(st.sampled_from(NAMES), st.binary(max_size=4)), max_size=30))
def test_no_database_raises(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str | bytes]
) -> None:
    root = tmp_path_factory.mktemp("root")
    data = b"".join(p if isinstance(p, bytes) else p.encode() for p in parts)
    put(root, "lib/libz.so.1.3.1")
    for path in (
        *("lib/apk/db/installed", "var/lib/dpkg/status", "etc/os-release"),
        *("var/lib/dpkg/info/zlib.list", "usr/share/doc/zlib/copyright"),
    ):
        put(root, path).write_bytes(data)
    for owner in find_owners(["/lib/libz.so.1.3.1"], root).values():
        assert PackageURL.from_string(owner.purl).name == owner.name.lower()


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="has no dpkg database")
@pytest.mark.parametrize("name", ["libz.so.1", "libgcc_s.so.1"])
def test_this_machine_says_what_dpkg_says(name: str) -> None:
    """Both are on every Debian: dpkg itself and apt need them."""
    query = ["dpkg-query", "--showformat=${Version}", "--show"]
    dpkg = ["dpkg-query", "--search", f"*/{name}*"]
    lines = subprocess.run(dpkg, capture_output=True, text=True, check=True).stdout.splitlines()
    split = (line.partition(": ") for line in lines if "diversion" not in line)
    claims = {path: package for package, _, path in split}
    real = {str(Path(path).resolve()): package for path, package in claims.items()}
    owners = find_owners(claims)
    assert set(owners) == set(claims)
    for path, owner in owners.items():
        package = real[str(Path(path).resolve())]
        version = subprocess.run([*query, package], capture_output=True, text=True, check=True)
        assert (owner.name, owner.version) == (package.partition(":")[0], version.stdout)
        assert owner.license_files[0].name == "copyright"

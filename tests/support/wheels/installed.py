"""Wheels that installers refuse, or install to one place: for our rules and for real installers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support.wheels import wheels
from support.wheels.rawzip import raw, write_raw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE: Final = "demo-1.0-py3-none-any.whl"
WHEEL: Final = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: py3-none-any\n"
METADATA: Final = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
#: Who refuses a wheel.
NOBODY, PIP, UV, INSTALLER = "", "pip", "uv", "installer"
ALL: Final = f"{PIP} {UV} {INSTALLER}"


@dataclass(frozen=True)
class Case:
    """A wheel, who refuses it, and what we say of it."""

    refused: str
    """By which installers, separated by spaces."""
    says: str
    """How our finding goes on, behind its severity and code; empty: there is none."""
    about: str | bytes = WHEEL
    """The WHEEL file."""
    metadata: str | bytes = METADATA
    folder: str = "demo-1.0.dist-info"
    file: str = FILE
    files: Mapping[str, str] | None = None

    def write(self, folder: Path) -> Path:
        """Write the wheel and return its path."""
        found: dict[str, bytes] = {"demo/__init__.py": b""}
        texts: dict[str, str | bytes] = {
            **(self.files or {}),
            f"{self.folder}/METADATA": self.metadata,
            f"{self.folder}/WHEEL": self.about,
        }
        found |= {n: t.encode() if isinstance(t, str) else t for n, t in texts.items()}
        found[f"{self.folder}/RECORD"] = wheels.record(found, self.folder)
        return write_raw(folder / self.file, [raw(name, data) for name, data in found.items()])


def about(old: str, new: str) -> str:
    """Return a WHEEL file with a change."""
    assert old in WHEEL
    return WHEEL.replace(old, new)


def said(old: str, new: str) -> str:
    """Return METADATA with a change."""
    assert old in METADATA
    return METADATA.replace(old, new)


_NOT_ONE: Final = "error[MB139] has no supported Wheel-Version in demo-1.0.dist-info/WHEEL"
_VERSION: Final = "Wheel-Version: 1.0\n"
_ROOT: Final = "Root-Is-Purelib: false\n"
_NO_FIELD: Final = "error[MB139] has a line in demo-1.0.dist-info/WHEEL that is not a field: "
_ODD: Final = "warning[MB139] has Root-Is-Purelib "
_TWO: Final = "error[MB139] has a Root-Is-Purelib in demo-1.0.dist-info/WHEEL that installers read"

WHEEL_FILES: Final[Mapping[str, Case]] = {
    "as it should be": Case(NOBODY, ""),
    "no version": Case(ALL, _NOT_ONE, about(_VERSION, "")),
    "version 2.0": Case(ALL, _NOT_ONE, about("1.0", "2.0")),
    "version 0.9": Case(f"{UV} {INSTALLER}", _NOT_ONE, about("1.0", "0.9")),
    "version 1": Case(f"{UV} {INSTALLER}", _NOT_ONE, about("1.0", "1")),
    "version x": Case(ALL, _NOT_ONE, about("1.0", "x")),
    "version 1.x": Case(PIP, _NOT_ONE, about("1.0", "1.x")),
    "version 01.0": Case(f"{UV} {INSTALLER}", _NOT_ONE, about("1.0", "01.0")),
    "version in Arabic digits": Case(f"{UV} {INSTALLER}", _NOT_ONE, about("1.0", "\u0661.\u0660")),
    "a newer minor version": Case(
        NOBODY,
        (
            "warning[MB139] has Wheel-Version 1.9 in demo-1.0.dist-info/WHEEL; pip "
            "supports 1.0 and warns"
        ),
        about("1.0", "1.9"),
    ),
    "a byte order mark": Case(ALL, _NOT_ONE, "\ufeff" + WHEEL),
    "Latin-1": Case(ALL, _NOT_ONE, WHEEL.encode() + b"X: \xe9\n"),
    "UTF-16": Case(ALL, _NOT_ONE, WHEEL.encode("utf-16")),
    "an empty line first": Case(ALL, _NOT_ONE, "\n" + WHEEL),
    "a line first that is no field": Case(ALL, _NOT_ONE, "junk\n" + WHEEL),
    "a line that is no field": Case(NOBODY, _NO_FIELD + "'junk'", about(_ROOT, "junk\n" + _ROOT)),
    "the version behind an empty line": Case(ALL, _NOT_ONE, about(_VERSION, "") + "\n" + _VERSION),
    "a space before the colon": Case(ALL, _NOT_ONE, about("Version:", "Version :")),
    "small letters": Case(UV, _NOT_ONE, about("Wheel-Version", "wheel-version")),
    "a folded version": Case(INSTALLER, _NOT_ONE, about("Version: ", "Version:\n ")),
    "two versions": Case(NOBODY, _NOT_ONE, about(_VERSION, _VERSION + "Wheel-Version: 2.0\n")),
    "two versions, the wrong one first": Case(
        ALL, _NOT_ONE, about(_VERSION, "Wheel-Version: 2.0\n" + _VERSION)
    ),
    "one version twice": Case(NOBODY, "", about(_VERSION, 2 * _VERSION)),
    "a separator of lines that is none": Case(PIP, _NOT_ONE, about("1.0\n", "1.0\u2028")),
    "an empty file": Case(ALL, _NOT_ONE, ""),
    "lines that end as on Windows": Case(NOBODY, "", WHEEL.replace("\n", "\r\n")),
    "no word on the root": Case(
        NOBODY, "warning[MB139] has no Root-Is-Purelib in", about(_ROOT, "")
    ),
    "an odd word on the root": Case(NOBODY, _ODD + "'maybe' in", about("false", "maybe")),
    "a capital word on the root": Case(NOBODY, _ODD + "'True' in", about("false", "True")),
    "two words on the root": Case(NOBODY, _TWO, about(_ROOT, _ROOT + "Root-Is-Purelib: true\n")),
    "a folded word on the root": Case(NOBODY, _TWO, about("Purelib: ", "Purelib:\n ")),
}

_OTHER: Final = "error[MB139] contains the metadata of another wheel: "
_LOCAL: Final = "warning[MB139] has Version 1.0+local in demo-1.0.dist-info/METADATA, but 1.0 in"
_INSIDE: Final = "demo-1.0.dist-info/METADATA"
_MO: Final = "de_mo-1.0-py3-none-any.whl"
_NAMED_MO: Final = said("demo", "de-mo")

NAMES: Final[Mapping[str, Case]] = {
    "a hyphen in the folder": Case(
        PIP,
        "error[MB139] has a .dist-info directory de-mo-1.0.dist-info: pip reads "
        "de as its name and mo-1.0 as its version",
        folder="de-mo-1.0.dist-info",
        metadata=_NAMED_MO,
        file=_MO,
    ),
    "a dot in the folder": Case(
        NOBODY, "", folder="de.mo-1.0.dist-info", metadata=_NAMED_MO, file=_MO
    ),
    "a capital in the folder": Case(
        NOBODY, "", folder="De_mo-1.0.dist-info", metadata=_NAMED_MO, file=_MO
    ),
    "the version of the folder spelled otherwise": Case(NOBODY, "", folder="demo-1.0.0.dist-info"),
    "no version in the folder": Case(INSTALLER, _OTHER, folder="demo.dist-info"),
    "a version of the folder that is none": Case(PIP, _OTHER, folder="demo-x.dist-info"),
    "the folder of a longer name": Case(INSTALLER, _OTHER, folder="demoX-1.0.dist-info"),
    "a local version in METADATA only": Case(UV, _LOCAL, metadata=said("1.0", "1.0+local")),
    "a local version in the folder too": Case(
        UV,
        (
            "warning[MB139] has a different local version in demo-1.0+local.dist-info "
            "than in its file name"
        ),
        metadata=said("1.0", "1.0+local"),
        folder="demo-1.0+local.dist-info",
    ),
    "another name in METADATA": Case(
        f"{PIP} {UV}",
        f"error[MB139] has Name other in {_INSIDE}, but demo in its file name",
        metadata=said("demo", "other"),
    ),
    "another version in METADATA": Case(
        UV,
        f"error[MB139] has Version 1.1 in {_INSIDE}, but 1.0 in its file name",
        metadata=said("1.0", "1.1"),
    ),
    "a version in METADATA that is none": Case(
        f"{PIP} {UV}", f"error[MB139] has Version x in {_INSIDE}", metadata=said("1.0", "x")
    ),
    "the version in METADATA spelled otherwise": Case(NOBODY, "", metadata=said("1.0", "1.0.0")),
    "the name in METADATA spelled otherwise": Case(NOBODY, "", metadata=said("demo", "Demo")),
    "no name in METADATA": Case(
        f"{PIP} {UV}",
        f"error[MB139] has no valid value for Name in {_INSIDE}",
        metadata=said("Name: demo\n", ""),
    ),
    "no version in METADATA": Case(
        f"{PIP} {UV}",
        f"error[MB139] has no valid value for Version in {_INSIDE}",
        metadata=said("Version: 1.0\n", ""),
    ),
    "two names in METADATA": Case(
        NOBODY,
        f"error[MB139] has several values for Name in {_INSIDE}",
        metadata=METADATA + "Name: other\n",
    ),
    "a folded name in METADATA": Case(
        PIP,
        f"error[MB139] has no valid value for Name in {_INSIDE}",
        metadata=said("Name: ", "Name:\n "),
    ),
    "a description of METADATA that is not UTF-8": Case(
        PIP,
        f"error[MB139] has a {_INSIDE} that is not UTF-8, which pip refuses",
        metadata=METADATA.encode() + b"\n\xe9\n",
    ),
    "a description that has fields": Case(NOBODY, "", metadata=f"{METADATA}\nName: other\n"),
}

_DATA: Final = "demo-1.0.data"
_LIB: Final = f"{_DATA}/data/lib/python3.11/site-packages/demo/x"
_MET: Final = "error[MB142] is installed to the same path as "
_UNKNOWN: Final = (
    "error[MB143] contains files that are not in a directory that installers support: "
)
_STRANGE: Final = "error[MB143] contains {} besides demo-1.0.data: pip treats it as a .data"


def _files(*paths: str) -> Mapping[str, str]:
    return {path: f"{number}" for number, path in enumerate(paths)}


PLACES: Final[Mapping[str, Case]] = {
    "at the root and in platlib": Case(
        INSTALLER, f"{_MET}demo/x: site-packages/demo/x",
        files=_files("demo/x", f"{_DATA}/platlib/demo/x"),
    ),
    "in purelib and in platlib": Case(
        INSTALLER, f"{_MET}{_DATA}/purelib/demo/x: site-packages/demo/x",
        files=_files(f"{_DATA}/purelib/demo/x", f"{_DATA}/platlib/demo/x"),
    ),
    "the metadata twice": Case(
        INSTALLER, f"{_MET}{_DATA}/platlib/demo-1.0.dist-info/",
        files=_files(f"{_DATA}/platlib/demo-1.0.dist-info/METADATA"),
    ),
    "a script and a file of the environment": Case(
        INSTALLER, f"{_MET}{_DATA}/scripts/run: bin/run",
        files=_files(f"{_DATA}/scripts/run", f"{_DATA}/data/bin/run"),
    ),
    "a script that an entry point has written": Case(
        INSTALLER, "error[MB142] is installed to the path of an entry point's script: ",
        files={
            f"{_DATA}/scripts/run": "0",
            "demo-1.0.dist-info/entry_points.txt": "[console_scripts]\nrun = demo:main\n",
        },
    ),
    "a file that is a folder too": Case(
        ALL, "error[MB142] is installed below demo/x, which is a file",
        files=_files("demo/x", f"{_DATA}/platlib/demo/x/y"),
    ),
    "capitals in the archive": Case(
        NOBODY, "warning[MB137] differs from demo/x only in letter case",
        files=_files("demo/x", f"{_DATA}/platlib/demo/X"),
    ),
    "files of one name in different places": Case(
        NOBODY, "",
        files=_files("x", f"{_DATA}/scripts/x", f"{_DATA}/headers/x", f"{_DATA}/data/x"),
    ),
    "a folder that nobody knows": Case(
        ALL, f"{_UNKNOWN}{_DATA}/PLATLIB/demo/x", files=_files(f"{_DATA}/PLATLIB/demo/x")
    ),
    "a file in no folder": Case(ALL, f"{_UNKNOWN}{_DATA}/x", files=_files(f"{_DATA}/x")),
    "a folder of scripts": Case(
        UV, ("error[MB143] contains directories below scripts, which uv refuses: "
f"{_DATA}/scripts/x/run"),
        files=_files(f"{_DATA}/scripts/x/run"),
    ),
    "a folder of another wheel": Case(
        NOBODY, _STRANGE.format("other-1.0.data"), files=_files("other-1.0.data/purelib/x")
    ),
    "a file that is called like one": Case(
        PIP, _STRANGE.format("foo.data"), files=_files("foo.data")
    ),
}  # fmt: skip

#: Where those meet that depend on the environment.
DEEPER: Final[Mapping[str, Case]] = {
    "site-packages as a folder of the environment": Case(
        NOBODY, f"{_MET}demo/x: site-packages/demo/x", files=_files("demo/x", _LIB)
    ),
    "another Python's": Case(
        NOBODY, f"{_MET}demo/x: site-packages/demo/x",
        files=_files("demo/x", _LIB.replace("lib/python3.11", "lib64/python3.13t")),
    ),
    "Debian's": Case(
        NOBODY, f"{_MET}demo/x: site-packages/demo/x",
        files=_files("demo/x", _LIB.replace("lib/python3.11/site", "local/lib/python3/dist")),
    ),
    "headers": Case(
        NOBODY, f"{_MET}{_DATA}/headers/x.h: include/pythonX.Y/demo/x.h",
        files=_files(f"{_DATA}/headers/x.h", f"{_DATA}/data/include/python3.12/Demo/x.h"),
    ),
    "headers of a virtual environment": Case(
        NOBODY, f"{_MET}{_DATA}/headers/x.h: include/pythonX.Y/demo/x.h",
        files=_files(f"{_DATA}/headers/x.h", f"{_DATA}/data/include/site/python3.12/demo/x.h"),
    ),
    "other headers": Case(
        NOBODY, "", files=_files(f"{_DATA}/headers/x.h", f"{_DATA}/data/include/demo/x.h")
    ),
}  # fmt: skip

"""``[build-system]`` is edited in place: all other bytes of the file are unchanged."""

from __future__ import annotations

import re
import tomllib
from typing import Final, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from muslbackend.cli.init.buildsystem import UneditableError, added, edited

#: Strings in which something looks like what it is not.
TRAPS: Final = (
    "[build-system]",
    "requires = [",
    "# no comment",
    'a "quoted" word',
    "it's",
    "]}",
    "a = b",
    "back\\slash",
    "snow ☃ man",
    "",
)
WORDS: Final = st.sampled_from(TRAPS) | st.text("ab \"'\\#[]{}=,.\t", max_size=8)


def basic(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'


@st.composite
def strings(draw: st.DrawFn) -> str:
    """One of the four ways to write a string."""
    text = draw(WORDS)
    lines = [draw(WORDS), draw(WORDS)]
    ways = [basic(text)]
    if "'" not in text:
        ways.append(f"'{text}'")
    if not any("'''" in line or line.endswith("'") for line in lines):
        ways.append("'''\n" + "\n".join(lines) + "'''")
    escaped = [basic(line)[1:-1] for line in lines]
    ways.append('"""' + "\n".join(escaped) + '"""')
    ways.append('"""\\\n  ' + escaped[0] + '""""')  # it ends with a quote of its own
    return draw(st.sampled_from(ways))


VALUES: Final = st.recursive(
    strings() | st.sampled_from(["1", "-2.5", "true", "1979-05-27T07:32:00Z", "0xff"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda v: "[" + ", ".join(v) + "]")
        | st.lists(inner, max_size=3).map(lambda v: "[\n  # one\n  " + ",\n  ".join(v) + "\n]")
        | st.lists(inner, max_size=3).map(
            lambda v: "{" + ", ".join(f"k{i} = {x}" for i, x in enumerate(v)) + "}"
        )
    ),
    max_leaves=4,
)
COMMENTS: Final = st.sampled_from(["", "", " # [build-system]", '  # it\'s "one"', "\t"])
SPACES: Final = st.sampled_from(["", " ", "  ", "\t"])


@st.composite
def noise(draw: st.DrawFn, prefix: str) -> str:
    """Lines of other keys, of comments and of nothing."""
    lines = []
    for number in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["key", "key", "comment", "empty"]))
        if kind == "key":
            name = f"{prefix}{number}"
            key = draw(st.sampled_from([name, f'"{name} ="', f"{name}.'x.y'.z"]))
            equals = f"{draw(SPACES)}={draw(SPACES)}"
            lines.append(f"{draw(SPACES)}{key}{equals}{draw(VALUES)}{draw(COMMENTS)}")
        elif kind == "comment":
            lines.append('# requires = ["x"] # """')
        else:
            lines.append(draw(SPACES))
    return "\n".join([*lines, ""])


class Document(NamedTuple):
    """A file assembled from parts, two of which change."""

    before: str
    requires: str
    between: str
    backend: str
    after: str
    words: tuple[str, ...]
    """Items of ``requires``, as written in the file."""
    swapped: bool
    """Whether ``requires`` follows ``build-backend``."""

    @property
    def text(self) -> str:
        first, second = self.requires, self.backend
        if self.swapped:
            first, second = second, first
        return self.before + first + self.between + second + self.after

    def for_windows(self) -> Document:
        """Return it with the other ends of lines."""
        windows = {name: getattr(self, name).replace("\n", "\r\n") for name in self._fields[:5]}
        return self._replace(**windows)

    def with_another(self, place: int | None, *, keep: bool) -> str:
        """Return a pattern for ``requires`` with another item in the place of one, or before it."""
        at = end = 0
        for word in self.words[: (place or 0) + 1]:
            at = self.requires.index(word, end)
            end = at + len(word)
        word = self.requires[at:end]
        behind = rf",\s+{re.escape(word)}" if keep or place is None else ""
        new = re.escape(f"{word[0]}muslbackend{word[0]}") + behind
        return re.escape(self.requires[:at]) + new + re.escape(self.requires[end:])


REQUIREMENTS: Final = st.lists(
    st.sampled_from(["scikit-build-core>=0.10", "pybind11; python_version<'3.9'", "a[b]==1", "#x"]),
    max_size=4,
)
HEADERS: Final = ("[build-system]", "[ build-system ]", '["build-system"]', "\t['build-system']")
OLD: Final = ('"scikit_build_core.build"', "'old'", '"""old"""')


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A pyproject.toml in any style."""

    def line(*names: str, value: str) -> str:
        equals = f"{draw(SPACES)}={draw(SPACES)}"
        name = draw(st.sampled_from(names))
        return f"{draw(SPACES)}{name}{equals}{value}{draw(COMMENTS)}\n"

    words = draw(REQUIREMENTS)
    plain = [("'" not in word and draw(st.booleans())) for word in words]
    quoted = [f"'{w}'" if bare else basic(w) for w, bare in zip(words, plain, strict=True)]
    if draw(st.booleans()):
        end = draw(st.sampled_from(["]", " ,]", ",]"])) if words else "]"
        array = f"[{', '.join(quoted)}{end}"
    else:
        items = "".join(f"    {word}, # it is one\n\n" for word in quoted)
        array = f"[ # why\n{items}  # end ]\n]"
    header = draw(st.sampled_from(HEADERS)) + draw(COMMENTS)
    tables = f"[first]\n{draw(noise('first'))}[[list]]\n{draw(noise('l'))}"
    rest = f"{draw(noise('last'))}[project.'a.b']\n{draw(noise('project'))}"
    return Document(
        f"{draw(noise('root'))}{tables}{header}\n{draw(noise('own'))}",
        line("requires", '"requires"', "'requires'", value=array),
        draw(noise("more")),
        line("build-backend", "'build-backend'", value=draw(st.sampled_from(OLD))),
        rest + draw(st.sampled_from(["", "# end", "\n\n"])),
        tuple(quoted),
        draw(st.booleans()),
    )


def wanted(text: str, place: int | None, *, keep: bool) -> dict[str, object]:
    """Return the expected document: the original one, with two keys changed."""
    document = tomllib.loads(text)
    system = document["build-system"]
    at = place or 0
    system["requires"][at : at + (place is not None and not keep)] = ["muslbackend"]
    system["build-backend"] = "muslbackend"
    return document


@settings(max_examples=300, deadline=None)
@given(documents(), st.data(), st.booleans(), st.booleans())
def test_all_other_bytes_are_unchanged(
    made: Document, data: st.DataObject, keep: bool, windows: bool
) -> None:
    made = made.for_windows() if windows else made
    place = data.draw(st.sampled_from([None, *range(len(made.words))]))
    text = edited(made.text, "muslbackend", "muslbackend", place, keep=keep)
    assert tomllib.loads(text) == wanted(made.text, place, keep=keep)
    backend = made.backend
    for word in OLD:
        backend = backend.replace(word, f"{word[0]}muslbackend{word[0]}", 1)
    start, end = made.before, made.after
    if made.swapped:
        start += backend + made.between
    else:
        end = made.between + backend + end
    assert text.startswith(start)
    assert text.endswith(end)
    requires = text[len(start) : len(text) - len(end)]
    if made.words:
        assert re.fullmatch(made.with_another(place, keep=keep), requires)
    else:
        assert requires.replace('"muslbackend"', "", 1) == made.requires


SIMPLE: Final = """\
# of ours
[build-system]
requires = [
    "scikit-build-core>=0.10",  # builds
    'numpy',
]
build-backend = 'scikit_build_core.build' # CMake
"""


BUILDS: Final = '    "scikit-build-core>=0.10",  # builds'


@pytest.mark.parametrize(
    ("place", "keep", "lines"),
    [
        (0, False, ['    "muslbackend",  # builds', "    'numpy',"]),
        (
            0,
            True,
            ['    "muslbackend",', '    "scikit-build-core>=0.10",  # builds', "    'numpy',"],
        ),
        (1, False, ['    "scikit-build-core>=0.10",  # builds', "    'muslbackend',"]),
        (
            None,
            False,
            ['    "muslbackend",', '    "scikit-build-core>=0.10",  # builds', "    'numpy',"],
        ),
    ],
)
def test_order_comments_and_quotes_are_kept(
    place: int | None, keep: bool, lines: list[str]
) -> None:
    made = edited(SIMPLE, "muslbackend", "muslbackend", place, keep=keep).splitlines()
    assert made == [
        "# of ours",
        "[build-system]",
        "requires = [",
        *lines,
        "]",
        "build-backend = 'muslbackend' # CMake",
    ]


def test_items_on_one_line_are_separated_by_a_space() -> None:
    text = '[build-system]\nbuild-backend="x"\nrequires=["a","b"]'
    kept = edited(text, "m", "m", 0, keep=True)
    assert kept == '[build-system]\nbuild-backend="m"\nrequires=["m", "a","b"]'
    empty = edited(text.replace('"a","b"', " # none\n"), "m", "m", None, keep=False)
    assert empty == '[build-system]\nbuild-backend="m"\nrequires=["m" # none\n]'


@pytest.mark.parametrize(
    "text",
    [
        "[build-system]\nrequires.x = 1\nbuild-backend = 'x'\n",
        "[build-system]\nrequires = 'x'\nbuild-backend = 'x'\n",
        "[build-system]\nrequires = ['x', ['y']]\nbuild-backend = 'x'\n",
        "[build-system]\nrequires = ['x', 1]\nbuild-backend = 'x'\n",
        "[build-system]\nrequires = ['x']\nbuild-backend = 1\n",
        "[build-system]\nrequires = ['x']\n",
        "build-system = { requires = ['x'], build-backend = 'x' }\n",
        "[[build-system]]\nrequires = ['x']\nbuild-backend = 'x'\n",
        # A number that is not equal to itself: whether all else stayed cannot be told.
        "nan = nan\n[build-system]\nrequires = ['x']\nbuild-backend = 'x'\n",
        "[build-system]\nrequires = ['x'\n",
    ],
)
def test_unsupported_text_is_refused(text: str) -> None:
    with pytest.raises(UneditableError, match="cannot edit") as caught:
        edited(text, "muslbackend", "muslbackend", None, keep=False)
    assert "build-backend" in caught.value.hint


def test_keys_with_dots_are_found() -> None:
    text = "build-system.requires = ['x']\n'build-system'.\"build-backend\" = 'x'\n[project]\n"
    made = edited(text, "m", "m", 0, keep=False)
    assert made == text.replace("'x'", "'m'")


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("", "TABLE\n"),
        ("[project]\nname = 'x'\n", "TABLE\n[project]\nname = 'x'\n"),
        ("# a license\n[project]\n", "TABLE\n# a license\n[project]\n"),
        ("x = '''\n[y]'''\n[project]", "x = '''\n[y]'''\n[project]\n\nTABLE"),
        ("x = 1", "x = 1\n\nTABLE"),
        ("[project]\r\n", "TABLE\n[project]\n".replace("\n", "\r\n")),
    ],
)
def test_a_missing_table_is_added(text: str, made: str) -> None:
    table = '[build-system]\nrequires = ["m"]\nbuild-backend = "m"\n'
    newline = "\r\n" if "\r\n" in text else "\n"
    assert added(text, "m", "m") == made.replace("TABLE", table.replace("\n", newline))


def test_a_table_is_not_added_twice() -> None:
    with pytest.raises(UneditableError):
        added("[build-system]\n", "m", "m")


@settings(max_examples=100, deadline=None)
@given(noise("root"), noise("first"))
@example("", "")
def test_adding_a_table_keeps_all_other_bytes(before: str, after: str) -> None:
    text = f"{before}[first]\n{after}"
    made = added(text, "muslbackend", "muslbackend")
    assert text in made
    document = tomllib.loads(made)
    assert document.pop("build-system") == {
        "requires": ["muslbackend"],
        "build-backend": "muslbackend",
    }
    assert document == tomllib.loads(text)

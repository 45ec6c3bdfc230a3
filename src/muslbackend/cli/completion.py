"""What lets shells complete our command lines, made from the parser: bash, zsh and fish.

Each script has all words in it: nothing of ours is started when a line is completed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.build.settings import PREFIX, names
from muslbackend.musl.releases import ARCHITECTURES, releases
from muslbackend.policy.codes import entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from muslbackend.cli.outline import Command, Outline, Word

#: Kinds of what a word may be, where it is not one of a few.
_FOLDER, _WHEEL, _FILE, _NOTHING = "folder", "wheel", "file", ""
#: By what help calls it.
_KINDS: Final = {
    "DIR": _FOLDER,
    "PROJECT": _FILE,
    "WHEEL": _WHEEL,
    "[GLOB=]PATH": _FILE,
}


class _Taken(NamedTuple):
    """What completes a word."""

    kind: str = _NOTHING
    words: tuple[str, ...] = ()
    """One of these; or several with commas between them, if it is ``listed``."""
    listed: bool = False
    open: bool = False
    """More is to be written behind it."""


def script(shell: str, outline: Outline) -> str:
    """Return the script that lets ``bash``, ``zsh`` or ``fish`` complete what a parser takes."""
    lines = _SHELLS[shell](outline)
    head = f"# Completes muslbackend in {shell}. Written by: muslbackend completion {shell}"
    return "\n".join([*(["#compdef muslbackend"] if shell == "zsh" else []), head, *lines, ""])


def _taken(word: Word) -> _Taken:
    """Return what completes a word; what has a name of its own in help is the same everywhere."""
    if word.choices:
        return _Taken(words=word.choices)
    if word.metavar == "CODE":
        return _Taken(words=tuple(entries()))
    if word.metavar == "X.Y.Z":
        return _Taken(words=tuple(str(release.version) for release in releases()))
    if word.metavar == "KEY=VALUE":
        return _Taken(words=tuple(f"{PREFIX}{name}=" for name in names()), open=True)
    if "--arch" in word.flags:
        return _Taken(words=("all", *ARCHITECTURES), listed=True)
    return _Taken(_KINDS.get(word.metavar, _NOTHING))


def _flags(words: tuple[Word, ...]) -> str:
    return " ".join(flag for word in words for flag in word.flags)


def _bash(outline: Outline) -> Iterator[str]:
    commands = " ".join(command.name for command in outline.commands)
    yield _BASH_START.replace("@words@", f"{commands} {_flags(outline.options)}")
    yield '    case "${COMP_WORDS[1]} $prev" in'
    for command in outline.commands:
        for option in command.options:
            if option.metavar:
                pattern = "|".join(f"'{command.name} {flag}'" for flag in option.flags)
                yield f"    {pattern}) {_in_bash(_taken(option))}; return ;;"
    yield "    esac"
    yield '    case "${COMP_WORDS[1]}" in'
    for command in outline.commands:
        yield f"    {command.name})"
        yield f"        if [[ $cur == -* ]]; then _muslbackend_words '{_flags(command.options)}'"
        for argument in command.arguments:
            yield f"        else {_in_bash(_taken(argument))}"
        yield "        fi ;;"
    yield "    esac"
    yield "}"
    yield "complete -o default -F _muslbackend muslbackend"


def _in_bash(taken: _Taken) -> str:
    if taken.words:
        how = "list" if taken.listed else "open" if taken.open else "words"
        return f"_muslbackend_{how} '{' '.join(taken.words)}'"
    # Without an answer bash completes names of files.
    return {_FOLDER: "_muslbackend_folders", _WHEEL: "_muslbackend_wheels"}.get(taken.kind, ":")


_BASH_START: Final = """\
_muslbackend_words() {
    COMPREPLY=($(compgen -W "${1// /$IFS}" -- "$cur"))
}
_muslbackend_open() {
    compopt -o nospace 2>/dev/null
    _muslbackend_words "$1"
}
_muslbackend_list() {
    local before=
    if [[ $cur == *,* ]]; then before=${cur%,*},; fi
    compopt -o nospace 2>/dev/null
    COMPREPLY=($(compgen -P "$before" -W "${1// /$IFS}" -- "${cur##*,}"))
}
_muslbackend_folders() {
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -d -- "$cur"))
}
_muslbackend_wheels() {
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -X '!*.whl' -- "$cur"; compgen -d -- "$cur"))
}
_muslbackend() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} IFS=$'\\n'
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _muslbackend_words '@words@'
        return
    fi
    # To bash --option=value is three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi"""


def _zsh(outline: Outline) -> Iterator[str]:
    yield _ZSH_START
    yield from _arguments(outline.options, "        ")
    yield "        '1:command:->command' '*::argument:->argument' && return"
    yield "    case $state in"
    yield "    command)"
    yield "        commands=("
    for command in outline.commands:
        yield f"            {_quoted(command.name + ':' + command.help)}"
    yield "        )"
    yield "        _describe command commands ;;"
    yield "    argument)"
    yield "        case $words[1] in"
    for command in outline.commands:
        yield f"        {command.name})"
        yield "            _arguments -s \\"
        yield from _arguments(command.words, "                ")
        yield "                && return ;;"
    yield from ("        esac ;;", "    esac", "}", _ZSH_END)


def _arguments(words: tuple[Word, ...], indent: str) -> Iterator[str]:
    """Yield a specification for zsh's ``_arguments`` of each word."""
    for word in words:
        value = f":{_escaped(word.metavar)}:{_in_zsh(_taken(word))}" if word.metavar else ""
        told = f"[{_escaped(word.help)}]"
        if not word.flags:
            many = {"*": "*", "+": "*", "?": ":"}.get(word.nargs, "")
            yield f"{indent}{_quoted(many + value)} \\"
            continue
        others = "- *" if word.ends else "" if word.repeatable else " ".join(word.flags)
        for flag in word.flags:
            joined = "" if not word.metavar else "=" if flag.startswith("--") else "+"
            front = "*" if word.repeatable else f"({others})"
            yield f"{indent}{_quoted(front + flag + joined + told + value)} \\"


def _in_zsh(taken: _Taken) -> str:
    words = " ".join(taken.words)
    if taken.listed:
        return f"_values -s , word {words}"
    if taken.open:
        return f" compadd -S '' - {words}"
    if taken.words:
        return f"({words})"
    return {_FOLDER: "_files -/", _WHEEL: '_files -g "*.whl"', _FILE: "_files"}.get(taken.kind, " ")


def _escaped(text: str) -> str:
    return re.sub(r"([\[\]:\\])", r"\\\1", text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


_ZSH_START: Final = """\
_muslbackend() {
    local curcontext=$curcontext state line
    typeset -A opt_args
    local -a commands
    _arguments -C \\"""
#: It is a function of fpath, which is run the first time, or a script that is read.
_ZSH_END: Final = """\
if [[ $funcstack[1] == _muslbackend ]]; then
    _muslbackend "$@"
else
    compdef _muslbackend muslbackend
fi"""


def _fish(outline: Outline) -> Iterator[str]:
    first = "complete -c muslbackend -n __fish_use_subcommand"
    yield "complete -c muslbackend -f"
    for option in outline.options:
        yield f"{first}{_in_fish(option)}"
    for command in outline.commands:
        yield f"{first} -a {command.name} -d {_fish_quoted(command.help)}"
    for command in outline.commands:
        yield from _fish_command(command)


def _fish_command(command: Command) -> Iterator[str]:
    for word in command.words:
        condition = f"'__fish_seen_subcommand_from {command.name}'"
        yield f"complete -c muslbackend -n {condition}{_in_fish(word)}"


def _in_fish(word: Word) -> str:
    flags = "".join(
        f" -l {flag[2:]}" if flag.startswith("--") else f" -s {flag[1:]}" for flag in word.flags
    )
    told = f" -d {_fish_quoted(word.help)}" if word.flags else ""
    return f"{flags}{_fish_value(word) if word.metavar else ''}{told}"


def _fish_value(word: Word) -> str:
    taken = _taken(word)
    words = " ".join(taken.words)
    if taken.listed:
        words = f"(__fish_append , {words})"
    found = {_FOLDER: "(__fish_complete_directories)", _WHEEL: "(__fish_complete_suffix .whl)"}
    words = words or found.get(taken.kind, "")
    wanted = " -x" if word.flags else ""
    if words:
        return f"{wanted} -a {_fish_quoted(words)}"
    if taken.kind == _FILE:
        return " -r -F" if word.flags else " -F"
    return wanted


def _fish_quoted(text: str) -> str:
    return "'" + re.sub(r"(['\\])", r"\\\1", text) + "'"


_SHELLS: Final[Mapping[str, Callable[[Outline], Iterator[str]]]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}

"""``muslbackend completion``: print a completion script for bash, zsh or fish.

The scripts are generated from the parser and contain all words: completing a line starts no Python.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.cli.options import EXIT_CODES_OF_INFORMATION, Formatter, epilog

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

    from muslbackend.cli.options import Commands
    from muslbackend.cli.outline import Command, Outline, Word

SHELLS: Final = ("bash", "zsh", "fish")
_EXAMPLES: Final = (
    'eval "$(muslbackend completion bash)"  # in ~/.bashrc',
    "muslbackend completion zsh > ~/.zfunc/_muslbackend  # with ~/.zfunc in fpath",
    "muslbackend completion fish > ~/.config/fish/completions/muslbackend.fish",
)

#: Kinds of values, other than words from a list.
_FOLDER, _WHEEL, _FILE, _ANY = "folder", "wheel", "file", ""
#: The kind of a value by its metavar.
_KINDS: Final = {
    "DIR": _FOLDER,
    "PROJECT": _FILE,
    "WHEEL": _WHEEL,
    "[GLOB=]PATH": _FILE,
}


class _Values(NamedTuple):
    """The values that an option or argument takes."""

    kind: str = _ANY
    words: tuple[str, ...] = ()
    """One of these words; if ``listed``, several of them, separated by commas."""
    listed: bool = False
    open: bool = False
    """The user continues after the word, as in ``KEY=VALUE``."""


def add_parser(commands: Commands) -> None:
    """Add the parser of ``muslbackend completion``."""
    completion = commands.add_parser(
        "completion",
        formatter_class=Formatter,
        help="print a shell completion script",
        description="Print a script that completes commands, options and their values in a shell. "
        "It describes this release: print it again after an update.",
        epilog=epilog(_EXAMPLES, EXIT_CODES_OF_INFORMATION),
    )
    completion.set_defaults(run=run)
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(options: argparse.Namespace) -> int:
    """Print the completion script for a shell."""
    from muslbackend.cli import main, outline  # main imports this module
    from muslbackend.report import terminal

    terminal.give(script(options.shell, outline.read(main.parser())))
    return 0


def script(shell: str, outline: Outline) -> str:
    """Return the completion script for ``bash``, ``zsh`` or ``fish``."""
    lines = _SCRIPTS[shell](outline)
    head = f"# Completes muslbackend in {shell}. Written by: muslbackend completion {shell}"
    return "\n".join([*(["#compdef muslbackend"] if shell == "zsh" else []), head, *lines, ""])


def _values(word: Word) -> _Values:
    """Return the values that an option or argument takes. A metavar means the same everywhere."""
    from muslbackend.build.settings import PREFIX, names
    from muslbackend.musl.releases import ARCHITECTURES, releases
    from muslbackend.policy.codes import entries

    if word.choices:
        return _Values(words=word.choices)
    if word.metavar == "CODE":
        return _Values(words=tuple(entries()))
    if word.metavar == "X.Y.Z":
        return _Values(words=tuple(str(release.version) for release in releases()))
    if word.metavar == "KEY=VALUE":
        return _Values(words=tuple(f"{PREFIX}{name}=" for name in names()), open=True)
    if "--arch" in word.flags:
        return _Values(words=("all", *ARCHITECTURES), listed=True)
    return _Values(_KINDS.get(word.metavar, _ANY))


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
                yield f"    {pattern}) {_in_bash(_values(option))}; return ;;"
    yield "    esac"
    yield '    case "${COMP_WORDS[1]}" in'
    for command in outline.commands:
        yield f"    {command.name})"
        yield f"        if [[ $cur == -* ]]; then _muslbackend_words '{_flags(command.options)}'"
        for number, argument in enumerate(command.arguments, start=1):
            last = number == len(command.arguments)
            case = "else" if last else f"elif ((COMP_CWORD == {number + 1})); then"
            yield f"        {case} {_in_bash(_values(argument))}"
        yield "        fi ;;"
    yield "    esac"
    yield "}"
    yield "complete -o default -F _muslbackend muslbackend"


def _in_bash(values: _Values) -> str:
    if values.words:
        how = "list" if values.listed else "open" if values.open else "words"
        return f"_muslbackend_{how} '{' '.join(values.words)}'"
    # Given no words, bash completes file names.
    return {_FOLDER: "_muslbackend_folders", _WHEEL: "_muslbackend_wheels"}.get(values.kind, ":")


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
    # bash splits --option=value into three words.
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
    """Yield a specification for zsh's ``_arguments`` for each option and argument."""
    for word in words:
        value = f":{_escaped(word.metavar)}:{_in_zsh(_values(word))}" if word.metavar else ""
        help_text = f"[{_escaped(word.help)}]"
        if not word.flags:
            many = {"*": "*", "+": "*", "?": ":"}.get(word.nargs, "")
            yield f"{indent}{_quoted(many + value)} \\"
            continue
        others = "- *" if word.ends else "" if word.repeatable else " ".join(word.flags)
        for flag in word.flags:
            joined = "" if not word.metavar else "=" if flag.startswith("--") else "+"
            front = "*" if word.repeatable else f"({others})"
            yield f"{indent}{_quoted(front + flag + joined + help_text + value)} \\"


def _in_zsh(values: _Values) -> str:
    words = " ".join(values.words)
    if values.listed:
        return f"_values -s , word {words}"
    if values.open:
        return f" compadd -S '' - {words}"
    if values.words:
        return f"({words})"
    return {_FOLDER: "_files -/", _WHEEL: '_files -g "*.whl"', _FILE: "_files"}.get(
        values.kind, " "
    )


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
#: zsh either autoloads the script as a function from fpath, or sources it.
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
    help_text = f" -d {_fish_quoted(word.help)}" if word.flags else ""
    return f"{flags}{_fish_value(word) if word.metavar else ''}{help_text}"


def _fish_value(word: Word) -> str:
    values = _values(word)
    words = " ".join(values.words)
    if values.listed:
        words = f"(__fish_append , {words})"
    found = {_FOLDER: "(__fish_complete_directories)", _WHEEL: "(__fish_complete_suffix .whl)"}
    words = words or found.get(values.kind, "")
    wanted = " -x" if word.flags else ""
    if words:
        return f"{wanted} -a {_fish_quoted(words)}"
    if values.kind == _FILE:
        return " -r -F" if word.flags else " -F"
    return wanted


def _fish_quoted(text: str) -> str:
    return "'" + re.sub(r"(['\\])", r"\\\1", text) + "'"


_SCRIPTS: Final[Mapping[str, Callable[[Outline], Iterator[str]]]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}

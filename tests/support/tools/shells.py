"""zsh and fish out of Debian's packages, and what they offer at the end of a command line."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support.tools.debian import cached, own_suites, unpack
from support.tools.debiantools import first_of

if TYPE_CHECKING:
    from pathlib import Path

#: By shell, with the libraries that not every machine has.
PACKAGES: Final = {
    "zsh": ("zsh", "zsh-common", "libcap2"),
    "fish": ("fish", "fish-common", "libpcre2-32-0"),
}
#: Types a line into an interactive zsh, presses Tab, and notes what is added to the matches.
#: Its module for editing lines must be found first: so it is begun without (+Z).
_ZSH: Final = """\
root=$1 begin=$2 line=$3 zsh=$4
module_path=($root/usr/lib/*/zsh/*(/))
zmodload zsh/zpty
zpty session $zsh -f -i +Z
zpty -w session "source $begin"
zpty -r -m session out '*go on*'
zpty -w -n session "$line"$'\\t'
zpty -w -n session $'\\C-D'
while zpty -r session out; do :; done
"""
_BEGIN: Final = """\
module_path=({root}/usr/lib/*/zsh/*(/))
fpath=({folder} {root}/usr/share/zsh/functions/Completion{{,/Base,/Unix,/Zsh}})
PROMPT='go on'
setopt zle
autoload -U compinit
compinit -u -D
{read}
compadd () {{
    local -a found
    if [[ " ${{(j: :)@[1,(i)(-|--)]}}" != *\\ -(O|A|D)\\ * ]]; then
        builtin compadd -A found "$@"
        print -rl -- $found >>{offers}
    fi
    builtin compadd "$@"
}}
leave () {{ exit }}
zle -N leave
bindkey '^I' complete-word
bindkey '^D' leave
"""
_FISH: Final = """\
set fish_function_path $argv[1]/usr/share/fish/functions
source $argv[2]
complete -C $argv[3]
"""


def install(shell: str, cache: Path) -> Path:
    """Return the root that a shell is unpacked in."""
    suites = own_suites()

    def fill(content: Path) -> None:
        for package in PACKAGES[shell]:
            part = content.with_name(package)
            part.mkdir()
            unpack(package, suites, part)
            shutil.copytree(part, content, symlinks=True, dirs_exist_ok=True)

    return cached(cache.absolute() / f"{shell}-{'-'.join(suites.values())}", fill)


@dataclass(frozen=True)
class Terminal:
    """Where a user types, in a folder; ``scratch`` is for files of ours, and the user's home."""

    cache: Path
    folder: Path
    scratch: Path

    def offers(self, shell: str, script: str, line: str, *, by_name: bool = False) -> list[str]:
        """Return what a shell would complete a line with; ``by_name`` zsh loads the script."""
        root = install(shell, self.cache)
        if shell == "zsh":
            return self._zsh(root, script, line, by_name=by_name)
        return self._fish(root, script, line)

    def _zsh(self, root: Path, script: str, line: str, *, by_name: bool) -> list[str]:
        names = ("_muslbackend", "begin.zsh", "offers")
        file, begin, offers = (self.scratch / name for name in names)
        file.write_text(script)
        offers.write_text("")
        read = "" if by_name else f"source {file}"
        folder = self.scratch if by_name else ""
        begin.write_text(_BEGIN.format(root=root, folder=folder, offers=offers, read=read))
        zsh = first_of(root, "bin/zsh", "usr/bin/zsh")
        self._run(root, zsh, "-fc", _ZSH, "zsh", root, begin, line, zsh)
        return list(dict.fromkeys(filter(None, offers.read_text().splitlines())))

    def _fish(self, root: Path, script: str, line: str) -> list[str]:
        file = self.scratch / "muslbackend.fish"
        file.write_text(script)
        said = self._run(root, root / "usr/bin/fish", "--no-config", "-c", _FISH, root, file, line)
        # Behind a tab fish says what it is.
        return [offer.partition("\t")[0] for offer in said.splitlines()]

    def _run(self, root: Path, program: Path, *arguments: str | Path) -> str:
        libraries = ":".join(map(str, root.glob("usr/lib/*-linux-gnu*")))
        home = {"HOME": str(self.scratch), "XDG_CONFIG_HOME": str(self.scratch), "TERM": "vt100"}
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            check=True,
            cwd=self.folder,
            env={**os.environ, **home, "LD_LIBRARY_PATH": libraries},
            timeout=60,
        )
        assert done.stderr == ""
        return done.stdout

"""All rules, and the sets of rules that builds, ``repair`` and ``check`` run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.policy.findings import Severity
from muslbackend.policy.rule import Rule, Scope, Stage, Trait
from muslbackend.policy.rules import archive, libraries, package, platform, segments, symbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from muslbackend.policy.findings import Finding
    from muslbackend.wheel.contents import Contents

_MODULES: Final = (libraries, symbols, segments, platform, package, archive)

#: In the order of the modules; within a module, in the order of the source.
ALL_RULES: Final[tuple[Rule[...], ...]] = tuple(
    value for module in _MODULES for value in vars(module).values() if isinstance(value, Rule)
)
_ABOUT_GRAPHS: Final = tuple(r for r in ALL_RULES if r.scope in (Scope.GRAPH, Scope.RELEASE))

#: For the files of a build, before they are patched.
BUILD_RULES: Final = tuple(r for r in _ABOUT_GRAPHS if r.stage is Stage.ALWAYS)
#: For a wheel from any backend, before it is repaired.
REPAIR_RULES: Final = tuple(r for r in _ABOUT_GRAPHS if r.stage is not Stage.FINISHED)
#: For a wheel that is not going to be patched.
FINISHED_RULES: Final = tuple(r for r in _ABOUT_GRAPHS if r.stage is not Stage.REPAIR)
#: For the ELF files of any wheel, also of one that is not for musl.
ANY_LIBC_RULES: Final = tuple(r for r in _ABOUT_GRAPHS if Trait.ANY_LIBC in r.traits)
#: The rules whose answer depends on the musl release.
RELEASE_RULES: Final = tuple(r for r in ALL_RULES if r.scope is Scope.RELEASE)

#: For the wheel as an archive.
ARCHIVE_RULES: Final = tuple(r for r in ALL_RULES if r.scope is Scope.ARCHIVE)
#: Problems that ``repair`` does not fix by rewriting the wheel.
LASTING_ARCHIVE_RULES: Final = tuple(r for r in ARCHIVE_RULES if Trait.REWRITTEN not in r.traits)
#: Problems of ``WHEEL`` that ``repair`` fixes by rewriting it for the file name.
REWRITTEN_ARCHIVE_RULES: Final = tuple(r for r in ARCHIVE_RULES if Trait.REWRITTEN in r.traits)

#: Codes of problems with the archive: they say nothing about the tag.
ARCHIVE_CODES: Final = frozenset(r.code for r in ARCHIVE_RULES)
#: Codes of errors that leave the file loadable on some release.
TAG_CODES: Final = frozenset(r.code for r in ALL_RULES if Trait.TAG_ONLY in r.traits)


def is_fatal(finding: Finding) -> bool:
    """Return whether the finding keeps the file from loading on every musl release."""
    return finding.severity is Severity.ERROR and finding.code not in TAG_CODES


def judge_contents(
    contents: Contents, rules: Iterable[Rule[...]] = ARCHIVE_RULES
) -> tuple[Finding, ...]:
    """Return every finding of the rules about the archive, in the order of the rules."""
    return tuple(finding for rule in rules for finding in rule(contents))


def archive_errors(contents: Contents) -> Iterator[str]:
    """Yield the errors of the archive as text: the reasons for installers to refuse the wheel."""
    for finding in judge_contents(contents):
        if finding.severity is Severity.ERROR:
            yield f"{finding.subject} {finding.message}"

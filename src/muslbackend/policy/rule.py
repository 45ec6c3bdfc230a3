"""Rules: functions that yield problems, each registered with its code and default severity.

::

    @rule("MB116", Severity.NOTE)
    def executable_stack(graph: Graph, _: Target) -> Iterator[Problem]:
        ...

:mod:`muslbackend.policy.registry` collects the rules of all modules in ``policy/rules``.
"""

from __future__ import annotations

from enum import Enum, Flag, auto
from typing import TYPE_CHECKING, Generic, NamedTuple, ParamSpec

from muslbackend.policy.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Arguments = ParamSpec("_Arguments")


class Scope(Enum):
    """The arguments of a rule."""

    GRAPH = "graph"
    """``(Graph, Target)``."""
    RELEASE = "release"
    """``(Graph, Target, MuslVersion | None)``: the answer differs between releases of musl.

    Without a release, the rule judges the floor of the target and every later release.
    """
    ARCHIVE = "archive"
    """``(Contents)``: the wheel as an archive."""
    TAGS = "tags"
    """Arguments of its own, about the tags and the declared floor; ``check`` calls it directly."""


class Stage(Enum):
    """The state of a wheel in which a rule about the graph applies."""

    ALWAYS = "always"
    REPAIR = "repair"
    """Before the repair of a wheel from any backend."""
    FINISHED = "finished"
    """A wheel that is not going to be patched: builds and repairs fix this problem themselves."""


class Trait(Flag):
    """Properties of rules from which the sets of the registry are derived."""

    NONE = 0
    TAG_ONLY = auto()
    """Errors mean that the tag promises too much; the file does load on some release."""
    ANY_LIBC = auto()
    """Also applies to wheels that are not for musl."""
    REWRITTEN = auto()
    """``repair`` fixes the problem, because it rewrites the file concerned."""


class Problem(NamedTuple):
    """A finding without its code, as rules yield it. See :class:`Finding` for the fields."""

    subject: str
    message: str
    hint: str = ""
    symbols: tuple[str, ...] = ()
    """The symbols, libraries or types concerned, sorted."""
    details: tuple[str, ...] = ()
    severity: Severity | None = None
    """Overrides the default severity of the rule."""


class Rule(NamedTuple, Generic[_Arguments]):
    """A rule; call it to get its findings."""

    code: str
    severity: Severity
    """The severity of problems that do not override it."""
    problems: Callable[_Arguments, Iterable[Problem]]
    scope: Scope = Scope.GRAPH
    stage: Stage = Stage.ALWAYS
    traits: Trait = Trait.NONE

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.problems.__name__

    def __call__(self, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> tuple[Finding, ...]:
        """Return the findings, in the order in which the function yields the problems."""
        return tuple(self._finding(problem) for problem in self.problems(*args, **kwargs))

    def _finding(self, problem: Problem) -> Finding:
        return Finding(
            self.code,
            problem.severity or self.severity,
            problem.subject,
            problem.message,
            problem.hint,
            symbol=problem.symbols[0] if problem.symbols else "",
            details=problem.details,
            symbols=problem.symbols if problem.symbols[1:] else (),
        )


def rule(
    code: str,
    severity: Severity,
    scope: Scope = Scope.GRAPH,
    *,
    stage: Stage = Stage.ALWAYS,
    traits: Trait = Trait.NONE,
) -> Callable[[Callable[_Arguments, Iterable[Problem]]], Rule[_Arguments]]:
    """Return a decorator that turns a function into a :class:`Rule`."""

    def register(problems: Callable[_Arguments, Iterable[Problem]]) -> Rule[_Arguments]:
        return Rule(code, severity, problems, scope, stage, traits)

    return register

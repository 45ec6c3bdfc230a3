"""What classes are made of, in a tenth of the time that typing takes.

typing's ``NamedTuple`` compiles a constructor and every annotation of each class. A short command
defines forty classes: that took it as long as to judge a wheel. Nor does it import typing, which
takes as long as a dozen modules of ours. For a type checker all of this is typing's own.
"""

from __future__ import annotations

from operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Generic, NamedTuple, Self, TypeVar
else:

    class _Named(type):
        """Makes the annotations of a class its fields, in order, with what they are set to."""

        def __new__(
            cls, name: str, bases: tuple[type, ...], body: dict[str, Any]
        ) -> type[NamedTuple]:
            fields = tuple(body.get("__annotations__", ()))
            if fields:
                body["_fields"] = fields
                body["_defaults"] = tuple([body[field] for field in fields if field in body])
                body.update((field, property(itemgetter(n))) for n, field in enumerate(fields))
                body["__slots__"] = ()
            return super().__new__(cls, name, bases, body)

    class NamedTuple(tuple, metaclass=_Named):
        """A tuple whose items have names."""

        __slots__ = ()
        _fields = ()

        def __new__(cls, *items: object, **named: object) -> Self:
            """Take items by position and by name; those with a default may be left out."""
            missing = len(cls._fields) - len(items)
            if named or not 0 <= missing <= len(cls._defaults):
                items += cls._rest(len(items), named)
            elif missing:
                items += cls._defaults[-missing:]
            return tuple.__new__(cls, items)

        @classmethod
        def _rest(cls, count: int, named: Mapping[str, object]) -> tuple[object, ...]:
            """Return the items behind the first ones, by name or by default."""
            fields = cls._fields[count:]
            defaults = zip(reversed(cls._fields), reversed(cls._defaults), strict=False)
            known = {**dict(defaults), **named}
            if not fields or not named.keys() <= set(fields) <= known.keys():
                msg = f"{cls.__name__} takes {', '.join(cls._fields)}, each of them once"
                raise TypeError(msg)
            return tuple([known[field] for field in fields])

        @classmethod
        def _make(cls, items: Iterable[object]) -> Self:
            return cls(*items)

        def _replace(self, **named: object) -> Self:
            return type(self)(**{**dict(zip(self._fields, self, strict=True)), **named})

        def __repr__(self) -> str:
            items = (f"{field}={item!r}" for field, item in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({', '.join(items)})"

        def __getnewargs__(self) -> tuple[object, ...]:
            return tuple(self)

    class Generic:
        """A base of classes with parameters, which nothing but a type checker heeds."""

        def __class_getitem__(cls, _: object) -> type[Self]:
            return cls

    #: The name says enough: nobody asks for more.
    TypeVar = str


__all__ = ["Generic", "NamedTuple", "TypeVar"]

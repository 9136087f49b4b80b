"""Core statements compiled once and run on plain tuples, so that a row costs what the driver asks and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, CursorResult, Dialect, bindparam
from sqlalchemy.engine import Connection
from sqlalchemy.sql import Executable

T = TypeVar("T")

LIST_SIZES = (1, 4, 16, 64, 250, 500)  # the lengths of the IN lists there are statements for


class _Sql(NamedTuple):
    text: str
    positional: bool
    constants: tuple[Any, ...]  # values of the statement's own, behind those that are handed in


class Prepared:
    """A statement and the order its parameters are handed in; the SQL text is made once per dialect.

    Values go to the driver as they are: give it ints, floats, text and bytes.
    """

    def __init__(self, statement: Executable, *parameters: str) -> None:
        self._statement = statement
        self._parameters = parameters
        self._compiled: dict[str, _Sql] = {}

    def one(self, connection: Connection, *values: Any) -> CursorResult[Any]:
        """Run it once."""
        sql = self._sql(connection.dialect)
        return connection.exec_driver_sql(sql.text, self._ready(sql, values))

    def many(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run it once per row, in one call to the driver; no rows, no call."""
        if rows:
            sql = self._sql(connection.dialect)
            plain = sql.positional and not sql.constants
            ready = list(rows) if plain else [self._ready(sql, row) for row in rows]
            connection.exec_driver_sql(sql.text, ready)

    def _sql(self, dialect: Dialect) -> _Sql:
        known = self._compiled.get(dialect.name)
        if known is None:
            known = self._compiled[dialect.name] = self._compile(dialect)
        return known

    def _compile(self, dialect: Dialect) -> _Sql:
        compiled: Any = self._statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        if not compiled.positional:
            return _Sql(str(compiled), False, ())
        order, given = tuple(compiled.positiontup), len(self._parameters)
        if order[:given] != self._parameters:
            raise AssertionError(f"the parameters are {order}, not {self._parameters}")
        return _Sql(str(compiled), True, tuple(compiled.params[name] for name in order[given:]))

    def _ready(self, sql: _Sql, values: tuple[Any, ...]) -> tuple[Any, ...] | dict[str, Any]:
        if sql.positional:
            return values + sql.constants
        return dict(zip(self._parameters, values, strict=True))


class PreparedList:
    """A select over an IN list of any length, in pieces of at most 500, each padded to one of a few lengths.

    `build(members)` gives the statement; `before` and `after` name the parameters that stand before and after the list.
    """

    def __init__(
        self,
        build: Callable[[list[ColumnElement[Any]]], Executable],
        *,
        before: tuple[str, ...] = (),
        after: tuple[str, ...] = (),
    ) -> None:
        self._before, self._after = before, after

        @cache
        def sized(length: int) -> Prepared:
            names = [f"member_{place}" for place in range(length)]
            return Prepared(build([bindparam(name) for name in names]), *before, *names, *after)

        self._sized = sized

    def rows(
        self,
        connection: Connection,
        members: Iterable[Any],
        *,
        before: tuple[Any, ...] = (),
        after: tuple[Any, ...] = (),
    ) -> Iterator[Sequence[Any]]:
        """The rows for all members; a member named twice counts once."""
        for piece in chunks(list(dict.fromkeys(members)), LIST_SIZES[-1]):
            size = next(length for length in LIST_SIZES if length >= len(piece))
            padded = [*piece, *[piece[-1]] * (size - len(piece))]
            yield from self._sized(size).one(connection, *before, *padded, *after).all()


def chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The values in pieces of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]

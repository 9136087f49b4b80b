"""The one meaning of a filter, as SQL over the stored JSON. Faster paths are tested against this.

Text is equal when it is the same, case and all. Numbers are equal by value, dates by instant, uuids without regard to case.
For an array property one equal element is enough. Names are checked against the definition; values are always bound.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, and_, bindparam, func, literal, select
from sqlalchemy.engine import Connection

from minivec.errors import InvalidInput, LimitExceeded
from minivec.storage.dates import instant
from minivec.storage.tables import objects
from minivec.types.collection import CollectionConfig
from minivec.types.filter import And, Equal, Filter, FilterValue

CONDITIONS_MOST = 100

_UNSAFE_NAME = re.compile(r'["\\\x00-\x1f]')
_INT_LIMIT = 2**63


def matching(connection: Connection, where: Filter, config: CollectionConfig, after_doc: int, limit: int) -> list[int]:
    """Up to `limit` greater doc ids of objects the filter matches, ascending.

    Raises InvalidInput (an unknown property, a value of the wrong type) and LimitExceeded (too many conditions).
    """
    condition = _condition(where, config)
    statement = (
        select(objects.c.doc_id)
        .where(objects.c.doc_id > bindparam("after"), condition)
        .order_by(objects.c.doc_id)
        .limit(bindparam("most"))
    )
    return list(connection.execute(statement, {"after": after_doc, "most": limit}).scalars())


def check_filter(where: Filter, config: CollectionConfig) -> None:
    """Raise InvalidInput or LimitExceeded where a filter does not fit the definition."""
    _condition(where, config)


def _condition(where: Filter, config: CollectionConfig) -> ColumnElement[bool]:
    equals = list(_equals(where))
    if len(equals) > CONDITIONS_MOST:
        raise LimitExceeded(
            f"A filter has at most {CONDITIONS_MOST} conditions, this one {len(equals)}.", field="where"
        )
    return and_(literal(1) == literal(1), *(_equal(part, config) for part in equals))


def _equals(where: Filter) -> Iterator[Equal]:
    waiting: list[Filter] = [where]
    while waiting:  # no recursion: a deeply nested filter must not end in a stack overflow
        part = waiting.pop()
        if isinstance(part, And):
            waiting.extend(reversed(part.filters))
        else:
            yield part


def _equal(where: Equal, config: CollectionConfig) -> ColumnElement[bool]:
    prop = config.property_named(where.property)
    if prop is None:
        known = ", ".join(p.name for p in config.properties) or "none"
        raise InvalidInput(
            f"There is no property {where.property!r}.", hint=f"Known properties: {known}.", field="where.property"
        )
    if _UNSAFE_NAME.search(prop.name):
        raise InvalidInput(f"Property {prop.name!r} cannot be filtered by: its name.", field="where.property")
    element = func.json_each(objects.c.properties, f'$."{prop.name}"').table_valued("value", "type")
    test = _test(element.c.value, element.c.type, prop.data_type.removesuffix("[]"), where)
    return select(literal(1)).select_from(element).where(test).correlate(objects).exists()


def _test(value: Any, json_type: Any, data_type: str, where: Equal) -> ColumnElement[bool]:
    wanted = where.value
    if data_type == "boolean" and isinstance(wanted, bool):
        return and_(json_type == ("true" if wanted else "false"))
    if data_type in ("int", "number") and isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        # read by SQLite from the same JSON text as the stored number, so that both round alike
        number = func.json_extract(_number_text(wanted, where), "$")
        return and_(json_type.in_(["integer", "real"]), value == number)
    if data_type in ("text", "date", "uuid") and isinstance(wanted, str):
        return and_(json_type == "text", _text_test(value, data_type, _checked_text(wanted, where)))
    raise _wrong_value(where, data_type)


def _text_test(value: Any, data_type: str, wanted: str) -> ColumnElement[bool]:
    if data_type == "text":
        return value == wanted  # type: ignore[no-any-return]
    if data_type == "uuid":
        return func.lower(value) == _canonical_uuid(wanted)
    moment = instant(wanted)
    if moment is None:
        raise InvalidInput(f"{wanted!r} is not a date.", hint="Write it as 2024-05-01T12:00:00Z.", field="where.value")
    return func.minivec_instant(value) == moment


def _number_text(wanted: FilterValue, where: Equal) -> str:
    if isinstance(wanted, float) and not math.isfinite(wanted):
        raise InvalidInput("A number must be finite.", field="where.value")
    if isinstance(wanted, int) and not -_INT_LIMIT <= wanted < _INT_LIMIT:
        raise InvalidInput("A whole number must fit in 64 bits.", field="where.value")
    return orjson.dumps(where.value).decode()


def _checked_text(wanted: str, where: Equal) -> str:
    try:
        wanted.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"The value for {where.property!r} is not valid Unicode.", field="where.value") from error
    if "\0" in wanted:
        raise InvalidInput(f"The value for {where.property!r} holds a NUL character.", field="where.value")
    return wanted


def _canonical_uuid(wanted: str) -> str:
    try:
        return str(UUID(wanted))
    except ValueError as error:
        raise InvalidInput(f"{wanted!r} is not a uuid.", field="where.value") from error


def _wrong_value(where: Equal, data_type: str) -> InvalidInput:
    if data_type == "object":
        return InvalidInput(
            f"Property {where.property!r} is an object; filters compare plain values.", field="where.property"
        )
    kind = type(where.value).__name__
    return InvalidInput(f"Property {where.property!r} is {data_type}, the value is {kind}.", field="where.value")

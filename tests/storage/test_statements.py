"""Prepared statements hand values over in their order, whatever the dialect calls them."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, create_engine, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from minivec.storage import reading, statements, tables
from minivec.storage.statements import Prepared, PreparedList, chunks
from minivec.storage.tables import meta, objects

ENGINE = create_engine("sqlite://")


def test_a_wrong_order_is_our_mistake() -> None:
    statement = select(meta).where(meta.c.key == bindparam("a"), meta.c.value == bindparam("b"))
    with ENGINE.connect() as connection, pytest.raises(AssertionError, match="parameters"):
        Prepared(statement, "b", "a").one(connection, 1, 2)


def test_a_limit_keeps_its_own_constants_behind() -> None:
    with ENGINE.begin() as connection:
        tables.truth.create_all(connection)
        add = Prepared(meta.insert(), "key", "value")
        add.many(connection, [(f"k{number}", "v") for number in range(5)])
        add.many(connection, [])
        some = Prepared(select(meta.c.key).order_by(meta.c.key).limit(bindparam("most")), "most")
        assert [row[0] for row in some.one(connection, 2)] == ["k0", "k1"]


@pytest.mark.parametrize("length", [0, 1, 2, 4, 5, 17, 65, 251, 500, 501, 1003])
def test_lists_of_any_length_give_each_row_once(length: int) -> None:
    found = PreparedList(lambda members: select(meta.c.key).where(meta.c.key.in_(members)))
    with create_engine("sqlite://").begin() as connection:
        tables.truth.create_all(connection)
        Prepared(meta.insert(), "key", "value").many(connection, [(f"k{number}", "v") for number in range(1100)])
        members = [f"k{number}" for number in range(length)]
        assert sorted(row[0] for row in found.rows(connection, members * 2)) == sorted(members)


def test_no_statement_has_thousands_of_parameters() -> None:
    assert max(statements.LIST_SIZES) <= 500


def test_chunks_lose_nothing() -> None:
    assert [list(piece) for piece in chunks(range(7), 3)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_the_tables_and_statements_are_not_sqlites_alone() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in tables.truth.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))
    page = reading._PAGE._compile(dialect)
    assert not page.positional
    assert reading._PAGE._ready(page, (7, 10)) == {"after": 7, "most": 10}
    assert "BIGINT" in str(CreateTable(objects).compile(dialect=dialect))

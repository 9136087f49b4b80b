"""The disk format: every table of a collection's `truth.db` and of the root's `catalog.db`, and their format numbers.

Counters (`next_doc_id`, `next_sequence`) live in `meta` and move in the transaction that uses them; no number is given
twice. Times are microseconds since 1970 (UTC). Checksums are CRC-32, see `checksums.py`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, SmallInteger, String, Table, Text

FORMAT = 1
CATALOG_FORMAT = 1

# SQLite keeps a table in key order, without a second index, only when its key is called INTEGER.
_Key = BigInteger().with_variant(Integer(), "sqlite")

truth = MetaData()
catalog = MetaData()

meta = Table(
    "meta",
    truth,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

objects = Table(
    "objects",
    truth,
    Column("doc_id", _Key, primary_key=True, autoincrement=False),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("bucket", SmallInteger, nullable=False),  # crc32(uuid) % 256: a stable part of the collection
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("properties", Text, nullable=False),  # compact JSON
    Column("content_hash", LargeBinary),
    Column("checksum", BigInteger, nullable=False),
)

vectors = Table(
    "vectors",
    truth,
    Column("doc_id", BigInteger, primary_key=True, autoincrement=False),
    Column("space", String, primary_key=True),
    Column("text_hash", LargeBinary),  # NULL: the user gave the vector
    Column("tokens", Integer, nullable=False),
    Column("cut", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),  # float32, little-endian
    Column("checksum", BigInteger, nullable=False),
)

changes = Table(
    "changes",
    truth,
    Column("sequence", _Key, primary_key=True, autoincrement=False),
    Column("doc_id", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),  # 1 insert, -1 delete
)

followers = Table(
    "followers",
    truth,
    Column("name", String, primary_key=True),
    Column("cursor", Text, nullable=False),
    Column("saved_at", BigInteger, nullable=False),
)

catalog_meta = Table(
    "meta",
    catalog,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

collections = Table(
    "collections",
    catalog,
    Column("id", String(32), primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
)

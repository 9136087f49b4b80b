"""Every operation of the handle as a function from its arguments to a Call: builds the request, knows how to read the reply.

No I/O. The first argument is the collection's name; the rest is what the method of the handle takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from minivec.client.wire import (
    Call,
    Reply,
    encode,
    path_of,
    raise_for_error,
    read_json,
    reads,
    reads_member,
    unexpected,
)
from minivec.errors import MinivecError, ObjectNotFound, by_code
from minivec.types.answer import Answer
from minivec.types.codec import to_plain
from minivec.types.collection import CollectionConfig, CollectionInfo, KeywordOptions, Property, Vectorizer, VectorSpace
from minivec.types.filter import Filter, filter_to_plain
from minivec.types.object import DeleteReport, ObjectPage, Outcome, StoredObject, Vector
from minivec.types.query import Fusion, Rerank
from minivec.types.reembed import ReembedJob

_read_info = reads(CollectionInfo)
_read_outcome = reads(Outcome)
_read_outcomes = reads_member("outcomes", Outcome)


def _read_config(reply: Reply) -> CollectionConfig:
    return _read_info(reply).config


def _read_count(reply: Reply) -> int:
    return _read_info(reply).count


def server_version() -> Call[dict[str, Any]]:
    """What the server is: its release, the version of its API, of SQLite, and of the format on disk."""

    def read(reply: Reply) -> dict[str, Any]:
        found = read_json(reply)
        if not isinstance(found, dict) or "minivec" not in found:
            raise unexpected(reply, "it names no version of minivec")
        return found

    return Call(method="GET", path=path_of("version"), read=read)


def list_collections() -> Call[tuple[CollectionInfo, ...]]:
    """Every collection, by name."""
    return Call(method="GET", path=path_of("collections"), read=reads_member("collections", CollectionInfo))


def create_collection(
    name: str,
    *,
    description: str = "",
    properties: Sequence[Property] = (),
    vector_spaces: Sequence[VectorSpace] | None = None,
    keyword: KeywordOptions | None = None,
    auto_schema: bool = True,
) -> Call[CollectionInfo]:
    """A new collection. Not repeatable: the second time it exists already."""
    config = CollectionConfig(
        name=name,
        description=description,
        properties=tuple(properties),
        vector_spaces=(VectorSpace(),) if vector_spaces is None else tuple(vector_spaces),
        keyword=keyword or KeywordOptions(),
        auto_schema=auto_schema,
    )
    body = encode(to_plain(config))
    return Call(method="POST", path=path_of("collections"), body=body, read=_read_info, repeatable=False)


def drop_collection(name: str) -> Call[None]:
    """The collection and everything in it, gone. Not repeatable: the second time it is not there."""
    return Call(method="DELETE", path=path_of("collections", name), read=raise_for_error, repeatable=False)


def describe(name: str) -> Call[CollectionInfo]:
    """The collection's definition, the number of its objects, and how far each index follows."""
    return Call(method="GET", path=path_of("collections", name), read=_read_info)


def count(name: str) -> Call[int]:
    """How many objects the collection holds."""
    return Call(method="GET", path=path_of("collections", name), read=_read_count)


def update(name: str, *, description: str | None = None) -> Call[CollectionConfig]:
    """Change what may change in place; None leaves it as it is."""
    path = path_of("collections", name)
    if description is None:
        return Call(method="GET", path=path, read=_read_config)
    return Call(method="PATCH", path=path, body=encode({"description": description}), read=_read_config)


def add_property(name: str, prop: Property) -> Call[CollectionConfig]:
    """Add a property to the definition. Raises Conflict or InvalidInput when it does not fit."""
    path = path_of("collections", name, "properties")
    return Call(method="POST", path=path, body=encode(to_plain(prop)), read=_read_config, repeatable=False)


def add_vector_space(name: str, space: VectorSpace) -> Call[CollectionConfig]:
    """Add a vector space; one with a vectorizer is filled from the stored text."""
    path = path_of("collections", name, "vector-spaces")
    return Call(method="POST", path=path, body=encode(to_plain(space)), read=_read_config, repeatable=False)


def drop_vector_space(name: str, space: str) -> Call[CollectionConfig]:
    """Delete a vector space with its vectors and its index. Not repeatable: the second time it is not there."""
    path = path_of("collections", name, "vector-spaces", space)
    return Call(method="DELETE", path=path, read=_read_config, repeatable=False)


def reembed(
    name: str,
    space: str,
    *,
    vectorizer: Vectorizer | None = None,
    model: str | None = None,
    base_url: str | None = None,
    dimension: int | None = None,
    skip_refused: bool = False,
) -> Call[ReembedJob]:
    """Start to make a space's vectors anew with another model; None leaves a choice as it is."""
    choice = {"vectorizer": vectorizer, "model": model, "base_url": base_url, "dimension": dimension}
    body = encode({**choice, "skip_refused": skip_refused})
    path = path_of("collections", name, "vector-spaces", space, "reembed")
    return Call(method="POST", path=path, body=body, read=reads(ReembedJob), repeatable=False)


def switch_back(name: str, space: str, *, to: str | None = None, skip_refused: bool = False) -> Call[ReembedJob]:
    """Start to give a space's name back to the vectors kept last, or to those of the space `to`."""
    body = encode({"to": to, "skip_refused": skip_refused})
    path = path_of("collections", name, "vector-spaces", space, "switch-back")
    return Call(method="POST", path=path, body=body, read=reads(ReembedJob), repeatable=False)


def reembed_job(name: str, space: str) -> Call[ReembedJob]:
    """How far the reembed of a space is, or how it ended. Raises NotFound when the server knows of none."""
    path = path_of("collections", name, "vector-spaces", space, "reembed")
    return Call(method="GET", path=path, read=reads(ReembedJob))


def cancel_reembed(name: str, space: str) -> Call[ReembedJob]:
    """Let the reembed of a space end after its batch; what is done stays done. Raises NotFound when there is none."""
    path = path_of("collections", name, "vector-spaces", space, "reembed")
    return Call(method="DELETE", path=path, read=reads(ReembedJob))


def insert(
    name: str, properties: Mapping[str, Any], *, uuid: str | None = None, vectors: Mapping[str, Vector] | None = None
) -> Call[Outcome]:
    """Store a new object; without a uuid it gets a random one. Raises ObjectExists, InvalidInput, or what else refuses it."""
    if uuid is not None:
        return _store_one(name, _draft(properties, vectors, uuid), "insert")
    # Under a uuid of our own an insert is an upsert, which may be sent twice.
    call = _store_one(name, _draft(properties, vectors, str(uuid4())), "upsert")
    return dataclasses.replace(call, read=lambda reply: as_inserted(call.read(reply)))


def upsert(
    name: str, uuid: str, properties: Mapping[str, Any], *, vectors: Mapping[str, Vector] | None = None
) -> Call[Outcome]:
    """Store an object under this uuid, whether it is there or not. Raises InvalidInput, or what else refuses it."""
    return _write("PUT", name, uuid, _draft(properties, vectors))


def replace(
    name: str, uuid: str, properties: Mapping[str, Any], *, vectors: Mapping[str, Vector] | None = None
) -> Call[Outcome]:
    """Put an object in the place of a stored one. Raises ObjectNotFound, or what else refuses it."""
    return _store_one(name, _draft(properties, vectors, uuid), "replace")


def merge(
    name: str, uuid: str, properties: Mapping[str, Any], *, vectors: Mapping[str, Vector] | None = None
) -> Call[Outcome]:
    """Change some properties of a stored object; None removes one. Raises ObjectNotFound, or what else refuses it."""
    return _write("PATCH", name, uuid, _draft(properties, vectors))


def get(name: str, uuid: str, *, vectors: Sequence[str] = ()) -> Call[StoredObject]:
    """One object by its uuid, with the vectors of the spaces named. Raises ObjectNotFound."""
    path = path_of("collections", name, "objects", uuid)
    return Call(method="GET", path=path, query=_choice(vectors=vectors), read=reads(StoredObject))


def list_objects(
    name: str,
    *,
    limit: int = 100,
    cursor: str | None = None,
    properties: Sequence[str] | None = None,
    vectors: Sequence[str] = (),
) -> Call[ObjectPage]:
    """A page of objects; its `cursor` goes into the next call and is None at the end."""
    query = {"limit": str(limit), **_choice(properties=properties, vectors=vectors)}
    if cursor is not None:
        query["cursor"] = cursor
    read = _read_bare_page if properties is not None and not properties else reads(ObjectPage)
    return Call(method="GET", path=path_of("collections", name, "objects"), query=query, read=read)


def delete(name: str, uuid: str) -> Call[bool]:
    """Delete one object; False when there was none of this uuid."""

    def read(reply: Reply) -> bool:
        try:
            raise_for_error(reply)
        except ObjectNotFound:
            return False
        return True

    path = path_of("collections", name, "objects", uuid)
    return Call(method="DELETE", path=path, read=read)


def delete_where(name: str, where: Filter, *, dry_run: bool = False) -> Call[DeleteReport]:
    """Delete every object the filter matches; a dry run only counts them."""
    body = encode({"where": filter_to_plain(where), "dry_run": dry_run})
    path = path_of("collections", name, "objects", "delete")
    return Call(method="POST", path=path, body=body, read=reads(DeleteReport), repeatable=dry_run)


def near_text(
    name: str,
    text: str,
    *,
    space: str | None = None,
    distance: float | None = None,
    certainty: float | None = None,
    limit: int = 10,
    offset: int = 0,
    properties: Sequence[str] | None = None,
    vectors: Sequence[str] = (),
    rerank: Rerank | None = None,
) -> Call[Answer]:
    """Objects whose vectors are near that of the text, embedded by the space's own model as a query."""
    near = {"text": text, "space": space, "distance": distance, "certainty": certainty}
    return _search(name, "near-text", near, _paging(limit, offset, properties, vectors), rerank)


def near_vector(
    name: str,
    vector: Vector,
    *,
    space: str | None = None,
    distance: float | None = None,
    certainty: float | None = None,
    limit: int = 10,
    offset: int = 0,
    properties: Sequence[str] | None = None,
    vectors: Sequence[str] = (),
    rerank: Rerank | None = None,
) -> Call[Answer]:
    """Objects whose vectors are near this one."""
    near = {"vector": vector, "space": space, "distance": distance, "certainty": certainty}
    return _search(name, "near-vector", near, _paging(limit, offset, properties, vectors), rerank)


def near_object(
    name: str,
    uuid: str,
    *,
    space: str | None = None,
    distance: float | None = None,
    certainty: float | None = None,
    limit: int = 10,
    offset: int = 0,
    properties: Sequence[str] | None = None,
    vectors: Sequence[str] = (),
    rerank: Rerank | None = None,
) -> Call[Answer]:
    """Objects whose vectors are near the stored vector of this one; the object itself comes first."""
    near = {"uuid": uuid, "space": space, "distance": distance, "certainty": certainty}
    return _search(name, "near-object", near, _paging(limit, offset, properties, vectors), rerank)


def keyword(
    name: str,
    text: str,
    *,
    query_properties: Sequence[str] | None = None,
    limit: int = 10,
    offset: int = 0,
    properties: Sequence[str] | None = None,
    vectors: Sequence[str] = (),
    rerank: Rerank | None = None,
) -> Call[Answer]:
    """BM25F over text properties; one may carry a boost: `title^2`. None means every searchable property."""
    words = {"text": text, "query_properties": query_properties}
    return _search(name, "keyword", words, _paging(limit, offset, properties, vectors), rerank)


def hybrid(
    name: str,
    text: str,
    *,
    alpha: float = 0.5,
    fusion: Fusion = "relative-score",
    vector: Vector | None = None,
    space: str | None = None,
    query_properties: Sequence[str] | None = None,
    max_vector_distance: float | None = None,
    limit: int = 10,
    offset: int = 0,
    properties: Sequence[str] | None = None,
    vectors: Sequence[str] = (),
    rerank: Rerank | None = None,
) -> Call[Answer]:
    """Keyword and vector search fused. `alpha` is the weight of the vector leg: 0 only words, 1 only vectors."""
    both = {
        "text": text,
        "alpha": alpha,
        "fusion": fusion,
        "vector": vector,
        "space": space,
        "query_properties": query_properties,
        "max_vector_distance": max_vector_distance,
    }
    return _search(name, "hybrid", both, _paging(limit, offset, properties, vectors), rerank)


def import_batch(
    name: str, lines: Sequence[bytes], *, mode: str, id_from: Sequence[str] | None, repeatable: bool
) -> Call[tuple[Outcome, ...]]:
    """One request of an import: drafts that are JSON already, one outcome each in their order."""
    head: dict[str, Any] = {"mode": mode} if id_from is None else {"mode": mode, "id_from": list(id_from)}
    body = b'{"objects":[' + b",".join(lines) + b"]," + encode(head)[1:]

    def read(reply: Reply) -> tuple[Outcome, ...]:
        outcomes = _read_outcomes(reply)
        if len(outcomes) != len(lines):
            raise unexpected(reply, f"{len(outcomes)} outcomes for {len(lines)} objects")
        return outcomes

    path = path_of("collections", name, "objects")
    return Call(method="POST", path=path, body=body, read=read, repeatable=repeatable, tries=10)


def as_inserted(outcome: Outcome) -> Outcome:
    """The outcome of an upsert under a fresh uuid, as of the insert it stands for: found there means stored by us."""
    if not outcome.stored or outcome.status == "inserted":
        return outcome
    return Outcome(index=outcome.index, status="inserted", uuid=outcome.uuid, tokens=outcome.tokens)


def _draft(
    properties: Mapping[str, Any], vectors: Mapping[str, Vector] | None, uuid: str | None = None
) -> dict[str, Any]:
    draft: dict[str, Any] = {"properties": properties}
    if uuid is not None:
        draft["uuid"] = uuid
    if vectors:
        draft["vectors"] = vectors
    return draft


def _store_one(name: str, draft: Mapping[str, Any], mode: str) -> Call[Outcome]:
    body = encode({"objects": [draft], "mode": mode})
    path = path_of("collections", name, "objects")
    repeatable = mode != "insert"
    return Call(method="POST", path=path, body=body, read=_read_only_outcome, repeatable=repeatable)


def _write(method: str, name: str, uuid: str, draft: Mapping[str, Any]) -> Call[Outcome]:
    path = path_of("collections", name, "objects", uuid)
    return Call(method=method, path=path, body=encode(draft), read=lambda reply: _raise_refusal(_read_outcome(reply)))


def _read_only_outcome(reply: Reply) -> Outcome:
    outcomes = _read_outcomes(reply)
    if len(outcomes) != 1:
        raise unexpected(reply, f"{len(outcomes)} outcomes for one object")
    return _raise_refusal(outcomes[0])


def _raise_refusal(outcome: Outcome) -> Outcome:
    if outcome.stored:
        return outcome
    kind = by_code().get(outcome.code, MinivecError)
    raise kind(outcome.reason, hint=outcome.hint, field=outcome.field)


def _choice(**names: Sequence[str] | None) -> dict[str, str]:
    return {key: ",".join(chosen) for key, chosen in names.items() if chosen}


def _read_bare_page(reply: Reply) -> ObjectPage:
    """A page whose objects were wanted without properties, which a list of names in a URL cannot say."""
    page = reads(ObjectPage)(reply)
    return dataclasses.replace(page, objects=tuple(dataclasses.replace(found, properties={}) for found in page.objects))


def _paging(limit: int, offset: int, properties: Sequence[str] | None, vectors: Sequence[str]) -> dict[str, Any]:
    paging = {"limit": limit, "offset": offset, "vectors": list(vectors)}
    return paging if properties is None else paging | {"properties": list(properties)}


def _search(
    name: str, kind: str, arguments: Mapping[str, Any], paging: Mapping[str, Any], rerank: Rerank | None
) -> Call[Answer]:
    given = {key: value for key, value in {**arguments, "rerank": rerank}.items() if value is not None}
    path = path_of("collections", name, "search", kind)
    return Call(method="POST", path=path, body=encode({**given, **paging}), read=reads(Answer))

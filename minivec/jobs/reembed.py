"""Makes the vectors of a space anew with another model while the old ones go on answering, and then switches.

The new space is filled beside the old one under the name `<space>_next`; imports fill both. The switch is one change of the
definition: the name goes to the new vectors, the old ones are kept as `<space>_before`, which imports fill no more. Nothing
is copied and no index is rebuilt, as vectors and indexes go by keys of their own. Killed or cancelled at any moment, the
same call goes on from where it stopped.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count as counting

from minivec.errors import Conflict, EmbeddingFailed, InvalidInput
from minivec.ingest.check import check_property_name
from minivec.jobs.fill import Filled, fill
from minivec.progress import Report
from minivec.shard import Shard
from minivec.storage.reading import count
from minivec.storage.vectors import count_vectors
from minivec.types.collection import DEFAULT_MODELS, NEXT, CollectionConfig, Vectorizer, VectorSpace
from minivec.types.reembed import Reembedded
from minivec.vectorizer import Vectorizers


@dataclass(frozen=True, kw_only=True, slots=True)
class NewModel:
    """What is to make the vectors; None leaves it as it is."""

    vectorizer: Vectorizer | None = None
    model: str | None = None
    base_url: str | None = None
    dimension: int | None = None

    def of(self, space: VectorSpace) -> VectorSpace:
        """The space as this model would fill it, not yet settled."""
        vectorizer = self.vectorizer or space.vectorizer
        same = vectorizer == space.vectorizer
        return replace(
            space,
            vectorizer=vectorizer,
            model=self.model or (space.model if same else DEFAULT_MODELS.get(vectorizer, "")),
            base_url=(space.base_url if same else "") if self.base_url is None else self.base_url,
            dimension=self.dimension,
            fingerprint=None,
            stored_as="",
            kept_for="",
        )


def reembed(
    shard: Shard, vectorizers: Vectorizers, space: VectorSpace, new: NewModel, tell: Report, *, skip_refused: bool
) -> Reembedded:
    """Fill the space anew and switch; a space kept from before with these very vectors is filled up instead.

    Raises Conflict while another reembed of the space is unfinished, EmbeddingFailed when texts were refused (unless
    they may be skipped), InvalidInput, and what the embedder raises.
    """
    began = time.perf_counter()
    _check_current(space)
    wanted = vectorizers.settle(new.of(space))
    if wanted.vectorizer == "none":
        raise InvalidInput(
            "No model makes the vectors of vectorizer none.", field="vectorizer", hint="Name one, and a model."
        )
    if wanted.fingerprint == space.fingerprint:
        return _same_vectors(shard, space, wanted, began)
    shard.change(lambda config: _begun(config, space, wanted))
    return _finish(shard, vectorizers, space, tell, began, skip_refused=skip_refused)


def switch_back(
    shard: Shard, vectorizers: Vectorizers, space: VectorSpace, to: str | None, tell: Report, *, skip_refused: bool
) -> Reembedded:
    """Give the name back to the space kept last, or to the one named, once what was imported since has its vectors there.

    Raises InvalidInput when there is none, Conflict while another reembed is unfinished, and what `reembed` raises.
    """
    began = time.perf_counter()
    _check_current(space)
    shard.change(lambda config: _returning(config, space, to))
    return _finish(shard, vectorizers, space, tell, began, skip_refused=skip_refused)


def next_name(name: str) -> str:
    """The name of a space while it is filled to take over this one."""
    return f"{name}{NEXT}"


def _check_current(space: VectorSpace) -> None:
    if space.kept_for:
        raise InvalidInput(
            f"Space {space.name!r} is kept from before {space.kept_for!r} was made anew.",
            field="space",
            hint=f"switch_back({space.kept_for!r}) brings it back.",
        )


def _begun(config: CollectionConfig, space: VectorSpace, wanted: VectorSpace) -> CollectionConfig:
    """The definition with the space to fill: the unfinished one of an earlier call, a kept one, or a new one."""
    name = next_name(space.name)
    unfinished = config.space_named(name)
    if unfinished is not None:
        if _same_choice(unfinished, wanted):
            return config
        raise _unfinished(space, unfinished)
    for kept in _kept(config, space):
        if _same_choice(kept, wanted):
            return _renamed(config, kept, name)
    check_property_name(name, "space")
    check_property_name(_free_name(config, space.name), "space")
    return config.with_space(replace(wanted, name=name, stored_as=f"{space.name[:200]}-{secrets.token_hex(4)}"))


def _returning(config: CollectionConfig, space: VectorSpace, to: str | None) -> CollectionConfig:
    unfinished = config.space_named(next_name(space.name))
    kept = [one for one in _kept(config, space) if to in (None, one.name)]
    if unfinished is not None and not kept and to is None:
        return config  # an earlier call was interrupted
    if unfinished is not None:
        raise _unfinished(space, unfinished)
    if not kept:
        known = ", ".join(one.name for one in _kept(config, space)) or "none"
        raise InvalidInput(
            f"No space {'' if to is None else repr(to) + ' '}is kept for {space.name!r}.",
            field="to",
            hint=f"Kept: {known}.",
        )
    return _renamed(config, kept[-1], next_name(space.name))


def _finish(
    shard: Shard, vectorizers: Vectorizers, space: VectorSpace, tell: Report, began: float, *, skip_refused: bool
) -> Reembedded:
    filled = _fill(shard, vectorizers, next_name(space.name), tell)
    if filled.refused and not skip_refused:
        raise EmbeddingFailed(
            f"{filled.refused} objects have no vector by the new model; the first: {filled.reason}",
            hint="Correct them and call again (what is done stays done), or skip_refused=True to switch without them.",
        )
    config = shard.change(lambda config: _switched(config, space))
    kept = next(one.name for one in config.vector_spaces if one.key == space.key)
    return Reembedded(
        space=space.name,
        kept_as=kept,
        vectors=filled.made,
        refused=filled.refused,
        seconds=time.perf_counter() - began,
    )


def _fill(shard: Shard, vectorizers: Vectorizers, name: str, tell: Report) -> Filled:
    target = shard.truth.config.space_named(name)
    with shard.truth.read() as connection:
        total = count(connection)
        done = 0 if target is None else count_vectors(connection, target.key)
    tell(done, total)

    def watch(passed: int) -> None:
        nonlocal done
        done += passed
        tell(min(done, total), total)

    return fill(shard, name, vectorizers, watch)


def _switched(config: CollectionConfig, space: VectorSpace) -> CollectionConfig:
    """The definition in which the name means the new vectors: the whole switch, as one durable change."""
    old, new = config.space_named(space.name), config.space_named(next_name(space.name))
    if old is None or new is None or old.key != space.key:
        raise Conflict(
            f"Space {space.name!r} was switched or dropped meanwhile.", field="space", hint="Look at describe()."
        )
    kept = replace(old, name=_free_name(config, old.name), stored_as=old.key, kept_for=old.name)
    current = replace(new, name=old.name)
    others = [current if one is old else one for one in config.vector_spaces if one is not new]
    return replace(config, vector_spaces=(*others, kept))


def _same_vectors(shard: Shard, space: VectorSpace, wanted: VectorSpace, began: float) -> Reembedded:
    """The model stays, at most its address changes: every vector stays as well."""
    if (wanted.vectorizer, wanted.base_url) == (space.vectorizer, space.base_url):
        raise InvalidInput(
            f"Space {space.name!r} is filled by this model already.", field="model", hint="Name another model."
        )

    def moved(config: CollectionConfig) -> CollectionConfig:
        known = config.space_named(space.name)
        if known is None or known.key != space.key:
            raise Conflict(f"Space {space.name!r} was switched or dropped meanwhile.", field="space")
        return config.with_space(replace(known, vectorizer=wanted.vectorizer, base_url=wanted.base_url))

    shard.change(moved)
    return Reembedded(space=space.name, kept_as="", vectors=0, refused=0, seconds=time.perf_counter() - began)


def _same_choice(one: VectorSpace, other: VectorSpace) -> bool:
    return _choice(one) == _choice(other)


def _choice(space: VectorSpace) -> VectorSpace:
    """What decides over the vectors; the fingerprint stands for the dimension."""
    return replace(space, name="", stored_as="", kept_for="", dimension=None, base_url="")


def _kept(config: CollectionConfig, space: VectorSpace) -> list[VectorSpace]:
    return [one for one in config.vector_spaces if one.kept_for == space.name]


def _renamed(config: CollectionConfig, kept: VectorSpace, name: str) -> CollectionConfig:
    back = replace(kept, name=name, stored_as=kept.key, kept_for="")
    return replace(config, vector_spaces=tuple(back if one is kept else one for one in config.vector_spaces))


def _free_name(config: CollectionConfig, name: str) -> str:
    return next(free for free in _names(name) if config.space_named(free) is None)


def _names(name: str) -> Iterator[str]:
    yield f"{name}_before"
    for number in counting(2):
        yield f"{name}_before_{number}"


def _unfinished(space: VectorSpace, unfinished: VectorSpace) -> Conflict:
    return Conflict(
        f"A reembed of {space.name!r} to {unfinished.model} is unfinished.",
        field="space",
        hint=f"Finish it with the same call, or give it up: drop_vector_space({unfinished.name!r}).",
    )

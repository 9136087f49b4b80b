"""Which models a caller may name: those that are loaded, and those whose files are at hand. Never a path of the caller's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from minivec.embedding import catalog
from minivec.embedding.engine import EngineHealth
from minivec.embedding.interface import EmbedderSource, InputType
from minivec.embedding.reranker_model import RERANKERS, is_reranker, known_reranker, reranks
from minivec.embedding.spec import ModelSpec
from minivec.errors import ModelNotFound
from minivec.settings import Settings
from minivec_server.nim.errors import NimRefusal
from minivec_server.rest.wire import MODEL

_SUFFIXES: tuple[tuple[str, InputType], ...] = (("-query", "query"), ("-passage", "passage"))


@runtime_checkable
class Reports(Protocol):
    """A source of embedders that can say how it is, as the engine can."""

    def health(self) -> EngineHealth:
        """Whether it is ready, and what it has loaded."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A model by the `id` callers use; `name` is what the engine is asked for, `root` the id it is another name of."""

    id: str
    name: str
    root: str


class Models:
    """The models of one server. `only` names them when they are chosen beforehand."""

    def __init__(self, source: EmbedderSource, settings: Settings, only: Sequence[str] = ()) -> None:
        self._source = source
        self._alias = settings.served_model_name
        self._folder = Path(settings.models).expanduser() if settings.models else None
        self._only = tuple(_named(name) for name in only)

    def health(self) -> EngineHealth:
        """How the engine is; a source that cannot say is taken to be ready."""
        if isinstance(self._source, Reports):
            return self._source.health()
        return EngineHealth(ready=True, devices=(), models=(), waiting_tokens=0, notes=())

    def all(self) -> list[Served]:
        """Every model, the default first, each id once; the chosen served name stands before them."""
        found = {served.id: served for served in self._only or self._at_hand()}
        first = next(iter(found.values()), None)
        if self._alias and first is not None:
            found = {self._alias: Served(id=self._alias, name=first.name, root=self._alias), **found}
        return list(found.values())

    def find(self, requested: str) -> tuple[Served, InputType | None]:
        """The model a request names, and the input type its suffix gives. Raises NimRefusal 404."""
        if served := self._find(requested):
            return served, None
        for suffix, input_type in _SUFFIXES:
            if requested.endswith(suffix) and (served := self._find(requested.removesuffix(suffix))):
                return served, input_type
        known = ", ".join(served.id for served in self.all()) or "none"
        raise NimRefusal(
            f"The model `{requested[:200]}` does not exist. Models of this server: {known}.",
            status=404,
            kind="not_found_error",
        )

    def find_reranker(self, requested: str) -> Served:
        """The reranker a request names. Raises NimRefusal 404."""
        spec = known_reranker(requested)
        wanted = (spec.name if spec else requested).casefold()
        for served in self._only or map(_named, self.health().rerankers):
            if served.id.casefold() == wanted:
                return served
        if not self._only and (found := self._on_disk(requested, spec)):
            return found
        known = ", ".join(served.id for served in self.rerankers()) or "none"
        raise NimRefusal(
            f"The model `{requested[:200]}` does not exist. Rerankers of this server: {known}.",
            status=404,
            kind="not_found_error",
        )

    def rerankers(self) -> list[Served]:
        """Every reranker, the loaded ones first."""
        if self._only:
            return [served for served in self._only if reranks(served.name, self._folder)]
        at_hand = (spec.name for spec in RERANKERS if self._is_at_hand(spec))
        folders = _model_folders(self._folder, rerankers=True)
        return [_named(name) for name in dict.fromkeys([*self.health().rerankers, *at_hand, *folders])]

    def _find(self, id: str) -> Served | None:
        if self._alias and id == self._alias:
            return next(iter(self.all()), None)
        spec = catalog.known(id)
        wanted = (spec.name if spec else id).casefold()
        for served in self._only or self._loaded():
            if served.id.casefold() == wanted:
                return served
        return None if self._only else self._on_disk(id, spec)

    def _on_disk(self, id: str, spec: ModelSpec | None) -> Served | None:
        if spec is not None:
            return _named(spec.name) if self._is_at_hand(spec) else None
        if self._folder is not None and re.fullmatch(MODEL, id) and (self._folder / id / "config.json").is_file():
            return _named(id)
        return None

    def _at_hand(self) -> Iterator[Served]:
        yield from self._loaded()
        yield from (_named(spec.name) for spec in catalog.CATALOG if self._is_at_hand(spec))
        yield from map(_named, _model_folders(self._folder, rerankers=False))

    def _loaded(self) -> list[Served]:
        return [_named(name) for name in self.health().models]

    def _is_at_hand(self, spec: ModelSpec) -> bool:
        try:
            return catalog.folder_of(spec, self._folder).is_dir()
        except ModelNotFound:
            return False


def _named(name: str) -> Served:
    """A model by its name; one that is a path is known by its folder's name, since paths are nobody else's business."""
    if spec := catalog.known(name):
        return Served(id=spec.name, name=name, root=spec.name)
    id = name if re.fullmatch(MODEL, name) else Path(name).expanduser().resolve().name
    return Served(id=id, name=name, root=id)


def _model_folders(root: Path | None, *, rerankers: bool) -> Iterator[str]:
    """The names of the model folders in a folder, `name` or `owner/name`: those of rerankers, or all the others."""
    if root is None:
        return
    for file in sorted([*root.glob("*/config.json"), *root.glob("*/*/config.json")]):
        name = file.parent.relative_to(root)
        nested = len(name.parts) == 2 and (root / name.parts[0] / "config.json").is_file()
        if not nested and re.fullmatch(MODEL, name.as_posix()) and is_reranker(file.parent) == rerankers:
            yield name.as_posix()

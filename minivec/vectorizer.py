"""From a vector space to the embedder that may fill and question it; another model than the one that filled it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from minivec.embedding.interface import Embedder, EmbedderSource, Reranker, RerankerSource
from minivec.embedding.providers import PROVIDERS, Provider, ProviderName
from minivec.embedding.remote import RemoteModel, RemoteSource, remote_fingerprint
from minivec.embedding.remote_address import check_strange_url, parse_base_url
from minivec.embedding.remote_ranking import remote_reranker
from minivec.embedding.remote_refusal import key_places
from minivec.embedding.shortened import at_length
from minivec.errors import FingerprintMismatch, InvalidInput, ModelNotFound
from minivec.types.collection import VectorSpace
from minivec.types.credentials import Credentials
from minivec.types.query import Rerank


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """What the operator says of model services: their addresses, the operator's keys, and whom to trust.

    `guarded`: definitions and credentials come from strangers. An address of theirs must then be https and public
    (unless `allow_private`), and never gets an operator's key.
    """

    base_urls: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    guarded: bool = False
    allow_private: bool = False

    def base_url(self, provider: Provider) -> str:
        """Where the operator says the service is."""
        return parse_base_url(self.base_urls.get(provider.name) or provider.base_url, f"{provider.name}_base_url")


class Vectorizers:
    """Gives each vector space its embedder: a local model, or a service called with the caller's or the operator's key."""

    def __init__(
        self,
        source: EmbedderSource,
        remotes: RemoteSource | None = None,
        services: Services | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self._source = source
        self._remotes = remotes or RemoteSource()
        self._services = services or Services()
        self._credentials = credentials or Credentials()

    def bound(self, credentials: Credentials | None) -> Vectorizers:
        """The same with what one caller brings."""
        if credentials is None:
            return self
        return Vectorizers(self._source, self._remotes, self._services, credentials)

    def guarded(self, *, allow_private: bool) -> Vectorizers:
        """The same for definitions and credentials of strangers; see Services."""
        services = replace(self._services, guarded=True, allow_private=allow_private)
        return Vectorizers(self._source, self._remotes, services, self._credentials)

    def settle(self, space: VectorSpace) -> VectorSpace:
        """The space with its fingerprint and, where the model tells, its dimension; a `none` space comes back unchanged.

        A service is not called: its dimension comes with the first vector. Raises ModelNotFound, WeightsMismatch,
        FingerprintMismatch, InvalidInput for a dimension the model does not have or an address that is not called.
        """
        if space.vectorizer == "none":
            return space
        local = self._local(space)
        if local is None:
            provider = _provider(space)
            self._address(space.base_url, provider)
            length = _asked_dimensions(space, provider.name) if space.fingerprint else space.dimension
            fingerprint = remote_fingerprint(provider.name, space.model, length)
            self._compare(space, fingerprint)
            return replace(space, fingerprint=fingerprint)
        card = local.card
        if space.dimension not in (None, card.dimension):
            raise InvalidInput(
                f"Model {card.name} makes vectors of {card.dimension} dimensions, not {space.dimension}.",
                field="dimension",
                hint=f"Leave `dimension` out{_or_one_of(card.dimensions)}.",
            )
        self._compare(space, card.fingerprint)
        return replace(space, dimension=card.dimension, fingerprint=card.fingerprint)

    def of(self, space: VectorSpace) -> Embedder:
        """The embedder of a space of a collection.

        Raises InvalidInput for a `none` space or a missing key, FingerprintMismatch, ModelNotFound, WeightsMismatch.
        """
        if space.vectorizer == "none":
            raise InvalidInput(
                f"Vector space {space.name!r} has no vectorizer, so it cannot embed text.",
                field="space",
                hint="Search it with near_vector or near_object, or give hybrid a `vector`.",
            )
        embedder = self._local(space) or self._remote(space)
        self._compare(space, embedder.card.fingerprint)
        return embedder

    def reranker(self, rerank: Rerank) -> Reranker:
        """What reranks: this machine's model, or with `nvidia` and where there is none of this name, the service.

        Raises ModelNotFound, WeightsMismatch, InvalidInput for a missing key or an address that is not called.
        """
        if rerank.service == "local":
            return self._local_reranker(rerank.model)
        if not (rerank.base_url or self._credentials.nvidia_base_url):
            try:
                return self._local_reranker(rerank.model)
            except ModelNotFound:
                pass
        provider = PROVIDERS["nvidia"]
        address, strange = self._address(rerank.base_url, provider)
        model = RemoteModel(
            provider=provider.name,
            name=rerank.model,
            base_url=address,
            guarded=strange and not self._services.allow_private,
            key=self._key(provider, address, strange=strange),
        )
        return remote_reranker(self._remotes, model)

    def _local_reranker(self, model: str) -> Reranker:
        if not isinstance(self._source, RerankerSource):
            raise ModelNotFound(f"What embeds here has no reranker, so none named {model!r}.")
        return self._source.reranker(model)

    def _local(self, space: VectorSpace) -> Embedder | None:
        """The engine's embedder; None for a space whose vectors a service makes.

        A space that names an address means the service there. What filled a space goes on filling it.
        """
        if space.vectorizer == "local":
            return at_length(self._source.embedder(space.model), space.dimension)
        filled_remotely = (space.fingerprint or "").startswith(_REMOTE)
        named = space.base_url or (space.vectorizer == "nvidia" and self._credentials.nvidia_base_url)
        if space.vectorizer == "openai" or filled_remotely or (named and not space.fingerprint):
            return None
        try:
            return at_length(self._source.embedder(space.model), space.dimension)
        except ModelNotFound:
            return None

    def _remote(self, space: VectorSpace) -> Embedder:
        provider = _provider(space)
        address, strange = self._address(space.base_url, provider)
        model = RemoteModel(
            provider=provider.name,
            name=space.model,
            base_url=address,
            dimensions=_asked_dimensions(space, provider.name),
            dimension=space.dimension,
            guarded=strange and not self._services.allow_private,
            key=self._key(provider, address, strange=strange),
        )
        return self._remotes.embedder(model)

    def _address(self, wished: str, provider: Provider) -> tuple[str, bool]:
        """Where to call if a definition wishes for this address, and whether a stranger chose it.

        Raises InvalidInput for what strangers may not choose.
        """
        own = self._services.base_url(provider)
        brought = self._credentials.nvidia_base_url if provider.name == "nvidia" else ""
        chosen = brought or wished
        if not chosen:
            return own, False
        address = parse_base_url(chosen, "X-NVIDIA-BaseURL" if brought else "base_url")
        strange = self._services.guarded and address != own
        if strange and not self._services.allow_private:
            check_strange_url(address)
        return address, strange

    def _key(self, provider: Provider, address: str, *, strange: bool) -> str:
        brought = {"nvidia": self._credentials.nvidia_api_key, "openai": self._credentials.openai_api_key}
        key = brought[provider.name] or ("" if strange else self._services.keys.get(provider.name, ""))
        if not key and address == provider.base_url:
            raise InvalidInput(
                f"There is no API key for {provider.label}: neither in the request header {provider.header} "
                f"nor in the environment variable {' or '.join(provider.variables)}.",
                field=provider.header,
                hint=f"{key_places(provider)} A base_url of a service of your own needs none.",
            )
        return key

    @staticmethod
    def _compare(space: VectorSpace, fingerprint: str) -> None:
        if space.fingerprint not in (None, fingerprint):
            raise FingerprintMismatch(
                f"The vectors of space {space.name!r} were made by another version of {space.model} "
                f"(fingerprint {space.fingerprint}, loaded {fingerprint}).",
                field="space",
                hint=f"Load the model that made them, or make them anew from the stored text: reembed({space.name!r}).",
            )


_REMOTE = "remote-"


def _provider(space: VectorSpace) -> Provider:
    name: ProviderName = "nvidia" if space.vectorizer == "nvidia" else "openai"
    return PROVIDERS[name]


def _asked_dimensions(space: VectorSpace, provider: ProviderName) -> int | None:
    """The length a space asks its service for; None when its dimension was only learnt from the vectors."""
    asked = remote_fingerprint(provider, space.model, space.dimension) == space.fingerprint
    return space.dimension if asked else None


def _or_one_of(dimensions: tuple[int, ...]) -> str:
    return f", or give one of {', '.join(map(str, dimensions))}" if dimensions else ""

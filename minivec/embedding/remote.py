"""The Embedder contract over a NIM- or OpenAI-like `/v1/embeddings`: batches, and what each text's answer or failure is.

A text fails alone: a batch that the service refuses for its content is halved until the bad text stands by itself.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import get_args

import httpx
import numpy as np
from numpy.typing import NDArray

from minivec.embedding.interface import Embedded, EmbeddingType, InputType, ModelCard, TextNote, Truncation
from minivec.embedding.providers import PROVIDERS, Provider, ProviderName
from minivec.embedding.remote_refusal import REFUSED, refusal, without_key
from minivec.embedding.remote_retry import RetryPolicy
from minivec.embedding.remote_send import Reply, Sender
from minivec.embedding.remote_wire import PATH, Unreadable, read_vectors, reason_of, request_body
from minivec.errors import Closed, EmbeddingFailed, InvalidInput, MinivecError

AT_ONCE = 4
"""Requests of one call that are under way together."""
_SAME_REASON = 3  # texts that are refused alone for the same reason, and none accepted: it is not the texts
_BYTES_PER_TOKEN = 3  # rather too few, so that the estimate is rather too many tokens

Outcome = tuple[NDArray[np.float32] | None, TextNote]


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteModel:
    """A model at a service. `dimensions` are asked of it; `dimension` is what its vectors have, None until known."""

    provider: ProviderName
    name: str
    base_url: str
    dimensions: int | None = None
    dimension: int | None = None
    guarded: bool = False
    key: str = field(default="", repr=False)


def remote_fingerprint(provider: ProviderName, model: str, dimensions: int | None) -> str:
    """What stands for a model we cannot look into: a hash of the kind of service, the model's name and the length asked for.

    The host is left out on purpose: the same model served by NVIDIA, by a NIM next door, or by one that moved makes the
    same vectors, and a new address must not make a collection unreadable. A service that swaps the weights behind a name
    goes unnoticed; no such service tells.
    """
    parts = json.dumps([provider, model, dimensions])
    return f"remote-{hashlib.sha256(parts.encode()).hexdigest()[:32]}"


class RemoteSource:
    """Gives out remote embedders; those of one base URL share connections, retries and pauses. Safe from any thread."""

    def __init__(
        self,
        *,
        seconds: float = 60.0,
        policy: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._seconds = seconds
        self._policy = policy
        self._transport = transport
        self._sleep = sleep
        self._senders: dict[tuple[str, bool], Sender] = {}
        self._lock = threading.Lock()
        self._closed = False

    def embedder(self, model: RemoteModel) -> RemoteEmbedder:
        """The embedder of a model; asks nothing yet. Raises Closed, InvalidInput for a key that no header can carry."""
        check_key(model.key, PROVIDERS[model.provider])
        return RemoteEmbedder(model, self.sender(model.base_url, guarded=model.guarded))

    def sender(self, base_url: str, *, guarded: bool) -> Sender:
        """What sends to a base URL. Raises Closed."""
        with self._lock:
            if self._closed:
                raise Closed("The embedding services were closed.", hint="Open the database again.")
            place = (base_url, guarded)
            if place not in self._senders:
                self._senders[place] = Sender(
                    base_url,
                    seconds=self._seconds,
                    guarded=guarded,
                    policy=self._policy,
                    transport=self._transport,
                    sleep=self._sleep,
                )
            return self._senders[place]

    def close(self) -> None:
        """End every wait and close every connection."""
        with self._lock:
            self._closed = True
            senders = list(self._senders.values())
        for sender in senders:
            sender.close()


class RemoteEmbedder:
    """Implements Embedder over one service, with one caller's key."""

    def __init__(self, model: RemoteModel, sender: Sender) -> None:
        self._model = model
        self._sender = sender
        self._provider = PROVIDERS[model.provider]
        self._dimension = model.dimension or model.dimensions
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<RemoteEmbedder {self._model.name!r} at {self._sender.host}>"

    @property
    def card(self) -> ModelCard:
        """The model's name and fingerprint. The dimension is 0 until the first answer, the token limit 0: not known here."""
        model = self._model
        return ModelCard(
            name=model.name,
            fingerprint=remote_fingerprint(model.provider, model.name, model.dimensions),
            dimension=self._dimension or 0,
            max_tokens=0,
            asymmetric=self._provider.asymmetric,
        )

    def embed(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        truncate: Truncation = "refuse",
        dimensions: int | None = None,
        embedding_type: EmbeddingType = "float",
    ) -> Embedded:
        """Embed the texts; see Embedder.embed. Whatever goes wrong on the way is in the notes of the texts it met."""
        self._check(texts, input_type, truncate, dimensions, embedding_type)

        def ask(batch: Sequence[str]) -> list[Outcome]:
            return self._embed_batch(batch, input_type, truncate)

        groups = list(batches(texts, self._provider.most_texts, self._provider.most_tokens))
        if len(groups) > 1:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="minivec-remote") as threads:
                answered = list(threads.map(ask, groups))
        else:
            answered = [ask(group) for group in groups]
        outcomes = [outcome for group in answered for outcome in group]
        vectors = np.zeros((len(texts), self._dimension or 0), np.float32)
        for row, (vector, _) in enumerate(outcomes):
            if vector is not None:
                vectors[row] = vector
        return Embedded(vectors=vectors, notes=tuple(note for _, note in outcomes))

    def _embed_batch(self, texts: Sequence[str], input_type: InputType, truncate: Truncation) -> list[Outcome]:
        """One batch, halved where it is refused; parts are asked for from left to right."""
        outcomes: list[Outcome] = []
        refused_alone: list[str] = []
        waiting = [(0, len(texts))]
        while waiting:
            start, end = waiting.pop()
            part = texts[start:end]
            reply = self._send(part, input_type, truncate)
            hopeless = len(refused_alone) >= _SAME_REASON and len(set(refused_alone)) == 1 and _none_made(outcomes)
            if isinstance(reply, Reply) and reply.status in REFUSED and len(part) > 1 and not hopeless:
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]
                continue
            if isinstance(reply, Reply) and reply.status in REFUSED:
                refused_alone.append(reason_of(reply.content))
            outcomes += self._outcomes(reply, len(part))
        return outcomes

    def _send(self, texts: Sequence[str], input_type: InputType, truncate: Truncation) -> Reply | MinivecError:
        body = request_body(
            self._provider,
            self._model.name,
            texts,
            input_type=input_type,
            truncate=truncate,
            dimensions=self._model.dimensions,
        )
        try:
            return self._sender.post(PATH, body, self._model.key)
        except (EmbeddingFailed, InvalidInput) as error:
            return error

    def _outcomes(self, reply: Reply | MinivecError, count: int) -> list[Outcome]:
        if isinstance(reply, MinivecError):
            return _all_failed(reply, count)
        if reply.status != 200:
            return _all_failed(self._refusal(reply), count)
        try:
            found = read_vectors(reply.content, count)
        except Unreadable as error:
            failure = EmbeddingFailed(
                f"{self._sender.host} answered 200, but its answer {without_key(str(error), self._model.key)}.",
                hint="Does the base URL lead to an embedding service?",
            )
            return _all_failed(failure, count)
        tokens = found.tokens if count == 1 else 0
        return [self._outcome(row, tokens) for row in found.rows]

    def _outcome(self, row: NDArray[np.float32] | str, tokens: int) -> Outcome:
        wrong = row if isinstance(row, str) else self._wrong_length(len(row))
        if not wrong and not isinstance(row, str):
            return row, TextNote(tokens=tokens)
        return None, TextNote(tokens=tokens, error=EmbeddingFailed(f"A vector from {self._sender.host} {wrong}."))

    def _wrong_length(self, length: int) -> str:
        """What is wrong with a vector of this length; the first one teaches the length of all."""
        with self._lock:
            if self._dimension is None:
                self._dimension = length
        return "" if length == self._dimension else f"has {length} dimensions, not {self._dimension}"

    def _refusal(self, reply: Reply) -> EmbeddingFailed:
        return refusal(
            reply,
            host=self._sender.host,
            provider=self._provider,
            model=self._model.name,
            path=PATH,
            key=self._model.key,
        )

    def _check(
        self,
        texts: Sequence[str],
        input_type: InputType,
        truncate: Truncation,
        dimensions: int | None,
        embedding_type: EmbeddingType,
    ) -> None:
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise InvalidInput("Texts come as a list of strings.", field="texts")
        if input_type not in get_args(InputType):
            raise InvalidInput(f"{input_type!r} is neither query nor passage.", field="input_type")
        if truncate not in get_args(Truncation):
            raise InvalidInput(f"{truncate!r} is none of refuse, end, start.", field="truncate")
        if dimensions not in (None, self._dimension):
            raise InvalidInput(f"The model gives {self._dimension} dimensions.", field="dimensions")
        if embedding_type != "float":
            raise InvalidInput("A remote model is asked for floats only.", field="embedding_type")


def batches(texts: Sequence[str], most_texts: int, most_tokens: int) -> Iterator[list[str]]:
    """The texts in order, in groups within both limits (tokens are estimated); a text beyond them goes alone."""
    group: list[str] = []
    tokens = 0
    for text in texts:
        size = len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN + 1
        if group and (len(group) >= most_texts or tokens + size > most_tokens):
            yield group
            group, tokens = [], 0
        group.append(text)
        tokens += size
    if group:
        yield group


def check_key(key: str, provider: Provider) -> None:
    """Raises InvalidInput, without the key, when no header could carry it."""
    if key and not (key.isascii() and key.isprintable() and " " not in key and len(key) <= 4096):
        raise InvalidInput(
            f"The API key for {provider.label} is not a line of visible ASCII characters.", field=provider.header
        )


def _none_made(outcomes: list[Outcome]) -> bool:
    return all(vector is None for vector, _ in outcomes)


def _all_failed(error: MinivecError, count: int) -> list[Outcome]:
    return [(None, TextNote(tokens=0, error=error))] * count

"""The Reranker contract over NVIDIA's `/v1/ranking`, a NIM's or the hosted one, through the same senders as embeddings.

A passage fails alone: a batch that the service refuses for its content is halved until the bad passage stands by itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from minivec.embedding.interface import ModelCard, Scores, TextNote, Truncation
from minivec.embedding.providers import PROVIDERS
from minivec.embedding.remote import AT_ONCE, RemoteModel, RemoteSource, batches, check_key, remote_fingerprint
from minivec.embedding.remote_refusal import REFUSED, refusal, without_key
from minivec.embedding.remote_send import Reply, Sender
from minivec.embedding.remote_wire import TRUNCATE
from minivec.embedding.reranker import check_ranking
from minivec.errors import EmbeddingFailed, InvalidInput, MinivecError

PATH = "/v1/ranking"
HOSTED = "https://ai.api.nvidia.com"
MOST_PASSAGES = 100
MOST_TOKENS = 100_000
LARGEST = 3.4e38  # of a 32-bit float, about
Outcome = tuple[float, MinivecError | None]


def ranking_place(base_url: str, model: str) -> tuple[str, str]:
    """The base URL and path to post to: those of a NIM, or those of NVIDIA's hosted service, which has one per model."""
    if base_url not in (HOSTED, PROVIDERS["nvidia"].base_url):
        return base_url, PATH
    return HOSTED, f"/v1/retrieval/{model.replace('.', '_')}/reranking"


def remote_reranker(source: RemoteSource, model: RemoteModel) -> RemoteReranker:
    """The reranker of a model at an NVIDIA-like service; asks nothing yet. Raises Closed, InvalidInput for a bad key."""
    check_key(model.key, PROVIDERS[model.provider])
    base_url, path = ranking_place(model.base_url, model.name)
    return RemoteReranker(model, source.sender(base_url, guarded=model.guarded), path)


class RemoteReranker:
    """Implements Reranker over one service, with one caller's key."""

    def __init__(self, model: RemoteModel, sender: Sender, path: str = PATH) -> None:
        self._model = model
        self._sender = sender
        self._path = path

    def __repr__(self) -> str:
        return f"<RemoteReranker {self._model.name!r} at {self._sender.host}>"

    @property
    def card(self) -> ModelCard:
        """The model's name and fingerprint; its token limit is 0: not known here."""
        fingerprint = remote_fingerprint(self._model.provider, self._model.name, None)
        return ModelCard(name=self._model.name, fingerprint=fingerprint, dimension=1, max_tokens=0)

    def rank(self, query: str, passages: Sequence[str], *, truncate: Truncation = "end") -> Scores:
        """Score the passages; see Reranker.rank. Whatever goes wrong on the way is in the notes of the passages it met.

        Raises InvalidInput for `start`, which these services do not have.
        """
        check_ranking(query, passages, truncate)
        if truncate == "start":
            raise InvalidInput('A service cuts passages at their end only: "end" or "refuse".', field="truncate")

        def ask(batch: Sequence[str]) -> list[Outcome]:
            return self._rank_batch(query, batch, truncate)

        groups = list(batches(passages, MOST_PASSAGES, MOST_TOKENS))
        if len(groups) > 1:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="minivec-remote") as threads:
                answered = list(threads.map(ask, groups))
        else:
            answered = [ask(group) for group in groups]
        outcomes = [outcome for group in answered for outcome in group]
        return Scores(
            logits=np.array([logit for logit, _ in outcomes], np.float32),
            notes=tuple(TextNote(tokens=0, error=error) for _, error in outcomes),
        )

    def _rank_batch(self, query: str, passages: Sequence[str], truncate: Truncation) -> list[Outcome]:
        """One batch, halved where it is refused; after two refusals of single passages the rest is taken to be refused."""
        outcomes: list[Outcome] = []
        refused_alone = 0
        waiting = [(0, len(passages))]
        while waiting:
            start, end = waiting.pop()
            reply = self._send(query, passages[start:end], truncate)
            refused = isinstance(reply, Reply) and reply.status in REFUSED
            accepted = any(error is None for _, error in outcomes)
            if refused and end - start > 1 and (accepted or refused_alone < 2):
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]
                continue
            refused_alone += refused
            outcomes += self._outcomes(reply, end - start)
        return outcomes

    def _send(self, query: str, passages: Sequence[str], truncate: Truncation) -> Reply | MinivecError:
        body = {
            "model": self._model.name,
            "query": {"text": query},
            "passages": [{"text": passage} for passage in passages],
            "truncate": TRUNCATE[truncate],
        }
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        try:
            return self._sender.post(self._path, content, self._model.key)
        except (EmbeddingFailed, InvalidInput) as error:
            return error

    def _outcomes(self, reply: Reply | MinivecError, count: int) -> list[Outcome]:
        if isinstance(reply, MinivecError):
            return [(-math.inf, reply)] * count
        if reply.status != 200:
            failure = refusal(
                reply,
                host=self._sender.host,
                provider=PROVIDERS[self._model.provider],
                model=self._model.name,
                path=self._path,
                key=self._model.key,
            )
            return [(-math.inf, failure)] * count
        found = read_rankings(reply.content, count)
        if isinstance(found, str):
            told = without_key(found, self._model.key)
            failure = EmbeddingFailed(
                f"{self._sender.host} answered 200, but its answer {told}.",
                hint="Does the base URL lead to a reranking service?",
            )
            return [(-math.inf, failure)] * count
        return [(logit, None) for logit in found]


def read_rankings(content: bytes, count: int) -> list[float] | str:
    """The logits of an answer to `count` passages in the passages' order, or what is wrong, in words after "its answer"."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return f"is not JSON; it begins {content[:80].decode('utf-8', 'replace')!r}"
    rankings = answer.get("rankings") if isinstance(answer, dict) else None
    if not isinstance(rankings, list) or not all(isinstance(one, dict) for one in rankings):
        return "holds no list `rankings`"
    found = {one.get("index"): _number(one.get("logit")) for one in rankings if type(one.get("index")) is int}
    if len(rankings) != count or set(found) != set(range(count)):
        return f"does not rank each of {count} passages once"
    logits = [found[index] for index in range(count)]
    if any(logit is None for logit in logits):
        return "holds a logit that is not a finite number"
    return [logit for logit in logits if logit is not None]


def _number(value: Any) -> float | None:
    if type(value) not in (int, float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) <= LARGEST else None

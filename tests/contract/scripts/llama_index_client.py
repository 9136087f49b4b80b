"""Run by llama-index-embeddings-nvidia's own Python: asks the server at argv[1] and prints what came back as JSON."""

import asyncio
import json
import sys
import warnings

warnings.simplefilter("ignore")
from llama_index.embeddings.nvidia import NVIDIAEmbedding  # noqa: E402

url, model, asymmetric = sys.argv[1:4]
documents, short = json.loads(sys.argv[4]), sys.argv[5]


def client_of(name=None, **options):
    chosen = {} if name is None else {"model": name}
    return NVIDIAEmbedding(base_url=f"{url}/v1", api_key="any key", max_retries=0, **chosen, **options)


def error_of(work):
    try:
        work()
    except Exception as error:
        return {"kind": type(error).__name__, "text": str(error)}
    raise AssertionError("nothing was refused")


plain, two_sided = client_of(model), client_of(asymmetric, truncate="END")
many = [f"{documents[0]} {number}" for number in range(30)]
print(
    json.dumps(
        {
            "models": [one.id for one in plain.available_models],
            "default": client_of().model,
            "documents": plain.get_text_embedding_batch(documents),
            "many": len(plain.get_text_embedding_batch(many)),
            "query": asyncio.run(two_sided.aget_query_embedding(short)),
            "passage": two_sided.get_text_embedding(short),
            "query, called without await": two_sided.get_query_embedding(short),
            "no such model": error_of(lambda: client_of("no/such-model").get_query_embedding("x")),
            "too long": error_of(lambda: client_of(model).get_text_embedding("word " * 2000)),
        }
    )
)

"""Run by nvidia-haystack's own Python: asks the server at argv[1] and prints what came back as JSON."""

import json
import os
import sys
import warnings

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
warnings.simplefilter("ignore")
from haystack import Document  # noqa: E402
from haystack.utils import Secret  # noqa: E402
from haystack_integrations.components.embedders.nvidia import NvidiaDocumentEmbedder, NvidiaTextEmbedder  # noqa: E402

url, model, asymmetric = sys.argv[1:4]
documents, short = json.loads(sys.argv[4]), sys.argv[5]


def ready(kind, name=None, **options):
    embedder = kind(model=name, api_url=f"{url}/v1", api_key=Secret.from_token("any key"), **options)
    embedder.warm_up()
    return embedder


def embedded(embedder, texts):
    found = embedder.run(documents=[Document(content=text) for text in texts])
    return [document.embedding for document in found["documents"]], found["meta"]


def error_of(work):
    try:
        work()
    except Exception as error:
        return {"kind": type(error).__name__, "text": str(error)}
    raise AssertionError("nothing was refused")


vectors, meta = embedded(ready(NvidiaDocumentEmbedder, model, progress_bar=False), documents)
many = [f"{documents[0]} {number}" for number in range(70)]
two_sided = ready(NvidiaDocumentEmbedder, asymmetric, truncate="END", progress_bar=False)
print(
    json.dumps(
        {
            "default": ready(NvidiaTextEmbedder).model,
            "documents": vectors,
            "usage": meta["usage"],
            "many": len(embedded(ready(NvidiaDocumentEmbedder, model, progress_bar=False), many)[0]),
            "query": ready(NvidiaTextEmbedder, asymmetric, truncate="END").run(short)["embedding"],
            "passage": embedded(two_sided, [short])[0][0],
            "no such model": error_of(lambda: ready(NvidiaTextEmbedder, "no/such-model").run("x")),
            "too long": error_of(lambda: ready(NvidiaTextEmbedder, model).run("word " * 2000)),
        }
    )
)

"""Run by nvidia-haystack's own Python: ranks documents at the server of argv[1] and prints what came back."""

import json
import os
import sys
import warnings

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
warnings.simplefilter("ignore")
from haystack import Document  # noqa: E402
from haystack.utils import Secret  # noqa: E402
from haystack_integrations.components.rankers.nvidia import NvidiaRanker  # noqa: E402

url, model = sys.argv[1:3]
query, texts = sys.argv[3], json.loads(sys.argv[4])


def ranked(name, top_k):
    key = Secret.from_token("any key")
    ranker = NvidiaRanker(model=name, api_url=f"{url}/v1", api_key=key, top_k=top_k, truncate="END")
    ranker.warm_up()
    found = ranker.run(query=query, documents=[Document(content=text) for text in texts])
    return [[document.content, document.score] for document in found["documents"]]


def error_of(work):
    try:
        work()
    except Exception as error:
        return str(error)
    raise AssertionError("nothing was refused")


all_of_them, best = ranked(model, len(texts)), ranked(model, 1)
print(json.dumps({"all": all_of_them, "best": best, "no such model": error_of(lambda: ranked("no/such-model", 1))}))

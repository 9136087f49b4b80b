"""Run by langchain-nvidia-ai-endpoints' own Python: asks the server at argv[1] and prints what came back as JSON."""

import asyncio
import json
import sys
import warnings

warnings.simplefilter("ignore")
from langchain_nvidia_ai_endpoints import NVIDIAEmbeddings  # noqa: E402

url, model, asymmetric = sys.argv[1:4]
documents, short = json.loads(sys.argv[4]), sys.argv[5]


def client_of(name=None, **options):
    chosen = {} if name is None else {"model": name}
    return NVIDIAEmbeddings(base_url=f"{url}/v1", nvidia_api_key="any key", **chosen, **options)


def error_of(work):
    try:
        work()
    except Exception as error:
        return {"kind": type(error).__name__, "text": str(error)}
    raise AssertionError("nothing was refused")


plain, two_sided = client_of(model), client_of(asymmetric, truncate="END")
many = [f"{documents[0]} {number}" for number in range(120)]
print(
    json.dumps(
        {
            "models": [one.id for one in plain.available_models],
            "default": client_of().model,
            "documents": plain.embed_documents(documents),
            "many": len(plain.embed_documents(many)),
            "query": two_sided.embed_query(short),
            "passage": two_sided.embed_documents([short])[0],
            "awaited": asyncio.run(two_sided.aembed_query(short)),
            "no such model": error_of(lambda: client_of("no/such-model").embed_query("x")),
            "too long": error_of(lambda: client_of(model, truncate="NONE").embed_query("word " * 2000)),
            "no such length": error_of(lambda: client_of(asymmetric, dimensions=5).embed_query("x")),
        }
    )
)

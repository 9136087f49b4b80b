"""Run by langchain-nvidia-ai-endpoints' own Python: ranks documents at the server of argv[1] and prints what came back."""

import json
import sys
import warnings

warnings.simplefilter("ignore")
from langchain_core.documents import Document  # noqa: E402
from langchain_nvidia_ai_endpoints import NVIDIARerank  # noqa: E402

url, model = sys.argv[1:3]
query, texts = sys.argv[3], json.loads(sys.argv[4])


def ranked(name, **options):
    ranker = NVIDIARerank(base_url=f"{url}/v1", model=name, nvidia_api_key="any key", truncate="END", **options)
    found = ranker.compress_documents(query=query, documents=[Document(page_content=text) for text in texts])
    return [[document.page_content, document.metadata["relevance_score"]] for document in found]


def error_of(work):
    try:
        work()
    except Exception as error:
        return str(error)
    raise AssertionError("nothing was refused")


all_of_them, best = ranked(model, top_n=len(texts)), ranked(model, top_n=1)
print(json.dumps({"all": all_of_them, "best": best, "no such model": error_of(lambda: ranked("no/such-model"))}))

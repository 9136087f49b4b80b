"""Run by the openai client's own Python: asks the server at argv[1] and prints what came back as JSON."""

import asyncio
import json
import sys

import openai

url, model, asymmetric = sys.argv[1:4]
documents, short = json.loads(sys.argv[4]), sys.argv[5]
client = openai.OpenAI(base_url=f"{url}/v1", api_key="any key")


def vectors(answer):
    return [item.embedding for item in answer.data]


def error_of(**request):
    try:
        client.with_options(max_retries=0).embeddings.create(**request)
    except openai.APIStatusError as error:
        return {"kind": type(error).__name__, "text": str(error), "status": error.status_code}
    raise AssertionError("nothing was refused")


async def asked_with_await():
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any key") as waiting:
        return vectors(await waiting.embeddings.create(model=model, input=documents))


answer = client.embeddings.create(model=model, input=documents)
as_query = {"input_type": "query", "truncate": "END"}
print(
    json.dumps(
        {
            "models": [one.id for one in client.models.list()],
            "documents": vectors(answer),
            "indexes": [item.index for item in answer.data],
            "usage": answer.usage.model_dump(),
            "model": answer.model,
            "floats": vectors(client.embeddings.create(model=model, input=documents, encoding_format="float")),
            "awaited": asyncio.run(asked_with_await()),
            "one": vectors(client.embeddings.create(model=model, input=documents[0])),
            "query": vectors(client.embeddings.create(model=asymmetric, input=short, extra_body=as_query)),
            "query by suffix": vectors(client.embeddings.create(model=f"{asymmetric}-query", input=short)),
            "passage by suffix": vectors(client.embeddings.create(model=f"{asymmetric}-passage", input=short)),
            "no such model": error_of(model="no/such-model", input="x"),
            "no input type": error_of(model=asymmetric, input="x"),
            "too long": error_of(model=model, input="word " * 2000),
            "a bad field": error_of(model=model, input="x", extra_body={"no_such_field": 1}),
        }
    )
)

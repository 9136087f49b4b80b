"""A real server process for tests: settings from the environment as always, but vectors made from words, without a model."""

from __future__ import annotations

import os
import sys
import threading

import minivec
from minivec.collection import Collection
from minivec.embedding.engine import Engine
from minivec.settings import Settings
from minivec_server.serve import configure_logging, listen, serve


def main() -> int:
    settings = Settings.read(environment=os.environ)
    configure_logging(settings.log_level)
    if "BLOCK_IMPORTS" in os.environ:
        Collection.ingest = lambda *_, **__: threading.Event().wait()  # type: ignore[method-assign,assignment]
    listener = listen(settings.host, settings.port)
    with listener, minivec.open(settings.data, settings=settings, embedders=Engine.fake(8)) as database:
        serve(database, settings, listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What each command does: a few lines over the handle, embedded or remote."""

from __future__ import annotations

import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import minivec
from minivec.cli.lines import ObjectLines
from minivec.errors import CollectionNotFound
from minivec.progress import finish, reporter
from minivec.settings import Settings
from minivec.types.answer import Answer
from minivec.types.codec import to_plain
from minivec.types.display import answer_text, collections_text, explain_text, report_text
from minivec.types.query import Rerank

if TYPE_CHECKING:
    from minivec.client.client import Client, RemoteCollection
    from minivec.collection import Collection
    from minivec.database import Database

DEFAULT_URL = "http://127.0.0.1:8080"
_RERANK_OPTIONS = {"rerank_depth": "depth", "rerank_properties": "properties", "rerank_at": "service"}
_SETTING_NAMES = Settings.__dataclass_fields__


def serve(arguments: Namespace) -> int:
    """Serve a database until a signal ends it."""
    from minivec_server.nim.variables import with_nim_variables  # the server's packages are an extra
    from minivec_server.serve import run

    return run(_settings(arguments, with_nim_variables(os.environ)))


def import_file(arguments: Namespace) -> int:
    """Import a file of JSON lines; 1 when some of them were not stored."""
    with _database(arguments) as database, _opened(arguments.file) as stream:
        collection = _collection(database, arguments)
        lines = ObjectLines(stream)
        report = lines.judged(_import(collection, lines, arguments))
    print(report_text(report, "line"))
    return 1 if report.failed else 0


def search(arguments: Namespace) -> int:
    """Search a collection and print the hits."""
    if arguments.alpha is not None and arguments.mode != "hybrid":
        arguments.parser.error("--alpha belongs to --mode hybrid")
    if arguments.space is not None and arguments.mode == "keyword":
        arguments.parser.error("--space belongs to --mode hybrid and near-text")
    if arguments.rerank is None and any(getattr(arguments, name) is not None for name in _RERANK_OPTIONS):
        arguments.parser.error("--rerank-depth, --rerank-properties and --rerank-at belong to --rerank MODEL")
    with _database(arguments) as database:
        answer = _ask(database.collection(arguments.collection), arguments)
    if arguments.json:
        _print_json(answer)
        return 0
    print(answer_text(answer, _width()))
    if arguments.explain:
        print("\n" + explain_text(answer, _width()))
    return 0


def collections(arguments: Namespace) -> int:
    """List the collections."""
    with _database(arguments) as database:
        found = database.list_collections()
    if arguments.json:
        _print_json(found)
    elif found:
        print(collections_text(found, _width()))
    else:
        print("There is no collection yet. `minivec import NAME FILE.jsonl --create` makes one.")
    return 0


def reembed(arguments: Namespace) -> int:
    """Make a space's vectors anew, or bring the old ones back."""
    choice = {name: getattr(arguments, name) for name in ("vectorizer", "model", "base_url", "dimension")}
    if arguments.back and any(value is not None for value in choice.values()):
        arguments.parser.error("--back brings back what was there: it takes no model")
    with _database(arguments) as database:
        collection = database.collection(arguments.collection)
        if arguments.back:
            found = collection.switch_back(arguments.space, skip_refused=arguments.skip_refused)
        else:
            found = collection.reembed(arguments.space, **choice, skip_refused=arguments.skip_refused)
    kept = f"; the old ones are kept as {found.kept_as}" if found.kept_as else ""
    refused = f", {found.refused:,} texts refused" if found.refused else ""
    print(f"{found.space}: {found.vectors:,} vectors made in {found.seconds:.1f} s{refused}{kept}")
    return 0


def check(arguments: Namespace) -> int:
    """Look for damage; 1 when there is any."""
    settings = _settings(arguments)
    from minivec.jobs.check import check as check_folder  # the database's packages are an extra

    report = check_folder(Path(settings.data))
    for finding in report.findings:
        print(f"{finding.collection}: {finding.problem} {finding.hint}".strip())
    verdict = "sound" if report.sound else f"{len(report.findings):,} things are damaged"
    print(f"{settings.data}: {report.collections:,} collections, {report.objects:,} objects: {verdict}")
    return 0 if report.sound else 1


def demo(arguments: Namespace) -> int:
    """Run the demonstration."""
    from minivec.demo import run  # the server's packages are an extra

    return run() or 0


def version(arguments: Namespace) -> int:
    """Print the version."""
    print(f"minivec {minivec.__version__}")
    return 0


def _ask(collection: Collection | RemoteCollection, arguments: Namespace) -> Answer:
    common: dict[str, Any] = {
        "limit": arguments.limit,
        "offset": arguments.offset,
        "properties": arguments.properties,
        "rerank": _rerank(arguments),
    }
    if arguments.mode == "keyword":
        return collection.keyword(arguments.text, **common)
    if arguments.mode == "near-text":
        return collection.near_text(arguments.text, space=arguments.space, **common)
    alpha = 0.5 if arguments.alpha is None else arguments.alpha
    return collection.hybrid(arguments.text, alpha=alpha, space=arguments.space, **common)


def _rerank(arguments: Namespace) -> Rerank | None:
    if arguments.rerank is None:
        return None
    chosen = {_RERANK_OPTIONS[name]: getattr(arguments, name) for name in _RERANK_OPTIONS}
    return Rerank(model=arguments.rerank, **{name: value for name, value in chosen.items() if value is not None})


def _import(collection: Any, lines: ObjectLines, arguments: Namespace) -> minivec.ImportReport:
    more: dict[str, Any] = {}
    if arguments.resume is not None:
        more["resume_from"] = _journal(arguments)
    report = reporter(None)
    done = 0

    def progress(now: int, total: int | None) -> None:
        nonlocal done
        done = now
        report(now, total or lines.__length_hint__() or None)

    try:
        found: minivec.ImportReport = collection.import_objects(
            lines,
            mode=arguments.mode,
            id_from=arguments.id_from,
            batch_size=arguments.batch_size,
            progress=progress,
            raise_on_failure=False,
            **more,
        )
    finally:
        finish(report, done, None)
    return found


def _journal(arguments: Namespace) -> Path:
    if arguments.data is not None:
        arguments.parser.error(
            "--resume needs a server; with --data just import again: what is stored is not embedded again (use --id-from)"
        )
    if arguments.resume:
        return Path(arguments.resume)
    if arguments.file == "-":
        arguments.parser.error("--resume needs the path of a journal when stdin is imported")
    return Path(arguments.file + ".journal")


def _collection(database: Database | Client, arguments: Namespace) -> Any:
    try:
        return database.collection(arguments.collection)
    except CollectionNotFound as error:
        if arguments.create:
            return database.create_collection(arguments.collection)
        raise CollectionNotFound(error.message, hint="Add --create to make it.") from error


@contextmanager
def _database(arguments: Namespace) -> Iterator[Database | Client]:
    if arguments.data is not None:
        settings = _settings(arguments)
        with minivec.open(settings.data, settings=settings) as database:
            yield database
        return
    url = arguments.url or os.environ.get("MINIVEC_URL") or DEFAULT_URL
    key = arguments.api_key or os.environ.get("MINIVEC_API_KEY")
    with minivec.connect(
        url, timeout=arguments.timeout, api_key=key, nvidia_api_key=arguments.nvidia_api_key
    ) as client:
        yield client


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as stream:
        yield stream


def _settings(arguments: Namespace, environment: Mapping[str, str] | None = None) -> Settings:
    given = {name: value for name, value in vars(arguments).items() if name in _SETTING_NAMES}
    file = Path(arguments.settings) if arguments.settings else None
    return Settings.read(given, os.environ if environment is None else environment, file)


def _print_json(value: Any) -> None:
    print(json.dumps(to_plain(value), ensure_ascii=False, indent=2))


def _width() -> int:
    return max(shutil.get_terminal_size((120, 24)).columns, 60)

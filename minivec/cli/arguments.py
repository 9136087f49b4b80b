"""The arguments of every command, and help that teaches them by examples."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from minivec.cli import commands
from minivec.settings import PREFIX, Settings

_ABOUT = """\
A miniature vector database with the vectorizer built in.

A first minute:
  minivec serve --data my-data &                      start a server
  minivec import words entries.jsonl --create         put objects in
  minivec search words "an insect that makes honey"   find them again
  minivec demo                                        or watch all of that happen
"""
_SETTINGS = f"""\
Every setting may stand in three places; the first that names it wins: the command line (--batch-tokens 8192), the
environment ({PREFIX}BATCH_TOKENS=8192), a TOML file given with --settings (batch_tokens = 8192).
"""
_SERVE = f"""\
Serve the database in a folder over HTTP. The folder is made when missing; one process at a time may write to it.

examples:
  minivec serve --data my-data
  minivec serve --data my-data --host 0.0.0.0 --port 80 --api-key "$KEY"
  minivec serve --settings minivec.toml
  minivec serve --only engine --model nvidia/nv-embed-v1 --dtype bfloat16 --port 8000    NVIDIA's embedding API alone

{_SETTINGS}"""
_IMPORT = """\
Import objects from a file of JSON lines, or from stdin with `-`. A line is either
  {"properties": {"title": "Bees", "year": 1901}, "uuid": "...", "vectors": {"default": [0.1, ...]}}
or flat, where every key but `uuid`, `vectors` and `vector` is a property:
  {"title": "Bees", "year": 1901}

A bad line costs only itself; the reasons are listed at the end, and the exit code is 1.

examples:
  minivec import words entries.jsonl --create
  minivec import words entries.jsonl --id-from lemma,sense    the same entry gets the same uuid every time
  minivec import words entries.jsonl --resume                 go on where an interrupted import stopped
  zcat entries.jsonl.gz | minivec import words - --data my-data
"""
_SEARCH = """\
Search a collection. hybrid joins the words (keyword, BM25F) and the meaning (near-text) of the text.

examples:
  minivec search words "an insect that makes honey"
  minivec search words honey --mode keyword --limit 3 --properties lemma,gloss
  minivec search words "sweet and sticky" --alpha 0.8 --explain
  minivec search words honey --json | jq '.hits[].properties.lemma'
  minivec search words "what do bees make?" --rerank baai/bge-reranker-v2-m3 --rerank-depth 50
"""
_REEMBED = """\
Make the vectors of a vector space anew with another model, from the stored text, while searches go on with the old ones.
At the end the space's name means the new vectors; the old ones are kept, and --back brings them back. The same command goes
on where an interrupted one stopped.

examples:
  minivec reembed words --model nvidia/nv-embed-v1 --vectorizer nvidia
  minivec reembed words --space default --back
"""
_CHECK = """\
Read everything in a data folder and say what is damaged: every row and every vector has a checksum. Changes nothing,
and may run beside a server. The exit code is 1 when something is damaged.

example:
  minivec check --data my-data
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser; a parsed command carries the function to call in `run`."""
    parser = argparse.ArgumentParser(
        prog="minivec", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--version", action="store_const", const=commands.version, dest="run", help="what `version` says"
    )
    parser.set_defaults(run=lambda arguments: _no_command(parser))
    adding = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_serve(adding)
    _add_import(adding)
    _add_search(adding)
    _add_collections(adding)
    _add_reembed(adding)
    _add_check(adding)
    _command(adding, "demo", commands.demo, "import WordNet entries into a real server and search them three ways")
    _command(adding, "version", commands.version, "print the version")
    return parser


def _add_serve(adding: Any) -> None:
    parser = _command(adding, "serve", commands.serve, "serve a database over HTTP", _SERVE)
    _add_settings_file(parser)
    for setting in fields(Settings):
        help, choices = setting.metadata["help"], setting.metadata["choices"]
        default = f" (default: {setting.default})" if setting.default != "" else ""
        parser.add_argument(
            "--" + setting.name.replace("_", "-"),
            choices=choices or None,
            metavar=None if choices else _metavar(setting.name, setting.default),
            help=f"{help}{default}".replace("%", "%%"),
        )


def _add_import(adding: Any) -> None:
    parser = _command(adding, "import", commands.import_file, "import objects from a file of JSON lines", _IMPORT)
    parser.add_argument("collection", metavar="COLLECTION")
    parser.add_argument("file", metavar="FILE.jsonl", help="one object a line; - reads stdin")
    parser.add_argument("--create", action="store_true", help="make the collection when it is not there")
    parser.add_argument("--id-from", type=_names, metavar="A,B", help="make each uuid from these properties")
    parser.add_argument(
        "--mode",
        choices=("upsert", "insert", "replace", "merge"),
        default="upsert",
        help="what to do about objects that are there already (default: upsert)",
    )
    parser.add_argument(
        "--batch-size", type=_positive, default=256, metavar="N", help="objects a request (default: 256)"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="JOURNAL",
        help="keep a journal of what is finished (default: FILE.jsonl.journal) and go on from it",
    )
    _add_place(parser)


def _add_search(adding: Any) -> None:
    parser = _command(adding, "search", commands.search, "search a collection", _SEARCH)
    parser.add_argument("collection", metavar="COLLECTION")
    parser.add_argument("text", metavar="TEXT")
    parser.add_argument("--mode", choices=("hybrid", "near-text", "keyword"), default="hybrid", help="default: hybrid")
    parser.add_argument("--limit", type=_positive, default=10, metavar="N", help="how many to show (default: 10)")
    parser.add_argument("--offset", type=int, default=0, metavar="N", help="how many to pass over (default: 0)")
    parser.add_argument("--properties", type=_names, metavar="A,B", help="what to show of each (default: all)")
    parser.add_argument("--space", metavar="NAME", help="the vector space, where there are several")
    parser.add_argument("--alpha", type=float, metavar="A", help="hybrid: 0 only words, 1 only meaning (default: 0.5)")
    parser.add_argument("--rerank", metavar="MODEL", help="let this reranker put the best candidates in order")
    parser.add_argument("--rerank-depth", type=_positive, metavar="N", help="how many candidates (default: 100)")
    parser.add_argument("--rerank-properties", type=_names, metavar="A,B", help="what it reads (default: all text)")
    parser.add_argument("--rerank-at", choices=("local", "nvidia"), help="where the reranker runs (default: local)")
    parser.add_argument("--explain", action="store_true", help="show the plan, the times, and how each score adds up")
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    _add_place(parser)


def _add_reembed(adding: Any) -> None:
    parser = _command(adding, "reembed", commands.reembed, "make a space's vectors anew with another model", _REEMBED)
    parser.add_argument("collection", metavar="COLLECTION")
    parser.add_argument("--space", metavar="NAME", help="the vector space, where there are several")
    parser.add_argument("--vectorizer", choices=("local", "nvidia", "openai"), help="default: as it is")
    parser.add_argument("--model", metavar="NAME", help="default: as it is, or the vectorizer's usual one")
    parser.add_argument("--base-url", metavar="URL", help="of the service that nvidia or openai calls")
    parser.add_argument("--dimension", type=_positive, metavar="N", help="the length to ask of a service's model")
    parser.add_argument("--skip-refused", action="store_true", help="switch even when the model refuses texts")
    parser.add_argument("--back", action="store_true", help="bring back the vectors kept from before")
    _add_place(parser)


def _add_collections(adding: Any) -> None:
    parser = _command(adding, "collections", commands.collections, "list the collections")
    parser.add_argument("--json", action="store_true", help="print everything known about them as JSON")
    _add_place(parser)


def _add_check(adding: Any) -> None:
    parser = _command(adding, "check", commands.check, "look for damage in a data folder", _CHECK)
    parser.add_argument("--data", metavar="DIR", help="the folder (default: minivec-data)")
    _add_settings_file(parser)


def _add_place(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where", "a server, or with --data a folder that no server has open")
    place = group.add_mutually_exclusive_group()
    place.add_argument("--url", metavar="URL", help=f"the server (default: $MINIVEC_URL, or {commands.DEFAULT_URL})")
    place.add_argument("--data", metavar="DIR", help="a data folder, opened in this process")
    group.add_argument("--api-key", metavar="KEY", help="the server's key (default: $MINIVEC_API_KEY)")
    group.add_argument(
        "--nvidia-api-key", metavar="KEY", help="your key for NVIDIA's models; with --data also $NVIDIA_API_KEY"
    )
    group.add_argument(
        "--timeout", type=float, default=120.0, metavar="SECONDS", help="for each request (default: 120)"
    )
    _add_settings_file(group)


def _add_settings_file(parser: Any) -> None:
    parser.add_argument("--settings", metavar="FILE", help="a TOML file of settings; see `minivec serve --help`")


def _command(
    adding: Any, name: str, run: Callable[[argparse.Namespace], int], summary: str, about: str = ""
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = adding.add_parser(
        name,
        help=summary,
        description=about or f"{summary[0].upper()}{summary[1:]}.",
        formatter_class=_layout,
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def _layout(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=30)


def _no_command(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 2


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("name at least one property")
    return names


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number


def _metavar(name: str, default: object) -> str:
    if name == "data":
        return "DIR"
    if isinstance(default, float):
        return "SECONDS"
    return "N" if isinstance(default, int) else name.rpartition("_")[2].upper()

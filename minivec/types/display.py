"""How answers, reports, collections and objects look to a person: a text for the terminal, HTML for a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from minivec.types.table import Column, cut, html_table, one_line, text_table

if TYPE_CHECKING:
    from minivec.types.answer import Answer, Hit, ScorePart
    from minivec.types.collection import CollectionConfig, CollectionInfo
    from minivec.types.object import ImportReport, Outcome, StoredObject

_HIT_COLUMNS = (
    Column("#", "right"),
    Column("score", "right"),
    Column("distance", "right"),
    Column("uuid"),
    Column("properties", shrinks=True),
)
_INDEX_COLUMNS = (Column("index"), Column("kind"), Column("entries", "right"), Column("state", shrinks=True))
_COLLECTION_COLUMNS = (
    Column("collection"),
    Column("objects", "right"),
    Column("vector spaces", shrinks=True),
    Column("properties", shrinks=True),
    Column("indexes"),
)
_SHOWN_REASONS = 5


def answer_text(answer: Answer, width: int = 120) -> str:
    """The hits as a table under one line that says how many, by which search, in how long."""
    if not answer.hits:
        return _headline(answer)
    columns, rows = _hit_rows(answer)
    return _headline(answer) + "\n" + text_table(columns, rows, width)


def answer_html(answer: Answer) -> str:
    """The hits as an HTML table."""
    columns, rows = _hit_rows(answer, shorten=400)
    return html_table(columns, rows, caption=_headline(answer))


def explain_text(answer: Answer, width: int = 120) -> str:
    """The plan, the time of each stage, and for each hit the sum its score is."""
    lines = [f"formula: {answer.plan.formula}"]
    for leg in answer.plan.legs:
        how = "exact" if leg.exact else "approximate"
        why = f" ({leg.reason})" if leg.reason else ""
        lines.append(f"{leg.source} {leg.name}: {how} search of {leg.index}, {leg.candidates:,} candidates{why}")
    if (step := answer.plan.rerank) is not None:
        lost = f"; {step.unscored:,} of them not: {step.reason}" if step.unscored else ""
        read = ", ".join(step.properties)
        lines.append(f"rerank by {step.model}: {step.candidates:,} candidates, reading {read}{lost}")
        lines.append(f"formula before it: {step.first_formula}")
    if answer.milliseconds:
        lines.append("time: " + ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in answer.milliseconds.items()))
    for number, hit in enumerate(answer.hits, 1):
        lines += ["", cut(f"{number}. {hit.uuid} {properties_text(hit.properties)}", width), *_sum_of(hit)]
    return _clean(lines)


def report_text(report: ImportReport, what: str = "object") -> str:
    """How many objects ended how, in how long, and why some failed."""
    lines = [_report_headline(report)]
    if report.failed:
        lines.append(failures(report, what))
    return "\n".join(lines)


def report_html(report: ImportReport) -> str:
    """The counts as an HTML table, and a second one of the failures."""
    rows = [[status, f"{number:,}"] for status, number in report.counts.items()]
    counts = html_table((Column("outcome"), Column("objects", "right")), rows, caption=_report_headline(report))
    if not report.failed:
        return counts
    columns = (Column("objects", "right"), Column("code"), Column("reason"), Column("what to do"), Column("first"))
    failed = [
        [f"{len(group):,}", group[0].code, _place(group[0]), group[0].hint, _indexes(group)]
        for group in _groups(report)
    ]
    return counts + html_table(columns, failed[:_SHOWN_REASONS], caption="not stored")


def failures(report: ImportReport, what: str = "object") -> str:
    """Why objects were not stored: the most frequent reasons, grouped by code and field, with the first places.

    `what` is the word for what an outcome's index counts.
    """
    groups = _groups(report)
    lines = [f"{len(report.failed):,} of {len(report.outcomes):,} objects were not stored:"]
    for group in groups[:_SHOWN_REASONS]:
        first = group[0]
        why = f"{first.code or first.status}: {_place(first)} {first.hint}".rstrip()
        lines.append(f"  {len(group):,} x {why} ({_indexes(group, what)})")
    if len(groups) > _SHOWN_REASONS:
        lines.append(f"  and {len(groups) - _SHOWN_REASONS:,} other reasons")
    return _clean(lines)


def info_text(info: CollectionInfo, width: int = 120) -> str:
    """A collection: its size, properties, vector spaces, and how far each index is."""
    config = info.config
    lines = [f"collection {config.name}: {info.count:,} objects"]
    if config.description:
        lines.append(config.description)
    lines.append(f"properties: {_properties_of(config) or 'none'}")
    lines += [f"vector space {space}" for space in _spaces_of(config)]
    about = _clean(lines)
    return about if not info.indexes else about + "\n" + text_table(_INDEX_COLUMNS, _index_rows(info), width)


def info_html(info: CollectionInfo) -> str:
    """A collection as two HTML tables: what it is, and its indexes."""
    config = info.config
    rows = [["description", config.description], ["properties", _properties_of(config)]]
    rows += [["vector space", space] for space in _spaces_of(config)]
    about = html_table((Column("what"), Column("value")), rows, caption=f"{config.name}: {info.count:,} objects")
    return about + (html_table(_INDEX_COLUMNS, _index_rows(info)) if info.indexes else "")


def collections_text(infos: Sequence[CollectionInfo], width: int = 120) -> str:
    """Several collections, one in each row."""
    rows = []
    for info in infos:
        late = [state.name for state in info.indexes if not state.ready]
        spaces = ", ".join(space.name for space in info.config.vector_spaces)
        state = f"catching up: {', '.join(late)}" if late else "ready"
        rows.append([info.config.name, f"{info.count:,}", spaces, _properties_of(info.config), state])
    return text_table(_COLLECTION_COLUMNS, rows, width)


def object_text(stored: StoredObject) -> str:
    """An object: uuid, version, times, its properties a line each, and the size of its vectors."""
    when = f"version {stored.version}, written {stored.updated_at:%Y-%m-%d %H:%M:%S %Z}".rstrip()
    lines = [f"object {stored.uuid} ({when})"]
    lines += [f"  {name}: {cut(_value(value), 200)}" for name, value in stored.properties.items()]
    lines += [f"  vector {space}: {len(vector)} dimensions" for space, vector in stored.vectors.items()]
    return _clean(lines)


def object_html(stored: StoredObject) -> str:
    """An object as an HTML table of its properties."""
    rows = [[name, _value(value)] for name, value in stored.properties.items()]
    rows += [[f"vector {space}", f"{len(vector)} dimensions"] for space, vector in stored.vectors.items()]
    return html_table((Column("property"), Column("value")), rows, caption=f"{stored.uuid}, version {stored.version}")


def properties_text(properties: Mapping[str, Any], shorten: int = 200) -> str:
    """The properties in one line, `name: value · name: value`."""
    return " · ".join(f"{name}: {cut(_value(value), shorten)}" for name, value in properties.items())


def _headline(answer: Answer) -> str:
    number = len(answer.hits)
    found = "nothing found" if not number else f"{number} hit{'s' if number > 1 else ''}"
    total = answer.milliseconds.get("total", sum(answer.milliseconds.values()))
    return f"{found} by {answer.plan.mode}" + (f" in {total:.1f} ms" if answer.milliseconds else "")


def _hit_rows(answer: Answer, shorten: int = 200) -> tuple[Sequence[Column], list[list[str]]]:
    rows = [
        [
            str(number),
            f"{hit.score:.4f}",
            "" if hit.distance is None else f"{hit.distance:.4f}",
            hit.uuid,
            properties_text(hit.properties, shorten),
        ]
        for number, hit in enumerate(answer.hits, 1)
    ]
    if any(hit.distance is not None for hit in answer.hits):
        return _HIT_COLUMNS, rows
    return _HIT_COLUMNS[:2] + _HIT_COLUMNS[3:], [row[:2] + row[3:] for row in rows]


def _sum_of(hit: Hit) -> list[str]:
    lines = []
    for part in hit.parts:
        lines.append(f"   {_part_text(part)}")
        for term in part.terms:
            where = f"{term.property}: {term.frequency} in {term.length} words, idf {term.idf:.3f}"
            lines.append(f"      {term.term!r} in {where} -> {term.contribution:.4f}")
    lines.append(f"   score {hit.score:.4f}")
    return lines + _before(hit)


def _before(hit: Hit) -> list[str]:
    """What a reranked hit was in the first stage."""
    if hit.first_stage is None:
        return []
    first = hit.first_stage
    parts = [f"      {_part_text(part)}" for part in first.parts]
    return [f"   before: place {first.rank + 1}, score {first.score:.4f}", *parts]


def _part_text(part: ScorePart) -> str:
    kind = {"vector": "distance", "keyword": "BM25F", "rerank": "logit"}[part.source]
    earned = f"{part.normalised:.4f} x weight {part.weight:g} = {part.contribution:.4f}"
    return f"{part.source} {part.name}: {kind} {part.raw:.4f}, place {part.rank + 1}, {earned}"


def _report_headline(report: ImportReport) -> str:
    counts = ", ".join(f"{number:,} {status}" for status, number in report.counts.items()) or "no objects"
    rate = f" ({len(report.outcomes) / report.seconds:,.0f}/s)" if report.seconds > 0 else ""
    cut_off = f"; {len(report.truncated):,} seen by a model only in part" if report.truncated else ""
    return f"import of {len(report.outcomes):,} objects in {report.seconds:.1f} s{rate}: {counts}{cut_off}"


def _groups(report: ImportReport) -> list[list[Outcome]]:
    """The failed outcomes grouped by code and field, the largest group first."""

    def key(outcome: Outcome) -> tuple[str, str, str]:
        return outcome.status, outcome.code, outcome.field

    groups = [list(group) for _, group in groupby(sorted(report.failed, key=key), key=key)]
    return sorted(groups, key=lambda group: (-len(group), group[0].index))


def _place(outcome: Outcome) -> str:
    return f"{outcome.field}: {outcome.reason}" if outcome.field else outcome.reason


def _indexes(group: Sequence[Outcome], what: str = "object") -> str:
    shown = ", ".join(f"{outcome.index}" for outcome in group[:3])
    return f"{what}{'' if len(group) == 1 else 's'} {shown}" + (", …" if len(group) > 3 else "")


def _properties_of(config: CollectionConfig) -> str:
    return ", ".join(f"{prop.name} {prop.data_type}" for prop in config.properties)


def _spaces_of(config: CollectionConfig) -> list[str]:
    found = []
    for space in config.vector_spaces:
        maker = "own vectors" if space.vectorizer == "none" else space.model
        maker += f" at {space.base_url or space.vectorizer}" if space.vectorizer in ("nvidia", "openai") else ""
        size = f"{space.dimension} dimensions" if space.dimension else "dimension not known yet"
        found.append(f"{space.name}: {maker}, {size}, {space.distance}, {space.index}")
    return found


def _index_rows(info: CollectionInfo) -> list[list[str]]:
    return [
        [s.name, s.kind, f"{s.count:,}", ("ready" if s.ready else "catching up") + (f": {s.note}" if s.note else "")]
        for s in info.indexes
    ]


def _value(value: Any) -> str:
    return " ".join((value if isinstance(value, str) else repr(value)).split())


def _clean(lines: Sequence[str]) -> str:
    return "\n".join(" " * (len(line) - len(line.lstrip(" "))) + one_line(line) for line in lines)

"""The instant a date names, so that equal times in different zones are equal."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DATE = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(text: object) -> int | None:
    """Nanoseconds since 1970 (UTC) of an RFC 3339 date; digits beyond nanoseconds are dropped. None where it is none."""
    found = _DATE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    whole, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(whole.upper() + zone.upper().replace("Z", "+00:00"))
    except ValueError:
        return None
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + int((fraction or "0")[:9].ljust(9, "0"))

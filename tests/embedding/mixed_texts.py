"""Texts as users send them, all kinds mixed: 0 to 400 tokens, scripts, emoji, punctuation, repeats. Same seed, same texts."""

from __future__ import annotations

import random

WORD_LIST = (
    "the of and river protein search vector quantum museum harvest kettle obligation photosynthesis bank run "
    "antidisestablishmentarianism GPU naïve café Zürich résumé don't e-mail 3.14 42 1,000 2026-11-20 C++ x86_64"
)
WORDS = WORD_LIST.split()
SNIPPETS = (
    "東京都の天気は晴れ、気温は二十度です。",
    "北京大学的图书馆很大。",
    "안녕하세요, 세계!",
    "Привет, как дела?",
    "مرحبا بالعالم",
    "नमस्ते दुनिया",
    "ΑΒΓ αβγ straße İstanbul ﬁne",
    "👩‍🚀🚀 to the 🌙 and back 🎉🎉",
    "?!... --- ((nested [brackets] {here})) ;;; §§",
    "https://example.org/a/b?c=d&e=f#g",
    "[CLS] typed [SEP] by a user [MASK]",
    "tab\tnewline\nreturn\r nul\x00 zero\u200bwidth",
    "e\u0301 versus \u00e9",
    "a" * 150,
)
EDGE_CASES = ("", " ", "\n\t", "a", "🙂", "the " * 300, "word", "Word", "WORD", "字" * 400)


def mixed_texts(count: int, *, seed: int = 0) -> list[str]:
    """`count` texts, the edge cases first, then random mixtures of words and snippets of random length."""
    generator = random.Random(seed)
    made = list(EDGE_CASES[:count])
    while len(made) < count:
        length = int(400 ** generator.random()) - 1
        made.append(_mixture(generator, length))
    return made


def _mixture(generator: random.Random, length: int) -> str:
    parts: list[str] = []
    repeated = generator.choice(WORDS)
    kind = generator.random()
    for _ in range(length):
        if kind < 0.1:
            parts.append(repeated)
        elif generator.random() < 0.08:
            parts.append(generator.choice(SNIPPETS))
        else:
            parts.append(generator.choice(WORDS))
    return " ".join(parts)

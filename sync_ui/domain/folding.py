"""Names as people type them: "zoe" finds "Zoë", "munoz" finds "Muñoz".

For comparing only, never for showing. SQLite folds ASCII alone and PostgreSQL
as its locale says, so that names are compared here rather than there.
"""

import unicodedata

# Letters that Unicode takes for letters of their own, and the apostrophes that keyboards write.
_ALIKE = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
    | dict.fromkeys("’‘ʼʻ`´", "'")
)


def folded(text: str) -> str:
    """The text without capitals and accents, its words one space apart."""
    if not text.isascii():
        # Twice, since a sign such as ™ stands for capitals.
        text = _apart(_apart(text.translate(_ALIKE)).casefold())
        text = "".join(part for part in text if not unicodedata.combining(part)).translate(_ALIKE)
    return " ".join(text.casefold().split())


def _apart(text: str) -> str:
    """Letters and their accents one by one."""
    return unicodedata.normalize("NFKD", text)


def holds(text: str, words: list[str]) -> bool:
    """Whether each of these words, folded already, stands somewhere in the text."""
    found = folded(text)
    return all(word in found for word in words)

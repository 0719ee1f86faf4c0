"""People in a line of text: "Jane Smith & Mark Smith" are two clients.

One rule for the client column of a table and for the title of an event.
"""

import re

# Ways to write "and" between people. A comma is none of them: see `_by_comma`.
_BETWEEN = re.compile(r"[&;/|+]| and ", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv", "phd", "md"})
_ADDRESSES = frozenset({"mr", "mrs", "ms", "miss", "mx", "dr", "prof"})
# Words that begin a last name: "Anna van der Berg".
_PARTICLES = frozenset(
    ("al", "bin", "da", "das", "de", "del", "della", "den", "der", "di", "do", "dos", "du", "el",
     "ibn", "la", "le", "los", "lo", "st", "ten", "ter", "van", "von")
)  # fmt: skip


def people(text: str) -> tuple[tuple[str, str], ...]:
    """First and last names of everybody in the text, in its order.

    "Jane & Mark Smith" share their last name; "Smith, Jane" is turned round; a
    single word is a first name. Titles such as "Dr." are left out, and so is
    what stands in brackets, such as pronouns.
    """
    line = " ".join(_IN_BRACKETS.sub(" ", text.replace("\n", ";")).split())
    parts = [part.strip() for part in _BETWEEN.split(line)]
    found = [name for part in parts for name in _by_comma(part) if any(name)]
    return tuple(dict.fromkeys(_sharing_last_name(found, turned="," in parts[0])))


def _by_comma(text: str) -> list[tuple[str, str]]:
    parts = [part for part in (" ".join(part.split()) for part in text.split(",")) if part]
    suffix = ""
    if len(parts) > 1 and _bare(parts[-1]) in _SUFFIXES:
        suffix = f" {parts.pop()}"
    if len(parts) == 2:
        return [(_without_address(parts[1]), parts[0] + suffix)]
    names = [_first_and_last(part) for part in parts]
    if suffix:
        first, last = names[-1]
        names[-1] = (first, (last + suffix).strip())
    return names


def _first_and_last(text: str) -> tuple[str, str]:
    words = _without_address(text).split()
    if len(words) < 2:
        return " ".join(words), ""
    at = len(words) - 1
    if _bare(words[at]) in _SUFFIXES and at > 1:
        at -= 1
    while at > 1 and _bare(words[at - 1]) in _PARTICLES:
        at -= 1
    return " ".join(words[:at]), " ".join(words[at:])


def _without_address(text: str) -> str:
    words = text.split()
    while len(words) > 1 and _bare(words[0]) in _ADDRESSES:
        words = words[1:]
    return " ".join(words)


def _sharing_last_name(names: list[tuple[str, str]], *, turned: bool) -> list[tuple[str, str]]:
    """For "Jane & Mark Smith", and "Smith, Jane & Mark" when `turned`."""
    if len(names) < 2:
        return names
    family = names[0][1] if turned else names[-1][1]
    return [(first, last or family) for first, last in names]


def _bare(word: str) -> str:
    return word.casefold().rstrip(".")

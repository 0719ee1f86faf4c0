import re
from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain.tokens import (
    ALPHABET,
    digest,
    new_code,
    new_token,
    normalise,
    well_formed,
)

TOKEN = "23456789abcdefghjkmnpqrstuvwxyz23"
CODE = "23456789abcdefghjkmnpqrstu"


@pytest.mark.bar("L1", "L11")
def test_the_alphabet_holds_no_letter_that_is_mistaken_for_another() -> None:
    assert ALPHABET == "23456789abcdefghjkmnpqrstuvwxyz"


@pytest.mark.bar("L1")
def test_a_token_has_160_bits_and_a_code_128() -> None:
    assert re.fullmatch(f"[{ALPHABET}]{{33}}", new_token())
    assert re.fullmatch(f"[{ALPHABET}]{{26}}", new_code())
    assert 31**32 < 2**160 < 31**33
    assert 31**25 < 2**128 < 31**26


@pytest.mark.bar("L1")
def test_ten_thousand_tokens_are_unique_and_use_every_character_alike() -> None:
    tokens = [new_token() for _ in range(10_000)]
    counts = Counter("".join(tokens))
    first = Counter(token[0] for token in tokens)

    assert len(set(tokens)) == 10_000
    assert chi_square(counts) < 80  # 30 degrees of freedom: once in 500 000 runs
    assert chi_square(first) < 80


def chi_square(counts: Counter[str]) -> float:
    expected = counts.total() / len(ALPHABET)
    return sum((counts[letter] - expected) ** 2 / expected for letter in ALPHABET)


def test_a_token_is_made_of_the_random_bytes_alone() -> None:
    assert new_token(bytes) == "2" * 33
    assert new_token(lambda n: b"\xff" * n) == new_token(lambda n: b"\xff" * n) != "2" * 33


@pytest.mark.bar("L11")
@pytest.mark.parametrize("secret", [TOKEN, CODE])
@pytest.mark.parametrize(
    "spelling",
    [
        "{}",
        "{}.",
        "{},",
        "{})",
        "{}/",
        "{}>",
        " {}\r\n",
        "<{}>",
        "“{}”.",
        "({}).",
        "{}\u200b",
        "_{}_",
    ],
)
def test_what_mail_puts_around_a_secret_does_no_harm(spelling: str, secret: str) -> None:
    assert normalise(spelling.format(secret)) == secret
    assert normalise(spelling.format(secret.upper())) == secret
    assert digest(spelling.format(secret.upper())) == sha256(secret.encode()).hexdigest()


@pytest.mark.bar("L11")
@pytest.mark.parametrize(
    "spelling",
    [
        "",
        TOKEN[:-1],
        TOKEN + "2",
        CODE[:-1],
        CODE + "2",
        TOKEN.replace("o", "0").replace("2", "1"),
        TOKEN[:10] + " " + TOKEN[10:],
        TOKEN[:10] + "/" + TOKEN[11:],
        f"{TOKEN} {TOKEN}",
        "x=" + TOKEN,
        TOKEN + "." * 100,
        "é" * 33,
        "\ud800" * 33,
    ],
)
def test_what_cannot_be_a_secret_matches_none(spelling: str) -> None:
    assert normalise(spelling) == ""
    assert not well_formed(spelling)
    assert digest(spelling) != digest(spelling + "x")
    assert digest(spelling) != digest(TOKEN)


def test_only_the_spelling_of_issue_is_well_formed() -> None:
    assert well_formed(TOKEN)
    assert well_formed(CODE)
    assert not well_formed(TOKEN.upper())
    assert not well_formed(TOKEN + ".")
    assert not well_formed(TOKEN + "\n")


@given(st.binary(min_size=64, max_size=64))
def test_every_token_is_well_formed_and_stays_as_it_is(noise: bytes) -> None:
    token = new_token(lambda length: noise[:length])

    assert well_formed(token)
    assert normalise(token) == token


@pytest.mark.bar("L11")
@given(st.text(st.characters()))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)

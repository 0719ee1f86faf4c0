"""On either database a link shows what the rows say, in every variant."""

from sync_ui.services import feeds
from tests.oracle import Rows, differences
from tests.practice import NOW, Practice, token_of
from tests.readers import in_ical
from tests.variants import every_link


def test_every_variant_shows_what_the_rows_say(everything: Practice) -> None:
    made = dict(every_link(everything))
    read = in_ical([feeds.read(token_of(link)).body for link in made.values()])
    rows = Rows()

    wrong = {
        name: found
        for (name, link), feed in zip(made.items(), read, strict=True)
        if (found := differences(feed, rows.shown_by(link, NOW)))
    }

    assert wrong == {}

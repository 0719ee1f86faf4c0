"""The security bar: what a system that holds clients' appointments withstands, row by row.

A test says which rows it proves with `@pytest.mark.bar("L1")`; `make bar` runs those tests alone
and prints this table with what came of them.
"""

from dataclasses import dataclass

# The letters of the rows, in the order of the table.
PARTS = {
    "L": "Links",
    "F": "What a feed holds",
    "A": "Sign-in and sessions",
    "Z": "Who may do what",
    "N": "Networks",
    "I": "Imports and fetching",
    "S": "Two-way sync",
    "M": "Mail, QR codes, pages",
    "D": "Faults of the database",
    "B": "Backup, restore, upgrade",
    "O": "Operation",
}

# The rows that matter most.
STARRED = frozenset("L1 L3 L4 L5 L7 L9 F1 F4 A2 A5 Z1 Z3 N1 I1 I4 D1 D2 D4 B1 B4".split())

BEHAVIOURS = {
    "L1": "A token has 160 bits and opens one calendar in one mode, and nothing else",
    "L2": "No token exists before somebody asks for a link",
    "L3": "After a reset or a switch-off the old address never shows an appointment again",
    "L4": "An older backup revives no address; without a journal the restore says so",
    "L5": "Nothing that is stored opens a feed, not even with the database unlocked",
    "L6": "Rotated keys keep every address; a wrong key refuses to start",
    "L7": "No token in logs, errors or mails; only a link's number",
    "L8": "A stranger hears the same of every address that is none",
    "L9": "Guessing is slowed down, and a living link is served all the while",
    "L10": "No referrer, no robots, no cache, no other host on any page",
    "L11": "A mangled address finds its own feed or none",
    "L12": "Whose link it is sees who reads it, and is told of a new kind of reader",
    "L13": "A link dies with its maker's right to the calendar",
    "L14": "Reading changes nothing but the record of readings; other verbs are refused",
    "L15": "A dead link tells phones to forget for thirty days, and then is gone",
    "F1": "A feed tells what its mode permits and nothing else of a client",
    "F2": "Events are private, invite nobody and ring no bell",
    "F3": "A lowered ceiling holds for every link that exists",
    "F4": "No text adds a line, a property or a component to a calendar",
    "F5": "UIDs and tags are chance, stay through edits and tell nothing",
    "F6": "Unchanged is only said of equal bytes",
    "F7": "A feed is whole or an error, and never emptied by one",
    "F8": "Times are right in every zone through both changes of clocks",
    "F9": "A feed costs little, however large, and memory stays flat",
    "A1": "Passwords are long, unknown to lists of leaks, and taken as typed",
    "A2": "A session that was ended is dead on the server, whoever ended it",
    "A3": "A browser left alone is signed out by the server, and polling keeps nothing awake",
    "A4": "Signing in makes a new session; its cookie is bound to host and https",
    "A5": "Every change needs POST and its form's token; signing in and out too",
    "A6": "Guessing is slowed down, tells nothing about accounts and locks nobody out",
    "A7": "A second factor is good once, and no way in goes round it",
    "A8": "An invitation or reset is good once and for minutes; a scanner does not spend it",
    "A9": "What matters most asks for the password again",
    "A10": "After signing in one is led to a page of ours alone",
    "Z1": "Each route answers each role for each thing as a written table says",
    "Z2": "What a form does not ask for is ignored",
    "Z3": "Who leaves is out everywhere at once: sessions, links, codes, connections, mail",
    "Z4": "The last administrator stays",
    "Z5": "Lists, counts, suggestions and errors tell nothing of others' clients",
    "Z6": "Of bookings of one slot at once one is made",
    "N1": "Pages keep to the allowed networks; no header lies its way in",
    "N2": "Past the proxy the peer's own address counts",
    "N3": "Nobody locks themselves out",
    "N4": "On the host the rule can be lifted, and everybody sees it",
    "N5": "Unknown hosts, smuggled requests and slow clients do no harm",
    "I1": "No packet leaves for an address that is not public, unless it is allowed by name",
    "I2": "Errors tell nobody what listens where",
    "I3": "Answers are bounded in bytes, time and redirects",
    "I4": "No rule, zone or file keeps the server busy; the row is named",
    "I5": "A bad refresh keeps what was good and asks before much is lost",
    "I6": "Imported and typed text is text on every page and in every mail",
    "I7": "Personal events are busy time to everybody else and in no feed",
    "I8": "No cell runs as a formula; a table is taken whole or not at all, twice as once",
    "I9": "An upload is known by its content and bounded, and its name does not matter",
    "I10": "A secret source is sealed, masked and not carried to another host",
    "S1": "Credentials are sealed to their row, as narrow as possible, and given back",
    "S2": "A sign-in elsewhere is bound to its session and good once",
    "S3": "Much that vanishes at once stops and asks",
    "S4": "Both sides agree in the end, whatever fails, and no event comes twice",
    "S5": "Outside stands no more than the mode shows",
    "S6": "Who asks for patience gets it, and others go on",
    "S7": "What is changed outside changes no client and no note here",
    "M1": "Mail goes to one's own address, and no text adds a header or a reader",
    "M2": "A mail carries the address of a page, never that of a feed",
    "M3": "A code is good once, for its owner and for a while",
    "M4": "QR codes are drawn here, in the page, and kept by no cache",
    "M5": "No page is framed; what was seen is gone after signing out",
    "M6": "Every page works by keyboard and passes the checks for accessibility",
    "D1": "Twelve who write at once lose nothing and see no error",
    "D2": "Whatever was acknowledged outlives a killed server, and nothing is half there",
    "D3": "A full or read-only disk is told, feeds go on, and it heals by itself",
    "D4": "An SQLite that can lose data, a network disk and a second server are refused",
    "D5": "Damage and a wrong key are found at the start and every day",
    "D6": "The log of writes stays bounded and no connection sits in a transaction",
    "D7": "A clock that jumps or stands still harms nothing",
    "D8": "A second server on the same data is refused",
    "D9": "Work that was killed is done again; done twice it takes effect once",
    "B1": "A backup is made under load, sealed, proven by restoring, and its age is told",
    "B2": "A restore that is killed leaves the old or the new, whole",
    "B3": "Where the key is and is not is said plainly; a drill on a clean machine works",
    "B4": "Every earlier version's data comes through a migration whole",
    "B5": "An older program refuses a newer database",
    "B6": "What is past its time leaves no bytes",
    "O1": "Each change leaves one entry in its own transaction; a refused one leaves none",
    "O2": "An entry that was changed, taken out or moved is noticed",
    "O3": "Audit and logs hold numbers, no names and no secrets",
    "O4": "No text forges a line of a log",
    "O5": "An error shows nothing of the inside",
    "O6": "Nothing is open by default, and weak keys are refused",
    "O7": "What is installed is pinned by hash, listed and checked",
    "O8": "Health tells what is broken and no secret",
    "O9": "Thousands of requests leave no handle, connection or memory behind",
    "O10": "Whatever is sent, nothing falls over",
}

# What no test proves, and why; a row may have tests all the same.
OPEN = {
    "L8": "Not how long it takes: the same code answers every address that is none.",
    "F9": "Durations are measured in benchmarks/ and never tested; memory and handles are.",
    "A6": "Not how long it takes: a password is verified for unknown people too.",
    "Z1": "Another practice's things: an installation holds one practice.",
    "N5": "Slow clients are three hundred, and feeds are counted, not timed.",
    "I2": "Not how long it takes: the sentences are the same.",
    "I8": "No spreadsheet opens an export here; 100,000 rows are in benchmarks/.",
    "D6": "A day of it is left to a run by hand; here are a long reader and many requests.",
    "D7": "Leap seconds: no clock that we can set shows one.",
    "B6": "PostgreSQL wipes what was deleted in its own time.",
    "O9": "A million requests are left to a run by hand; the suite sends some thousands.",
    "O10": "An hour of it is `make fuzz SECONDS=3600`; here what was found is replayed.",
}


@dataclass(frozen=True)
class Row:
    """One row of the bar; `open` is what no test proves and why, or nothing."""

    id: str
    behaviour: str
    starred: bool
    open: str


ROWS = {
    row: Row(row, behaviour, row in STARRED, OPEN.get(row, ""))
    for row, behaviour in BEHAVIOURS.items()
}

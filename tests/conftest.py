"""What every test can use."""

import os

import hypothesis

pytest_plugins = [
    "tests.once",
    "tests.practice",
    "tests.postgresql",
    "tests.radicale",
    "tests.browser",
    "tests.readers",
    "tests.variants",
    "tests.emulator",
    "tests.gateways.scripted_google",
]

# No deadlines: how long a thing takes is measured in benchmarks/, never tested.
hypothesis.settings.register_profile("dev", deadline=None, max_examples=50)
# The same examples each time: what a change breaks shows, and nothing else. `make soak` searches.
hypothesis.settings.register_profile(
    "ci", deadline=None, max_examples=100, print_blob=True, derandomize=True
)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=10_000, print_blob=True)
hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)

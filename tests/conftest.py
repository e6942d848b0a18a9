"""How examples are drawn: a fresh seed every run, printed so that any failure can be had again."""

from __future__ import annotations

import os
import secrets

import pytest
from hypothesis import Phase, settings

# `parent` is named because hypothesis starts from another profile, with a fixed seed, where it finds itself in a CI.
settings.register_profile(
    "default",
    parent=settings.get_profile("default"),
    max_examples=25,
    derandomize=False,
    deadline=None,
    print_blob=True,
)
settings.register_profile(  # a mutant's failure is not shrunk: that it failed is all that counts
    "mutants",
    parent=settings.get_profile("default"),
    max_examples=10,  # some tests take a tenth
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)
settings.register_profile("soak", parent=settings.get_profile("default"), max_examples=5_000)
settings.load_profile(os.environ.get("PROOFROOM_PROFILE", "default"))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw the run's seed before hypothesis looks for one; the workers of a parallel run take over this process's options."""
    if config.getoption("hypothesis_seed") is None:
        config.option.hypothesis_seed = str(secrets.randbits(32))


def pytest_report_header(config: pytest.Config) -> str:
    """Name the seed at the head of the run."""
    seed = config.getoption("hypothesis_seed")
    profile = settings.get_current_profile_name()
    return f'examples: profile {profile}, seed {seed} (again: ARGS="--hypothesis-seed={seed}")'

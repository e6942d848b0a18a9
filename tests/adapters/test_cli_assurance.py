"""``proofroom assurance``: numbers that a round would record, and a plan."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from proofroom.adapters.cli import main
from proofroom.domain.assurance import capture, catch, chance_of_capture


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    """Exit status and output."""
    status = main(["assurance", *args])
    return status, capsys.readouterr().out


def test_numbers_are_those_that_rounds_record(capsys: pytest.CaptureFixture[str]) -> None:
    """Capture, catch and the larger committees, exactly."""
    status, out = run(
        capsys,
        *(
            [
                "--validators",
                "100",
                "--colluding",
                "33",
                "--committee",
                "11",
                "--records",
                "500",
                "--observed",
                "50",
                "--missing",
                "1",
            ]
        ),
        *(["--escalations", "1", "--json"]),
    )
    assert status == 0
    first, second = json.loads(out)["committees"]
    captured = capture(100, 33, 11, 1)
    assert first["capture"] == {"ratio": str(captured), "exact": str(chance_of_capture(100, 33, 11, 1))}
    assert first["catch"] == {"ratio": str(catch(captured, 500, 50))}
    assert Fraction(first["capture_by_host"]["exact"]) == 101 * chance_of_capture(100, 33, 11)
    assert (second["committee"], second["eligible"], second["colluding"]) == (23, 89, 33)
    assert second["capture"]["ratio"] == str(capture(89, 33, 23, 1))


def test_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """The fewest members, or that there are none; a table for a person."""
    status, out = run(capsys, "--validators", "100", "--below", "1%")
    assert status == 0
    assert "11 members are the fewest that are captured in less than 1.000 % of rounds" in out
    assert "0.5344 %" in out
    assert "no committee of 5 to 61" in run(capsys, "--validators", "9", "--colluding", "8", "--below", "1/100")[1]


@pytest.mark.parametrize(
    "args",
    [
        "--validators 3 --committee 5",
        "--validators 9 --colluding 10",
        "--validators 9 --below 2",
        "--validators 9 --observed 1",
    ],
)
def test_what_makes_no_sense(capsys: pytest.CaptureFixture[str], args: str) -> None:
    """Wrong usage is told as such."""
    assert run(capsys, *args.split())[0] == 2

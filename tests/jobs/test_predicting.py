"""Answers as a table."""

import csv
from pathlib import Path

from desktop_ft.jobs.predicting import Prediction, as_csv


def test_a_table_of_answers_is_read_again_and_holds_no_formula() -> None:
    hostile = '=HYPERLINK("http://evil.example")'
    given = [
        Prediction(path=Path("/photos/a, b.png"), label=hostile, confidence=0.5, sure=False),
        Prediction(path=Path("/photos/é\udce9.png"), label="bee", confidence=1.0),
        Prediction(path=Path("/photos/c.png"), problem="Is cut off."),
    ]
    text = as_csv(given)
    assert b"\xe9.png" in text, "a name that is not UTF-8 keeps its bytes"
    rows = list(csv.reader(text.decode("utf-8", "surrogateescape").splitlines()))
    assert rows == [
        ["file", "answer", "confidence", "sure", "problem"],
        ["/photos/a, b.png", "'" + hostile, "0.500000", "no", ""],
        ["/photos/é\udce9.png", "bee", "1.000000", "yes", ""],
        ["/photos/c.png", "", "", "", "Is cut off."],
    ]

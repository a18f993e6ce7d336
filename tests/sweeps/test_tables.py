"""Tables of sweeps as files."""

import csv
import io

from etude.sweeps.tables import csv_of


def test_a_csv_holds_its_values_and_nothing_that_a_spreadsheet_would_compute() -> None:
    rows = [{"cell": "=1+1", "n": 3, "mean": -0.5}, {"cell": "a, b", "n": 1, "sd": None}, {"cell": "@x\t", "n": 0}]
    found = list(csv.DictReader(io.StringIO(csv_of(rows))))
    assert found == [
        {"cell": "'=1+1", "n": "3", "mean": "-0.5", "sd": ""},
        {"cell": "a, b", "n": "1", "mean": "", "sd": ""},
        {"cell": "'@x\t", "n": "0", "mean": "", "sd": ""},
    ]

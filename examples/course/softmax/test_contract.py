"""The contract is sound: its right answer passes, every mutant is caught and named."""

from pathlib import Path

from etude.verify import find, prove


def test_the_contract_is_sound() -> None:
    assert prove(find(str(Path(__file__).parent / "contract.py"))) == []

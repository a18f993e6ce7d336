"""The error for a name that is not on a list: its exact texts, and the one its docstring shows."""

import doctest

from etude import errors


def test_the_docstrings_of_errors_say_what_their_code_gives() -> None:
    result = doctest.testmod(errors)
    assert result.attempted == 2
    assert result.failed == 0


def test_unknown_suggests_the_nearest_name() -> None:
    error = errors.unknown("recipe", "lenett", ["lenet", "gan"], hint="`etude recipes` describes them")
    assert isinstance(error, errors.UsageError)
    assert str(error) == (
        "unknown recipe 'lenett': did you mean 'lenet'? Choose from gan, lenet; `etude recipes` describes them."
    )


def test_unknown_lists_the_names_where_none_is_near() -> None:
    assert str(errors.unknown("figure", "xyz", ["losses", "grid"])) == (
        "unknown figure 'xyz': choose from grid, losses."
    )


def test_every_mistake_of_a_person_exits_with_code_2() -> None:
    mistakes = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.EtudeError)]
    assert len(mistakes) > 3
    assert {mistake.exit_code for mistake in mistakes} == {2}

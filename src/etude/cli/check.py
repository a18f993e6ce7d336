"""`etude check`: a family against what every family must do."""

import json as json_format

from tyro.conf import Positional


def check(family: Positional[str], *, json: bool = False) -> None:
    """Check that a family trains as étude expects, and name what fails.

    It takes a few steps with each of its recipes on a few examples. The exit code is 0 only if all checks pass, else 1.

    Args:
        family: A Python file that defines FAMILY, or a family of étude, such as classifier.
        json: Print one JSON object on stdout.
    """
    from etude.training.conformance import check as check_family

    report = check_family(family)
    print(json_format.dumps(report.to_dict()) if json else report)
    if not report.passed:
        raise SystemExit(1)

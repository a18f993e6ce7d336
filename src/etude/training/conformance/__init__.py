"""What every family must do, as checks that name what is wrong: of étude's own families and of anyone's."""

from etude.training.conformance.suite import CHECKS, Check, CheckResult, Report, check

__all__ = ["CHECKS", "Check", "CheckResult", "Report", "check"]

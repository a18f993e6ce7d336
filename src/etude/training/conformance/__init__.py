"""What every family must do, as checks that name what is wrong, for étude's own families and everyone's."""

from etude.training.conformance.suite import CHECKS, Check, CheckResult, Report, check

__all__ = ["CHECKS", "Check", "CheckResult", "Report", "check"]

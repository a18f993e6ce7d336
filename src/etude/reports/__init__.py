"""Reports: one HTML file about a run, about several runs or a sweep, or about a study."""

from etude.reports.writing import Report, report

__all__ = ["Report", "report"]

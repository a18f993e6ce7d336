"""Questions about any network, answered by computation: shapes, cost, receptive field, gradients, modes."""

from etude.inspection.inspecting import Inspection, inspect

__all__ = ["Inspection", "inspect"]

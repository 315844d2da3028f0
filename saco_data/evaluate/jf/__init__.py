"""J&F of masks in folders, equal to the official evaluator of SA-V: `evaluate_folders`."""

from saco_data.evaluate.jf.count import Score
from saco_data.evaluate.jf.folders import Fault
from saco_data.evaluate.jf.result import MasksUncountable, Result
from saco_data.evaluate.jf.run import evaluate_folders

__all__ = ["Fault", "MasksUncountable", "Result", "Score", "evaluate_folders"]

"""J&F of masks in folders, equal to the official evaluator of SA-V: `evaluate_folders`."""

from saco_data.evaluation.jf.count import Score
from saco_data.evaluation.jf.result import Result
from saco_data.evaluation.jf.run import evaluate_folders

__all__ = ["Result", "Score", "evaluate_folders"]

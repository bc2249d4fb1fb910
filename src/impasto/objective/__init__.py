"""The objective: targets, normalized and weighted terms, masks; one scalar with its parts and its gradient."""

from impasto.objective.masks import Style
from impasto.objective.objective import Evaluation, Objective
from impasto.objective.weighting import OBJECTIVE_SCALE, TERMS

__all__ = ["OBJECTIVE_SCALE", "TERMS", "Evaluation", "Objective", "Style"]

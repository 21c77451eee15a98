"""Predictors: what a scheduler may believe about the future of a stage."""

from maestro_gym.predictors.annotate import LEARNERS, annotate, build_predictor, history_workflows
from maestro_gym.predictors.boosted import BoostedPredictor, Design
from maestro_gym.predictors.constant import ConstantPredictor
from maestro_gym.predictors.noisy import NoisyPredictor
from maestro_gym.predictors.oracle import OraclePredictor
from maestro_gym.predictors.predictor import Guess, Learner, Predictor, record
from maestro_gym.predictors.role_median import RoleMedianPredictor
from maestro_gym.predictors.samples import Samples, samples_of

__all__ = [
    "LEARNERS",
    "BoostedPredictor",
    "ConstantPredictor",
    "Design",
    "Guess",
    "Learner",
    "NoisyPredictor",
    "OraclePredictor",
    "Predictor",
    "RoleMedianPredictor",
    "Samples",
    "annotate",
    "build_predictor",
    "history_workflows",
    "record",
    "samples_of",
]

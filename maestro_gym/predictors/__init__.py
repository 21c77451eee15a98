"""Predictors: what a scheduler may believe about the future of a stage."""

from maestro_gym.predictors.annotate import annotate, build_predictor
from maestro_gym.predictors.constant import ConstantPredictor
from maestro_gym.predictors.noisy import NoisyPredictor
from maestro_gym.predictors.oracle import OraclePredictor
from maestro_gym.predictors.predictor import Guess, Predictor, record
from maestro_gym.predictors.role_median import RoleMedianPredictor

__all__ = [
    "ConstantPredictor",
    "Guess",
    "NoisyPredictor",
    "OraclePredictor",
    "Predictor",
    "RoleMedianPredictor",
    "annotate",
    "build_predictor",
    "record",
]

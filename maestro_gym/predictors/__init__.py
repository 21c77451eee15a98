"""Predictors: what a scheduler may believe about the future of a stage.

Start with ``predictor.py`` (what a guess is, and what it becomes in an episode), ``role_median.py`` (a small one that
learns) and ``annotate.py`` (which one a configuration asks for). ``boosted.py`` is Maestro's, made of ``features.py``,
``boosting.py`` and ``trees.py``; ``oracle.py``, ``noisy.py`` and ``constant.py`` bound what prediction can give;
``samples.py`` is the history and ``store.py`` keeps what was fitted.

A new predictor is one file with a class that has ``guess``, its name in ``PredictorConfig.kind`` and a branch of
``build_predictor``; ``constant.py`` is the shortest example. It may read what is known when a stage becomes ready.
"""

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

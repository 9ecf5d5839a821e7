"""netspec: a compiler for declared neural networks. Text in, a trained model out, fast on a plain CPU.

Public names are resolved on first use, so that importing netspec imports neither numba nor the compiler. What is no public name is a word
of the catalogue, to build nets with: `netspec.affine(100) - netspec.relu`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netspec.base.diagnostic import Diagnostic as Diagnostic
    from netspec.base.errors import DataError as DataError
    from netspec.base.errors import DivergedError as DivergedError
    from netspec.base.errors import Interrupted as Interrupted
    from netspec.base.errors import LimitError as LimitError
    from netspec.base.errors import NetspecError as NetspecError
    from netspec.base.errors import SpecError as SpecError
    from netspec.base.errors import UsageError as UsageError
    from netspec.base.kinds import Contraction as Contraction
    from netspec.base.kinds import Head as Head
    from netspec.base.kinds import Normalization as Normalization
    from netspec.base.kinds import Pointwise as Pointwise
    from netspec.base.kinds import Rearrangement as Rearrangement
    from netspec.base.kinds import RowNormalization as RowNormalization
    from netspec.base.kinds import Upsampling as Upsampling
    from netspec.base.kinds import Window as Window
    from netspec.base.layer import BadSample as BadSample
    from netspec.base.layer import Layer as Layer
    from netspec.base.layer import OnnxForm as OnnxForm
    from netspec.base.layer import OnnxNode as OnnxNode
    from netspec.base.layer import ReferenceContext as ReferenceContext
    from netspec.base.layer import Sample as Sample
    from netspec.frontend.builder import Spec as Spec
    from netspec.frontend.builder import define as define
    from netspec.frontend.builder import definition as definition
    from netspec.frontend.builder import let as let
    from netspec.frontend.builder import program as program
    from netspec.frontend.builder_net import Net as Net
    from netspec.frontend.builder_net import Word as Word
    from netspec.frontend.builder_net import add as add
    from netspec.frontend.builder_net import block as block
    from netspec.frontend.builder_net import branches as branches
    from netspec.frontend.builder_net import call as call
    from netspec.frontend.builder_net import concat as concat
    from netspec.frontend.builder_net import layer as layer
    from netspec.frontend.builder_net import mul as mul
    from netspec.frontend.builder_net import ref as ref
    from netspec.frontend.builder_net import repeat as repeat
    from netspec.frontend.builder_net import res as res
    from netspec.frontend.builder_net import unit as unit
    from netspec.frontend.builder_value import Value as Value
    from netspec.frontend.builder_value import literal as literal
    from netspec.frontend.builder_value import max as max
    from netspec.frontend.builder_value import min as min
    from netspec.frontend.builder_value import param as param
    from netspec.frontend.builder_value import split as split
    from netspec.frontend.builder_value import string as string
    from netspec.frontend.text import format as format
    from netspec.frontend.text import load as load
    from netspec.frontend.text import parse as parse
    from netspec.graph.check import check as check
    from netspec.model import Model as Model
    from netspec.pipeline import Run as Run
    from netspec.pipeline import compile as compile
    from netspec.pipeline import restore as restore
    from netspec.pipeline import train as train
    from netspec.save.atomic import SaveError as SaveError
    from netspec.train.callbacks import Callback as Callback
    from netspec.train.callbacks import StopTraining as StopTraining
    from netspec.train.history import History as History
    from netspec.train.rule import optimizer as optimizer
    from netspec.train.trackers.mlflow import MLflow as MLflow
    from netspec.train.trackers.tensorboard import TensorBoard as TensorBoard
    from netspec.train.trackers.wandb import WandB as WandB
    from netspec.train.transform import transform as transform
    from netspec.ui.estimators.classifier import NetClassifier as NetClassifier
    from netspec.ui.estimators.regressor import NetRegressor as NetRegressor
    from netspec.ui.notebook.picture import draw as draw

    __version__: str

_NAMES = {
    "netspec.base.diagnostic": "Diagnostic",
    "netspec.base.errors": "DataError DivergedError Interrupted LimitError NetspecError SpecError UsageError",
    "netspec.base.kinds": "Contraction Head Normalization Pointwise Rearrangement RowNormalization Upsampling Window",
    "netspec.base.layer": "BadSample Layer OnnxForm OnnxNode ReferenceContext Sample",
    "netspec.frontend.builder": "Spec define definition let program",
    "netspec.frontend.builder_net": "Net Word add block branches call concat layer mul ref repeat res unit",
    "netspec.frontend.builder_value": "Value literal max min param split string",
    "netspec.frontend.text": "format load parse",
    "netspec.graph.check": "check",
    "netspec.model": "Model",
    "netspec.pipeline": "Run compile restore train",
    "netspec.save.atomic": "SaveError",
    "netspec.train.callbacks": "Callback StopTraining",
    "netspec.train.history": "History",
    "netspec.train.rule": "optimizer",
    "netspec.train.trackers.mlflow": "MLflow",
    "netspec.train.trackers.tensorboard": "TensorBoard",
    "netspec.train.trackers.wandb": "WandB",
    "netspec.train.transform": "transform",
    "netspec.ui.estimators.classifier": "NetClassifier",
    "netspec.ui.estimators.regressor": "NetRegressor",
    "netspec.ui.notebook.picture": "draw",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
_OF_EXTRAS = {"NetClassifier": "sklearn", "NetRegressor": "sklearn"}
"""Names that need a library which may be missing: `from netspec import *` leaves them out."""

__all__ = [name for name in _HOMES if name not in _OF_EXTRAS]

_HOMES |= dict.fromkeys(("load_ipython_extension", "unload_ipython_extension"), "netspec.ui.notebook.magic")  # %load_ext netspec


def __getattr__(name: str) -> Word:  # to a type checker every other name is a word; the public ones are declared above
    if name in _HOMES:
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    elif name == "__version__":
        value = import_module("importlib.metadata").version("netspec")
    elif name.startswith("_"):
        raise AttributeError(f"module 'netspec' has no attribute {name!r}")
    else:
        value = import_module("netspec.frontend.vocabulary").word(name, _HOMES)
    return value  # type: ignore[no-any-return]


class _Package(ModuleType):
    """This module; importing the folder netspec.train must not hide the function netspec.train."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    more = [name for name, needed in _OF_EXTRAS.items() if find_spec(needed) is not None]
    return sorted({*__all__, *more, "__version__", *import_module("netspec.frontend.vocabulary").vocabulary()})

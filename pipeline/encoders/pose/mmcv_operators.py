"""Lets `mmcv-lite` serve MMPose and MMDetection: a stand-in for the compiled operators of mmcv.

Both import every operator of mmcv, although top-down poses and one-stage detectors call none but `nms`, and wheels of
the whole mmcv exist for a few old versions of torch only. Where the whole mmcv is installed, nothing is put in its
place. Import this module before `mmpose` and `mmdet`.
"""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

import torch
from torchvision import ops

from pipeline.errors import ChoreoError

NAME = "mmcv._ext"


class Operators(ModuleType):
    """`nms` by torchvision; every other operator says, when it is called, that it is missing."""

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*args: object, **kwargs: object) -> None:
            raise ChoreoError(
                f"the model calls {name!r}, a compiled operator of mmcv",
                "mmcv-lite is installed, which has none",
                "install the whole mmcv, or choose a model that does without: RTMDet, RTMPose, HRNet, ViTPose",
            )

        return missing

    @staticmethod
    def nms(bboxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, offset: int = 0) -> torch.Tensor:
        """Indices of the boxes (N,4) that stay, the surest first; `offset` is added to every width and height."""
        return ops.nms(bboxes + bboxes.new_tensor([0, 0, offset, offset]), scores, iou_threshold)


if find_spec(NAME) is None:
    operators = Operators(NAME)
    operators.__spec__ = ModuleSpec(NAME, None)  # without a loader: mmengine still sees that mmcv is not whole
    sys.modules[NAME] = operators

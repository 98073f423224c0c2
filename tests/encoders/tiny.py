"""Tiny ONNX graphs with random weights, in the form of real exports."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def picture_graph(path: Path, size: int = 8, dim: int = 6, classes: int = 7) -> Path:
    """(N,S,S,3) uint8 `input` -> `features` (N,D) and `probs` (N,C)."""
    rng = np.random.default_rng(0)
    weights = {
        "body": rng.normal(size=(size * size * 3, dim)).astype(np.float32) / 255,
        "head": rng.normal(size=(dim, classes)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["input"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "body"], ["features"]),
        helper.make_node("MatMul", ["features", "head"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probs"], axis=1),
    ]
    outputs = {"features": ["N", dim], "probs": ["N", classes]}
    return write(path, nodes, weights, ["N", size, size, 3], outputs)


def clip_graph(path: Path, frames: int, size: int = 8, dim: int = 6) -> Path:
    """(B,T,S,S,3) uint8 `input` -> `features` (B,D)."""
    weights = {"body": np.random.default_rng(0).normal(size=(frames * size * size * 3, dim)).astype(np.float32) / 255}
    nodes = [
        helper.make_node("Cast", ["input"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "body"], ["features"]),
    ]
    return write(path, nodes, weights, ["B", frames, size, size, 3], {"features": ["B", dim]})


def write(path: Path, nodes: list, weights: dict[str, np.ndarray], shape: list, outputs: dict[str, list]) -> Path:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("input", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path

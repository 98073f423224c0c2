"""What the training of the theatre's small encoders has in common: plays, photographic noise, the loop, the ONNX file.

Axes: N still, T frame, H W pixel, C channel, J joint.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from pipeline.theatre import corpus, stage


@dataclass(frozen=True)
class Stills:
    """Single frames of plays with their truth.

    Attributes:
        frames: (N,H,W,3) uint8 RGB.
        joints: (N,17,2) float32 px x,y; `visible` (N,17) bool says which of them can be seen.
        box: (N,4) float32 xyxy px of the performer.
        objects: the objects of each still's play; `scene` its scene.
    """

    frames: np.ndarray
    joints: np.ndarray
    visible: np.ndarray
    box: np.ndarray
    objects: list[tuple[str, ...]]
    scene: list[str]


def plays(seed: int, videos: int, *, empty: bool = False) -> Iterator[stage.Performance]:
    """Plays of the corpus: motion, objects and scene drawn independently. `empty` leaves out the performers."""
    for script in corpus.scripts(seed, videos):
        yield stage.perform(script, empty=empty)


def stills(seed: int, videos: int, per_play: int) -> Stills:
    """`per_play` random frames of each of `videos` plays of the corpus."""
    rng = np.random.default_rng(seed)
    rows = [
        (play.frames[t], play.joints[t], play.visible[t], play.box[t], play.objects, play.scene)
        for play in plays(seed, videos)
        for t in rng.choice(len(play.frames), per_play, replace=False)
    ]
    frames, joints, visible, box, objects, scene = zip(*rows, strict=True)
    arrays = np.stack(frames), np.float32(joints), np.stack(visible), np.float32(box)
    return Stills(*arrays, list(objects), list(scene))


def photograph(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Frames (T,H,W,3) uint8 as another camera would give them: gain, tint, noise, JPEG blocks; one draw for all T."""
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3)
    table = (np.arange(256)[:, None] * gain + rng.uniform(-15, 15)).clip(0, 255).astype(np.uint8)  # (256,C)
    taken = cv2.LUT(frames.reshape(-1, *frames.shape[2:]), table[None]).reshape(frames.shape)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(1, 6), frames.shape[1:]).astype(np.int16)
        taken = np.stack([cv2.add(frame, np.roll(noise, rng.integers(99), 1), dtype=cv2.CV_8U) for frame in taken])
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))]
        taken = np.stack([cv2.imdecode(cv2.imencode(".jpg", frame, quality)[1], cv2.IMREAD_COLOR) for frame in taken])
    return taken


def fit(
    model: nn.Module,
    loss: Callable[[nn.Module], Tensor],
    *,
    steps: int,
    rate: float,
    weight_decay: float = 0.02,
    average: float = 0.998,
    bfloat16: bool = False,
) -> nn.Module:
    """Minimise `loss(model)`, which draws its own batch: AdamW, one-cycle rate, average of the weights.

    Returns the model with averaged weights, in evaluation mode.
    """
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    decay = min(average, 1 - 1 / (1 + steps / 10))
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay), use_buffers=True
    )
    model.train()
    for step in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            value = loss(model)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(model)
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step:5d}  loss {value.item():.4f}", flush=True)
    return averaged.module.eval()


def convolution(inputs: int, outputs: int, *, size: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU; the map keeps its size, divided by the stride."""
    padding = dilation * (size // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding, dilation, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def pixels(frames: Tensor) -> Tensor:
    """(N,H,W,3) uint8 RGB -> (N,3,H,W) float32 in -1 to 1, channels last in memory."""
    return frames.permute(0, 3, 1, 2).float() / 127.5 - 1


def export(model: nn.Module, example: Tensor, path: Path, *, inputs: str, output: str) -> None:
    """Write `model` as one ONNX file with a free batch axis and its weights stored in half precision."""
    program = torch.onnx.export(
        model.eval(),
        (example,),
        input_names=[inputs],
        output_names=[output],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    graph = halve(program.model_proto)
    onnx.checker.check_model(graph)
    part = path.with_name(path.name + ".part")
    part.write_bytes(graph.SerializeToString())
    part.replace(path)


def halve(graph: onnx.ModelProto, smallest: int = 256) -> onnx.ModelProto:
    """Store float32 weights of `smallest` or more values as float16 behind a Cast; the arithmetic stays float32."""
    weights = graph.graph.initializer
    for weight in [w for w in weights if w.data_type == TensorProto.FLOAT]:
        values = numpy_helper.to_array(weight)
        if values.size < smallest:
            continue
        half = numpy_helper.from_array(values.astype(np.float16), weight.name + ".half")
        weights.remove(weight)
        weights.append(half)
        graph.graph.node.insert(0, helper.make_node("Cast", [half.name], [weight.name], to=TensorProto.FLOAT))
    return graph

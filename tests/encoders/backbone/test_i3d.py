"""I3D: the published weights fit, and the network computes what they were trained for."""

from __future__ import annotations

from collections import OrderedDict
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline import encoders
from pipeline.encoders.backbone import with_short_side
from pipeline.encoders.backbone.i3d import Mixed, Network, Unit, load, pool, prepared, same
from pipeline.errors import ChoreoError

# Convolutions of rgb_imagenet.pt: name, channels out and in, size of the filter in time, height and width.
UNITS = """
Conv3d_1a_7x7  64    3 7
Conv3d_2b_1x1  64   64 1
Conv3d_2c_3x3 192   64 3
Mixed_3b.b0     64  192 1
Mixed_3b.b1a    96  192 1
Mixed_3b.b1b   128   96 3
Mixed_3b.b2a    16  192 1
Mixed_3b.b2b    32   16 3
Mixed_3b.b3b    32  192 1
Mixed_3c.b0    128  256 1
Mixed_3c.b1a   128  256 1
Mixed_3c.b1b   192  128 3
Mixed_3c.b2a    32  256 1
Mixed_3c.b2b    96   32 3
Mixed_3c.b3b    64  256 1
Mixed_4b.b0    192  480 1
Mixed_4b.b1a    96  480 1
Mixed_4b.b1b   208   96 3
Mixed_4b.b2a    16  480 1
Mixed_4b.b2b    48   16 3
Mixed_4b.b3b    64  480 1
Mixed_4c.b0    160  512 1
Mixed_4c.b1a   112  512 1
Mixed_4c.b1b   224  112 3
Mixed_4c.b2a    24  512 1
Mixed_4c.b2b    64   24 3
Mixed_4c.b3b    64  512 1
Mixed_4d.b0    128  512 1
Mixed_4d.b1a   128  512 1
Mixed_4d.b1b   256  128 3
Mixed_4d.b2a    24  512 1
Mixed_4d.b2b    64   24 3
Mixed_4d.b3b    64  512 1
Mixed_4e.b0    112  512 1
Mixed_4e.b1a   144  512 1
Mixed_4e.b1b   288  144 3
Mixed_4e.b2a    32  512 1
Mixed_4e.b2b    64   32 3
Mixed_4e.b3b    64  512 1
Mixed_4f.b0    256  528 1
Mixed_4f.b1a   160  528 1
Mixed_4f.b1b   320  160 3
Mixed_4f.b2a    32  528 1
Mixed_4f.b2b   128   32 3
Mixed_4f.b3b   128  528 1
Mixed_5b.b0    256  832 1
Mixed_5b.b1a   160  832 1
Mixed_5b.b1b   320  160 3
Mixed_5b.b2a    32  832 1
Mixed_5b.b2b   128   32 3
Mixed_5b.b3b   128  832 1
Mixed_5c.b0    384  832 1
Mixed_5c.b1a   192  832 1
Mixed_5c.b1b   384  192 3
Mixed_5c.b2a    48  832 1
Mixed_5c.b2b   128   48 3
Mixed_5c.b3b   128  832 1
"""
CONVOLUTIONS = {name: (int(out), int(into), int(k)) for name, out, into, k in map(str.split, UNITS.split("\n")[1:-1])}
NORM = ("weight", "bias", "running_mean", "running_var")


def published(classes: int = 400, seed: int = 0) -> OrderedDict[str, torch.Tensor]:
    """Weights of the names, shapes and order of rgb_imagenet.pt, with random values."""
    random = torch.Generator().manual_seed(seed)
    state = OrderedDict()
    for name, (out, into, k) in CONVOLUTIONS.items():
        filters = torch.randn(out, into, k, k, k, generator=random) * (2 / (into * k**3)) ** 0.5
        state[f"{name}.conv3d.weight"] = filters
        for part, low in zip(NORM, (0.8, -0.2, -0.2, 0.8)):
            state[f"{name}.bn.{part}"] = low + 0.4 * torch.rand(out, generator=random)
    state["logits.conv3d.weight"] = torch.randn(classes, 1024, 1, 1, 1, generator=random) / 32
    state["logits.conv3d.bias"] = torch.randn(classes, generator=random)
    return state


def saved(path: Path, state: dict[str, torch.Tensor], old: bool = True) -> Path:
    """A checkpoint; the published ones were written by a PyTorch that had no zip files yet."""
    torch.save(state, path, _use_new_zipfile_serialization=not old)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("i3d") / "rgb_imagenet.pt", published())


# Weights


def test_names_and_shapes_are_those_of_the_published_weights() -> None:
    own = {k: tuple(v.shape) for k, v in Network().state_dict().items() if not k.endswith("num_batches_tracked")}
    assert own == {k: tuple(v.shape) for k, v in published().items()}
    assert len(own) == 57 * 5 + 2


def test_the_number_of_parameters_is_that_of_the_published_network() -> None:
    by_hand = sum(out * into * k**3 + 2 * out for out, into, k in CONVOLUTIONS.values()) + 1024 * 400 + 400
    assert sum(p.numel() for p in Network().parameters()) == by_hand == 12_697_264


def test_the_published_file_loads_whole_and_every_value_is_taken(checkpoint: Path) -> None:
    network = Network()
    load(network, checkpoint)
    own = network.state_dict()
    assert all(torch.equal(own[key], value) for key, value in published().items())


def test_a_file_written_again_by_a_newer_pytorch_is_the_same_model(checkpoint: Path, tmp_path: Path) -> None:
    network = Network()
    load(network, checkpoint)
    for name in CONVOLUTIONS:
        network.get_submodule(name).bn.num_batches_tracked += 7
    again = saved(tmp_path / "rgb_imagenet.pt", network.state_dict(), old=False)
    names = [encoders.load("backbone", f"i3d:{path}").identity for path in (checkpoint, again)]
    assert names[0] == names[1] and names[0].startswith("i3d:rgb_imagenet@")


def test_weights_of_other_classes_load_when_their_number_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path / "rgb_charades.pt", published(157))
    assert encoders.load("backbone", {"name": "i3d", "model": str(path), "classes": 157}).dim == 1024


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Mixed_4c.b2b.conv3d.weight": None, "Mixed_5b.b0.bn.bias": None}, r"lacks 'Mixed_4c.b2b.conv3d.weight' \(2"),
        ({"conv1.weight": torch.zeros(2)}, r"an unexpected 'conv1.weight' \(1 "),
        (
            {"Conv3d_1a_7x7.conv3d.weight": torch.zeros(64, 2, 7, 7, 7)},
            r"'Conv3d_1a_7x7.conv3d.weight' of shape \(64, 2",
        ),
        ({"logits.conv3d.weight": torch.zeros(157, 1024, 1, 1, 1)}, r"'logits.conv3d.weight' .*not \(400, "),
    ],
    ids=["missing", "unexpected", "flow", "classes"],
)
def test_a_checkpoint_of_another_model_is_refused_by_its_first_key_that_does_not_fit(
    change: dict, words: str, tmp_path: Path
) -> None:
    state = {key: value for key, value in {**published(), **change}.items() if value is not None}
    with pytest.raises(ChoreoError, match=words):
        encoders.load("backbone", f"i3d:{saved(tmp_path / 'other.pt', state)}")


# The network


def sides(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, as TensorFlow documents its padding "SAME"."""
    total = max(kernel - stride, 0) if size % stride == 0 else max(kernel - size % stride, 0)
    return total // 2, total - total // 2


def padded(x: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    for axis, (k, s) in enumerate(zip(kernel, stride), start=2):
        before, after = sides(x.shape[axis], k, s)
        shape = list(x.shape)
        shape[axis] = before
        left = x.new_zeros(shape)
        shape[axis] = after
        x = torch.cat([left, x, x.new_zeros(shape)], axis)
    return x


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 2, 3, 7])
def test_padding_is_that_of_tensorflow_at_every_size(kernel: int, stride: int) -> None:
    for size in range(1, 20):
        x = torch.arange(1.0, size + 1).expand(1, 1, size + 1, size + 2, size).double()
        found = same(x, (kernel,) * 3, (stride,) * 3)
        assert torch.equal(found, padded(x, (kernel,) * 3, (stride,) * 3))
        assert (found.shape[-1] - kernel) // stride + 1 == ceil(size / stride)


@pytest.mark.parametrize("size", [5, 6, 9])
def test_a_unit_is_a_convolution_with_loops(size: int) -> None:
    """Time, height and width by themselves: the filter is one value wide on the other two axes."""
    rng = np.random.default_rng(size)
    unit = Unit(1, 1, 7, 2).double().eval()
    for axis in range(3):
        signal, taps = rng.normal(size=size), rng.normal(size=7)
        filters = np.zeros((7, 7, 7))
        filters[tuple(slice(None) if a == axis else 3 for a in range(3))] = taps
        unit.conv3d.weight.data[:] = torch.from_numpy(filters)
        # The other axes are 7 long: three zeros before, so that the middle of the filter meets their first value.
        shape = [7 if a != axis else size for a in range(3)]
        clip = np.zeros(shape)
        clip[tuple(slice(None) if a == axis else 0 for a in range(3))] = signal
        before, _ = sides(size, 7, 2)
        expected = []
        for out in range(ceil(size / 2)):
            total = 0.0
            for tap in range(7):
                at = out * 2 - before + tap
                total += taps[tap] * signal[at] if 0 <= at < size else 0.0
            expected.append(max(0.0, total / (1 + 1e-3) ** 0.5))
        with torch.no_grad():
            found = unit(torch.from_numpy(clip)[None, None])[0, 0].numpy()
        found = found[tuple(slice(None) if a == axis else 0 for a in range(3))]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def reference(state: dict[str, torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (B,1024), averaged over the windows of two time steps, and logits, averaged after the last layer."""

    def unit(name: str, x: torch.Tensor) -> torch.Tensor:
        weight = state[f"{name}.conv3d.weight"]
        stride = (2, 2, 2) if name == "Conv3d_1a_7x7" else (1, 1, 1)
        x = functional.conv3d(padded(x, weight.shape[2:], stride), weight, stride=stride)
        scale, shift, mean, variance = (state[f"{name}.bn.{part}"][None, :, None, None, None] for part in NORM)
        return ((x - mean) / (variance + 0.001).sqrt() * scale + shift).clamp(min=0)

    def largest(x: torch.Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> torch.Tensor:
        return functional.max_pool3d(padded(x, kernel, stride), kernel, stride)

    x = largest(unit("Conv3d_1a_7x7", x), (1, 3, 3), (1, 2, 2))
    x = largest(unit("Conv3d_2c_3x3", unit("Conv3d_2b_1x1", x)), (1, 3, 3), (1, 2, 2))
    for block in ("3b", "3c", "pool", "4b", "4c", "4d", "4e", "4f", "pool2", "5b", "5c"):
        if block.startswith("pool"):
            k = 3 if block == "pool" else 2
            x = largest(x, (k, k, k), (2, 2, 2))
            continue
        b = f"Mixed_{block}."
        one = unit(b + "b0", x)
        two = unit(b + "b1b", unit(b + "b1a", x))
        three = unit(b + "b2b", unit(b + "b2a", x))
        four = unit(b + "b3b", largest(x, (3, 3, 3), (1, 1, 1)))
        x = torch.cat([one, two, three, four], 1)
    windows = [x[:, :, t : t + 2].mean((2, 3, 4)) for t in range(x.shape[2] - 1)]
    weight, bias = state["logits.conv3d.weight"][:, :, 0, 0, 0], state["logits.conv3d.bias"]
    logits = [window @ weight.T + bias for window in windows]
    return torch.stack(windows).mean(0), torch.stack(logits).mean(0)


@pytest.mark.parametrize("size", [(16, 32, 32), (19, 37, 45), (24, 33, 40)])
def test_the_network_is_the_published_one_also_at_odd_sizes(size: tuple[int, int, int]) -> None:
    """In float64, against convolutions that are written down one by one."""
    state = {key: value.double() for key, value in published().items()}
    network = Network().double().eval()
    network.load_state_dict(state, strict=False)
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    with torch.no_grad():
        features, logits = reference(state, x)
        torch.testing.assert_close(network.features(x), features, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(network(x), logits, rtol=1e-9, atol=1e-9)
    assert features.std() > 1e-3


def test_a_mixed_block_keeps_the_size_and_says_its_width() -> None:
    block = Mixed(4, 1, 2, 3, 4, 5, 6)
    assert block.width == 15 and block(torch.rand(1, 4, 3, 5, 7)).shape == (1, 15, 3, 5, 7)


def test_pooling_meets_no_other_zeros_than_those_around() -> None:
    x = torch.tensor([3.0, 1.0, 2.0, 5.0, 4.0]).reshape(1, 1, 1, 1, 5)
    assert pool(x, (1, 1, 3), (1, 1, 2)).flatten().tolist() == [3, 5, 5]
    assert pool(x, (1, 1, 2), (1, 1, 2)).flatten().tolist() == [3, 5, 4]


def test_clips_of_few_frames_have_a_feature_too(checkpoint: Path) -> None:
    network = Network().eval()
    load(network, checkpoint)
    with torch.no_grad():
        for frames in (1, 4, 8):
            assert network.features(torch.rand(1, 3, frames, 32, 32)).shape == (1, 1024)


# Pre-processing


def bilinear(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H,W,3) at another size, centres of pixels at halves, in float64."""
    axes = []
    for size, wanted in zip(picture.shape, (height, width)):
        at = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
        low = np.floor(at).astype(int)
        axes.append((low, np.minimum(low + 1, size - 1), at - low))
    (top, bottom, y), (left, right, x) = axes
    y, x = y[:, None, None], x[None, :, None]
    upper = picture[top][:, left] * (1 - x) + picture[top][:, right] * x
    lower = picture[bottom][:, left] * (1 - x) + picture[bottom][:, right] * x
    return upper * (1 - y) + lower * y


@pytest.mark.parametrize(
    ("size", "scaled"),
    [((48, 64), (256, 341)), ((301, 403), (256, 343)), ((403, 301), (343, 256)), ((256, 256), (256, 256))],
)
def test_pictures_are_256_on_the_short_side_224_of_the_middle_and_from_minus_1_to_1(
    size: tuple[int, int], scaled: tuple[int, int]
) -> None:
    clip = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    found = prepared(clip)
    assert found.shape == (3, 2, 224, 224) and found.dtype == torch.float32
    top, left = (scaled[0] - 224) // 2, (scaled[1] - 224) // 2
    for frame in range(2):
        large = bilinear(clip[frame].astype(float), *scaled)[top : top + 224, left : left + 224]
        expected = large / 255 * 2 - 1
        np.testing.assert_allclose(found[:, frame].permute(1, 2, 0), expected, atol=1.01 / 127.5)  # a grey level


def test_black_is_minus_1_and_white_is_1() -> None:
    black_and_white = np.zeros((2, 30, 40, 3), np.uint8)
    black_and_white[1] = 255
    found = prepared(black_and_white)
    assert torch.all(found[:, 0] == -1) and torch.all(found[:, 1] == 1)


def test_frames_that_were_shrunk_while_decoded_look_the_same() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (2, 301, 403, 3), dtype=np.uint8)
    assert torch.equal(prepared(np.stack([with_short_side(frame, 256) for frame in clip])), prepared(clip))

"""The DANCE model: forward pass and losses against literal references, forward and gradient."""

import numpy as np
import pytest
import torch

from pipeline.dance.model import Dance, cos_cubed, cos_cubed_loss, motion_loss


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def numeric_gradient(function, x, step=1e-6):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        up, down = x.clone(), x.clone()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


def literal_motion_loss(z, c, labelled):
    """Eq. 4 with loops."""
    total = []
    for zi, ci, known in zip(z.tolist(), c.tolist(), labelled.tolist()):
        if known:
            sigma = [1 / (1 + np.exp(-v)) for v in zi]
            total.append(-sum(t * np.log(s) + (1 - t) * np.log(1 - s) for t, s in zip(ci, sigma)) / len(zi))
    return sum(total) / len(total)


def literal_cosine_of_cubes(a, b):
    a, b = [v**3 for v in a], [v**3 for v in b]
    return sum(x * y for x, y in zip(a, b)) / (sum(x * x for x in a) ** 0.5 * sum(y * y for y in b) ** 0.5)


def literal_cos_cubed(z, c, across):
    """Eq. 5 with loops: over the videos, centred, or over the concepts, as printed."""
    z, c = z.numpy(), c.numpy()
    if across == "concepts":
        return [literal_cosine_of_cubes(z[i], c[i]) for i in range(len(z))]
    z, c = z - z.mean(axis=0), c - c.mean(axis=0)
    return [literal_cosine_of_cubes(z[:, k], c[:, k]) for k in range(z.shape[1])]


def test_motion_loss_is_equation_4_over_labelled_videos_forward_and_gradient():
    z, c = draw(5, 4).requires_grad_(), (draw(5, 4, seed=1) > 0).double()
    labelled = torch.tensor([True, True, False, True, False])
    loss = motion_loss(z, c, labelled)
    assert loss.item() == pytest.approx(literal_motion_loss(z, c, labelled), rel=1e-12)
    loss.backward()
    expected = numeric_gradient(lambda x: literal_motion_loss(x, c, labelled), z.detach())
    np.testing.assert_allclose(z.grad, expected, atol=1e-8)
    assert not z.grad[~labelled].any()


def test_motion_loss_without_any_labelled_video_is_zero_and_moves_nothing():
    z = draw(3, 2).requires_grad_()
    loss = motion_loss(z, torch.zeros(3, 2), torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and not z.grad.any()


@pytest.mark.parametrize("across", ["samples", "concepts"])
def test_cos_cubed_is_equation_5_forward_and_gradient(across):
    z, c = draw(6, 3).requires_grad_(), draw(6, 3, seed=1)
    np.testing.assert_allclose(cos_cubed(z, c, across).detach(), literal_cos_cubed(z.detach(), c, across), rtol=1e-10)
    loss = cos_cubed_loss(z, c, across)
    loss.backward()
    expected = numeric_gradient(lambda x: -np.mean(literal_cos_cubed(x, c, across)), z.detach())
    np.testing.assert_allclose(z.grad, expected, atol=1e-7)


def test_cos_cubed_over_videos_ignores_offset_and_scale_of_a_concept_and_survives_small_numbers():
    z, c = draw(50, 3), draw(50, 3, seed=1)
    expected = cos_cubed(z, c)
    torch.testing.assert_close(cos_cubed(z * torch.tensor([1e-4, 1.0, 1e4]) + 7, c), expected, rtol=1e-6, atol=1e-6)
    small = cos_cubed(z.float(), (0.2 + 1e-3 * c).float())
    torch.testing.assert_close(small.double(), expected, rtol=1e-3, atol=1e-3)


def test_cos_cubed_of_a_constant_is_zero_and_has_a_finite_gradient():
    z = torch.ones(4, 2, requires_grad=True)
    similarity = cos_cubed(z, draw(4, 2).float())
    similarity.sum().backward()
    assert not similarity.any() and torch.isfinite(z.grad).all()


def test_an_unknown_reading_of_equation_5_is_refused():
    with pytest.raises(ValueError, match="samples"):
        cos_cubed(draw(2, 2), draw(2, 2), across="frames")


def test_the_forward_pass_is_standardise_project_z_score_and_classify():
    model = Dance(5, {"motion": 2, "object": 3, "scene": 1}, classes=4).double()
    for name, buffer in model.named_buffers():
        buffer.copy_(draw(len(buffer)).abs() + 0.5)
        assert name in ("feature_mean", "feature_scale", "mean", "scale")
    x = draw(3, 5, seed=2)
    activation, score = model(x)
    layers = torch.cat([model.layers[k].weight for k in ("motion", "object", "scene")])
    for i in range(3):
        features = [(x[i, d] - model.feature_mean[d]) / model.feature_scale[d] for d in range(5)]
        z = [sum(layers[m, d] * features[d] for d in range(5)) for m in range(6)]
        z = [(z[m] - model.mean[m]) / model.scale[m] for m in range(6)]
        torch.testing.assert_close(activation[i], torch.stack(z))
        logits = [
            sum(model.classifier.weight[c, m] * z[m] for m in range(6)) + model.classifier.bias[c] for c in range(4)
        ]
        torch.testing.assert_close(score[i], torch.stack(logits))


def test_concepts_come_in_the_order_motion_object_scene_whatever_the_order_given():
    model = Dance(3, {"scene": 1, "motion": 2}, classes=2)
    assert list(model.concepts(torch.zeros(1, 3))) == ["motion", "scene"]
    assert all(layer.bias is None for layer in model.layers.values())

"""The losses of ProDA (Eqs. 5, 7, 8) against literal references in float64, values and gradients."""

import math
from types import SimpleNamespace

import pytest
import torch

from pipeline.proda import losses
from pipeline.proda.losses import Weights, classification, disentanglement, margin_at, reconstruction, terms, total

SHAPE = (3, 2, 4, 5)  # B, T, N, D


@pytest.fixture(autouse=True)
def in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


def some_mask():
    mask = torch.rand(*SHAPE[:3]) > 0.4
    mask[:, :, 0] = True
    return mask


def entries(x, mask, b):
    """All numbers of one video, as a list."""
    return [v for i in range(x.shape[1]) for j in range(x.shape[2]) if mask[b, i, j] for v in x[b, i, j]]


def mean(values):
    return sum(values) / len(values)


def relu(x):
    return x if x > 0 else x * 0


def same_with_gradients(fast, slow, *inputs):
    for x in inputs:
        x.requires_grad_()
    found, wanted = fast(*inputs), slow(*inputs)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-9)
    for a, b in zip(torch.autograd.grad(found, inputs), torch.autograd.grad(wanted, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def related_pair():
    """Two halves that resemble each other, each video to another degree."""
    u = torch.randn(SHAPE)
    return u, u * torch.tensor([0.1, -1.0, 3.0])[:, None, None, None] + torch.randn(SHAPE)


# ---------------------------------------------------------------------------------------------- Eq. 5, disentanglement


@pytest.mark.parametrize("margin", [0.0, 0.3])
@pytest.mark.parametrize("padded", [True, False])
def test_disentanglement_is_equation_5(margin, padded):
    mask = some_mask() if padded else torch.ones(SHAPE[:3], dtype=torch.bool)

    def slow(u, s):
        each = []
        for b in range(3):
            x, y = entries(u, mask, b), entries(s, mask, b)
            covariance = mean([(p - mean(x)) * (q - mean(y)) for p, q in zip(x, y)])
            variances = mean([(p - mean(x)) ** 2 for p in x]), mean([(q - mean(y)) ** 2 for q in y])
            each.append(relu(covariance.abs() / (variances[0].sqrt() * variances[1].sqrt()) - margin))
        return mean(each)

    same_with_gradients(lambda u, s: disentanglement(u, s, margin, mask if padded else None), slow, *related_pair())


def test_published_correlation_is_one_number_for_the_batch():
    mask = some_mask()

    def slow(u, s):
        x, y = [], []
        for b in range(3):
            x += [v - mean(entries(u, mask, b)) for v in entries(u, mask, b)]
            y += [v - mean(entries(s, mask, b)) for v in entries(s, mask, b)]
        covariance = mean([p * q for p, q in zip(x, y)])
        return relu(covariance.abs() / (mean([p * p for p in x]) * mean([q * q for q in y])).sqrt() - 0.1)

    same_with_gradients(lambda u, s: disentanglement(u, s, 0.1, mask, "batch"), slow, *related_pair())


def test_halves_that_are_one_up_to_scale_and_offset_are_fully_entangled():
    u = torch.randn(SHAPE)
    assert disentanglement(u, 3 - 2 * u).item() == pytest.approx(1)
    assert disentanglement(u, 3 - 2 * u, margin=0.7).item() == pytest.approx(0.3)


def test_constant_features_have_no_correlation_and_a_finite_gradient():
    u, s = torch.ones(SHAPE).requires_grad_(), torch.randn(SHAPE).requires_grad_()
    loss = disentanglement(u, s)
    loss.backward()
    assert loss.item() == 0
    assert u.grad.isfinite().all() and s.grad.isfinite().all()


# ----------------------------------------------------------------------------------------------- Eq. 7, reconstruction


@pytest.mark.parametrize("reduction", ["paper", "mean", "batch"])
@pytest.mark.parametrize("margin", [0.0, 1.5])
def test_reconstruction_is_equation_7(reduction, margin):
    mask = some_mask()

    def slow(original, rebuilt):
        squares = [
            [(p - q) ** 2 for p, q in zip(entries(original, mask, b), entries(rebuilt, mask, b))] for b in range(3)
        ]
        if reduction == "batch":
            return relu(mean([x for video in squares for x in video]) - margin)
        return mean([relu((sum(x) if reduction == "paper" else mean(x)) - margin) for x in squares])

    same_with_gradients(
        lambda o, r: reconstruction(o, r, margin, mask, reduction, detach=False),
        slow,
        torch.randn(SHAPE),
        torch.randn(SHAPE),
    )


def test_reconstruction_leaves_the_encoder_alone_unless_it_is_told_to():
    original, rebuilt = torch.randn(SHAPE).requires_grad_(), torch.randn(SHAPE).requires_grad_()
    reconstruction(original, rebuilt).backward()
    assert original.grad is None and rebuilt.grad.any()
    reconstruction(original, rebuilt, detach=False).backward()
    assert original.grad.any()


def test_an_error_inside_the_margin_costs_nothing():
    x = torch.randn(SHAPE).requires_grad_()
    loss = reconstruction(x.detach() + 0.1, x, margin=0.02)
    loss.backward()
    assert loss.item() == 0 and not x.grad.any()


def test_what_is_not_there_counts_nowhere():
    mask, (u, s) = some_mask(), related_pair()
    hole = ~mask[..., None]
    for function in (disentanglement, reconstruction):
        changed = function(u + 5 * hole, s - 3 * hole, 0.0, mask)
        assert changed.item() == pytest.approx(function(u, s, 0.0, mask).item(), rel=1e-12)


# ----------------------------------------------------------------------------------------------------- Eq. 8, the sum


def some_answers():
    mask = some_mask()

    def branch():
        return SimpleNamespace(logits=torch.randn(3, 7), feature=torch.randn(SHAPE))

    return SimpleNamespace(
        unspecified=branch(), specified=branch(), total=torch.randn(3, 6), mask=mask,
        original=torch.randn(SHAPE), reconstructed=torch.randn(SHAPE),
    )  # fmt: skip


def test_classification_is_the_mean_binary_cross_entropy():
    target = torch.rand(3, 7) > 0.5

    def slow(logits):
        each = []
        for z, y in zip(logits.flatten(), target.flatten()):
            p = 1 / (1 + torch.exp(-z))
            each.append(-torch.log(p if y else 1 - p))
        return mean(each)

    same_with_gradients(lambda z: classification(z, target), slow, torch.randn(3, 7))


def test_total_is_equation_8():
    answers, weights = some_answers(), Weights(0.3, 0.5, 0.7, 0.9, 0.9)
    y_u, y_s, y_t = (torch.rand(3, n) > 0.5 for n in (7, 7, 6))
    expected = (
        0.3 * classification(answers.unspecified.logits, y_u)
        + 0.5 * classification(answers.specified.logits, y_s)
        + 0.7 * classification(answers.total, y_t)
        + 0.9 * disentanglement(answers.unspecified.feature, answers.specified.feature, 0.01, answers.mask)
        + 0.9 * reconstruction(answers.original, answers.reconstructed, 0.02, answers.mask)
    )
    found = total(answers, y_u, y_s, y_t, margins=(0.01, 0.02), weights=weights)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def test_a_term_of_weight_0_is_not_computed(monkeypatch):
    monkeypatch.setattr(losses, "disentanglement", None)
    answers = some_answers()
    targets = (torch.rand(3, n) > 0.5 for n in (7, 7, 6))
    found = terms(answers, *targets, weights=Weights(disentanglement=0, reconstruction=0))
    assert list(found) == ["unspecified", "specified", "total"]


def test_margin_shrinks_evenly_to_its_last_value():
    assert [round(margin_at(epoch, 5), 6) for epoch in range(1, 6)] == [0.6, 0.5, 0.4, 0.3, 0.2]
    assert math.isclose(margin_at(3, 3, first=0.5, last=0.0), 0, abs_tol=1e-12)


def test_unknown_variants_are_refused_with_the_known_ones():
    x = torch.randn(SHAPE)
    with pytest.raises(ValueError, match="correlation is one of video, batch, not 'sample'"):
        disentanglement(x, x, correlation="sample")
    with pytest.raises(ValueError, match="reduction is one of paper, mean, batch, not 'sum'"):
        reconstruction(x, x, reduction="sum")

"""The losses of AQA (Eqs. 1-3, 5, 6) against literal references in float64, values and gradients."""

import math
from types import SimpleNamespace

import pytest
import torch

from pipeline.aqa.losses import Weights, attention_loss, log_map, regression, terms, total

SHAPE = (3, 4, 5)  # B, Q, D
LAYERS = 2


@pytest.fixture(autouse=True)
def in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


def some_outputs():
    """A_S and A_C of two layers."""
    return [torch.randn(SHAPE) for _ in range(2 * LAYERS)]


def same_with_gradients(fast, slow, *inputs):
    for x in inputs:
        x.requires_grad_()
    found, wanted = fast(*inputs), slow(*inputs)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-9)
    for a, b in zip(torch.autograd.grad(found, inputs), torch.autograd.grad(wanted, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def slow_map(outputs, divisor=1):
    """Eqs. 1-2 of one video, one product after the other: Q lists of Q numbers."""
    rows = []
    for a in outputs:
        each = [sum(x * y for x, y in zip(a, b)) / divisor for b in outputs]
        exps = [e.exp() for e in each]
        rows.append([e / sum(exps) for e in exps])
    return rows


def slow_loss(self_outputs, cross_outputs, direction, scaled, reduction):
    """Eq. 3: sum over layers; over videos and rows a sum or a mean."""
    loss = 0
    for own, seen in zip(self_outputs, cross_outputs):
        for b in range(SHAPE[0]):
            L_S, L_C = (slow_map(x[b], SHAPE[2] if scaled else 1) for x in (own, seen))
            P, Q = (L_S, L_C) if direction == "self_cross" else (L_C, L_S)
            for p_row, q_row in zip(P, Q):
                for p, q in zip(p_row, q_row):
                    loss = loss + p * (p / q).log()
    return loss / (SHAPE[0] * SHAPE[1]) if reduction == "mean" else loss


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("direction", ["self_cross", "cross_self"])
def test_attention_loss_is_equations_1_to_3(direction, scaled, reduction):
    options = {"direction": direction, "scaled": scaled, "reduction": reduction}
    same_with_gradients(
        lambda *x: attention_loss(x[:LAYERS], x[LAYERS:], **options),
        lambda *x: slow_loss(x[:LAYERS], x[LAYERS:], **options),
        *some_outputs(),
    )


def test_the_default_is_the_papers_direction_and_scale_with_our_mean():
    outputs = some_outputs()
    fast = attention_loss(outputs[:LAYERS], outputs[LAYERS:])
    wanted = slow_loss(outputs[:LAYERS], outputs[LAYERS:], "self_cross", False, "mean")
    assert fast.item() == pytest.approx(wanted.item(), rel=1e-9)


def test_the_mean_does_not_grow_with_the_batch_and_the_sum_does():
    own, seen = torch.randn(SHAPE), torch.randn(SHAPE)
    one, two = ([own], [seen]), ([torch.cat([own, own])], [torch.cat([seen, seen])])
    assert attention_loss(*two).item() == pytest.approx(attention_loss(*one).item(), rel=1e-12)
    twice = 2 * attention_loss(*one, reduction="sum").item()
    assert attention_loss(*two, reduction="sum").item() == pytest.approx(twice, rel=1e-12)


def test_attention_loss_is_0_where_the_maps_agree_also_where_all_queries_are_the_same():
    own = torch.randn(SHAPE)
    turned = own @ torch.linalg.qr(torch.randn(5, 5))[0]  # the products of all pairs stay
    assert attention_loss([own], [turned]).item() == pytest.approx(0, abs=1e-12)
    collapsed = own[:, :1].expand(SHAPE), torch.randn(3, 1, 5).expand(SHAPE)
    assert attention_loss([collapsed[0]], [collapsed[1]]).item() == pytest.approx(0, abs=1e-12)


def test_outputs_as_large_as_the_papers_1024_features_make_no_infinite_loss():
    own, seen = 10 * torch.randn(2, 6, 1024), 10 * torch.randn(2, 6, 1024)
    own.requires_grad_()
    loss = attention_loss([own], [seen])
    loss.backward()
    assert math.isfinite(loss.item()) and torch.isfinite(own.grad).all()


def test_map_rows_sum_to_1():
    torch.testing.assert_close(log_map(torch.randn(SHAPE)).exp().sum(dim=-1), torch.ones(SHAPE[:2]))


def test_regression_is_equation_5():
    same_with_gradients(
        lambda y, t: regression(y, t), lambda y, t: sum((y[i] - t[i]) ** 2 for i in range(7)) / 7, *torch.randn(2, 7)
    )


def some_output():
    outputs = some_outputs()
    return SimpleNamespace(score=torch.rand(3), self_outputs=outputs[:LAYERS], cross_outputs=outputs[LAYERS:])


def test_the_loss_is_equation_6():
    output, target = some_output(), torch.rand(3)
    slow = slow_loss(output.self_outputs, output.cross_outputs, "cross_self", True, "sum")
    error = sum((output.score[i] - target[i]) ** 2 for i in range(3)) / 3
    options = {"direction": "cross_self", "scaled": True, "reduction": "sum"}
    found = total(output, target, weights=Weights(regression=2.0, attention=0.5), **options)
    assert found.item() == pytest.approx((2.0 * error + 0.5 * slow).item(), rel=1e-9)


def test_a_term_of_weight_0_is_left_out():
    assert set(terms(some_output(), torch.rand(3), weights=Weights(attention=0.0))) == {"regression"}
    assert set(terms(some_output(), torch.rand(3))) == {"regression", "attention"}


@pytest.mark.parametrize("options", [{"direction": "both"}, {"reduction": "max"}])
def test_an_unknown_option_is_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        attention_loss([torch.randn(SHAPE)], [torch.randn(SHAPE)], **options)


def test_layers_that_do_not_pair_are_no_loss():
    with pytest.raises(ValueError):
        attention_loss([torch.randn(SHAPE)] * 2, [torch.randn(SHAPE)])

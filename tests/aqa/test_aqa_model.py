"""The AQA model: a slow, literal reference of the whole in float64 (Eq. 4 in it), and what must hold of its answers.

The reference follows the paper's Sec. 3 with loops over videos, queries, clips and heads. It reads the module's own
weights; gradients with respect to the clips and all weights are compared too.
"""

import math
from dataclasses import fields, replace

import pytest
import torch

from pipeline.aqa.losses import total
from pipeline.aqa.model import Aqa, Output, Settings, sinusoid

SMALL = Settings(features=8, queries=4, heads=2, feedforward=12, hidden=(6, 5), dropout=0.0)
VARIANTS = {
    "as published but for the draw": {},
    "no skip": {"skip": False},
    "no position": {"query_position": False},
    "position of clips": {"query_position": False, "memory_position": True},
    "both positions": {"memory_position": True},
    "one score": {"head": "single"},
    "projected": {"dim": 6},
    "one layer, one head": {"layers": 1, "heads": 1},
    "one query": {"queries": 1},
    "reach": {"reach": 1.0},
}


@pytest.fixture(autouse=True)
def in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


def shaken(settings):
    """A model whose weights are all drawn, so that none is 0 or 1 by its first value."""
    model = Aqa(settings).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.5)
    return model


def some_videos(counts=(5, 1, 3), features=8):
    """Clips and mask of videos of so many clips each."""
    mask = torch.arange(max(counts)) < torch.tensor(counts)[:, None]
    return torch.randn(*mask.shape, features), mask


def every(output, videos=slice(None)):
    """All tensors of an output, by name."""
    found = {}
    for field in fields(Output):
        value = getattr(output, field.name)
        for n, x in enumerate(value if isinstance(value, list) else [value]):
            found[f"{field.name} {n}"] = x[videos]
    return found


def same(a, b, **tolerance):
    tolerance = {"rtol": 1e-9, "atol": 1e-12} | tolerance
    assert a.keys() == b.keys()
    for name, x in a.items():
        torch.testing.assert_close(x, b[name], **tolerance, msg=lambda m, name=name: f"{name}: {m}")


# ---------------------------------------------------------------------------------------------- the literal reference


def linear(module, x):
    return torch.stack([(w * x).sum() + b for w, b in zip(module.weight, module.bias)])


def norm(module, x):
    mean = sum(x) / len(x)
    deviation = (sum((v - mean) ** 2 for v in x) / len(x) + module.eps).sqrt()
    return module.weight * (x - mean) / deviation + module.bias


def softmax(values):
    exps = [v.exp() for v in values]
    return [e / sum(exps) for e in exps]


def place(k, dim):
    """Sines and cosines of place k: feature i turns at 10000^(-2 floor(i/2) / D)."""
    angles = [k * 10000 ** (-2 * (i // 2) / dim) for i in range(dim)]
    return torch.tensor([math.sin(a) if i % 2 == 0 else math.cos(a) for i, a in enumerate(angles)])


def attend(module, queries, keys, values, reach=None):
    """Multi-head attention of one video: a list of outputs, and the mean over heads of where each query looks.

    With a reach, query k of Q sees the keys whose middles lie within it of (k + 1/2) / Q of the whole.
    """
    heads, width = module.heads, len(queries[0]) // module.heads
    outputs, looks = [], []
    for k, query in enumerate(queries):
        mixed, look, at = [], 0, (k + 0.5) / len(queries) * len(keys)
        far = [reach is not None and abs(t + 0.5 - at) > reach for t in range(len(keys))]
        for h in range(heads):
            own = slice(h * width, (h + 1) * width)
            q = linear(module.query, query)[own]
            logits = [(q * linear(module.key, key)[own]).sum() / math.sqrt(width) for key in keys]
            weights = softmax([torch.tensor(-math.inf) if away else x for x, away in zip(logits, far)])
            mixed.append(sum(w * linear(module.value, value)[own] for w, value in zip(weights, values)))
            look = look + torch.stack(weights) / heads
        outputs.append(linear(module.project, torch.cat(mixed)))
        looks.append(look)
    return outputs, looks


def network(module, x):
    """Linear layers with ReLU between them."""
    layers = [part for part in module if hasattr(part, "weight")]
    for layer in layers[:-1]:
        x = linear(layer, x).relu()
    return linear(layers[-1], x)


def slow(model, clips):
    """One video, its clips a list: score, weights, qualities, and (A_S, A_C, attentions, queries) of each layer."""
    settings, D, Q = model.settings, model.settings.width, model.settings.queries
    nothing = torch.zeros(D)
    memory = [linear(model.project, clip) if settings.dim is not None else clip for clip in clips]
    at = [place(k, D) if settings.query_position else nothing for k in range(Q)]
    keys = [m + (place(t, D) if settings.memory_position else nothing) for t, m in enumerate(memory)]
    x, steps = list(model.queries), []
    for layer in model.layers:
        normal = [norm(layer.self_norm, v) for v in x]
        placed = [v + p for v, p in zip(normal, at)]
        A_S, look = attend(layer.self_attention, placed, placed, normal)
        # published: x = SA + dropout(SA); the standard decoder: x = x + dropout(SA)
        x = [2 * a if settings.skip else v + a for v, a in zip(x, A_S)]
        placed = [norm(layer.cross_norm, v) + p for v, p in zip(x, at)]
        A_C, cross_look = attend(layer.cross_attention, placed, keys, memory, settings.reach)
        x = [v + a for v, a in zip(x, A_C)]
        x = [v + network(layer.feedforward, norm(layer.feedforward_norm, v)) for v in x]
        steps.append((A_S, A_C, look, cross_look, x))
    x = [norm(model.norm, v) for v in x]
    if settings.head == "single":
        quality = [network(model.quality, sum(x) / Q)[0]] * Q
        weight = [torch.tensor(1 / Q)] * Q
    else:
        weight = softmax([network(model.weight, v)[0] for v in x])
        quality = [network(model.quality, v)[0] for v in x]
    score = sum(w * s for w, s in zip(weight, quality))  # Eq. 4
    return score, weight, quality, steps


def slow_output(model, clips, mask):
    """The reference on a batch; where it looks at padding it looks with 0."""
    videos = [slow(model, [clip for clip, there in zip(v, m) if there]) for v, m in zip(clips, mask)]
    T = clips.shape[1]

    def stack(pick):
        return torch.stack([torch.stack(list(pick(video))) for video in videos])

    def layers(part):
        return [stack(lambda video, n=n: video[3][n][part]) for n in range(model.settings.layers)]

    def padded(video, n):
        return [torch.cat([look, look.new_zeros(T - len(look))]) for look in video[3][n][3]]

    cross = [stack(lambda video, n=n: padded(video, n)) for n in range(model.settings.layers)]
    score = torch.stack([video[0] for video in videos])
    return Output(
        score, stack(lambda v: v[1]), stack(lambda v: v[2]), layers(0), layers(1), layers(2), cross, layers(4)
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_whole_is_its_literal_reference(variant):
    model = shaken(replace(SMALL, **VARIANTS[variant]))
    clips, mask = some_videos()
    same(every(model(clips, mask)), every(slow_output(model, clips, mask)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_are_those_of_the_literal_reference(variant):
    """Of the loss (Eq. 6), so that all of the output that is trained takes part."""
    model = shaken(replace(SMALL, **VARIANTS[variant]))
    clips, mask = some_videos()
    target = torch.rand(3)
    clips.requires_grad_()
    inputs = [clips, *model.parameters()]

    def gradients(output):
        found = torch.autograd.grad(total(output, target, scaled=True), inputs, allow_unused=True)
        return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs)]

    largest = 0.0
    for a, b in zip(gradients(model(clips, mask)), gradients(slow_output(model, clips, mask)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
        largest = max(largest, a.abs().max().item())
    assert largest > 1e-3


def test_attention_is_torchs_own():
    ours = shaken(SMALL).layers[0].self_attention
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in (ours.query, ours.key, ours.value)]))
        theirs.in_proj_bias.copy_(torch.cat([p.bias for p in (ours.query, ours.key, ours.value)]))
        theirs.out_proj.weight.copy_(ours.project.weight)
        theirs.out_proj.bias.copy_(ours.project.bias)
    query, memory, mask = torch.randn(3, 4, 8), torch.randn(3, 5, 8), some_videos()[1]
    wanted = theirs(query, memory, memory, key_padding_mask=~mask)
    for a, b in zip(ours(query, memory, memory, mask, videos=3), wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_places_are_sines_and_cosines():
    for dim in (6, 7):
        wanted = torch.stack([place(k, dim) for k in range(5)])
        torch.testing.assert_close(sinusoid(5, dim, torch.zeros(1)), wanted, rtol=1e-9, atol=1e-12)


# --------------------------------------------------------------------------------- what a video's answer depends on


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_answer_does_not_depend_on_padding_batch_or_order(variant):
    model = shaken(replace(SMALL, **VARIANTS[variant]))
    counts = (5, 1, 3)
    clips, mask = some_videos(counts)
    together = model(clips, mask)
    turned = model(clips[[2, 0, 1]], mask[[2, 0, 1]])
    for b, count in enumerate(counts):
        alone = every(model(clips[b : b + 1, :count]), 0)
        same(every(turned, [2, 0, 1].index(b)), every(together, b))
        for n in range(model.settings.layers):  # the only ones that are as long as the video
            name = f"cross_attention {n}"
            alone[name] = torch.nn.functional.pad(alone[name], (0, 5 - count))
        same(every(together, b), alone)


def test_what_stands_at_padding_does_not_matter():
    model = shaken(SMALL)
    clips, mask = some_videos()
    wanted = every(model(clips, mask))
    for value in (0.0, 1e30, float("nan"), float("inf")):
        same(every(model(clips.masked_fill(~mask[..., None], value), mask)), wanted)


def test_padding_gets_no_gradient_and_spoils_none():
    model = shaken(SMALL)
    clips, mask = some_videos()
    clips = clips.masked_fill(~mask[..., None], float("nan")).requires_grad_()
    model(clips, mask).score.sum().backward()
    assert (clips.grad[~mask] == 0).all() and (clips.grad[mask] != 0).any()
    assert all(torch.isfinite(w.grad).all() for w in model.parameters() if w.grad is not None)


def test_without_a_mask_padding_takes_part_as_published():
    model = shaken(SMALL)
    clips, mask = some_videos()
    clips = clips * mask[..., None]
    assert (model(clips).score[1:] - model(clips, mask).score[1:]).abs().min() > 1e-3
    torch.testing.assert_close(model(clips).score[0], model(clips, mask).score[0])  # it has no padding


def test_single_precision_agrees_with_double():
    model = shaken(SMALL)
    clips, mask = some_videos()
    wanted = model(clips, mask).score
    found = model.float()(clips.float(), mask).score
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-5)


def test_fewer_clips_than_queries_and_more_work_alike():
    model = Aqa(replace(SMALL, queries=9)).eval()
    for count in (1, 4, 9, 30):
        output = model(torch.randn(2, count, 8))
        assert output.score.shape == (2,) and output.weight.shape == (2, 9)
        assert output.cross_attention[-1].shape == (2, 9, count)
        torch.testing.assert_close(output.cross_attention[-1].sum(dim=-1), torch.ones(2, 9))


def test_a_single_clip_is_all_that_any_query_looks_at():
    clips, _ = some_videos((5, 5))
    mask = torch.zeros(2, 5, dtype=torch.bool)
    mask[0, 3] = mask[1, 0] = True
    for attention in shaken(SMALL)(clips, mask).cross_attention:
        torch.testing.assert_close(attention, mask[:, None].expand(-1, 4, -1).double())


def test_with_a_reach_each_query_looks_at_the_clips_around_its_own_place():
    model, (clips, mask) = shaken(replace(SMALL, reach=1.0)), some_videos((8, 4, 1))
    look = model(clips, mask).cross_attention[-1] > 0
    assert torch.equal(look[0, 0], torch.arange(8) < 2)  # place 1: middles from 0 to 2
    assert torch.equal(look[0, 3], torch.arange(8) >= 6)
    assert torch.equal(look[1, 1], torch.arange(8) < 3)  # place 1.5 of 4: middles 0.5, 1.5, 2.5
    assert torch.equal(look[2], (torch.arange(8) == 0).expand(4, -1))
    assert (shaken(SMALL)(clips, mask).cross_attention[-1] > 0).equal(mask[:, None].expand(-1, 4, -1))


def test_weights_and_attention_sum_to_1_and_the_sum_of_parts_is_the_score():
    for head in ("weight_score", "single"):
        output = shaken(replace(SMALL, head=head))(*some_videos())
        for x in (output.weight, *output.self_attention, *output.cross_attention):
            assert (x >= 0).all()
            torch.testing.assert_close(x.sum(dim=-1), torch.ones(x.shape[:-1]))
        torch.testing.assert_close((output.weight * output.quality).sum(dim=1), output.score)


def test_clips_have_no_order_unless_they_are_given_places():
    clips, _ = some_videos((5,))
    plain, placed = shaken(SMALL), shaken(replace(SMALL, memory_position=True))
    turned = clips.flip(1)
    torch.testing.assert_close(plain(turned).score, plain(clips).score)
    assert (placed(turned).score - placed(clips).score).abs() > 1e-3


# ------------------------------------------------------------------------------------------------------ the queries


@pytest.mark.parametrize("skip", [True, False])
def test_gradients_reach_the_queries(skip):
    model = Aqa(replace(SMALL, skip=skip))
    model(*some_videos()).score.sum().backward()
    assert (model.queries.grad.abs().sum(dim=1) > 0).all()


def test_queries_are_drawn_once_with_the_variance_asked_for():
    settings = replace(SMALL, queries=200, features=400, heads=1)
    for variance in (0.5, 5.0):
        model = Aqa(replace(settings, query_variance=variance))
        assert model.queries.var().item() == pytest.approx(variance, rel=0.02)
        assert model.queries.mean().item() == pytest.approx(0, abs=0.05)


def test_the_same_seed_makes_the_same_model():
    def made(seed):
        torch.manual_seed(seed)
        return Aqa(SMALL)(torch.ones(1, 2, 8)).score.item()

    assert made(1) == made(1) != made(2)


def test_the_model_answers_alike_twice_and_the_published_one_does_not():
    clips, mask = some_videos()
    ours, published = Aqa(SMALL).eval(), Aqa(replace(SMALL, redraw=True)).eval()
    same(every(ours(clips, mask)), every(ours(clips, mask)), rtol=0, atol=0)
    assert (published(clips, mask).score != published(clips, mask).score).all()


def test_the_published_queries_are_drawn_for_each_video_and_never_learned():
    published = Aqa(replace(SMALL, redraw=True))
    one, other = published(torch.ones(2, 3, 8)).score
    assert one != other
    assert published.queries is None and not any("queries" in name for name, _ in published.named_parameters())


@pytest.mark.parametrize("redraw", [False, True])
def test_without_dropout_training_and_testing_compute_the_same(redraw):
    model, (clips, mask) = Aqa(replace(SMALL, redraw=redraw)), some_videos()
    outputs = []
    for mode in (model.train(), model.eval()):
        torch.manual_seed(3)
        outputs.append(every(mode(clips, mask)))
    same(*outputs, rtol=0, atol=0)


def test_with_the_skip_the_scale_of_the_queries_cannot_be_seen():
    """What the paper's Table 5 varies changes no output, but for the epsilon of the layer norm."""
    for skip in (True, False):
        model = Aqa(replace(SMALL, skip=skip)).eval()
        clips, mask = some_videos()
        before = model(clips, mask).score
        with torch.no_grad():
            model.queries *= 3
        change = (model(clips, mask).score - before).abs().max().item()
        assert change < 1e-5 if skip else change > 1e-3


def test_with_the_skip_nothing_goes_around_the_self_attention():
    """Its output zeroed, the queries leave no trace in what follows; in the standard decoder they do."""
    for skip in (True, False):
        model = Aqa(replace(SMALL, skip=skip, layers=1, query_position=False)).eval()
        with torch.no_grad():
            for weight in model.layers[0].self_attention.project.parameters():
                weight.zero_()
        quality = model(*some_videos()).quality
        apart = (quality - quality[:, :1]).abs().max().item()
        assert apart < 1e-12 if skip else apart > 1e-3


def test_dropout_is_drawn_for_each_video_though_all_share_the_queries():
    model = Aqa(replace(SMALL, dropout=0.7))
    output = model(torch.ones(2, 3, 8))
    assert (output.self_outputs[0][0] != output.self_outputs[0][1]).any()
    torch.testing.assert_close(*output.self_attention[0])  # before dropout


def test_dropout_is_off_in_evaluation_and_on_in_training():
    model, (clips, mask) = Aqa(replace(SMALL, dropout=0.7)), some_videos()
    assert (model(clips, mask).score != model(clips, mask).score).any()
    model.eval()
    assert (model(clips, mask).score == model(clips, mask).score).all()


# -------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"head": "double"}, "head is one of"),
        ({"heads": 3}, "multiple of 3"),
        ({"queries": 0}, "queries is at least 1"),
        ({"layers": 0}, "layers is at least 1"),
        ({"dim": 0}, "dim 0"),
        ({"dropout": 1.0}, "dropout"),
        ({"query_variance": -1.0}, "query_variance"),
        ({"hidden": (5,)}, "hidden"),
        ({"reach": 0.4}, "reach"),
    ],
)
def test_settings_that_make_no_model_say_why(change, said):
    with pytest.raises(ValueError, match=said):
        replace(SMALL, **change)


@pytest.mark.parametrize(
    ("clips", "mask", "said"),
    [
        (torch.zeros(2, 3, 7), None, "8"),
        (torch.zeros(3, 8), None, "8"),
        (torch.zeros(2, 0, 8), None, "no clip"),
        (torch.zeros(2, 3, 8), torch.ones(2, 4, dtype=torch.bool), "mask"),
        (torch.zeros(2, 3, 8), torch.tensor([[True] * 3, [False] * 3]), "no clip"),
    ],
)
def test_clips_that_do_not_fit_say_why(clips, mask, said):
    with pytest.raises(ValueError, match=said):
        Aqa(SMALL)(clips, mask)

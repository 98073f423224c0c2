"""The ProDA model: every equation against a slow, literal reference in float64, and what must hold of the whole.

References follow the paper with loops over videos, frames, nodes, edges and heads. They read the module's own weights;
gradients with respect to all inputs and all weights are compared too.
"""

import itertools
import json
import math
from dataclasses import asdict, fields, replace

import pytest
import torch

from pipeline.proda.model import (
    BatchNorm,
    DualPath,
    DynamicPrompt,
    EncoderAlone,
    Fusion,
    GraphLayer,
    GraphNorm,
    Graphs,
    LayerNorm,
    Layout,
    Proda,
    Readout,
    SelfAttention,
    Settings,
    SimplePrompt,
    VideoGraphNorm,
    attendable,
    edges,
    hide,
)

SIZES = {"features": 6, "actions": 5, "objects": 4, "relations": 3, "frames": 3, "candidates": 3}
SMALL = Settings(**SIZES, dim=8, heads=2, feedforward=12, dropout=0.0, layers=2)
NORMS = ("vgnorm", "graphnorm", "layernorm", "batchnorm")


@pytest.fixture(autouse=True)
def in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


def shaken(module):
    """All weights drawn, so that none is 0 or 1 by its first value."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn_like(weight) * 0.5)
    return module


def some_mask(videos, frames, nodes):
    """Nodes come and go; node 0 is always there, the last one never, in the first video."""
    mask = torch.rand(videos, frames, nodes) > 0.3
    mask[:, :, 0] = True
    mask[0, :, -1] = False
    return mask


def some_graphs(settings=SMALL, videos=2, nodes=4):
    mask = some_mask(videos, settings.frames, nodes)
    kind = torch.randint(0, settings.objects, (videos, nodes)).masked_fill(~mask.any(dim=1), -1)
    shape = (videos, settings.frames, nodes)
    return Graphs(
        image=torch.randn(videos, settings.frames, settings.features),
        node=torch.randn(*shape, settings.features) * mask[..., None],
        box=torch.rand(*shape, 4) * mask[..., None],
        mask=mask,
        kind=kind,
        relation=(torch.rand(*shape, settings.relations) > 0.5) * mask[..., None] * (torch.arange(nodes) > 0)[:, None],
    )


def some_question(settings=SMALL, videos=2):
    return torch.rand(videos, settings.actions) > 0.5


def same(actual, expected, tolerance=1e-9):
    """Relative error, in units of the largest entry, below the tolerance."""
    assert actual.shape == expected.shape
    error = (actual - expected).abs().max() / expected.abs().max().clamp_min(1e-12)
    assert error < tolerance, f"relative error {error:.1e}"


def same_with_gradients(module, fast, slow, *inputs):
    """`fast(*inputs)` and `slow(*inputs)` agree, and so do the gradients of a random projection of them."""
    leaves = [*(x for x in inputs if x.is_floating_point()), *module.parameters()]
    for leaf in leaves:
        leaf.requires_grad_()
    found, wanted = fast(*inputs), slow(*inputs)
    for a, b in zip(found, wanted, strict=True):
        same(a, b)
    directions = [torch.randn_like(x) for x in found]
    gradients = [
        torch.autograd.grad(sum((x * d).sum() for x, d in zip(out, directions)), leaves, allow_unused=True)
        for out in (found, wanted)
    ]
    for a, b in zip(*gradients, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert (a - b).abs().max() <= 1e-9 * max(1.0, b.abs().max()), "gradients differ"


# ------------------------------------------------------------------------------------------------- literal references


def sigma(x):
    return 1 / (1 + torch.exp(-x))


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def literal_linear(layer, x):
    out = torch.stack([sum(w * v for w, v in zip(row, x)) for row in layer.weight])
    return out if layer.bias is None else out + layer.bias


def literal_mlp(layers, x):
    for layer in layers:
        x = gelu(x) if isinstance(layer, torch.nn.GELU) else literal_linear(layer, x)
    return x


def literal_layer_norm(norm, x):
    mean = sum(x) / len(x)
    variance = sum((v - mean) ** 2 for v in x) / len(x)
    return (x - mean) / torch.sqrt(variance + norm.eps) * norm.weight + norm.bias


def literal_feedforward(block, x):
    return literal_layer_norm(block.norm, x + literal_mlp(block.layers, x))


def literal_self_attention(block, tokens, there):
    """Figure 6 for one sequence: a list of K vectors, of which only those that are there are looked at (or oneself)."""
    size = len(tokens[0]) // block.heads
    qkv = [literal_linear(block.query_key_value, literal_layer_norm(block.attention_norm, x)) for x in tokens]
    query, key, value = ([x[n * len(tokens[0]) : (n + 1) * len(tokens[0])] for x in qkv] for n in range(3))
    out = []
    for i, x in enumerate(tokens):
        heads = []
        for h in range(block.heads):
            part = slice(h * size, (h + 1) * size)
            seen = [j for j in range(len(tokens)) if there[j] or j == i]
            scores = [torch.exp((query[i][part] * key[j][part]).sum() / math.sqrt(size)) for j in seen]
            heads.append(sum(score / sum(scores) * value[j][part] for score, j in zip(scores, seen)))
        x = x + literal_linear(block.project, torch.cat(heads))
        out.append(x + literal_mlp(block.feedforward, literal_layer_norm(block.feedforward_norm, x)))
    return out


def stacked(nested):
    """Nested lists of tensors -> one tensor."""
    return torch.stack([stacked(x) for x in nested]) if isinstance(nested, list) else nested


# ---------------------------------------------------------------------------------------------------- encoder's blocks


def test_self_attention_block_is_figure_6_with_loops_over_heads_and_tokens():
    block = shaken(SelfAttention(8, 2, 12, 0.0))
    there = torch.tensor([[True, True, False, True], [False, False, False, False]])

    def slow(x):
        return [stacked([literal_self_attention(block, list(x[s]), there[s]) for s in range(2)])]

    same_with_gradients(block, lambda x: [block(x, attendable(there))], slow, torch.randn(2, 4, 8))


def test_dual_path_sums_the_four_streams_of_figure_5():
    block, mask = shaken(DualPath(SMALL)), some_mask(2, 3, 4)

    def space(attention, x):
        return [[literal_self_attention(attention, x[b][t], mask[b, t]) for t in range(3)] for b in range(2)]

    def time(attention, x):
        across = [
            [literal_self_attention(attention, [x[b][t][n] for t in range(3)], mask[b, :, n]) for n in range(4)]
            for b in range(2)
        ]
        return [[[across[b][n][t] for n in range(4)] for t in range(3)] for b in range(2)]

    def slow(x):
        x = [[list(frame) for frame in video] for video in x]
        s, t = space(block.first_space, x), time(block.first_time, x)
        streams = [f(g, x) for f, g in ((space, block.second_space), (time, block.second_time)) for x in (s, t)]
        out = [
            [
                [
                    literal_feedforward(
                        block.feedforward, v + literal_mlp(block.fuse, sum(z[b][t][n] for z in streams))
                    )
                    for n, v in enumerate(x[b][t])
                ]
                for t in range(3)
            ]
            for b in range(2)
        ]
        return [stacked(out)]

    in_space, in_time = attendable(mask.flatten(0, 1)), attendable(mask.transpose(1, 2).flatten(0, 1))
    same_with_gradients(block, lambda x: [block(x, in_space, in_time)], slow, torch.randn(2, 3, 4, 8))


# ------------------------------------------------------------------------------------------------------------- prompts


def test_dynamic_prompt_is_equations_1_and_2():
    prompt = shaken(DynamicPrompt(5, 8, candidates=3))

    def slow(nodes, actions):
        out = torch.zeros_like(nodes)
        for b in range(2):
            v = actions[b]
            q = [sum(v[c] * prompt.candidates[t, c] for c in range(5)) for t in range(3)]
            for i in range(3):
                for j in range(4):
                    f = nodes[b, i, j]
                    alpha = sigma(literal_linear(prompt.weigh, literal_linear(prompt.project, v) + f))  # Eq. 1
                    p = sum(alpha[t] * q[t] for t in range(3))
                    out[b, i, j] = f + p  # Eq. 2
        return [out]

    actions = some_question().double()
    same_with_gradients(prompt, lambda *x: [prompt(*x)], slow, torch.randn(2, 3, 4, 8), actions)


def test_simple_prompt_adds_one_projection_to_every_node():
    prompt, actions = shaken(SimplePrompt(5, 8)), some_question().double()

    def slow(nodes, actions):
        return [stacked([nodes[b] + literal_linear(prompt.project, actions[b]) for b in range(2)])]

    same_with_gradients(prompt, lambda *x: [prompt(*x)], slow, torch.randn(2, 3, 4, 8), actions)


# --------------------------------------------------------------------------------------------------------------- norms


def literal_frame_mean(x, mask):
    """mu of Eq. 3, over what is there."""
    means = []
    for i in range(x.shape[1]):
        values = [v for b in range(len(x)) for j in range(x.shape[2]) if mask[b, i, j] for v in x[b, i, j]]
        means.append(sum(values) / len(values))
    return torch.stack(means)


def literal_video_graph_norm(x, mask, centre, alpha, gamma, beta, divisor):
    """Eq. 4, over what is there."""
    out = torch.zeros_like(x)
    for b in range(len(x)):
        for i in range(x.shape[1]):
            nodes = [j for j in range(x.shape[2]) if mask[b, i, j]]
            M, D = len(nodes), x.shape[3]
            square = sum((v - alpha[i] * centre[i]) ** 2 for j in nodes for v in x[b, i, j])
            deviation = torch.sqrt(square / (M * D - 1 if divisor == "paper" else M + D - 1))
            for j in nodes:
                out[b, i, j] = gamma[i] * (x[b, i, j] - alpha[i] * centre[i]) / deviation + beta[i]
    return out


@pytest.mark.parametrize("divisor", ["paper", "code"])
@pytest.mark.parametrize("centre", ["paper", "code"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_vgnorm_is_equations_3_and_4(divisor, centre, training, padded):
    norm = shaken(VideoGraphNorm(3, momentum=0.9, divisor=divisor, centre=centre, eps=0)).train(training)
    start = torch.randn(3)
    mask = some_mask(2, 3, 4) if padded else torch.ones(2, 3, 4, dtype=torch.bool)

    def fast(x):
        norm.mean = start.clone()
        return [hide(norm(x, mask), mask)]

    def slow(x):
        mean = start
        if training:
            batch = literal_frame_mean(x, mask)
            mean = batch if centre == "code" else 0.9 * start + (1 - 0.9) * batch  # Eq. 3
        return [literal_video_graph_norm(x, mask, mean, norm.shift, norm.scale, norm.bias, divisor)]  # Eq. 4

    same_with_gradients(norm, fast, slow, torch.randn(2, 3, 4, 8) + 1)


def test_vgnorm_keeps_a_running_mean_with_momentum_and_leaves_it_alone_in_evaluation():
    norm, batches = (
        VideoGraphNorm(3, momentum=0.9),
        [(torch.randn(2, 3, 4, 8) + n, some_mask(2, 3, 4)) for n in range(4)],
    )
    expected = torch.zeros(3)
    for x, mask in batches:
        norm(x, mask)
        expected = 0.9 * expected + 0.1 * literal_frame_mean(x, mask)
    same(norm.mean, expected)
    norm.eval()(*batches[0])
    same(norm.mean, expected)
    assert "mean" in norm.state_dict()


def test_vgnorm_of_a_frame_without_nodes_is_finite_and_moves_no_mean():
    norm, mask = VideoGraphNorm(3), some_mask(2, 3, 4)
    mask[:, 1] = False
    norm.mean = torch.tensor([1.0, 2.0, 3.0])
    x = torch.randn(2, 3, 4, 8).requires_grad_()
    norm(x, mask).sum().backward()
    assert norm.mean[1] == 2 and norm.mean[0] != 1
    assert x.grad.isfinite().all()


def test_graph_norm_is_over_the_nodes_of_each_video_by_feature():
    norm, mask = shaken(GraphNorm(8)), some_mask(2, 3, 4)

    def slow(x):
        out = torch.zeros_like(x)
        for b in range(2):
            there = [(i, j) for i in range(3) for j in range(4) if mask[b, i, j]]
            mean = sum(x[b, i, j] for i, j in there) / len(there)
            variance = sum((x[b, i, j] - norm.shift * mean) ** 2 for i, j in there) / len(there)
            for i, j in there:
                out[b, i, j] = (
                    norm.scale * (x[b, i, j] - norm.shift * mean) / torch.sqrt(variance + norm.eps) + norm.bias
                )
        return [out]

    same_with_gradients(norm, lambda x: [hide(norm(x, mask), mask)], slow, torch.randn(2, 3, 4, 8) + 1)


def test_batch_norm_is_over_all_nodes_of_the_batch_by_feature():
    norm, mask = shaken(BatchNorm(8)), some_mask(2, 3, 4)

    def slow(x):
        there = [(b, i, j) for b in range(2) for i in range(3) for j in range(4) if mask[b, i, j]]
        mean = sum(x[at] for at in there) / len(there)
        variance = sum((x[at] - mean) ** 2 for at in there) / len(there)
        out = torch.zeros_like(x)
        for at in there:
            out[at] = (x[at] - mean) / torch.sqrt(variance + norm.eps) * norm.weight + norm.bias
        return [out]

    same_with_gradients(norm, lambda x: [norm(x, mask)], slow, torch.randn(2, 3, 4, 8) + 1)


def test_layer_norm_is_of_each_node_by_itself():
    norm, mask = shaken(LayerNorm(8)), some_mask(2, 3, 4)

    def slow(x):
        return [stacked([literal_layer_norm(norm, v) for v in x.reshape(-1, 8)]).view(x.shape)]

    same_with_gradients(norm, lambda x: [norm(x, mask)], slow, torch.randn(2, 3, 4, 8))


# --------------------------------------------------------------------------------------------------------------- VGPNN


def test_star_has_an_edge_each_way_between_the_person_and_every_object():
    assert edges("star", 4).tolist() == [[0, 1], [0, 2], [0, 3], [1, 0], [2, 0], [3, 0]]
    assert edges("star", 1).shape == (0, 2)


def test_complete_graph_has_all_ordered_pairs():
    assert edges("complete", 3).tolist() == [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]]
    assert len(edges("complete", 10)) == 90


def concatenated(module, *vectors):
    """An MLP of a concatenation: its first layer as the one matrix that it is."""
    first = torch.cat([*(part.weight for part in module.nodes), module.edge.weight], dim=1)
    joined = torch.cat(vectors)
    return literal_mlp(module.rest, torch.stack([(row * joined).sum() for row in first]) + module.edge.bias)


def literal_layer(layer, node, relation, mask, pairs):
    """Eqs. 9-12 and the norm: one edge, one frame, one node at a time."""
    B, T, N, D = node.shape
    updated, weights = torch.zeros_like(node), torch.zeros(B, len(pairs), T)
    for b in range(B):
        received = [[torch.zeros(D) for _ in range(N)] for _ in range(T)]  # F_m^j in frame i
        for e, (k, j) in enumerate(pairs):  # a message from k to j
            there = [bool(mask[b, i, j] and mask[b, i, k]) for i in range(T)]
            F = [concatenated(layer.edge, node[b, i, j], node[b, i, k], relation[b, e, i]) for i in range(T)]
            for block in layer.link:
                F = literal_self_attention(block, F, there)  # Eq. 9
            for i in range(T):
                if there[i]:
                    w = weights[b, e, i] = sigma(literal_linear(layer.weight, F[i]))[0]  # Eq. 10
                    message = concatenated(layer.message, node[b, i, j], F[i])
                    received[i][j] = received[i][j] + w * message  # Eq. 11
        for i in range(T):
            for j in range(N):
                x = node[b, i, j] + received[i][j]
                updated[b, i, j] = x + literal_mlp(layer.aggregate, x)  # Eq. 12
    centre = 0.9 * torch.zeros(T) + 0.1 * literal_frame_mean(updated, mask)
    norm = layer.norm
    return [literal_video_graph_norm(updated, mask, centre, norm.shift, norm.scale, norm.bias, "paper"), weights]


def test_layout_is_place_way_from_the_mean_step_and_waves_of_every_node():
    layout, graphs = shaken(Layout(SMALL)), some_graphs()
    linear, norm, gelu = layout.place
    found = layout(graphs)
    for b, t, n in itertools.product(*map(range, graphs.mask.shape)):
        if not graphs.mask[b, t, n]:
            assert not found[b, t, n].any()
            continue

        def place(t, b=b, n=n):
            x1, y1, x2, y2 = graphs.box[b, t, n]
            return torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])

        seen = [place(k) for k in range(graphs.mask.shape[1]) if graphs.mask[b, k, n]]
        here, known = place(t), t > 0 and graphs.mask[b, t - 1, n]
        step = here - place(t - 1) if known else torch.zeros(4)
        angles = [[value * math.pi * 2**octave for octave in range(3)] for value in here]
        waves = [f(angle) for f in (torch.sin, torch.cos) for row in angles for angle in row]
        x = torch.cat([here, 8 * (here - sum(seen) / len(seen)), 16 * step, torch.stack(waves)])
        x = gelu(norm(linear(x))) + layout.kind.weight[graphs.kind[b, n] + 1]
        same(found[b, t, n], x + layout.relation.weight @ graphs.relation[b, t, n].double())


@pytest.mark.parametrize("graph", ["star", "complete"])
@pytest.mark.parametrize("padded", [True, False])
def test_a_vgpnn_layer_is_equations_9_to_12(graph, padded):
    settings = replace(SMALL, graph=graph, edge_layers=1 if graph == "complete" else 2)
    layer = shaken(GraphLayer(settings))
    layer.norm.eps = 0
    mask = some_mask(2, 3, 3) if padded else torch.ones(2, 3, 3, dtype=torch.bool)
    ends = edges(graph, 3)
    seen = mask.transpose(1, 2)
    present = seen[:, ends[:, 0]] & seen[:, ends[:, 1]]

    def fast(node, relation):
        layer.norm.mean = torch.zeros(3)
        return layer(node, mask, relation, present, attendable(present.flatten(0, 1)), ends)

    def slow(node, relation):
        return literal_layer(layer, node, relation, mask, ends.tolist())

    same_with_gradients(layer, fast, slow, torch.randn(2, 3, 3, 8), torch.randn(2, len(ends), 3, 8))


# --------------------------------------------------------------------------------------------------- fusion and readout


def test_fusion_is_equation_6():
    fusion = shaken(Fusion(8))

    def slow(u, s):
        fused, rebuilt, gate = torch.zeros_like(u), torch.zeros_like(u), torch.zeros(*u.shape[:3], 1)
        for at in ((b, i, j) for b in range(2) for i in range(3) for j in range(4)):
            delta = gate[at] = sigma(literal_mlp(fusion.gate, torch.cat([u[at], s[at]])))
            joined = fused[at] = delta * u[at] + (1 - delta) * s[at]
            rebuilt[at] = literal_mlp(fusion.rebuild, joined)
        return [fused, rebuilt, gate]

    same_with_gradients(fusion, fusion, slow, torch.randn(2, 3, 4, 8), torch.randn(2, 3, 4, 8))


def test_readout_weighs_nodes_then_frames():
    readout, mask = shaken(Readout(SMALL)), some_mask(2, 3, 4)

    def weigh(layers, x):
        return sigma(literal_mlp(layers[1], literal_feedforward(layers[0], x)))[0]

    def slow(node):
        videos, frame_weights, node_weights = [], torch.zeros(2, 3), torch.zeros(2, 3, 4)
        for b in range(2):
            video = torch.zeros(8)
            for i in range(3):
                frame = torch.zeros(8)
                for j in range(4):
                    if mask[b, i, j]:
                        w = node_weights[b, i, j] = weigh(readout.node_weight, node[b, i, j])
                        frame = frame + w * node[b, i, j]
                frame = literal_feedforward(readout.frame, frame)
                s = frame_weights[b, i] = weigh(readout.frame_weight, frame)
                video = video + s * frame
            videos.append(literal_feedforward(readout.video, video))
        return [stacked(videos), frame_weights, node_weights]

    same_with_gradients(readout, lambda x: readout(x, mask), slow, torch.randn(2, 3, 4, 8))


# ----------------------------------------------------------------------------------------------------------- the whole


def everything(model, graphs, specified):
    """All outputs by name: those of the video, those of nodes (node axis third) and those of edges (edge axis last)."""
    encoded = model.encode(graphs)
    answers = model.ask(encoded, specified)
    video = {"total": answers.total, "total frames": answers.total_frame_weight, "middle": model.middle(encoded)}
    node = {"original": answers.original, "reconstructed": answers.reconstructed, "gate": answers.gate}
    edge = {}
    for name, branch in (("specified", answers.specified), ("unspecified", answers.unspecified)):
        video |= {f"{name} {key}": getattr(branch, key) for key in ("logits", "pooled", "frame_weight")}
        node |= {f"{name} {key}": getattr(branch, key) for key in ("feature", "node_weight")}
        edge |= {f"{name} edges": branch.edge_weight}
    return video, node, edge


def with_empty_nodes(graphs, more=5, rubbish=0.0):
    def grown(x, value):
        shape = list(x.shape)
        shape[1 if x.ndim == 2 else 2] = more
        return torch.cat([x, torch.full(shape, value, dtype=x.dtype)], dim=1 if x.ndim == 2 else 2)

    return Graphs(
        image=graphs.image,
        node=grown(graphs.node, rubbish),
        box=grown(graphs.box, rubbish),
        mask=grown(graphs.mask, False),
        kind=grown(graphs.kind, -1),
        relation=grown(graphs.relation, rubbish),
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("graph", ["star", "complete"])
@pytest.mark.parametrize(("norm", "layout"), [*((norm, False) for norm in NORMS), ("vgnorm", True)])
def test_five_empty_nodes_change_no_output_no_gradient_and_no_running_statistic(norm, layout, graph, training):
    settings = replace(SMALL, norm=norm, graph=graph, layout=layout)
    model, graphs, specified = Proda(settings).train(training), some_graphs(), some_question()
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def run(graphs):
        model.load_state_dict(state)
        model.zero_grad()
        outputs = everything(model, graphs, specified)
        torch.stack([x.square().sum() for kind in outputs for x in kind.values()]).sum().backward()
        left = {name: value.clone() for name, value in model.state_dict().items()}
        return outputs, left, {name: weight.grad for name, weight in model.named_parameters()}

    before, after = run(graphs), run(with_empty_nodes(graphs, rubbish=torch.nan))
    (video, node, edge), (video_after, node_after, edge_after) = before[0], after[0]
    kept = (edges(graph, 9) < 4).all(dim=1)
    for name in video:
        same(video_after[name], video[name])
    for name in node:
        same(node_after[name][:, :, :4], node[name])
        assert not node_after[name][:, :, 4:].any()
    for name in edge:
        same(edge_after[name][..., kept], edge[name])
        assert not edge_after[name][..., ~kept].any()
    for name in before[1]:
        same(after[1][name].double(), before[1][name].double())
    for name, gradient in before[2].items():
        assert (gradient is None) == (after[2][name] is None)
        if gradient is not None:
            assert (after[2][name] - gradient).abs().max() <= 1e-9 * max(1.0, gradient.abs().max())


def test_published_way_lets_empty_nodes_take_part():
    model, graphs, specified = Proda(replace(SMALL, masked=False)).eval(), some_graphs(), some_question()
    difference = model(with_empty_nodes(graphs), specified).total - model(graphs, specified).total
    assert difference.abs().max() > 1e-3
    assert model.encode(graphs).mask.all()


@pytest.mark.parametrize("layout", [False, True])
@pytest.mark.parametrize("graph", ["star", "complete"])
def test_permuting_objects_permutes_the_nodes_and_leaves_the_video(graph, layout):
    model, graphs, specified = Proda(replace(SMALL, graph=graph, layout=layout)), some_graphs(), some_question()
    order = torch.tensor([0, 3, 1, 2])
    shuffled = Graphs(
        graphs.image, graphs.node[:, :, order], graphs.box[:, :, order], graphs.mask[:, :, order],
        graphs.kind[:, order], graphs.relation[:, :, order],
    )  # fmt: skip
    (video, node, edge), (video_after, node_after, edge_after) = (
        everything(model.eval(), x, specified) for x in (graphs, shuffled)
    )
    place = {tuple(pair): e for e, pair in enumerate(edges(graph, 4).tolist())}
    moved = [place[int(order[k]), int(order[j])] for k, j in edges(graph, 4)]
    for name in video:
        same(video_after[name], video[name])
    for name in node:
        same(node_after[name], node[name][:, :, order])
    for name in edge:
        same(edge_after[name], edge[name][..., moved])


def test_order_of_frames_matters_and_their_number_is_a_setting():
    settings = replace(SMALL, frames=7)
    model, graphs, specified = Proda(settings).eval(), some_graphs(settings), some_question()
    answers = model(graphs, specified)
    assert answers.specified.frame_weight.shape == (2, 7)
    backwards = Graphs(*(x.flip(1) if x.ndim > 2 else x for x in (getattr(graphs, f.name) for f in fields(Graphs))))
    assert (model(backwards, specified).total - answers.total).abs().max() > 1e-3


def test_shapes_are_those_that_are_documented():
    model, specified = Proda(SMALL), some_question(videos=3)
    answers = model(some_graphs(videos=3), specified)
    for branch in (answers.specified, answers.unspecified):
        assert branch.logits.shape == (3, 6)
        assert branch.feature.shape == (3, 3, 4, 8)
        assert branch.pooled.shape == (3, 8)
        assert branch.frame_weight.shape == (3, 3)
        assert branch.node_weight.shape == (3, 3, 4)
        assert branch.edge_weight.shape == (2, 3, 3, 6)
    assert answers.total.shape == (3, 5)
    assert answers.gate.shape == (3, 3, 4, 1)


def test_weights_are_between_0_and_1_and_0_where_an_end_is_missing():
    model, graphs = Proda(SMALL).eval(), some_graphs()
    answers, ends = model(graphs, some_question()), edges("star", 4)
    present = graphs.mask[:, :, ends[:, 0]] & graphs.mask[:, :, ends[:, 1]]
    for branch in (answers.specified, answers.unspecified):
        assert ((branch.edge_weight > 0) == present).all() and (branch.edge_weight < 1).all()
        assert ((branch.node_weight > 0) == graphs.mask).all() and (branch.node_weight < 1).all()
        assert ((branch.frame_weight > 0) & (branch.frame_weight < 1)).all()


# Videos with little in them -----------------------------------------------------------------------------------


def without(graphs, nodes):
    """The same videos, in which these nodes were never seen."""
    mask = graphs.mask.clone()
    mask[:, :, nodes] = False
    kind = graphs.kind.clone()
    kind[:, nodes] = -1
    return replace(graphs, mask=mask, kind=kind)


@pytest.mark.parametrize("missing", [[0], [1, 2, 3], [0, 1, 2, 3]], ids=["person", "objects", "everything"])
@pytest.mark.parametrize("norm", NORMS)
def test_a_video_without_person_or_objects_is_still_read_from_its_frames(missing, norm):
    model, graphs = Proda(replace(SMALL, norm=norm)), without(some_graphs(), missing)
    specified = some_question()
    outputs = everything(model, graphs, specified)
    torch.stack([x.square().sum() for kind in outputs for x in kind.values()]).sum().backward()
    assert all(x.isfinite().all() for kind in outputs for x in kind.values())
    assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.grad is not None)
    other = replace(graphs, image=torch.randn_like(graphs.image))
    model.eval()
    for answer in (lambda x: model(x, specified).total, lambda x: model.middle(model.encode(x))):
        assert (answer(other) - answer(graphs)).abs().max() > 1e-3


def test_the_frame_stands_in_for_a_person_who_is_not_seen():
    encoder, graphs = Proda(SMALL).encoder, without(some_graphs(), [0])
    node, image, mask = encoder(graphs)
    same(node[:, :, 0], encoder.feedforward(image))
    assert mask[:, :, 0].all() and (mask[:, :, 1:] == graphs.mask[:, :, 1:]).all()


def test_a_graph_of_the_person_alone_has_no_edges():
    answers = Proda(SMALL)(some_graphs(nodes=1), some_question())
    assert answers.specified.edge_weight.shape == (2, 2, 3, 0)
    assert answers.total.isfinite().all()


# Questions ----------------------------------------------------------------------------------------------------


def test_many_questions_of_an_encoded_video_are_answered_as_one_by_one():
    model, graphs = Proda(SMALL).eval(), some_graphs()
    encoded, questions = model.encode(graphs), torch.rand(6, 5) > 0.5
    at_once = model.ask(encoded.repeat(3), questions)
    for n, row in enumerate([0, 0, 0, 1, 1, 1]):
        alone = model.ask(encoded.index([row]), questions[n : n + 1])
        same(at_once.specified.logits[n : n + 1], alone.specified.logits)
        same(at_once.total[n : n + 1], alone.total)


def test_the_other_branch_is_asked_for_the_complement():
    model, graphs, specified = Proda(SMALL).eval(), some_graphs(), some_question()
    model.unspecified_prompt.load_state_dict(model.specified_prompt.state_dict())
    model.unspecified_readout.load_state_dict(model.specified_readout.state_dict())
    model.unspecified_head.load_state_dict(model.specified_head.state_dict())
    found, wanted = model(graphs, specified).unspecified, model(graphs, ~specified).specified
    for field in fields(found):
        same(getattr(found, field.name), getattr(wanted, field.name))


@pytest.mark.parametrize("side", ["specified", "unspecified"])
def test_everything_of_a_branch_follows_from_its_own_prompt_alone(side):
    model = Proda(SMALL).eval()
    branch = getattr(model(some_graphs(), some_question()), side)
    for field in fields(branch):
        output = getattr(branch, field.name).sum()
        for prompt in ("specified", "unspecified"):
            weights = list(getattr(model, f"{prompt}_prompt").parameters())
            gradients = torch.autograd.grad(output, weights, retain_graph=True)
            assert any(g.any() for g in gradients) == (prompt == side), f"{field.name} and the {prompt} prompt"


def test_middle_and_the_encoder_alone_know_of_no_question_and_are_one_network():
    model, alone, graphs = Proda(SMALL).eval(), EncoderAlone(SMALL).eval(), some_graphs()
    alone.encoder.load_state_dict(model.encoder.state_dict())
    alone.readout.load_state_dict(model.middle_readout.state_dict())
    alone.head.load_state_dict(model.middle_head.state_dict())
    same(alone(graphs), model.middle(model.encode(graphs)))


@pytest.mark.parametrize(("switch", "field"), [("classes", "kind"), ("related", "relation")])
def test_classes_and_relations_are_read_unless_switched_off(switch, field):
    graphs, specified = some_graphs(), some_question()
    changed = {"kind": (graphs.kind + 1) % SMALL.objects, "relation": 1 - graphs.relation.double()}
    other = replace(graphs, **{field: changed[field]})
    for on in (True, False):
        model = Proda(replace(SMALL, **{switch: on})).eval()
        difference = (model(graphs, specified).total - model(other, specified).total).abs().max()
        assert difference > 1e-4 if on else difference == 0


@pytest.mark.parametrize("graph", ["star", "complete"])
def test_a_relation_reaches_both_edges_between_the_person_and_its_object_and_no_other(graph):
    model, graphs, mask = Proda(replace(SMALL, graph=graph)), some_graphs(), torch.ones(2, 3, 4, dtype=torch.bool)
    relation = graphs.relation.clone().double()
    relation[:, :, 2] += 1
    before, after = (model.encode(replace(graphs, mask=mask, relation=x)).edge for x in (graphs.relation, relation))
    change = (after - before).abs().amax(dim=(0, 2, 3))
    assert change.gt(1e-6).tolist() == [sorted(pair) == [0, 2] for pair in edges(graph, 4).tolist()]


# Training -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["dpm", "simple"])
@pytest.mark.parametrize("norm", NORMS)
def test_every_weight_learns(norm, prompt):
    model = Proda(replace(SMALL, norm=norm, prompt=prompt))
    outputs = everything(model, some_graphs(), some_question())
    torch.stack([(x * torch.randn_like(x)).sum() for kind in outputs for x in kind.values()]).sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_a_small_model_fits_what_it_is_asked_within_fifty_steps():
    torch.set_default_dtype(torch.float32)
    settings = replace(SMALL, dim=16, feedforward=32)
    model, graphs = Proda(settings), some_graphs(settings, videos=8)
    graphs = replace(graphs, image=graphs.image.float(), node=graphs.node.float(), box=graphs.box.float())
    labels, specified = torch.rand(8, 5) > 0.5, torch.rand(8, 5) > 0.5
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(50):
        answers = model(graphs, specified)
        wanted = (labels & specified).float()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(answers.specified.logits[:, :5], wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((model.eval()(graphs, specified).specified.logits[:, :5] > 0) == wanted.bool()).float().mean() > 0.95


# Settings and errors ------------------------------------------------------------------------------------------


def test_settings_survive_json():
    assert Settings(**json.loads(json.dumps(asdict(SMALL)))) == SMALL


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"dim": 30, "heads": 4}, "dim 30 is not divisible by 4 heads"),
        ({"prompt": "dynamic"}, "prompt is one of dpm, simple, not 'dynamic'"),
        ({"norm": "instancenorm"}, "norm is one of vgnorm, graphnorm, layernorm, batchnorm"),
        ({"graph": "chain"}, "graph is one of star, complete"),
        ({"divisor": "n"}, "divisor is one of paper, code"),
        ({"frames": 0}, "frames is at least 1"),
    ],
)
def test_settings_that_no_model_can_have_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        replace(SMALL, **wrong)


def test_graphs_and_questions_that_do_not_fit_are_refused_with_the_reason():
    model, graphs = Proda(SMALL), some_graphs()
    with pytest.raises(ValueError, match="have 4 frames: sample 3"):
        model.encode(some_graphs(replace(SMALL, frames=4)))
    with pytest.raises(ValueError, match="another image encoder"):
        model.encode(some_graphs(replace(SMALL, features=9)))
    with pytest.raises(ValueError, match="one row a video, one column an action"):
        model(graphs, torch.ones(2, 4, dtype=torch.bool))

"""Explanations: what is written of a video is what the model says of it."""

import json

import numpy as np
import pytest
import torch
import untrained

from pipeline.artifacts import Artifact
from pipeline.proda import data
from pipeline.proda.explanations import choose, proda_explain
from pipeline.proda.model import edges


@pytest.fixture(scope="module")
def explained(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    model, intervals = untrained.write(folder / "m.pt", world), untrained.write_intervals(folder / "i.csv", world)
    out = folder / "explanations.json"
    proda_explain(model, world.graphs, world.manifest, out, intervals=intervals, videos=5)
    return json.loads(out.read_text())


def test_questions_are_the_labels_and_a_few_absent_actions(explained, world):
    assert len(explained["videos"]) == 5 and explained["graphs"] == "annotated" and explained["chosen"]
    for video in explained["videos"]:
        labels = {explained["actions"][a] for a in video["labels"]}
        assert labels == set(world.truth[video["id"]])
        asked = [q["action"] for q in video["questions"]]
        assert asked[: len(labels)] == video["labels"] and len(asked) == len(labels) + 2 == len(set(asked))
        assert [q["shown"] for q in video["questions"]] == [a in video["labels"] for a in asked]


def test_answers_and_weights_are_the_models_own(explained, world):
    known = data.load(world.graphs, world.manifest)
    test, it = known.roles["test"], untrained.network(world)
    for video in explained["videos"][:2]:
        graph = test.graphs[test.ids.index(video["id"])]
        graphs = data.collate([graph], [data.sample(len(graph), 6)])
        for q in video["questions"]:
            specified = torch.zeros(1, len(known.actions), dtype=torch.bool)
            specified[0, q["action"]] = True
            with torch.no_grad():
                answers = it.network(graphs, specified)
            assert q["probability"] == pytest.approx(
                float(answers.specified.logits[0, q["action"]].sigmoid()), abs=1e-3
            )
            assert q["no_action"] == pytest.approx(float(answers.specified.logits[0, -1].sigmoid()), abs=1e-3)
            for name in ("specified", "unspecified"):
                branch = getattr(answers, name)
                assert q[name]["frame_weight"] == pytest.approx(branch.frame_weight[0].numpy(), abs=1e-3)
                assert np.allclose(q[name]["node_weight"], branch.node_weight[0].numpy(), atol=1e-3)
                assert np.allclose(q[name]["edge_weight"], branch.edge_weight[:, 0].numpy(), atol=1e-3)
            s = np.array(q["specified"]["frame_weight"])
            assert q["curves"]["weight"] == pytest.approx(s**2 / (s**2).max(), abs=0.01)


def test_the_truth_beside_an_answer_is_that_of_its_action(explained, world):
    for video in explained["videos"]:
        taken = data.sample(12, 6)
        assert video["frame"] == (2 * taken).tolist() and video["time"] == pytest.approx(taken / 8, abs=1e-3)
        for q in video["questions"]:
            shown = world.truth[video["id"]].get(explained["actions"][q["action"]], np.zeros(12, dtype=bool))
            assert q["true"] == shown[taken].astype(int).tolist()
            assert bool(q["intervals"]) == q["shown"]
            for name, frames in q["frames"].items():
                if name == "left_out":
                    assert sum(frames) == explained["length"] and "01" not in "".join(map(str, frames)).strip("0")
                else:
                    found = np.array(q["curves"][name]) > explained["theta"][name]
                    assert np.abs(found - np.array(frames)).sum() <= 1  # the curve is rounded
                both, either = (shown[taken] & np.array(frames, dtype=bool)).sum(), (shown[taken] | frames).sum()
                assert q["iou"][name] == (pytest.approx(both / either, abs=1e-3) if q["shown"] else None)


def test_the_graph_is_told_with_the_video(explained, world):
    video = explained["videos"][0]
    with Artifact(world.graphs, "scene_graphs") as graphs:
        known, taken = graphs.video(video["id"]), data.sample(12, 6)
    assert video["nodes"] == known["node_class"].tolist() and video["mask"] == known["mask"][taken].tolist()
    assert np.allclose(video["box"], known["box"][taken], atol=1e-3)
    assert {tuple(r) for r in video["relation"]} == set(map(tuple, np.argwhere(known["relation"][taken])))
    assert explained["edges"] == edges("star", len(video["nodes"])).tolist()


def test_without_intervals_nothing_is_compared(world, tmp_path):
    out = tmp_path / "explanations.json"
    proda_explain(untrained.write(tmp_path / "m.pt", world), world.graphs, world.manifest, out, videos=2, absent=0)
    explained = json.loads(out.read_text())
    assert not explained["chosen"] and explained["theta"] == {"weight": 0.5, "occlusion": 0.5}
    for video in explained["videos"]:
        nothing = {"left_out": None, "weight": None, "occlusion": None}
        assert video["found"] == nothing
        assert all(q["iou"] == nothing and q["shown"] for q in video["questions"])


def test_a_third_of_the_chosen_videos_is_wrong_where_there_are_enough():
    labels = np.eye(3, dtype=bool)[np.arange(30) % 3]
    said = labels.copy()
    said[20:] = ~said[20:]
    rows = choose(labels, said, 9)
    assert len(rows) == len(set(rows)) == 9 and sum(row >= 20 for row in rows) == 3
    assert {int(labels[r].argmax()) for r in rows if r < 20} == {0, 1, 2}
    assert len(choose(labels, ~labels, 9)) == 9 and len(choose(labels[:4], labels[:4], 9)) == 4

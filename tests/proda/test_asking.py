"""Asking a model: many questions at once are the questions one by one."""

import numpy as np
import pytest
import torch
import untrained

from pipeline.errors import ChoreoError
from pipeline.proda import asking, data
from pipeline.proda.asking import Questions, alone, ask, everything, from_labels


@pytest.fixture(scope="module")
def small(world):
    return untrained.network(world)


@pytest.fixture(scope="module")
def videos(world):
    return data.load(world.graphs, world.manifest).roles["test"]


def all_of(answers, specified):
    return {
        "total": answers.total,
        "logits": answers.specified.logits,
        "frame_weight": answers.specified.frame_weight,
        "specified": specified,
    }


def test_each_question_is_answered_as_if_it_were_asked_alone(small, videos):
    questions = from_labels(videos, length=4)
    said = ask(small, videos, questions, all_of, batch=5)
    assert np.array_equal(said["specified"].astype(bool), questions.specified)
    for row in (0, 7, len(questions) - 1):
        v = questions.video[row]
        graph = videos.graphs[v]
        taken = np.linspace(0, len(graph) - 1, small.settings.frames).round().astype(int)
        with torch.no_grad():
            answers = small.network(data.collate([graph], [taken]), torch.from_numpy(questions.specified[row][None]))
        assert said["total"][row] == pytest.approx(answers.total[0].numpy(), abs=1e-5)
        assert said["logits"][row] == pytest.approx(answers.specified.logits[0].numpy(), abs=1e-5)
        assert said["frame_weight"][row] == pytest.approx(answers.specified.frame_weight[0].numpy(), abs=1e-5)


def test_videos_without_a_question_are_passed_over(small, videos):
    specified = np.zeros((2, videos.labels.shape[1]), dtype=bool)
    said = ask(small, videos, Questions(np.array([6, 13]), specified), all_of, batch=4)
    both = ask(small, videos, everything(videos), lambda a, _: {"original": a.original}, batch=4)["original"]
    assert len(said["total"]) == 2 and len(both) == len(videos)


def test_a_blinded_model_says_the_same_of_every_video(small, videos):
    said = ask(small, videos, everything(videos), asking.video_answer, blinded=True)["total"]
    assert np.ptp(said, axis=0).max() < 1e-6
    assert np.ptp(ask(small, videos, everything(videos), asking.video_answer)["total"], axis=0).max() > 1e-3


def test_an_action_asked_alone_is_told_by_its_own_logit(small, videos):
    questions = alone(videos.labels)
    assert (questions.specified.sum(axis=1) == 1).all() and len(questions) == videos.labels.sum()
    said = ask(small, videos, questions, asking.single_answer)
    logits = ask(small, videos, questions, all_of)["logits"]
    assert said["score"] == pytest.approx(logits[:, :-1][questions.specified])


def test_prompts_of_a_video_do_not_depend_on_the_others(videos):
    few = data.Videos(videos.ids[3:5], videos.graphs[3:5], videos.labels[3:5])
    of_all, of_few = from_labels(videos, length=4), from_labels(few, length=4)
    rows = (of_all.video == 3) | (of_all.video == 4)
    assert np.array_equal(of_all.specified[rows], of_few.specified)
    assert not np.array_equal(of_all.specified, from_labels(videos, length=4, seed=1).specified)


def test_occlusion_is_the_fall_of_the_logit_when_the_readout_leaves_out_a_frame(small, videos):
    graphs = data.collate(videos.graphs[:3], asking.frames(small, videos)[:3])
    network, readout = small.network, small.network.specified_readout
    with torch.no_grad():
        answers = network(graphs, torch.eye(3, videos.labels.shape[1], dtype=torch.bool))
        action = torch.tensor([[0], [1], [4]])
        drop = asking.occlusion(network, answers, action)
        for b in range(3):
            for t in range(drop.shape[1]):
                weight = readout.node_weight(answers.specified.feature[b]).sigmoid() * answers.mask[b, ..., None]
                frame = readout.frame((weight * answers.specified.feature[b]).sum(dim=1))  # (T,D)
                s = readout.frame_weight(frame).sigmoid()
                s[t] = 0
                logits = network.specified_head(readout.video((s * frame).sum(dim=0)))
                fall = answers.specified.logits[b] - logits
                assert float(drop[b, t]) == pytest.approx(float(fall[action[b, 0]]), abs=1e-5)


def test_an_unknown_action_is_answered_with_the_nearest_names():
    actions = ["Open the door", "Close the door", "Sit"]
    assert asking.action_index("sit", actions) == 2
    with pytest.raises(ChoreoError, match="'Open the door'"):
        asking.action_index("opens the door", actions)
    with pytest.raises(ChoreoError, match="one of Open the door, Close the door, Sit"):
        asking.action_index("zzzz", actions)

"""What a model says of every video as an artifact, and of one to a person who asks."""

import re

import numpy as np
import pytest
import untrained

from pipeline.artifacts import Artifact, create, validate
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest
from pipeline.proda import asking, data
from pipeline.proda.predictions import _when, proda_ask, proda_predict


@pytest.fixture(scope="module")
def model(world, tmp_path_factory):
    return untrained.write(tmp_path_factory.mktemp("model") / "model.pt", world)


def test_every_video_is_answered_for(world, model, tmp_path):
    out = tmp_path / "predictions.h5"
    proda_predict(model, world.graphs, world.manifest, out)
    validate(out)
    known, it = data.load(world.graphs, world.manifest), untrained.network(world)
    with Artifact(out, "proda_predictions") as said:
        assert said.ids == [v.id for v in Manifest.read(world.manifest).videos]
        assert said["action"].tolist() == known.actions
        for videos in known.roles.values():
            assert said.rows("middle", videos.ids) == pytest.approx(asking.prompt_free(it, videos), abs=1e-4)
            total = asking.ask(it, videos, asking.everything(videos), asking.video_answer)["total"]
            assert said.rows("total", videos.ids) == pytest.approx(total, abs=1e-4)
        videos = known.roles["test"]
        own = asking.ask(it, videos, asking.alone(videos.labels), asking.single_answer)
        assert said.rows("queried", videos.ids)[videos.labels] == pytest.approx(own["score"], abs=1e-4)
        assert np.allclose(said.rows("frame_weight", videos.ids)[videos.labels], own["frame_weight"], atol=1e-4)
        assert said.rows("time", videos.ids) == pytest.approx(asking.times(it, videos))


def test_the_encoder_alone_cannot_be_asked(world, tmp_path):
    path = untrained.write(tmp_path / "encoder.pt", world, "encoder")
    with pytest.raises(ChoreoError, match="cannot be asked"):
        proda_predict(path, world.graphs, world.manifest, tmp_path / "predictions.h5")


def test_a_person_is_told_how_likely_and_when(world, model):
    known = data.load(world.graphs, world.manifest)
    names = known.actions[2], known.actions[0]
    answer = proda_ask(model=model, graphs=world.graphs, video="v0004", actions="; ".join(names).upper())
    head, *lines = answer.splitlines()
    assert head.split() == ["action", "likely", "when"] and len(lines) == 2
    it, videos = untrained.network(world), known.roles["test"]
    one = data.Videos(["v0004"], [videos.graphs[videos.ids.index("v0004")]], np.zeros((1, len(known.actions)), bool))
    score = asking.ask(it, one, asking.alone(np.ones(one.labels.shape, bool)), asking.single_answer)["score"]
    for line in lines:
        name, percent, times = re.fullmatch(r"(.+?)\s+(\d+)%   (.*)", line).groups()
        assert float(percent) == pytest.approx(100 / (1 + np.exp(-score[known.actions.index(name)])), abs=0.51)
        assert name in names and re.match(r"\d\.\d", times)


def test_asked_for_nothing_in_particular_all_actions_are_told_the_likeliest_first(world, model):
    lines = proda_ask(model=model, graphs=world.graphs, video="v0007").splitlines()[1:]
    percent = [int(re.search(r"(\d+)%", line).group(1)) for line in lines]
    assert len(lines) == len(data.load(world.graphs, world.manifest).actions)
    assert percent == sorted(percent, reverse=True)


def test_a_question_that_cannot_be_asked_is_answered_with_the_nearest_names(world, model):
    with pytest.raises(ChoreoError, match=r"no action 'holds thing1'(.|\n)*'hold thing1'"):
        proda_ask(model=model, graphs=world.graphs, video="v0004", actions="holds thing1")
    with pytest.raises(ChoreoError, match=r"no scene graph of 'v0004\.mp4'(.|\n)*'v0004'"):
        proda_ask(model=model, graphs=world.graphs, video="v0004.mp4")


def test_a_model_of_other_relations_names_what_differs(world, model, tmp_path):
    path = tmp_path / "graphs.h5"
    with Artifact(world.graphs, "scene_graphs") as graphs, create(path, "scene_graphs", ids=["v0004"]) as writer:
        writer.add("v0004", **graphs.video("v0004"))
        names = {name: graphs[name].tolist() for name in ("class_name", "origin")}
        writer.share(relation_name=["holding", "looking", "under"], **names)
    with pytest.raises(ChoreoError, match="relation_names"):
        proda_ask(model=model, graphs=[path], video="v0004")


def test_runs_of_frames_are_told_in_seconds():
    time = np.array([0.0, 0.5, 1.0, 1.5, 2.0])
    assert _when(np.array([True, True, False, False, True]), time) == "0.0-0.5 s, 2.0 s"
    assert _when(np.zeros(5, dtype=bool), time) == ""

"""Figures of networks whose answers are known: one that knows the truth, one that reads the prompt alone."""

import numpy as np
import pytest
import torch
import untrained
from sklearn.metrics import average_precision_score

from pipeline.proda import asking, data, localisation, measuring
from pipeline.proda.measuring import Exam, measure
from pipeline.proda.model import Answers, Branch, Encoded, Proda


class Knowing(Proda):
    """It recognises a video by its frames and tells its labels and true frames; of a zeroed one it knows nothing."""

    def __init__(self, settings, known):
        super().__init__(settings)
        self.known = known  # bytes of the frames -> labels (C,), true frames (C,T)

    def encode(self, graphs):
        C, T = self.settings.actions, self.settings.frames
        nothing = np.zeros(C, dtype=bool), np.zeros((C, T), dtype=bool)
        found = [self.known.get(image.numpy().tobytes(), nothing) for image in graphs.image]
        rows = [np.concatenate([np.tile(labels, (T, 1)), frames.T], axis=1) for labels, frames in found]  # (T,2C)
        original = torch.from_numpy(np.stack(rows)).float()[:, :, None]
        return Encoded(original, edge=torch.zeros(len(rows), 1), mask=torch.ones(len(rows), T, 1, dtype=torch.bool))

    def ask(self, encoded, specified):
        labels, frames = encoded.original[:, 0, 0].chunk(2, dim=-1)[0], encoded.original[:, :, 0].chunk(2, dim=-1)[1]
        told = torch.nn.functional.pad(10 * labels * specified - 5, (0, 1))
        B, T = frames.shape[:2]
        weight = (frames * specified[:, None]).amax(dim=-1).clamp(min=0.01)
        nodes = torch.zeros(B, T, 1, self.settings.dim)
        branch = Branch(told, nodes, specified.float(), weight, torch.ones(B, T, 1), torch.zeros(0, B, T, 0))
        return Answers(branch, branch, 10 * labels - 5, weight, nodes, nodes, nodes[..., :1], encoded.mask)

    def middle(self, encoded):
        return encoded.original[:, 0, 0].chunk(2, dim=-1)[0]


class PromptReader(Knowing):
    """It answers with the prompt and never looks at the video."""

    def ask(self, encoded, specified):
        answers = super().ask(encoded, specified)
        answers.total = specified.float()
        return answers


@pytest.fixture(scope="module")
def exam(world, tmp_path_factory) -> Exam:
    loaded = data.load(world.graphs, world.manifest)
    path = untrained.write_intervals(tmp_path_factory.mktemp("home") / "intervals.csv", world)
    test = loaded.roles["test"]
    prompts = asking.from_labels(test, length=4)
    return Exam(loaded.roles["val"], test, loaded.actions, prompts, localisation.read_intervals(path))


def networks(world, exam, kind):
    """A network of a kind that knows the videos of an exam."""
    it = untrained.network(world)
    known = {}
    for videos in (exam.val, exam.test):
        graphs = data.collate(videos.graphs, asking.frames(it, videos))
        frames = measuring.true_frames(it, videos, exam.actions, exam.intervals)
        known |= {
            image.numpy().tobytes(): both for image, *both in zip(graphs.image, videos.labels, frames, strict=True)
        }
    object.__setattr__(it, "network", kind(it.settings, known).eval())
    return it


@pytest.fixture(scope="module")
def perfect(world, exam):
    return measure(networks(world, exam, Knowing), exam)


def test_the_truth_scores_one_in_every_protocol(perfect):
    for name in (
        "map/prompt_free", "map/prompt_free/all_query", "map/queried", "map/oracle_prompt",
        "map/oracle_prompt/specified", "ablation/full/map/oracle_prompt", "ablation/full/map/prompt_free",
        "localisation/frame_map", "localisation/detection_map",
    ):  # fmt: skip
        assert perfect.figures[name] == (1.0, "share"), name
    assert all(row["mean"] == 1 for row in perfect.tables["robustness"])
    assert perfect.figures["distance/feature/intra"][0] == pytest.approx(0, abs=1e-7)
    assert perfect.figures["distance/feature/inter"][0] == pytest.approx(np.sqrt(2))  # of unit vectors at right angles


def test_the_truth_finds_all_that_the_sampled_frames_show(perfect, world, exam):
    true = measuring.true_frames(untrained.network(world), exam.test, exam.actions, exam.intervals)[exam.test.labels]
    seen = true.any(axis=1).mean()
    assert perfect.figures["localisation/recall@0.5"][0] == pytest.approx(seen) and seen > 0.8
    assert perfect.tables["localisation"]["between_frames"] == pytest.approx(1 - seen)
    middle = np.array([0, 1, 1, 1, 0, 0], dtype=bool)
    half = [(t & middle).sum() / (t | middle).sum() >= 0.5 for t in true]
    assert perfect.figures["localisation/middle_half/recall@0.5"][0] == pytest.approx(np.mean(half))
    assert perfect.figures["localisation/all_frames/recall@0.5"][0] == pytest.approx((true.mean(axis=1) >= 0.5).mean())


def test_without_its_video_it_knows_no_more_than_chance(perfect, exam):
    prior = exam.test.labels.mean(axis=0)
    assert perfect.figures["map/chance"][0] == pytest.approx(prior[prior > 0].mean())
    prior = exam.shown.mean(axis=0)
    assert perfect.figures["map/prompt_only_control/zeroed"][0] == pytest.approx(prior[prior > 0].mean())
    assert perfect.figures["localisation/frame_map/chance"][0] < 0.8


def test_a_reader_of_prompts_scores_what_the_prompts_give_away(world, exam):
    """Against scikit-learn over the prompts; it is far above chance, and the same with the video zeroed."""
    figures = measure(networks(world, exam, PromptReader), exam).figures
    shown, specified = exam.shown, exam.prompts.specified
    given = np.mean(
        [average_precision_score(y, s.astype(float)) for y, s in zip(shown.T, specified.T, strict=True) if y.any()]
    )
    assert figures["map/oracle_prompt"][0] == pytest.approx(given)
    assert figures["map/prompt_only_control/zeroed"] == figures["map/oracle_prompt"]
    assert given > figures["map/chance"][0] + 0.1


def test_prompts_are_clean_when_they_name_nothing_absent(exam):
    for clean, specified, shown in zip(exam.clean, exam.prompts.specified, exam.shown, strict=True):
        assert clean == all(shown[specified])
    labels = exam.test.labels.sum(axis=1)  # L clean prompts; of the L + 1 others those with 4 present have no room left
    full = np.maximum(labels - 4 + 1, 0).sum()
    assert exam.clean.sum() == labels.sum() + full
    assert (~exam.clean).sum() == labels.sum() + len(exam.test) - full


def test_each_variant_is_measured_for_what_it_is(world, exam):
    assert set(measure(untrained.network(world, "encoder"), exam).figures) == {"map/encoder_alone"}
    blind = measure(untrained.network(world, "blind"), exam).figures
    assert {"map/prompt_only_control", "map/prompt_only_control/queried"} <= set(blind)
    assert all("prompt_only_control" in name for name in blind)
    for variant in ("blind", "encoder"):
        assert measure(untrained.network(world, variant), exam, pretrained=True).figures == {}
    simple = measure(untrained.network(world, "simple_prompt"), exam).figures
    assert set(simple) == {f"ablation/simple_prompt/map/{name}" for name in ("oracle_prompt", "prompt_free")}
    early = measure(untrained.network(world, "simple_prompt"), exam, pretrained=True).figures
    assert set(early) == {"ablation/simple_prompt/pretrained/map/oracle_prompt"}


def test_a_blind_network_ranks_every_video_the_same(world, exam):
    """Equal scores for all videos: queried mAP is exactly chance, whatever the weights are."""
    blind = measure(untrained.network(world, "blind"), exam).figures
    prior = exam.test.labels.mean(axis=0)
    assert blind["map/prompt_only_control/queried"][0] == pytest.approx(prior[prior > 0].mean(), abs=0.02)
    assert blind["distance/feature/prompt_only_control/intra"][0] == pytest.approx(0, abs=1e-4)

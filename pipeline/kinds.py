"""The layout of every artifact, declared once.

The writer, the validator, `python -m pipeline inspect` and docs/artifacts.md all read these declarations and nothing
else.

The first axis of an array says how it is stored:

- ``video``: one row a video, in the order of `/video_id`;
- a ragged axis of the kind (``clip``, ``keyframe``, ...): the rows of all videos one after another, video *i* owning
  rows ``offsets[i]:offsets[i + 1]`` of `/offsets/<axis>`;
- anything else: shared by all videos, stored once (names of concepts, weights of a model).

Axes of one name have one length within a video (ragged axes) or within the file (all others).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan

TEXT = "text"  # UTF-8, stored with the fixed length of the longest entry


@dataclass(frozen=True)
class Array:
    """One array of a kind.

    Args:
        dtype: a numpy dtype such as ``f4``, or ``text``.
        axes: names of the axes, first to last.
        doc: one line on what it holds.
        unit: unit of the values, if they have one.
        missing: the value that marks what is absent (NaN), or None when nothing may be absent.
        range: smallest and largest value allowed.
    """

    dtype: str
    axes: tuple[str, ...]
    doc: str = ""
    unit: str = ""
    missing: float | None = None
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Kind:
    """The layout of one kind of artifact; `version` rises when an old reader could misread a new file."""

    name: str
    version: int
    doc: str
    arrays: dict[str, Array]
    ragged: tuple[str, ...] = field(default=())

    def storage(self, array: str) -> str:
        """How an array is stored: ``video``, ``ragged`` or ``shared``."""
        axis = self.arrays[array].axes[0] if self.arrays[array].axes else ""
        return "video" if axis == "video" else "ragged" if axis in self.ragged else "shared"

    @property
    def per_video(self) -> list[str]:
        """Names of the arrays that hold something for each video."""
        return [name for name in self.arrays if self.storage(name) != "shared"]


KINDS: dict[str, Kind] = {}


def declare(name: str, version: int, doc: str, *, ragged: tuple[str, ...] = (), **arrays: Array) -> Kind:
    """Declare a kind of artifact and enter it in `KINDS`."""
    kind = KINDS[name] = Kind(name, version, doc, arrays, ragged)
    return kind


ANNOTATIONS = declare(
    "annotations",
    1,
    "What is known to be true of videos: motion, joints, objects, scene. Optional; explanations are scored against it.",
    ragged=("frame",),
    primitive=Array("i2", ("frame",), "index into `primitives`; -1 while nothing is done"),
    joints=Array("f4", ("frame", "joint", "xy"), "COCO-17 joints", unit="px", missing=nan),
    visible=Array("u1", ("frame", "joint"), "1 where the joint can be seen", range=(0, 1)),
    objects=Array("u1", ("video", "object"), "1 where the object is in the video", range=(0, 1)),
    scene=Array("i2", ("video",), "index into `scene_names`"),
    primitives=Array(TEXT, ("primitive_name",), "names of the motion primitives"),
    object_names=Array(TEXT, ("object",), "names of the objects"),
    scene_names=Array(TEXT, ("scene_name",), "names of the scenes"),
)

KEYFRAMES = declare(
    "keyframes",
    1,
    "Frames at which a video changes most, by pixel differences (DANCE, Sec. 3.2.1).",
    ragged=("keyframe", "frame"),
    frames=Array("i4", ("video",), "frames that were decoded", unit="frame"),
    fps=Array("f4", ("video",), "mean frame rate", unit="1/s"),
    keyframe=Array("i4", ("keyframe",), "indices of the keyframes, rising", unit="frame"),
    time=Array("f8", ("keyframe",), "presentation times of the keyframes", unit="s"),
    difference=Array("f4", ("frame",), "pixels that differ from the frame before; 0 for the first", unit="px"),
)

POSE = declare(
    "pose",
    1,
    "2D poses of one person in the clips around the keyframes (DANCE, Sec. 3.2.1).",
    ragged=("clip",),
    joints=Array(
        "f4", ("clip", "frame", "joint", "xy"), "COCO-17 joints; NaN where nobody was found", unit="px", missing=nan
    ),
    confidence=Array("f4", ("clip", "frame", "joint"), "0 where nobody was found", range=(0, 1)),
    box=Array("f4", ("clip", "frame", "corner"), "the person's box, x1 y1 x2 y2", unit="px", missing=nan),
    start=Array("i4", ("clip",), "first frame of the clip", unit="frame"),
    size=Array("i4", ("video", "hw"), "height and width of the frames", unit="px"),
)

EMBEDDINGS = declare(
    "embeddings",
    1,
    "Image embeddings of sampled frames, in the space that images and texts share; L2-normalised.",
    embedding=Array("f4", ("video", "frame", "feature"), "one unit vector a sampled frame"),
    frame=Array("i4", ("video", "frame"), "the frames that were sampled", unit="frame"),
)

FEATURES = declare(
    "features",
    1,
    "One feature vector a video, from a frozen video backbone.",
    feature=Array("f4", ("video", "feature"), "pooled feature"),
)

MOTION_CONCEPTS = declare(
    "motion_concepts",
    1,
    "Motion concepts: clusters of the training videos' pose sequences (DANCE, Sec. 3.2.1, Eq. 1).",
    mean=Array("f4", ("concept", "value"), "cluster mean of the flattened, normalised poses"),
    medoid=Array("f4", ("concept", "frame", "joint", "xy"), "the member nearest to the cluster mean, normalised"),
    members=Array("i4", ("concept",), "clips in the cluster"),
    example_video=Array(TEXT, ("concept",), "video of the medoid"),
    example_start=Array("i4", ("concept",), "first frame of the medoid's clip", unit="frame"),
    partition_sizes=Array("i4", ("partition",), "clusters in each FINCH partition, finest first"),
    member_video=Array(TEXT, ("member",), "video of every clip that was clustered"),
    member_start=Array("i4", ("member",), "first frame of that clip", unit="frame"),
    member_concept=Array("i4", ("member",), "motion concept of that clip"),
)

MOTION_LABELS = declare(
    "motion_labels",
    1,
    "Which motion concepts each video shows (DANCE, Eqs. 1-2).",
    ragged=("clip",),
    concept=Array("i4", ("clip",), "motion concept of the clip; -1 where the clip was filtered out"),
    start=Array("i4", ("clip",), "first frame of the clip", unit="frame"),
    label=Array("u1", ("video", "concept_index"), "1 where a clip of the video belongs to the concept", range=(0, 1)),
    labelled=Array(
        "u1", ("video",), "0 where no clip survived the filters: the label is unknown, not zero", range=(0, 1)
    ),
)

TEXTS = declare(
    "texts",
    1,
    "Text embeddings of the vocabulary's object and scene concepts; L2-normalised.",
    concept=Array(TEXT, ("concept",), "the concept in words"),
    kind=Array(TEXT, ("concept",), "`object` or `scene`"),
    embedding=Array("f4", ("concept", "feature"), "one unit vector a concept"),
)

PSEUDO_LABELS = declare(
    "pseudo_labels",
    1,
    "Cosine of every video with every object and scene concept (DANCE, Eq. 3).",
    similarity=Array("f4", ("video", "concept"), "cosine of video and text embedding", range=(-1.001, 1.001)),
    concept=Array(TEXT, ("concept",), "the concept in words"),
    kind=Array(TEXT, ("concept",), "`object` or `scene`"),
    kept=Array("u1", ("concept",), "0 where the training videos never show the concept (first cut-off)", range=(0, 1)),
)

DANCE = declare(
    "dance",
    1,
    "A trained DANCE model: concept layers, z-scoring and the sparse classifier (DANCE, Sec. 3.3).",
    concept=Array(TEXT, ("concept",), "names; motion concepts are called by their number"),
    kind=Array(TEXT, ("concept",), "`motion`, `object` or `scene`"),
    class_name=Array(TEXT, ("class",), "names of the classes"),
    concept_weight=Array("f4", ("concept", "feature"), "bias-free concept layer (W_C)"),
    mean=Array("f4", ("concept",), "mean activation over the training videos"),
    scale=Array("f4", ("concept",), "standard deviation of the activation over the training videos"),
    weight=Array("f4", ("class", "concept"), "classifier on z-scored activations (W_A)"),
    bias=Array("f4", ("class",), "bias of the classifier"),
    feature_mean=Array("f4", ("feature",), "centre of the features, training videos"),
    feature_scale=Array("f4", ("feature",), "scale of the features, training videos"),
)

PREDICTIONS = declare(
    "predictions",
    1,
    "What a trained DANCE model says of every video: z-scored activations and class scores.",
    activation=Array("f4", ("video", "concept"), "z-scored concept activation"),
    score=Array("f4", ("video", "class"), "logit of each class"),
    concept=Array(TEXT, ("concept",), "names; motion concepts are called by their number"),
    kind=Array(TEXT, ("concept",), "`motion`, `object` or `scene`"),
    class_name=Array(TEXT, ("class",), "names of the classes"),
)

GRAPH_ANNOTATIONS = declare(
    "graph_annotations",
    1,
    "Scene graphs that people annotated or a renderer knows: who and what is where, in which relation to the person.",
    ragged=("frame",),
    frame=Array("i4", ("frame",), "annotated frames, rising", unit="frame"),
    box=Array("f4", ("frame", "node", "corner"), "x1 y1 x2 y2; NaN where the node is not seen", unit="px", missing=nan),
    relation=Array(
        "u1", ("frame", "node", "relation"), "1 where the person has the relation to the node", range=(0, 1)
    ),
    node_class=Array(
        "i2", ("video", "node"), "index into `class_name`; node 0 is the person; -1 where there is no node"
    ),
    class_name=Array(TEXT, ("class",), "names of the classes of nodes; the first is the person's"),
    relation_name=Array(TEXT, ("relation",), "names of the relations"),
)

SCENE_GRAPHS = declare(
    "scene_graphs",
    1,
    "Scene graphs with features: a node a thing, the same node in all frames, node 0 the person (ProDA, Sec. 3.1).",
    ragged=("frame",),
    frame=Array("i4", ("frame",), "frames of the graphs, rising", unit="frame"),
    time=Array("f4", ("frame",), "their times in the video", unit="s"),
    image=Array("f2", ("frame", "feature"), "embedding of the whole frame: the global node"),
    feature=Array("f2", ("frame", "node", "feature"), "embedding of the node's crop; 0 where `mask` is 0"),
    box=Array(
        "f4", ("frame", "node", "corner"), "x1 y1 x2 y2 over width and height; 0 where `mask` is 0", range=(0, 1)
    ),
    mask=Array("u1", ("frame", "node"), "1 where the node is seen", range=(0, 1)),
    relation=Array(
        "u1", ("frame", "node", "relation"), "1 where the person has the relation to the node", range=(0, 1)
    ),
    node_class=Array("i2", ("video", "node"), "index into `class_name`; -1 where there is no node"),
    class_name=Array(TEXT, ("class",), "names of the classes of nodes; the first is the person's"),
    relation_name=Array(TEXT, ("relation",), "names of the relations"),
    origin=Array(TEXT, ("one",), "`annotated` (people or a renderer) or `predicted` (a detector and geometry)"),
)

PAIRS = declare(
    "pairs",
    1,
    "Persons and their ordered pairs in keyframes, and what the first of a pair does to the second (ProDA, Sec. 4.1).",
    ragged=("person", "pair"),
    frame=Array("i4", ("person",), "keyframe in which the person is seen, rising", unit="frame"),
    box=Array("f4", ("person", "corner"), "x1 y1 x2 y2 over width and height", range=(0, 1)),
    feature=Array("f2", ("person", "feature"), "embedding of the person's crop"),
    subject=Array("i4", ("pair",), "row of the one who acts among the video's persons; pairs are of one keyframe"),
    object=Array("i4", ("pair",), "row of the one it is done to"),
    union=Array("f2", ("pair", "feature"), "embedding of the crop that holds both"),
    label=Array("u1", ("pair", "action"), "1 where the subject does it to the object; all 0: background", range=(0, 1)),
    action_name=Array(TEXT, ("action",), "names of the interactions"),
    origin=Array(TEXT, ("one",), "`dense` (everybody's box) or `interacting` (boxes of those who interact only)"),
)

PRODA_PREDICTIONS = declare(
    "proda_predictions",
    1,
    "What a trained ProDA says of every video: asked nothing, asked for all actions, and for each by itself.",
    middle=Array("f4", ("video", "action"), "logit of each action when nothing is asked (a_m)"),
    total=Array("f4", ("video", "action"), "logit of each action when all are asked for at once (a_t)"),
    queried=Array("f4", ("video", "action"), "logit of each action when it is asked for by itself (a_s)"),
    frame_weight=Array("f4", ("video", "action", "frame"), "the readout's weight of each frame then (s)", range=(0, 1)),
    time=Array("f4", ("video", "frame"), "times of the frames that the model saw", unit="s"),
    action=Array(TEXT, ("action",), "names of the actions"),
)

CLIP_FEATURES = declare(
    "clip_features",
    1,
    "Features of the consecutive clips of a video, from a frozen backbone (AQA, Sec. 3: f).",
    ragged=("clip",),
    feature=Array("f4", ("clip", "feature"), "one vector a clip"),
    start=Array("f4", ("clip",), "when the clip begins", unit="s"),
    end=Array("f4", ("clip",), "when it ends", unit="s"),
)

ELEMENTS = declare(
    "elements",
    1,
    "What a routine is made of: which element when, how difficult it is, and how well it was done.",
    ragged=("element",),
    element=Array("i2", ("element",), "index into `element_name`"),
    start=Array("f4", ("element",), "when it begins", unit="s"),
    end=Array("f4", ("element",), "when it ends", unit="s"),
    difficulty=Array("f4", ("element",), "what it is worth, in points"),
    execution=Array("f4", ("element",), "how well it was done; 1: without a fault", range=(0, 1)),
    element_name=Array(TEXT, ("element_name",), "names of the elements"),
)

"""The corpus: what the small encoders are trained on.

Motion, object and scene are drawn independently of each other, so that an encoder cannot learn the classes of an act,
and neither performers nor seeds are those of a cast. Captions name what is to be seen, in varying words.
"""

import numpy as np

from pipeline.theatre.motions import PRIMITIVES
from pipeline.theatre.performers import draw_seed, entropy, performer
from pipeline.theatre.props import OBJECTS
from pipeline.theatre.scenery import SCENES
from pipeline.theatre.stage import Script

SYNONYMS = {
    "barbell": ("barbell", "weights", "weight bar", "barbell with plates"),
    "kettlebell": ("kettlebell", "iron weight", "kettle weight"),
    "box": ("box", "cardboard box", "carton", "package", "crate"),
    "ball": ("ball", "football", "soccer ball"),
    "racket": ("racket", "tennis racket", "racquet"),
    "axe": ("axe", "hatchet", "wood axe"),
    "broom": ("broom", "sweeping brush", "brush"),
    "umbrella": ("umbrella", "parasol", "rain umbrella"),
    "bucket": ("bucket", "pail"),
    "jump rope": ("jump rope", "skipping rope", "rope"),
    "gym": ("gym", "fitness centre", "weight room", "training hall"),
    "warehouse": ("warehouse", "storage hall", "storeroom", "depot"),
    "football field": ("football field", "soccer field", "football pitch", "stadium", "grass pitch"),
    "beach": ("beach", "seaside", "sandy shore", "coast"),
    "tennis court": ("tennis court", "court with a net", "sports court"),
    "forest": ("forest", "woods", "woodland", "clearing among trees"),
    "street": ("street", "road", "city street", "pavement", "sidewalk"),
    "kitchen": ("kitchen", "room with a stove and a fridge", "kitchen at home"),
}
OUTSIDE = ("football field", "beach", "tennis court", "street")  # one is on a beach, but in a kitchen


def scripts(seed: int, n: int) -> list[Script]:
    """`n` unlabelled scripts; one in eleven has nothing in hand. A performer plays four of them."""
    rng = np.random.default_rng(entropy("corpus", seed))
    things = ("", *OBJECTS)
    return [
        Script(
            id=f"corpus_{seed}_{index:06d}",
            primitive=PRIMITIVES[rng.integers(len(PRIMITIVES))],
            object=things[rng.integers(len(things))],
            scene=SCENES[rng.integers(len(SCENES))],
            performer=performer("extra", seed, index // 4),
            seed=draw_seed("corpus", seed, index),
        )
        for index in range(n)
    ]


def captions(script: Script, rng: np.random.Generator) -> list[str]:
    """Natural sentences about one script: the object, the scene, and both, in varying words."""
    scene = _any(script.scene, rng)
    place = f"{'on' if script.scene in OUTSIDE else 'in'} {article(scene)}"
    if not script.object:
        return [article(scene), f"a person {place}", f"somebody with empty hands {place}"]
    thing = article(_any(script.object, rng))
    return [thing, article(scene), f"a person with {thing}", f"a person with {thing} {place}", f"{thing} {place}"]


def caption(script: Script, rng: np.random.Generator) -> str:
    """One of the captions."""
    every = captions(script, rng)
    return every[rng.integers(len(every))]


def article(noun: str) -> str:
    """'an axe', 'a box'; plurals and what has no plural stay bare."""
    if noun in ("weights", "woods"):
        return noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _any(name: str, rng: np.random.Generator) -> str:
    return SYNONYMS[name][rng.integers(len(SYNONYMS[name]))]

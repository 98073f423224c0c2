"""Act one, actions (DANCE): classes that only motion, object and scene together tell apart.

| class                | motion | object     | scene          | shares                             |
|----------------------|--------|------------|----------------|------------------------------------|
| lifting a barbell    | raise  | barbell    | gym            | object and scene with the next     |
| lowering a barbell   | lower  | barbell    | gym            | the time reversal of the one above |
| lifting a kettlebell | raise  | kettlebell | gym            | motion and scene with the first    |
| lifting a box        | raise  | box        | warehouse      | motion with the first              |
| kicking a football   | kick   | ball       | football field | object and scene with the next two |
| throwing a ball      | throw  | ball       | football field |                                    |
| catching a ball      | catch  | ball       | football field | the time reversal of the one above |
| beach football       | kick   | ball       | beach          | motion and object with kicking     |
| playing tennis       | swing  | racket     | tennis court   | motion with the next               |
| chopping wood        | swing  | axe        | forest         |                                    |
| sweeping the street  | sweep  | broom      | street         | motion and object with the next    |
| sweeping the kitchen | sweep  | broom      | kitchen        |                                    |

Without motion the two barbells cannot be told apart, nor the three balls on the football field (5 classes of 12).
Without objects and scenes the three raises, the two kicks, the two swings and the two sweeps cannot (9 of 12).
Everything else (body, clothes, view, camera, light, clutter, foreground, timing) is drawn alike for all classes.
"""

from pipeline.theatre.performers import draw_seed, performer, splits
from pipeline.theatre.stage import Script

CLASSES = {  # class: (motion, object, scene)
    "lifting a barbell": ("raise", "barbell", "gym"),
    "lowering a barbell": ("lower", "barbell", "gym"),
    "lifting a kettlebell": ("raise", "kettlebell", "gym"),
    "lifting a box": ("raise", "box", "warehouse"),
    "kicking a football": ("kick", "ball", "football field"),
    "throwing a ball": ("throw", "ball", "football field"),
    "catching a ball": ("catch", "ball", "football field"),
    "beach football": ("kick", "ball", "beach"),
    "playing tennis": ("swing", "racket", "tennis court"),
    "chopping wood": ("swing", "axe", "forest"),
    "sweeping the street": ("sweep", "broom", "street"),
    "sweeping the kitchen": ("sweep", "broom", "kitchen"),
}


def cast(seed: int = 0, n: int = 432) -> list[Script]:
    """The labelled scripts: every performer plays every class once, until there are `n`.

    Performers, not videos, are split into train, val and test, about 60/15/25.
    """
    split = splits(-(-n // len(CLASSES)), seed)
    scripts = []
    for index in range(n):
        number, turn = divmod(index, len(CLASSES))
        label, (motion, thing, scene) = list(CLASSES.items())[turn]
        scripts.append(
            Script(
                id=f"{label.replace(' ', '_')}_{number:04d}",
                primitive=motion,
                object=thing,
                scene=scene,
                performer=performer("actor", seed, number),
                seed=draw_seed("actions", seed, index),
                label=label,
                split=split[number],
            )
        )
    return scripts

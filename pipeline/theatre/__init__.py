"""The puppet theatre: short rendered videos of an articulated figure whose every truth is known.

`stage.perform(script)` turns one `Script` into a `Performance`. `actions.cast` writes the labelled scripts of the first
act, `corpus.scripts` the unlabelled ones that the small encoders are trained on; `render.theatre` puts a cast on disk.
"""

"""The puppet theatre: short rendered videos of an articulated figure whose every truth is known.

`stage.perform(script)` turns one `Script` into a `Performance`. `actions.cast` writes the labelled scripts of the first
act, `corpus.scripts` the unlabelled ones that the small encoders are trained on. Act two, several actions at a time, is
`home`, with a `perform` and a `corpus` of its own. `render.theatre` puts the cast of an act on disk.
"""

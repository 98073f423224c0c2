"""DANCE: disentangled action recognition from motion, object and scene concepts."""

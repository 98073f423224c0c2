"""Concepts: what a video shows, in poses and in words."""

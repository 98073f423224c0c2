"""DANCE's page: concepts, classes, and videos explained by them."""

"""What holds for every test."""

from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # a slow machine fails no test
settings.load_profile("any machine")

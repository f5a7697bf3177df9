"""Properties are tried on few examples here, and none fails because the machine was busy."""

from hypothesis import settings

settings.register_profile("unit", max_examples=60, deadline=None)
settings.load_profile("unit")

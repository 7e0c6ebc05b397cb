"""What all tests share."""

from hypothesis import settings

pytest_plugins = ["tests.engines_fixture"]

# The same examples in every run: a red build means a change, not luck.
settings.register_profile("neardup", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("neardup")

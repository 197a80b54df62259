"""What holds for every test."""

from importlib.util import find_spec

from hypothesis import settings

# They run with the DuckDB that has a server, see unit/test_team.py.
collect_ignore = [] if find_spec("duckdb_extension_quack") else ["team"]

settings.register_profile("any machine", deadline=None)  # a slow machine fails no test
settings.load_profile("any machine")

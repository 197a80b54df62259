"""Bundled data and readers of public sets."""

"""Widgets: the chat."""

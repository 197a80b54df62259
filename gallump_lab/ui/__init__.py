"""Widgets: chat, grader, inspector and explorer."""

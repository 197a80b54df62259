"""The guide's HTTP route, as a Jupyter Server extension: it checks a request, calls Lab and shapes the answer."""

"""Market context: bars, quotes, portfolio and scanner for a prompt."""

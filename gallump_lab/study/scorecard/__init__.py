"""The scorecard of insights: is each true, new, current and useful, and do the metrics see what they claim."""

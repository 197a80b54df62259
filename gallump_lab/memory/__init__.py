"""The three tiers: sessions (HOT), recall (WARM), insights (COLD), and packing them under a budget."""

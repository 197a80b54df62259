"""From prompt to reply: sections, Claude, the offline analyst, recommendations, prices."""

"""What-if on a snapshot of recorded conversations."""

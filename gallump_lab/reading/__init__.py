"""What everybody reads text by: numbers, dates, symbols. It imports no other room."""

"""What local points with a check of their geometry would give."""

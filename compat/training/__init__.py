"""What `fit`, `evaluate` and `predict` are made of: objectives, steps, epochs, data."""

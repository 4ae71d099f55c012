"""The machinery of the stateful face: variables, scopes, layers, models, training."""

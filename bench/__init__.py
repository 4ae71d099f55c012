"""Measurements: ours and the peers in turn, in one run. `python -m bench` runs them all."""

"""What the adapters that build graphs share: formulas and rules over graph values."""

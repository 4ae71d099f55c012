"""Variables: what holds a value, how it is drawn and seen."""

"""Networks that read sequences: their symbols, the axis of time, cost against length, what depends on what."""

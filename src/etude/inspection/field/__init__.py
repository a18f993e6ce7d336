"""Which input positions each position sees: derived by rules, measured by poison, drawn."""

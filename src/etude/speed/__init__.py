"""How a training step is computed fast: device, precision, whole steps, compiling, replicas. Not what is learned."""

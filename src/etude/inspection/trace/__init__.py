"""What a forward pass does, operation by operation: the record that all else reads."""

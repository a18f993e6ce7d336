"""Language models: networks that tell the next symbol of a running text, trained by truncated backpropagation."""

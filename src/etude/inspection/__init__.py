"""Questions about any network, answered by computation: shapes, cost, receptive field, gradients, modes."""

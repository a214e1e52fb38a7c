"""The jitted step, the loop over epochs, full-batch training and prediction."""

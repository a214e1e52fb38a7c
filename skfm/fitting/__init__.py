"""From what users give to a training problem, and from its result to what was learned. Knows no estimator."""

"""A new model as CONTRIBUTING adds one: model, estimators and oracle, without a change elsewhere."""

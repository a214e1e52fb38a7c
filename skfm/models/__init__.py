"""One file a paper: raw predictions from gathered table rows and dense weights. Nothing else."""

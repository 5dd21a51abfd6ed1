"""The tiling engine: plan, blend, store, graph, run."""

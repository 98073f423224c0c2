"""ProDA: actions asked for by a prompt, disentangled from scene graphs (Wu et al., NeurIPS 2025)."""

"""ProDA's page: what it reaches beside what its prompts give away, and videos asked about actions."""

"""AQA's page: what its scores reach beside baselines and the paper, and which seconds earned them."""

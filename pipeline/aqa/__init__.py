"""AQA: scores of long videos, and the seconds that earned them (Dong et al., BMVC 2024)."""
